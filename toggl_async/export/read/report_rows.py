"""The rows of a detailed report as lines. A row of the documented shape is cut up, any other is rebuilt.

Nearly all rows of an export come through here, so each is decoded once, strictly, and turned into what a
mirror stores right away. No list or tuple of lists outlives its row, because a page of those would keep the
garbage collector busy.
"""

from collections.abc import Iterable
from typing import Annotated, Final, TypeAlias

import msgspec

from toggl_async.export.intake import row_of
from toggl_async.export.rows import Line, Stored, day_of, entry_lines

__all__ = ["report_lines"]

_Int: TypeAlias = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
"""A number that every format and store can hold."""


class _Entry(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A time entry in a report, as Toggl documents it."""

    id: _Int
    seconds: _Int | None = None
    start: str | None = None
    stop: str | None = None
    at: str | None = None
    at_tz: str | None = None


class _Group(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A row of a report, as Toggl documents it: what its time entries have in common."""

    user_id: _Int | None = None
    username: str | None = None
    email: str | None = None
    project_id: _Int | None = None
    project_name: str | None = None
    project_color: str | None = None
    project_hex: str | None = None
    client_name: str | None = None
    task_id: _Int | None = None
    task_name: str | None = None
    billable: bool | None = None
    description: str | None = None
    tag_ids: list[_Int] | None = None
    tag_names: list[str] | None = None
    billable_amount_in_cents: _Int | None = None
    hourly_rate_in_cents: _Int | None = None
    currency: str | None = None
    row_number: _Int | None = None
    time_entries: list[_Entry] | None = None


_group: Final = msgspec.json.Decoder(_Group).decode
_encode: Final = msgspec.json.Encoder().encode

_KEY: Final = b'"time_entries":'
_OPENING: Final = _KEY + b"[{"


def report_lines(pieces: Iterable[msgspec.Raw], *, workspace_id: int) -> list[Line]:
    """The lines of a page of the detailed report: one for each time entry; see `entry_lines`.

    Args:
        pieces: the rows: JSON objects.
        workspace_id: the workspace of the report, which its rows do not name.

    Raises:
        Misshapen: a row is nested too deeply.
    """
    lines: list[Line] = []
    rows = list(map(bytes, pieces))
    # Searching the whole page at once takes a tenth of the time.
    if b"\n" in (page := b"".join(rows)) or b"\r" in page:
        return [line for row in rows for line in entry_lines(row_of(row), workspace_id=workspace_id)]
    space = b'"workspace_id":%d,' % workspace_id
    for row in rows:
        line = _documented(row, workspace_id, space)
        if line is None:
            lines += entry_lines(row_of(row), workspace_id=workspace_id)
        else:
            lines.append(line)
    return lines


def _documented(row: bytes, workspace_id: int, space: bytes) -> Line | None:
    """The line of a documented row with one time entry; None for any other row.

    Args:
        row: one JSON object, without line breaks.
        workspace_id: the workspace of the report.
        space: the workspace as a JSON field, with its comma.
    """
    try:
        group = _group(row)
        [entry] = group.time_entries or []
    except (msgspec.DecodeError, ValueError):
        return None
    if entry.seconds is not None and entry.seconds < 0:  # it runs; `entry_lines` knows
        return None
    data = _cut(row, group.row_number, space)
    if data is None:
        return None
    begins, ends, tags, billable = entry.start, entry.stop, group.tag_ids, group.billable
    day = day_of(begins)
    start = begins if day is not None else None
    cells: tuple[Stored, ...] = (  # in the order of `Table.stored`
        entry.id,
        workspace_id,
        group.user_id,
        group.project_id,
        group.task_id,
        billable if billable is None else int(billable),  # SQLite takes twice as long to bind a bool
        group.description,
        tags if tags is None else _encode(tags).decode(),
        group.billable_amount_in_cents,
        group.currency,
        entry.seconds,
        begins,
        ends,
        entry.at,
        start and start[:10],
        start and start[:19],
    )
    return Line(entry.id, data, entry.seconds or 0, day, cells)


def _cut(row: bytes, number: int | None, space: bytes) -> bytes | None:
    """Cut the line of a documented row with one time entry out of it; None if that may not be exact.

    Within a string, quotes are escaped, so the patterns searched for cannot match inside one.

    Args:
        row: the row.
        number: the number of the row, which is left out.
        space: the workspace as a JSON field, with its comma.
    """
    at = row.find(_OPENING)
    end = row.find(b"]", at)
    entry = row[at + len(_OPENING) : end]
    # No field of an entry is a list, so this ends it, unless it is inside a string; then a quote is open.
    if at < 0 or entry[-1:] != b"}" or entry.count(b'"') & 1 or b"\\" in entry:
        return None
    before, behind = row[:at], row[end + 1 : -1]
    if number is not None:
        field = b',"row_number":%d' % number
        if behind.startswith(field):
            behind = behind[len(field) :]
        elif (kept := before.replace(field[1:] + b",", b"", 1)) != before:
            before = kept
        else:
            return None
    # The rest must join at commas, which it does not if there are spaces between, or two such lists.
    is_first = before == b"{"
    if not (is_first or before[-1:] == b",") or (behind and (behind[:1] != b"," or _KEY in behind)):
        return None
    if not behind:
        return b"".join((before, space, entry))
    return b"".join((before, behind[1:], b",", space, entry))
