"""The datasets of an export, declared: name, source, key. Imported by the rest of `export` and by the CLI.

Each is one file in the destination. A dataset names its operation, which knows path, paging and quota; its
`Source` says how its rows are read.
"""

import enum
import functools
from collections.abc import Mapping
from types import MappingProxyType
from typing import TypeAlias

import attrs

from toggl_async._client import catalog
from toggl_async._operations.operation import Operation
from toggl_async._operations.portable import Portable
from toggl_async.errors import (
    DecodeError,
    EndpointGone,
    FeatureUnavailable,
    Forbidden,
    InvalidInput,
    LoginRefused,
    NotFound,
    NotInPlan,
    PagingError,
    QuotaExceeded,
    RequestFailed,
    ResponseError,
    TogglError,
    Unauthorized,
)

__all__ = [
    "DATASETS",
    "ENTRIES",
    "EXACT",
    "REFUSALS",
    "SET_ASIDE",
    "Dataset",
    "Key",
    "Source",
    "dataset",
    "operation",
    "raise_for_account",
]

Key: TypeAlias = tuple[int, ...]
"""What identifies a row: its id, after the id of its workspace if that is needed."""

_NOTHING: Mapping[str, object] = MappingProxyType({})


class Source(enum.StrEnum):
    """Where the rows of a dataset come from."""

    ACCOUNT = "account"
    """Lists that belong to the token's user, read before anything else."""
    WORKSPACE = "workspace"
    """A list of each workspace."""
    REPORT = "report"
    """The detailed report of each workspace, range by range."""


@attrs.frozen(kw_only=True)
class Dataset(Portable):
    """One dataset of an export.

    Attributes:
        name: its name, and that of its file: ``projects`` is written to ``projects.jsonl``.
        operation: the name of the operation that lists it.
        source: how its rows are read.
        key: the fields that identify a row in the file.
        query: the query that makes the operation leave nothing out, such as archived rows.
        since: whether the operation can list what changed since a given time, including deletions.
        for_admins: the operation that lists more fields for the same number of requests, if the token's user
            administers the workspace; "" if there is none.
    """

    name: str
    operation: str
    source: Source
    key: tuple[str, ...] = ("id",)
    query: Mapping[str, object] = attrs.field(default=_NOTHING, hash=False)
    since: bool = False
    for_admins: str = ""

    @property
    def key_has_workspace(self) -> bool:
        """Whether a row is unique only within its workspace."""
        return "workspace_id" in self.key

    def key_of(self, workspace_id: int | None, number: int) -> Key:
        """The key of a row, in the order of `key`."""
        return (workspace_id or 0, number) if self.key_has_workspace else (number,)


DATASETS: Mapping[str, Dataset] = MappingProxyType(
    {
        declared.name: declared
        for declared in (
            Dataset(name="organizations", operation="me.organizations.list", source=Source.ACCOUNT),
            Dataset(name="workspaces", operation="me.get", source=Source.ACCOUNT),
            Dataset(
                name="users",
                operation="workspace.users.list",
                source=Source.WORKSPACE,
                # A user is one and the same in every workspace.
                key=("workspace_id", "id"),
                query={"exclude_deleted": False},
            ),
            Dataset(
                name="groups",
                operation="workspace.groups.list",
                source=Source.WORKSPACE,
                key=("workspace_id", "id"),  # a group of the organization may be in several
                for_admins="organization.groups.list_for_workspace",  # with members
            ),
            Dataset(
                name="clients",
                operation="workspace.clients.list",
                source=Source.WORKSPACE,
                query={"status": "both"},
            ),
            Dataset(
                name="projects",
                operation="workspace.projects.list",
                source=Source.WORKSPACE,
                query={"active": "both"},
                since=True,
            ),
            Dataset(name="tags", operation="workspace.tags.list", source=Source.WORKSPACE),
            Dataset(
                name="tasks",
                operation="workspace.tasks.list",
                source=Source.WORKSPACE,
                query={"active": "both"},
                since=True,
            ),
            Dataset(name="time_entries", operation="workspace.reports.detailed.search", source=Source.REPORT),
        )
    }
)
"""Every dataset by name, in the order in which they are reported."""


def dataset(name: str) -> Dataset:
    """The dataset of that name.

    Raises:
        InvalidInput: there is none; the message names those that there are.
    """
    try:
        return DATASETS[name]
    except (KeyError, TypeError):  # a list, say, which can't be looked up
        raise InvalidInput(f"unknown dataset {name!r}; choose one of {', '.join(DATASETS)}") from None


@functools.cache
def operation(name: str) -> Operation[object]:
    """The operation of that name; looked up once, because that reads a part of the catalog."""
    return catalog.operation(name)


ENTRIES: Dataset = DATASETS["time_entries"]

EXACT: dict[str, int] = {"rounding": 0, "rounding_minutes": 0}
"""Without this, the user's preferences would round the seconds."""

REFUSALS = (FeatureUnavailable, Forbidden, NotFound, EndpointGone)
"""What Toggl does not give; see `Reader.set_aside`."""

SET_ASIDE = (DecodeError, NotInPlan, PagingError, RequestFailed, ResponseError)
"""What may concern one part of an export alone, so that the rest is read; see `raise_for_account`."""

_OF_THE_ACCOUNT = (LoginRefused, QuotaExceeded, Unauthorized)


def raise_for_account(error: TogglError) -> None:
    """Raise an error again that concerns everything that an account may ask for, and not one part alone.

    These are refused credentials, and a quota that whoever asked wouldn't wait for. A 429 isn't among them:
    as long as it concerns the account, it is waited for; see `Asker`.
    """
    if isinstance(error, _OF_THE_ACCOUNT):
        raise error
