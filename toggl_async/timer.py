"""The running time entry: start one, stop it, and see how long it has been running.

This is a module of its own, because the coroutines in `toggl_async.scopes` are generated and contain no
logic, and because the running entry belongs to a user, while entries belong to workspaces: ``stop`` has to
ask the one and tell the other. Everything here is just a few calls of those coroutines::

    from toggl_async import timer

    entry = await timer.start(toggl.workspace(workspace_id), description="Reading")
    print(timer.elapsed(entry))
    await timer.stop(toggl)

Toggl marks a running entry by a negative duration. Only its sign is reliable: it is -1 for a new entry, and a
time that is off by a second in later answers. So `elapsed` counts from `start`.
"""

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec import UNSET, UnsetType

from toggl_async._client.gaps import known_id, known_moment, known_start, with_gaps
from toggl_async._operations.record import aware
from toggl_async.errors import DecodeError, InvalidInput

if TYPE_CHECKING:
    from toggl_async._client.client import TogglClient
    from toggl_async.records import TimeEntry
    from toggl_async.scopes import WorkspaceScope

__all__ = ["current", "elapsed", "is_running", "start", "stop"]

_RUNS = -1
"""The duration that lets a new entry run; with neither that nor a stop it would have no length."""


async def start(
    workspace: "WorkspaceScope",
    *,
    description: str | UnsetType | None = UNSET,
    project_id: int | UnsetType | None = UNSET,
    task_id: int | UnsetType | None = UNSET,
    tags: Sequence[str] | UnsetType | None = UNSET,
    tag_ids: Sequence[int] | UnsetType | None = UNSET,
    billable: bool | UnsetType = UNSET,
    at: dt.datetime | None = None,
    created_with: str = "toggl_async",
) -> "TimeEntry":
    """Start a time entry; Toggl stops the one that was running, in any workspace.

    Args:
        workspace: where it belongs, such as ``toggl.workspace(7)``.
        description: what you are doing, at most 3000 characters.
        project_id: the project.
        task_id: the task of that project.
        tags: names of tags; those that don't exist are created.
        tag_ids: ids of tags.
        billable: whether it is billable. Needs Starter.
        at: when it began; by default, now. Toggl keeps whole seconds.
        created_with: name of the program.

    Raises:
        InvalidInput: `workspace` isn't a workspace's scope, such as an id, or `at` has no time zone.
        TogglError: whatever became of the request; see `toggl_async.errors`.

    ``POST /api/v9/workspaces/{workspace_id}/time_entries``
    """
    if not hasattr(getattr(workspace, "time_entries", None), "create"):
        raise InvalidInput(f"workspace: pass toggl.workspace(id), not {_kind(workspace)}")
    return await workspace.time_entries.create(
        start=_now() if at is None else aware(at, "at"),
        duration=_RUNS,
        description=description,
        project_id=project_id,
        task_id=task_id,
        tags=tags,
        tag_ids=tag_ids,
        billable=billable,
        created_with=created_with,
    )


async def current(toggl: "TogglClient") -> "TimeEntry | None":
    """Return the user's running time entry, in any workspace; None if none is running, or it was deleted.

    It is shown as far as it can be read: if it comes without its id or its workspace, those are None.

    Raises:
        InvalidInput: `toggl` isn't a client, such as a workspace.
        TogglError: whatever became of the request; see `toggl_async.errors`.

    ``GET /api/v9/me/time_entries/current``
    """
    if not hasattr(toggl, "me"):
        raise InvalidInput(
            f"toggl: pass the TogglClient, not {_kind(toggl)}; a running entry belongs to a person, "
            "whatever its workspace"
        )
    from toggl_async.records import TimeEntry  # noqa: PLC0415 - loaded by the call below as well

    entry = await with_gaps(toggl.me.time_entries.current(), TimeEntry)
    return None if entry is None or known_moment(entry.server_deleted_at) else entry


async def stop(toggl: "TogglClient") -> "TimeEntry | None":
    """Stop the user's running time entry, in any workspace, and return it; None if none is running.

    This takes two requests. If you know the entry, ``workspace.time_entries.stop(entry.id)`` takes one. An
    entry that comes without its workspace is looked up in the user's default one, which takes a third.

    Raises:
        InvalidInput: `toggl` isn't a client, such as a workspace.
        Conflict: somebody else stopped it in between.
        DecodeError: the entry came without its id, or no workspace is known to stop it in.
        TogglError: whatever became of a request; see `toggl_async.errors`.
    """
    entry = await current(toggl)
    if entry is None:
        return None
    if known_id(entry.id) is None:
        raise _lacking("me.time_entries.current", "id", "the running time entry cannot be stopped without it")
    workspace_id = known_id(entry.workspace_id)
    if workspace_id is None:
        from toggl_async.records import Me  # noqa: PLC0415

        workspace_id = known_id((await with_gaps(toggl.me.get(), Me)).default_workspace_id)
    if workspace_id is None:
        raise _lacking(
            "me.get", "default_workspace_id", f"time entry {entry.id} came without a workspace, too"
        )
    return await toggl.workspace(workspace_id).time_entries.stop(entry.id)


def _lacking(operation: str, field: str, consequence: str) -> DecodeError:
    return DecodeError(f"is missing; {consequence}", operation=operation, field=f"$.{field}", body=b"")


def is_running(entry: "TimeEntry") -> bool:
    """Whether a time entry is running; one with a stop, deleted, or without a negative duration, is not.

    Raises:
        InvalidInput: `entry` isn't a time entry.
    """
    _check_entry(entry)
    return _end_of(entry) is None and (entry.duration is None or entry.duration < 0)


def elapsed(entry: "TimeEntry", now: dt.datetime | None = None) -> dt.timedelta:
    """Return how long a time entry has been running, or how long it was.

    Args:
        entry: the time entry.
        now: until when to count a running entry; by default, until now.

    Returns:
        The duration; never negative, even if clocks differ.

    Raises:
        InvalidInput: `entry` isn't a time entry, runs since no moment that can be, or has an impossible
            duration; or `now` has no time zone.
    """
    _check_entry(entry)
    if entry.duration is not None and entry.duration >= 0:
        try:
            return dt.timedelta(seconds=entry.duration)
        except OverflowError:
            raise InvalidInput(
                f"time entry {entry.id} has an impossible duration: {entry.duration} seconds"
            ) from None
    start = known_start(entry.start)
    if start is None:
        lack = "no start" if entry.start is None else f"an impossible start: {entry.start.isoformat()}"
        raise InvalidInput(f"time entry {entry.id} has {lack}")
    until = _end_of(entry) or now or _now()
    return max(dt.timedelta(), aware(until, "now") - start)


def _check_entry(entry: object) -> None:
    """Refuse what isn't a time entry.

    Raises:
        InvalidInput: it is something else, such as the None of `current` and `stop`.
    """
    if not hasattr(entry, "duration"):
        nothing = "; None from `current` or `stop` means that nothing is running" if entry is None else ""
        raise InvalidInput(f"entry: pass a TimeEntry, not {_kind(entry)}{nothing}")


def _kind(value: object) -> str:
    """Name the type of a value; the value itself might be secret."""
    return "None" if value is None else f"a value of type {type(value).__name__}"


def _end_of(entry: "TimeEntry") -> dt.datetime | None:
    """When an entry was stopped, or else deleted, which ends it as well."""
    return known_moment(entry.stop) or known_moment(entry.server_deleted_at)


def _now() -> dt.datetime:
    """Return this moment in whole seconds, as Toggl keeps it."""
    return dt.datetime.now(dt.UTC).replace(microsecond=0)
