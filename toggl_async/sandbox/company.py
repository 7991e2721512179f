"""The made-up company: its state, and the truth about it that an export can be compared with."""

from collections.abc import Callable, Iterable
from typing import Final

from toggl_async.sandbox import account_shapes, seeding, shapes
from toggl_async.sandbox.entities import PersonRow, TimeEntryRow
from toggl_async.sandbox.options import RoleName, SandboxOptions
from toggl_async.sandbox.state import State
from toggl_async.sandbox.timestamps import offset_utc

__all__ = ["DATASETS", "Company"]

DATASETS: Final = (
    "organizations",
    "workspaces",
    "users",
    "groups",
    "clients",
    "projects",
    "tags",
    "tasks",
    "time_entries",
)
"""The names that `Company.dataset` knows."""


class Company(State):
    """A company of the size and with the seed that the options ask for, up to the time `now`."""

    def __init__(self, options: SandboxOptions, now: float) -> None:
        super().__init__(plan=options.plan, rounding_minutes=options.rounding_minutes)
        seeding.fill(self, options.size, seed=options.seed, now=now)
        self._account_id = next(
            (person.id for person in self.people.values() if _role(person) == options.role), None
        )
        if self._account_id is None:
            raise ValueError(
                f"a company of {options.size.people} people has nobody with the role {options.role!r}"
            )

    @property
    def account(self) -> PersonRow:
        """The person whose token the sandbox shows."""
        return self.people[self._account_id or 0]

    def dataset(self, name: str) -> list[shapes.JsonObject]:
        """Return every row of a dataset that the token's user can see, by id.

        The rows are the API's own JSON objects: `users` as in ``/organizations/{organization_id}/users``,
        `groups` as in ``/organizations/{organization_id}/groups``, the others as in their lists.
        `time_entries` has those of all people in all workspaces, without deleted ones, each with the fields
        that Track and reports share; `running` marks the running one.

        Raises:
            KeyError: there is no such dataset.
        """
        me = self.account
        made: dict[str, Callable[[], Iterable[shapes.JsonObject]]] = {
            "organizations": lambda: (
                account_shapes.organization(self, row, me) for row in self.organizations.values()
            ),
            "workspaces": lambda: (
                account_shapes.workspace(self, row, me) for row in self.workspaces.values()
            ),
            "users": lambda: (account_shapes.organization_user(self, row) for row in self.members),
            "groups": lambda: (account_shapes.organization_group(self, row) for row in self.groups.values()),
            "time_entries": self._time_entries,
        }
        if name in made:
            return list(made[name]())
        rows = (row for space_id in self.workspaces for row in shapes.rows(self, name, space_id))
        return sorted(rows, key=lambda row: int(row["id"]))

    def _time_entries(self) -> Iterable[shapes.JsonObject]:
        return (
            _fact(row)
            for _, row in sorted(self.entries.items())
            if row.deleted is None and self.visible(self.account, row)
        )


def _role(person: PersonRow) -> RoleName:
    return "owner" if person.owner else "admin" if person.admin else "user"


def _fact(row: TimeEntryRow) -> shapes.JsonObject:
    return {
        **shapes.same(
            row,
            "id",
            "workspace_id",
            "user_id",
            "project_id",
            "task_id",
            "billable",
            "description",
            "seconds",
            "running",
        ),
        "start": offset_utc(row.start),
        "stop": None if row.stop is None else offset_utc(row.stop),
        "tag_ids": list(row.tag_ids),
    }
