"""The running time entry, which reports leave out, in the shape of theirs. Pure."""

import datetime as dt
import zoneinfo
from collections.abc import Sequence

import attrs
import msgspec

from toggl_async.export.intake import json_of
from toggl_async.export.rows import Line, entry_line, id_of

__all__ = ["REPORT_FIELDS", "Running", "refuse_without_place", "running_line"]

REPORT_FIELDS = (
    "user_id",
    "username",
    "email",
    "project_id",
    "project_name",
    "project_color",
    "project_hex",
    "client_name",
    "task_id",
    "task_name",
    "billable",
    "description",
    "tag_ids",
    "tag_names",
    "billable_amount_in_cents",
    "hourly_rate_in_cents",
    "currency",
    "id",
    "seconds",
    "start",
    "stop",
    "at",
    "at_tz",
    "workspace_id",
)
"""The fields of a time entry's line; the running entry has all of them, null if Toggl omits one."""


class _Running(msgspec.Struct):
    """The fields that decide whether the plan includes a running time entry."""

    user_id: int | None = None
    project_id: int | None = None
    client_id: int | None = None
    tag_ids: list[int] | None = None
    billable: bool | None = None
    workspace_id: int | None = None


_NULL = msgspec.Raw(b"null")

_OLD_NAMES = {"workspace_id": "wid", "user_id": "uid", "project_id": "pid", "task_id": "tid"}
"""Older names of some fields, which Toggl still uses in places."""

_running = msgspec.json.Decoder(dict[str, msgspec.Raw] | None)
_chosen = msgspec.json.Decoder(_Running)
_encode = msgspec.json.Encoder().encode


@attrs.frozen(kw_only=True)
class Running:
    """A running time entry: its line, and the fields that filters look at."""

    line: Line
    workspace_id: int | None
    user_id: int | None
    project_id: int | None
    client_id: int | None
    tag_ids: Sequence[int]
    billable: bool | None


def running_line(
    body: bytes, *, username: str | None, email: str | None, timezone: str | None
) -> Running | None:
    """Read the running time entry, which the reports leave out, in the shape of theirs.

    Args:
        body: the time entry as Track sends it; null when none runs.
        username: the full name of the token's user.
        email: the user's address.
        timezone: the time zone of the user's profile, in which reports have it; None where it is unknown.

    Raises:
        msgspec.ValidationError: it has no id.
    """
    entry = json_of(body)
    known = _running.decode(entry)
    if known is None:
        return None
    if id_of(entry) is None:
        raise msgspec.ValidationError("Expected a time entry, got an object without an id")
    for name, old in _OLD_NAMES.items():
        if known.get(name, _NULL) == _NULL and old in known:
            known[name] = known[old]
    known["username"], known["email"] = msgspec.Raw(_encode(username)), msgspec.Raw(_encode(email))
    known["tag_names"] = known.get("tags", _NULL)
    known["seconds"] = known["stop"] = _NULL
    if "start" in known:
        known["start"] = _in_zone(known["start"], timezone)
    data = _encode({name: known.get(name, _NULL) for name in REPORT_FIELDS})
    seen = _chosen.decode(data)
    return Running(
        line=entry_line(data),
        workspace_id=seen.workspace_id,
        user_id=seen.user_id,
        project_id=seen.project_id,
        client_id=seen.client_id,
        tag_ids=seen.tag_ids or (),
        billable=seen.billable,
    )


def refuse_without_place(running: Running) -> None:
    """Refuse a running time entry that a later report could not replace.

    Raises:
        msgspec.ValidationError: it has no workspace, or no day.
    """
    for name, value in (("workspace_id", running.workspace_id), ("start", running.line.start)):
        if value is None:
            raise msgspec.ValidationError(f"Expected a time entry, got one without a usable {name}")


def _in_zone(start: msgspec.Raw, timezone: str | None) -> msgspec.Raw:
    """When a time entry began, as reports write it: in the time zone, to the second; or else as it came."""
    try:
        moment = msgspec.json.decode(start, type=dt.datetime)
        zone = zoneinfo.ZoneInfo(timezone or "")
        return msgspec.Raw(_encode(moment.astimezone(zone).isoformat(timespec="seconds")))
    except (msgspec.MsgspecError, ValueError, LookupError, OverflowError, OSError):
        return start
