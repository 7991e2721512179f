"""The company's tables, and the few rules that hold between them.

Whoever changes a time entry says so with `touch`: the sorted lists behind reports and behind
``/me/time_entries`` are made when they are needed and kept until then.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Any, TypeVar

from toggl_async.sandbox.entities import (
    ClientRow,
    ExportRow,
    FavoriteRow,
    GroupRow,
    OrganizationRow,
    PersonRow,
    ProjectRow,
    SavedReportRow,
    SubscriptionRow,
    TagRow,
    TaskRow,
    TimeEntryRow,
    WorkspaceRow,
)
from toggl_async.sandbox.options import PlanName
from toggl_async.sandbox.timestamps import Zone

__all__ = ["State"]

RowT = TypeVar("RowT", ClientRow, ProjectRow, TagRow, TaskRow)

_FIRST_IDS = {
    "client": 66_000_000,
    "entry": 3_600_000_000,
    "event": 900_000,
    "favorite": 310_000,
    "group": 410_000,
    "kept": 30_000_000,
    "membership": 5_200_000,
    "organization": 7_400_000,
    "project": 205_000_000,
    "report": 1_200_000,
    "subscription": 50_000,
    "tag": 17_000_000,
    "task": 2_200_000_000,
    "user": 11_000_000,
    "workspace": 8_600_000,
}
"""Where the ids of each kind begin: about where Toggl's are, entries and tasks beyond 32 bits."""


class State:
    """What the sandbox knows: one organization with everything in it, by id."""

    def __init__(self, *, plan: PlanName, rounding_minutes: int = 0) -> None:
        self.plan = plan
        self.rounding_minutes = rounding_minutes
        self.organizations: dict[int, OrganizationRow] = {}
        self.workspaces: dict[int, WorkspaceRow] = {}
        self.people: dict[int, PersonRow] = {}
        self.groups: dict[int, GroupRow] = {}
        self.clients: dict[int, ClientRow] = {}
        self.projects: dict[int, ProjectRow] = {}
        self.tags: dict[int, TagRow] = {}
        self.tasks: dict[int, TaskRow] = {}
        self.entries: dict[int, TimeEntryRow] = {}
        self.favorites: dict[int, FavoriteRow] = {}
        self.saved_reports: dict[int, SavedReportRow] = {}
        self.exports: dict[str, ExportRow] = {}
        self.subscriptions: dict[int, SubscriptionRow] = {}
        self.kept: dict[tuple[str, int], dict[int, dict[str, Any]]] = {}
        self.settings: dict[tuple[str | int, ...], dict[str, Any]] = {}
        self._last_ids = dict(_FIRST_IDS)
        self._reported: dict[int, list[TimeEntryRow]] = {}
        self._personal: dict[int, list[TimeEntryRow]] = {}
        self._tracked: dict[int, Counter[int]] = {}
        self._zones: dict[str, Zone] = {}

    @property
    def paid(self) -> bool:
        """Whether the plan is Starter or above: tasks, billable time and rates."""
        return self.plan != "free"

    @property
    def owner(self) -> PersonRow:
        """The person whose organization it is, and whose token the sandbox shows."""
        return next(person for person in self.people.values() if person.owner)

    def new_id(self, kind: str, step: int = 1) -> int:
        """Return an id that nothing of this kind has had, `step` beyond the last."""
        self._last_ids[kind] += step
        return self._last_ids[kind]

    def zone(self, person: PersonRow) -> Zone:
        """Return a person's time zone, in which that person's reports are written."""
        if person.timezone not in self._zones:
            self._zones[person.timezone] = Zone(person.timezone)
        return self._zones[person.timezone]

    @property
    def members(self) -> list[PersonRow]:
        """The people of the organization."""
        return [person for person in self.people.values() if not person.left]

    def preferences(self, workspace: WorkspaceRow) -> dict[str, Any]:
        """Return those of a workspace's preferences that were set."""
        return self.settings.get(("/api/v9/workspaces/{workspace_id}/preferences", workspace.id), {})

    def workspaces_of(self, person: PersonRow) -> list[WorkspaceRow]:
        """Return the workspaces that a person is in."""
        return [workspace for workspace in self.workspaces.values() if person.id in workspace.members]

    def touch(self, entry: TimeEntryRow, now: float) -> None:
        """Note that a time entry is new or has changed."""
        entry.changed = int(now * 1_000_000)
        self.entries[entry.id] = entry
        self.forget_order()

    def forget_order(self) -> None:
        """Drop the sorted lists: time entries were added, or changed."""
        self._reported.clear()
        self._tracked.clear()
        self._personal.clear()

    def reported(self, workspace_id: int) -> list[TimeEntryRow]:
        """Return what reports show of a workspace, oldest first; not to be changed by the caller."""
        if workspace_id not in self._reported:
            self._reported[workspace_id] = sorted(
                (
                    entry
                    for entry in self.entries.values()
                    if entry.workspace_id == workspace_id and entry.reported
                ),
                key=lambda entry: (entry.start, entry.id),
            )
        return self._reported[workspace_id]

    def visible(self, person: PersonRow, entry: TimeEntryRow) -> bool:
        """Tell whether reports show a time entry to a person: all of them only to administrators."""
        project = self.projects.get(entry.project_id or 0)
        return person.admin or entry.user_id == person.id or (project is not None and not project.is_private)

    def reported_to(self, person: PersonRow, workspace_id: int) -> list[TimeEntryRow]:
        """Return what reports show a person of a workspace, oldest first; not to be changed."""
        rows = self.reported(workspace_id)
        return rows if person.admin else [entry for entry in rows if self.visible(person, entry)]

    def personal(self, user_id: int) -> list[TimeEntryRow]:
        """Return a user's time entries, deleted ones included, newest first; not to be changed."""
        if user_id not in self._personal:
            self._personal[user_id] = sorted(
                (entry for entry in self.entries.values() if entry.user_id == user_id),
                key=lambda entry: (entry.start, entry.id),
                reverse=True,
            )
        return self._personal[user_id]

    def tracked_seconds(self, task: TaskRow) -> int:
        """Return the time that was tracked for a task, in seconds."""
        if task.workspace_id not in self._tracked:
            tracked: Counter[int] = Counter()
            for entry in self.reported(task.workspace_id):
                if entry.task_id is not None:
                    tracked[entry.task_id] += entry.seconds or 0
            self._tracked[task.workspace_id] = tracked
        return self._tracked[task.workspace_id][task.id]

    def running(self, user_id: int) -> TimeEntryRow | None:
        """Return a user's running time entry, in whatever workspace."""
        return next((entry for entry in self.personal(user_id) if entry.running), None)

    def stop(self, entry: TimeEntryRow, now: float) -> None:
        """End a running time entry."""
        entry.seconds = max(0, int(now) - entry.start)
        self.touch(entry, now)

    def remove_client(self, client: ClientRow) -> None:
        """Remove a client; its projects stay, without one."""
        del self.clients[client.id]
        for project in self.projects_of(client.workspace_id):
            if project.client_id == client.id:
                project.client_id = None

    def remove_project(self, project: ProjectRow, now: float, *, with_entries: bool) -> None:
        """Remove a project and its tasks; its time entries stay, without one, or are deleted as well."""
        del self.projects[project.id]
        for favorite in self.favorites.values():
            if favorite.project_id == project.id:
                favorite.project_id = favorite.task_id = None
        for task in [task for task in self.tasks.values() if task.project_id == project.id]:
            del self.tasks[task.id]
        for entry in [entry for entry in self.entries.values() if entry.project_id == project.id]:
            entry.project_id = entry.task_id = None
            if with_entries:
                entry.deleted = int(now)
            self.touch(entry, now)

    def remove_tag(self, tag: TagRow) -> None:
        """Remove a tag, from the time entries too."""
        del self.tags[tag.id]
        for entry in self.entries.values():
            if tag.id in entry.tag_ids:
                entry.tag_ids = tuple(known for known in entry.tag_ids if known != tag.id)
        for favorite in self.favorites.values():
            favorite.tag_ids = [known for known in favorite.tag_ids if known != tag.id]

    def remove_task(self, task: TaskRow) -> None:
        """Remove a task; its time entries stay, without one."""
        del self.tasks[task.id]
        holders: list[TimeEntryRow | FavoriteRow] = [*self.entries.values(), *self.favorites.values()]
        for holder in holders:
            if holder.task_id == task.id:
                holder.task_id = None

    def remove_person(self, person: PersonRow) -> None:
        """Remove a person from the organization, its workspaces and groups; the time entries stay."""
        person.left = True
        holders: list[WorkspaceRow | GroupRow] = [*self.workspaces.values(), *self.groups.values()]
        for holder in holders:
            holder.members = [known for known in holder.members if known != person.id]

    def tag_named(self, workspace_id: int, name: str) -> TagRow | None:
        """Return a workspace's tag of this name."""
        return next((tag for tag in self.tags_of(workspace_id) if tag.name == name), None)

    def tags_of(self, workspace_id: int) -> list[TagRow]:
        """Return a workspace's tags, by name."""
        return sorted(_of(self.tags.values(), workspace_id), key=lambda tag: tag.name)

    def clients_of(self, workspace_id: int) -> list[ClientRow]:
        """Return a workspace's clients, by name."""
        return sorted(_of(self.clients.values(), workspace_id), key=lambda client: client.name)

    def projects_of(self, workspace_id: int) -> list[ProjectRow]:
        """Return a workspace's projects, in the order of their ids."""
        return _of(self.projects.values(), workspace_id)

    def tasks_of(self, workspace_id: int) -> list[TaskRow]:
        """Return a workspace's tasks, in the order of their ids; none on a plan without tasks."""
        return _of(self.tasks.values(), workspace_id) if self.paid else []

    def groups_of(self, workspace_id: int) -> list[GroupRow]:
        """Return the groups that are in a workspace."""
        return [group for group in self.groups.values() if workspace_id in group.workspaces]


def _of(rows: Iterable[RowT], workspace_id: int) -> list[RowT]:
    return [row for row in rows if row.workspace_id == workspace_id]
