"""Fills the tables with a made-up company, the same for the same seed.

Only the secrets differ from run to run: tokens and passwords come from `secrets`, so that none
can be mistaken for a constant.
"""

# ruff: noqa: PLR2004 - the figures are what the company is like

import random
import secrets
from collections.abc import Sequence
from typing import TypeAlias

from toggl_async.sandbox import words
from toggl_async.sandbox.entities import (
    ClientRow,
    GroupRow,
    OrganizationRow,
    PersonRow,
    ProjectRow,
    TagRow,
    TaskRow,
    TimeEntryRow,
    WorkspaceRow,
)
from toggl_async.sandbox.options import CompanySize
from toggl_async.sandbox.state import State
from toggl_async.sandbox.timestamps import day_of

__all__ = ["fill"]

_Desk: TypeAlias = dict[int, list[tuple[ProjectRow | None, list[TaskRow]]]]
"""The projects that a person works on, with their tasks, by workspace; None for no project."""

_DAY = 86_400
_LATE = 20 * 3600
_SATURDAY = 5
_SMALL_SHARE = 0.06
"""The share of people's time that goes to the second, small workspace."""


def fill(state: State, size: CompanySize, *, seed: int, now: float) -> None:
    """Fill empty tables with a company whose history ends at `now`."""
    _Seeding(state, size, random.Random(seed), int(now)).fill()


class _Seeding:
    """One run through all the tables, each built on the ones before."""

    def __init__(self, state: State, size: CompanySize, rng: random.Random, now: int) -> None:
        self._state = state
        self._size = size
        self._rng = rng
        self._now = now
        self._founded = now - (size.days + 40) * _DAY
        self._organization: OrganizationRow
        self._big: WorkspaceRow
        self._small: WorkspaceRow
        self._people: list[PersonRow] = []
        self._tag_ids: dict[int, list[int]] = {}

    def fill(self) -> None:
        self._organize()
        self._hire()
        self._group()
        self._acquire_clients()
        self._begin_projects()
        self._coin_tags()
        self._plan_tasks()
        self._track()
        self._start_running()
        self._state.forget_order()

    def _moment(self) -> int:
        """Return some moment of the company's history."""
        return self._rng.randrange(self._founded, self._now - _DAY)

    def _organize(self) -> None:
        state = self._state
        self._organization = OrganizationRow(
            id=state.new_id("organization", 41), name="Põhjatäht Studio", created=self._founded
        )
        state.organizations[self._organization.id] = self._organization
        self._big, self._small = (
            WorkspaceRow(
                id=state.new_id("workspace", 113),
                organization_id=self._organization.id,
                name=name,
                modified=self._moment(),
                default_hourly_rate=rate,
                members=[],
                api_token=secrets.token_hex(16),
            )
            for name, rate in (("Põhjatäht", 80.0), ("Labor", 65.5))
        )
        state.workspaces |= {workspace.id: workspace for workspace in (self._big, self._small)}

    def _hire(self) -> None:
        state = self._state
        for number in range(self._size.people):
            name = _named(words.PEOPLE, number)
            created = self._founded if number == 0 else self._moment()
            person = PersonRow(
                id=state.new_id("user", self._rng.randrange(7, 900)),
                membership_id=state.new_id("membership", self._rng.randrange(3, 90)),
                name=name,
                email=f"person{number + 1}@example.com",
                timezone=words.ZONES[number % len(words.ZONES)],
                created=created,
                modified=self._rng.randrange(created, self._now),
                default_workspace_id=self._big.id,
                admin=number < 2,
                owner=number == 0,
                inactive=number == self._size.people - 1 > 3,
                api_token=secrets.token_hex(16),
                password=secrets.token_urlsafe(12),
            )
            state.people[person.id] = person
            self._big.members.append(person.id)
            if number < 1 + self._size.people // 3:
                self._small.members.append(person.id)
        self._people = list(state.people.values())

    def _group(self) -> None:
        state = self._state
        for number, name in enumerate(words.GROUPS):
            members = self._people[number :: len(words.GROUPS)]
            group = GroupRow(
                id=state.new_id("group", self._rng.randrange(1, 40)),
                organization_id=self._organization.id,
                name=name,
                members=[person.id for person in members],
                workspaces=[self._big.id] if number % 2 else [self._big.id, self._small.id],
                at=self._moment(),
            )
            state.groups[group.id] = group

    def _acquire_clients(self) -> None:
        state = self._state
        for number in range(self._size.clients):
            name = _named(words.CLIENTS, number)
            client = ClientRow(
                id=state.new_id("client", self._rng.randrange(1, 300)),
                workspace_id=self._home(number),
                name=name,
                creator_id=self._people[0].id,
                at=self._moment(),
                archived=number % 7 == 3,
                notes="Invoices go to the head office" if number % 5 == 0 else None,
            )
            state.clients[client.id] = client

    def _home(self, number: int) -> int:
        """Put every sixth thing into the small workspace, the second one first."""
        return self._small.id if number % 6 == 1 else self._big.id

    def _begin_projects(self) -> None:
        state = self._state
        for number in range(self._size.projects):
            name = _named(words.PROJECTS, number)
            workspace_id = self._home(number)
            clients = state.clients_of(workspace_id)
            created = self._moment()
            project = ProjectRow(
                id=state.new_id("project", self._rng.randrange(1, 4000)),
                workspace_id=workspace_id,
                client_id=None if number % 5 == 4 else self._rng.choice(clients).id,
                name=name,
                color=self._rng.choice(words.COLORS),
                created=created,
                at=self._rng.randrange(created, self._now),
                active=number % 4 != 3,
                is_private=number % 3 == 0,
                billable=number % 2 == 0,
                rate=float(self._rng.randrange(50, 140)) if number % 4 == 0 else None,
                estimated_seconds=self._rng.randrange(10, 400) * 3600 if number % 3 == 1 else None,
            )
            state.projects[project.id] = project

    def _coin_tags(self) -> None:
        state = self._state
        for number in range(self._size.tags):
            name = _named(words.TAGS, number)
            tag = TagRow(
                id=state.new_id("tag", self._rng.randrange(1, 500)),
                workspace_id=self._home(number),
                name=name,
                creator_id=self._rng.choice(self._people).id,
                at=self._moment(),
            )
            state.tags[tag.id] = tag
        self._tag_ids = {
            workspace.id: [tag.id for tag in state.tags_of(workspace.id)]
            for workspace in (self._big, self._small)
        }

    def _plan_tasks(self) -> None:
        state = self._state
        for number, project in enumerate(state.projects.values()):
            for name in words.TASKS[: number % 4]:
                task = TaskRow(
                    id=state.new_id("task", self._rng.randrange(1, 200)),
                    workspace_id=project.workspace_id,
                    project_id=project.id,
                    name=name,
                    at=self._moment(),
                    active=project.active and number % 5 != 2,
                    estimated_seconds=self._rng.randrange(1, 80) * 3600 if number % 2 else None,
                    user_id=self._rng.choice(self._people).id if number % 3 == 0 else None,
                )
                state.tasks[task.id] = task

    def _days(self) -> list[int]:
        """Return the midnights (UTC) of the working days, every third Saturday among them."""
        today = self._now - self._now % _DAY
        days = [today - back * _DAY for back in range(self._size.days, 0, -1)]
        weekdays = {day: day_of(day).weekday() for day in days}
        return [
            day
            for day, weekday in weekdays.items()
            if weekday < _SATURDAY or (weekday == _SATURDAY and day // _DAY % 3 == 0)
        ]

    def _track(self) -> None:
        """Spread the time entries over all people and working days; then delete some."""
        rng = self._rng
        days = self._days()
        shifts = [(day, person) for day in days for person in self._people]
        total = self._size.time_entries + self._size.deleted
        each, extra = divmod(total, len(shifts))
        longer = set(rng.sample(range(len(shifts)), extra))
        desks = {person.id: self._desk(person) for person in self._people}
        for number, (day, person) in enumerate(shifts):
            clock = day + rng.randrange(6 * 3600, 9 * 3600)
            for _ in range(each + (number in longer)):
                seconds = rng.choice((300, 900, 1800, 3600, 5400, 7200)) + rng.randrange(-240, 900)
                if clock > day + _LATE:  # a crowded day: some of it happened at once
                    clock = day + rng.randrange(6 * 3600, 9 * 3600)
                self._add(person.id, desks[person.id], clock, seconds)
                # People forget to stop, and track two things at once.
                clock += seconds + rng.choice((0, 0, 60, 600, -420))
        self._delete()

    def _desk(self, person: PersonRow) -> _Desk:
        """Choose the projects that a person works on."""
        desk: _Desk = {}
        for workspace in self._state.workspaces_of(person):
            projects = self._state.projects_of(workspace.id)
            chosen: list[ProjectRow | None] = list(self._rng.sample(projects, min(6, len(projects))))
            desk[workspace.id] = [
                (
                    project,
                    [
                        task
                        for task in self._state.tasks.values()
                        if project and task.project_id == project.id
                    ],
                )
                for project in (*chosen, None)
            ]
        return desk

    def _add(self, user_id: int, desk: _Desk, start: int, seconds: int) -> None:
        state, rng = self._state, self._rng
        small = rng.random() < _SMALL_SHARE and self._small.id in desk
        workspace_id = self._small.id if small else self._big.id
        project, tasks = rng.choice(desk[workspace_id])
        tagged = rng.random() < 0.55
        known = self._tag_ids[workspace_id]
        edited = rng.randrange(60, 20 * _DAY) if rng.random() < 0.04 else rng.randrange(1, 90)
        changed = min(start + seconds + edited, self._now - 1)
        entry = TimeEntryRow(
            id=state.new_id("entry", rng.randrange(1, 50)),
            workspace_id=workspace_id,
            user_id=user_id,
            project_id=None if project is None else project.id,
            task_id=rng.choice(tasks).id if tasks and rng.random() < 0.5 else None,
            billable=project is not None and project.billable and rng.random() < 0.9,
            start=start,
            seconds=seconds,
            description=rng.choice(words.DESCRIPTIONS),
            tag_ids=tuple(sorted(rng.sample(known, min(len(known), rng.choice((1, 1, 2))))))
            if tagged
            else (),
            changed=changed * 1_000_000 + rng.randrange(1000, 1_000_000),
            bare=not tagged and rng.random() < 0.2,
        )
        state.entries[entry.id] = entry

    def _delete(self) -> None:
        """Delete as many entries as asked for, some recent ones of the owner's among them."""
        entries = list(self._state.entries.values())
        owner = self._people[0].id
        recent = [
            entry for entry in entries if entry.user_id == owner and entry.start > self._now - 25 * _DAY
        ]
        first = recent[: self._size.deleted][:3]
        chosen = {entry.id for entry in first}
        others = [entry for entry in entries if entry.id not in chosen]
        for entry in (*first, *self._rng.sample(others, self._size.deleted - len(first))):
            entry.deleted = min(entry.changed // 1_000_000 + self._rng.randrange(5, _DAY), self._now - 1)
            entry.changed = entry.deleted * 1_000_000 + self._rng.randrange(1000, 1_000_000)

    def _start_running(self) -> None:
        """Leave one time entry of the owner's running."""
        projects = [project for project in self._state.projects_of(self._big.id) if project.active]
        started = self._now - 1523
        entry = TimeEntryRow(
            id=self._state.new_id("entry", 17),
            workspace_id=self._big.id,
            user_id=self._people[0].id,
            project_id=projects[0].id,
            start=started,
            seconds=None,
            description="Käimasolev töö",
            changed=started * 1_000_000 + 731_204,
        )
        self._state.entries[entry.id] = entry


def _named(names: Sequence[str], number: int) -> str:
    """Return a name; when all of them are given away, they come again with a number."""
    again, place = divmod(number, len(names))
    return f"{names[place]} {again + 1}" if again else names[place]
