"""Answers that a command shows as far as it can: an odd record doesn't affect the others."""

import builtins
from typing import TypeVar

import attrs

from toggl_async._client.client import TogglClient
from toggl_async._operations.record import Moment, Record
from toggl_async.cli.output import complain
from toggl_async.errors import DecodeError

__all__ = ["SeenMe", "SeenOrganization", "SeenWorkspace", "listed"]

T = TypeVar("T")


@attrs.frozen(kw_only=True)
class SeenOrganization(Record):
    """What a command shows of an organization, as far as Toggl says."""

    id: int | None = None
    name: str | None = None


@attrs.frozen(kw_only=True)
class SeenWorkspace(Record):
    """What a command shows of a workspace, as far as Toggl says."""

    id: int | None = None
    name: str | None = None
    organization_id: int | None = None
    server_deleted_at: Moment | None = None


@attrs.frozen(kw_only=True)
class SeenMe(Record):
    """What a command shows of the user; without an id it isn't one."""

    id: int
    fullname: str | None = None
    email: str | None = None
    default_workspace_id: int | None = None
    workspaces: builtins.list[SeenWorkspace] | None = None


async def listed(client: TogglClient, path: str, kind: type[T]) -> list[T]:
    """List what stands beside an answer; where that can't be read, say so, and go on without it."""
    try:
        return await client.request("GET", path, returns=list[kind])  # type: ignore[valid-type]
    except DecodeError as error:
        complain(f"warning: {error}")
        return []
