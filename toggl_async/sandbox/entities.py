"""What the company consists of. Moments are seconds of the Unix epoch, in UTC.

These are the sandbox's own state, not the records of the API: `shapes` turns them into the JSON
that Toggl would send.
"""

from collections.abc import Mapping
from typing import Any

import attrs

__all__ = [
    "ClientRow",
    "ExportRow",
    "FavoriteRow",
    "GroupRow",
    "OrganizationRow",
    "PersonRow",
    "ProjectRow",
    "SavedReportRow",
    "SubscriptionRow",
    "TagRow",
    "TaskRow",
    "TimeEntryRow",
    "WorkspaceRow",
]


@attrs.define(kw_only=True)
class OrganizationRow:
    """The organization that pays, and that quotas are counted for."""

    id: int
    name: str
    created: int


@attrs.define(kw_only=True)
class WorkspaceRow:
    """A workspace of the organization, and who is in it."""

    id: int
    organization_id: int
    name: str
    modified: int
    default_hourly_rate: float
    members: list[int]
    api_token: str = attrs.field(repr=False)
    only_admins_may_create_tags: bool = False


@attrs.define(kw_only=True)
class PersonRow:
    """A member of the organization, with the credentials of its account.

    Who has `left` isn't a member any more, but the time entries stay, and the account.
    """

    id: int
    membership_id: int
    name: str
    email: str
    timezone: str
    created: int
    modified: int
    default_workspace_id: int
    admin: bool
    owner: bool
    inactive: bool = False
    left: bool = False
    rate: float | None = None
    labor_cost: float | None = None
    working_hours_in_minutes: int | None = None
    beginning_of_week: int = 1
    country_id: int | None = None
    api_token: str = attrs.field(repr=False)
    password: str = attrs.field(repr=False)


@attrs.define(kw_only=True)
class GroupRow:
    """A group of the organization's people, and the workspaces that it is in."""

    id: int
    organization_id: int
    name: str
    members: list[int]
    workspaces: list[int]
    at: int


@attrs.define(kw_only=True)
class ClientRow:
    """A client of a workspace."""

    id: int
    workspace_id: int
    name: str
    creator_id: int
    at: int
    archived: bool = False
    notes: str | None = None


@attrs.define(kw_only=True)
class ProjectRow:
    """A project of a workspace; `rate` is money an hour."""

    id: int
    workspace_id: int
    client_id: int | None = None
    name: str = ""
    color: str
    created: int
    at: int
    active: bool = True
    is_private: bool = True
    billable: bool = False
    rate: float | None = None
    estimated_seconds: int | None = None


@attrs.define(kw_only=True)
class TagRow:
    """A tag of a workspace."""

    id: int
    workspace_id: int
    name: str
    creator_id: int
    at: int


@attrs.define(kw_only=True)
class TaskRow:
    """A task of a project."""

    id: int
    workspace_id: int
    project_id: int
    name: str = ""
    at: int
    active: bool = True
    estimated_seconds: int | None = None
    user_id: int | None = None


@attrs.define(kw_only=True)
class TimeEntryRow:
    """A time entry; `seconds` is None while it runs.

    `changed` is in microseconds, and `bare` says that its empty list of tags is written as null.
    """

    id: int
    workspace_id: int
    user_id: int
    project_id: int | None = None
    task_id: int | None = None
    billable: bool = False
    start: int = 0
    seconds: int | None = 0
    description: str = ""
    tag_ids: tuple[int, ...] = ()
    changed: int = 0
    deleted: int | None = None
    bare: bool = False

    @property
    def stop(self) -> int | None:
        """When it ended, or None while it runs."""
        return None if self.seconds is None else self.start + self.seconds

    @property
    def running(self) -> bool:
        """Whether it is still running."""
        return self.seconds is None and self.deleted is None

    @property
    def reported(self) -> bool:
        """Whether reports show it: neither running nor deleted."""
        return self.seconds is not None and self.deleted is None


@attrs.define(kw_only=True)
class FavoriteRow:
    """What a time entry can be started from."""

    id: int
    workspace_id: int
    user_id: int
    created: int
    description: str | None = None
    project_id: int | None = None
    task_id: int | None = None
    tag_ids: list[int] = attrs.field(factory=list)
    billable: bool | None = None
    public: bool = False
    rank: int | None = None


@attrs.define(kw_only=True)
class SavedReportRow:
    """A report under a name; `params` says which, and with which filters."""

    id: int
    workspace_id: int
    user_id: int
    changed_by: int
    name: str = ""
    params: Mapping[str, Any] = attrs.field(factory=dict)
    public: bool = False
    fixed_daterange: bool = False
    token: str = attrs.field(repr=False)
    at: int


@attrs.define(kw_only=True)
class ExportRow:
    """An archive that is being made until `ready`; of a workspace, or of a person's own data."""

    token: str
    user_id: int
    workspace_id: int | None
    tables: tuple[str, ...]
    ready: float


@attrs.define(kw_only=True)
class SubscriptionRow:
    """A webhook; `filters` are pairs of entity and action, `pending` counts what is on its way."""

    id: int
    workspace_id: int
    user_id: int
    description: str = ""
    url: str = ""
    filters: list[tuple[str, str]] = attrs.field(factory=list)
    enabled: bool = False
    created: int
    changed: int
    validated: int | None = None
    pending: int = 0
    secret: str = attrs.field(repr=False)
    code: str = attrs.field(repr=False)
