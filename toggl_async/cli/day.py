"""A day's work: ``toggl-async today``, ``current``, ``start`` and ``stop``."""

import datetime as dt
import json
from collections.abc import Sequence
from typing import Any, Final

import attrs
import click

from toggl_async import timer
from toggl_async._client.auth import auth_from_env
from toggl_async._client.client import TogglClient
from toggl_async._client.gaps import known_id, known_moment, known_start, with_gaps
from toggl_async.cli.connect import ask
from toggl_async.cli.dates import SpokenDay, bounds, day_option, zone_of
from toggl_async.cli.names import KnownNames, chosen_project, chosen_tags, completed, recall, remember
from toggl_async.cli.options import base_url_option, machine_option, server_url
from toggl_async.cli.output import complain, json_text, on_one_line
from toggl_async.cli.texts import TEXT
from toggl_async.errors import BadRequest, Conflict, InvalidInput, TogglError
from toggl_async.records import Me, TimeEntry

__all__ = ["current", "start", "stop", "today"]

_NOTHING: Final = "nothing is running"

_BEFORE: Final = dt.timedelta(days=7)
"""How long before a day entries may begin that reach into it: a timer that ran over a weekend."""

_RECENT: Final = dt.timedelta(days=75)
"""How old a day is at least that Toggl's list of time entries may not reach, with `_BEFORE` before it."""

_PROGRAM: Final = "toggl-async"


@attrs.frozen(kw_only=True)
class _Piece:
    """What of a time entry falls into a day.

    Attributes:
        entry: the time entry.
        begin: when it begins within the day.
        end: when it ends within the day, or now.
        runs: whether it runs.
    """

    entry: TimeEntry
    begin: dt.datetime
    end: dt.datetime
    runs: bool

    @property
    def length(self) -> dt.timedelta:
        """How long it is within the day."""
        return self.end - self.begin


@attrs.frozen(kw_only=True)
class _Day:
    """A day's work, in a time zone."""

    day: dt.date
    zone: dt.tzinfo
    pieces: Sequence[_Piece]

    @property
    def total(self) -> dt.timedelta:
        """All of it."""
        return sum((piece.length for piece in self.pieces), dt.timedelta())


@click.command()
@day_option
@base_url_option
@machine_option
def today(day: SpokenDay, base_url: str | None, *, machine: bool) -> int:
    """Show the day's time entries and their total. Spends two requests of the user's quota.

    The profile's time zone decides when the day begins. An entry that started the day before counts from
    midnight on, and a running one counts until now.

    The token is read from TOGGL_API_TOKEN, the server from TOGGL_BASE_URL unless --base-url is given.
    """
    auth, url = auth_from_env(), server_url(base_url)

    async def work(client: TogglClient) -> _Day:
        me = await with_gaps(client.me.get(with_related_data=True), Me)
        remember(me, auth, url)
        return await _day_of(client, zone_of(me.timezone), day)

    return ask(work, url, auth, _day_as_json if machine else _day_as_text)


@click.command()
@base_url_option
@machine_option
def current(base_url: str | None, *, machine: bool) -> int:
    """Show the running time entry. Spends one request of the user's quota, two if its project is unknown.

    The token is read from TOGGL_API_TOKEN, the server from TOGGL_BASE_URL unless --base-url is given.
    """
    auth, url = auth_from_env(), server_url(base_url)
    names = recall(auth, url)

    async def work(client: TogglClient) -> TimeEntry | None:
        entry = await timer.current(client)
        project_id = None if entry is None else known_id(entry.project_id)
        if entry is None or project_id is None or entry.project_name:
            return entry
        if known_id(entry.id) is None or names.project(project_id):
            return entry
        return await _with_its_project(client, entry)

    def show(entry: TimeEntry | None) -> str:
        if entry is None:
            return _NOTHING
        return f"{_told(entry, names)}: {_length(entry)}, since {_at(entry.start, names.timezone)}"

    return ask(work, url, auth, _entry_as_json if machine else show)


@click.command()
@click.argument("description", type=TEXT, default="")
@click.option(
    "--project",
    metavar="NAME",
    type=TEXT,
    help="A project, by name or id.",
    shell_complete=completed(lambda names: names.projects),
)
@click.option(
    "--tag",
    "tags",
    metavar="NAME",
    type=TEXT,
    multiple=True,
    help="A tag; repeat for several.",
    shell_complete=completed(lambda names: names.tags),
)
@click.option("--billable", is_flag=True, help="Make it billable. Needs the Starter plan.")
@click.option(
    "--workspace", type=int, metavar="ID", help="Use this workspace instead of the profile's default one."
)
@base_url_option
@machine_option
def start(
    description: str,
    project: str | None,
    tags: tuple[str, ...],
    base_url: str | None,
    *,
    billable: bool,
    workspace: int | None,
    machine: bool,
) -> int:
    """Start a time entry with this DESCRIPTION; Toggl stops the running one. Spends two requests.

    Projects and tags must exist already: a misspelt name is an error and creates nothing.

    The token is read from TOGGL_API_TOKEN, the server from TOGGL_BASE_URL unless --base-url is given.
    """
    auth, url = auth_from_env(), server_url(base_url)

    async def work(client: TogglClient) -> tuple[TimeEntry, Me]:
        me = await with_gaps(client.me.get(with_related_data=True), Me)
        remember(me, auth, url)
        chosen = _default_workspace(me) if workspace is None else workspace
        fields: dict[str, Any] = {"description": description}
        if project is not None:
            fields["project_id"] = chosen_project(project, me.projects or (), chosen).id
        if tags:
            fields["tags"] = chosen_tags(tags, me.tags or (), chosen)
        if billable:
            fields["billable"] = True
        entry = await timer.start(client.workspace(chosen), created_with=_PROGRAM, **fields)
        return entry, me

    def show(started: tuple[TimeEntry, Me]) -> str:
        entry, me = started
        return f"started {_told(entry, KnownNames.of(me))} at {_at(entry.start, me.timezone)}"

    return ask(work, url, auth, (lambda started: _entry_as_json(started[0])) if machine else show)


@click.command()
@base_url_option
@machine_option
def stop(base_url: str | None, *, machine: bool) -> int:
    """Stop the running time entry, in any workspace. Spends two requests, or one if none is running.

    If Toggl doesn't say which workspace it is in, the default one is asked for: a third request.

    The token is read from TOGGL_API_TOKEN, the server from TOGGL_BASE_URL unless --base-url is given.
    """
    auth, url = auth_from_env(), server_url(base_url)
    names = recall(auth, url)

    def show(entry: TimeEntry | None) -> str:
        if entry is None:
            return _NOTHING
        return f"stopped {_told(entry, names)} after {_length(entry)}"

    async def work(client: TogglClient) -> TimeEntry | None:
        try:
            return await timer.stop(client)
        except Conflict:  # Toggl's answer for nothing else
            complain("the time entry had been stopped already, by another program or device")
            return None

    return ask(work, url, auth, _entry_as_json if machine else show)


def _default_workspace(me: Me) -> int:
    """The workspace that new time entries belong to unless another is named.

    Raises:
        InvalidInput: the profile names none, and has none or several.
    """
    there = (one for one in me.workspaces or () if not known_moment(one.server_deleted_at))
    ids = {known_id(one.id) for one in there} - {None}
    chosen = known_id(me.default_workspace_id) or (ids.pop() if len(ids) == 1 else None)
    if chosen is None:
        raise InvalidInput("the profile has no default workspace; choose one with --workspace ID")
    return chosen


async def _with_its_project(client: TogglClient, entry: TimeEntry) -> TimeEntry:
    """Ask for a time entry with the name of its project; if that fails, show the entry without it."""
    try:
        return await client.me.time_entries.get(entry.id, meta=True)
    except TogglError as error:
        complain(f"warning: the name of project {entry.project_id} cannot be fetched: {error}")
        return entry


async def _day_of(client: TogglClient, zone: dt.tzinfo, asked: SpokenDay) -> _Day:
    """Ask for a day's time entries."""
    now = dt.datetime.now(dt.UTC)
    day = asked.on(now.astimezone(zone).date())
    first, last = bounds(day, zone)
    asking = client.me.time_entries.list(start_date=first - _BEFORE, end_date=last, meta=True)
    try:
        entries = await with_gaps(asking, list[TimeEntry])
    except BadRequest:
        if now - first > _RECENT:
            complain(
                "Toggl lists only the time entries of about three months here; for older ones, run "
                f"`{_PROGRAM} export --out DIR`, then `{_PROGRAM} report DIR --since {day} --until {day}`"
            )
        raise
    pieces: list[_Piece] = []
    odd: list[TimeEntry] = []
    for entry in entries:
        if known_moment(entry.server_deleted_at):
            continue
        try:
            piece = _piece(entry, first, last, now)
        except InvalidInput:
            odd.append(entry)
        else:
            pieces += [] if piece is None else [piece]
    if odd:
        named = ", ".join(str(entry.id) for entry in odd)
        complain(
            "warning: some time entries are not counted, because their start or duration is missing or "
            f"impossible (ids: {named})"
        )
    return _Day(day=day, zone=zone, pieces=sorted(pieces, key=lambda piece: piece.begin))


def _piece(entry: TimeEntry, first: dt.datetime, last: dt.datetime, now: dt.datetime) -> _Piece | None:
    """Cut a time entry to a day; None where nothing is left.

    Raises:
        InvalidInput: it has no start, or a start or a duration that cannot be.
    """
    start, length = known_start(entry.start), timer.elapsed(entry, now)
    if start is None:
        raise InvalidInput(f"time entry {entry.id} has no start")
    try:
        ended = start + length
    except OverflowError:
        raise InvalidInput(f"time entry {entry.id} would end where no calendar reaches") from None
    begin, end = max(start, first), min(ended, last)
    if begin > end or (begin == end and start < first) or begin >= last:
        return None
    return _Piece(entry=entry, begin=begin, end=end, runs=timer.is_running(entry) and ended <= last)


def _day_as_text(found: _Day) -> str:
    """A line for each time entry, and the sum."""
    lines = [f"{found.day:%Y-%m-%d}, {found.day:%A} ({found.zone})"]
    for piece in found.pieces:
        begin, end = (f"{moment.astimezone(found.zone):%H:%M}" for moment in (piece.begin, piece.end))
        span = f"{begin} - {'now' if piece.runs else end}"
        lines.append(f"{span:<13}  {_clock(piece.length):>8}  {_told(piece.entry, KnownNames())}")
    return "\n".join([*lines, f"{'total':<13}  {_clock(found.total):>8}"])


def _day_as_json(found: _Day) -> str:
    """The same for programs: the entries as Toggl has them, and their seconds within the day."""
    answer = json.dumps(
        {
            "day": found.day.isoformat(),
            "timezone": str(found.zone),
            "seconds": _seconds(found.total),
            "entries": [
                {
                    "seconds": _seconds(piece.length),
                    "running": piece.runs,
                    "time_entry": piece.entry.to_dict(),
                }
                for piece in found.pieces
            ],
        },
        ensure_ascii=False,
    )
    return json_text(answer)


def _entry_as_json(entry: TimeEntry | None) -> str:
    return "null" if entry is None else json_text(entry.to_json())


def _told(entry: TimeEntry, names: KnownNames) -> str:
    """What a time entry is about, on one line."""
    parts = [on_one_line(entry.description or "") or "(no description)"]
    project_id = known_id(entry.project_id)
    if project_id is not None:
        name = entry.project_name or names.project(project_id) or f"project {project_id}"
        parts.append(f"[{on_one_line(name)}]")
    parts += [f"#{on_one_line(tag)}" for tag in entry.tags or ()]
    if entry.billable:
        parts.append("$")
    return " ".join(parts)


def _seconds(length: dt.timedelta) -> int:
    return int(length.total_seconds())


def _clock(length: dt.timedelta) -> str:
    """A length as people read it: ``1:05:00``."""
    minutes, seconds = divmod(_seconds(length), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"


def _length(entry: TimeEntry) -> str:
    """How long an entry has run, as far as it can be told."""
    try:
        return _clock(timer.elapsed(entry))
    except InvalidInput as error:
        complain(f"warning: {error}")
        return "?"


def _at(moment: dt.datetime | None, timezone: str | None) -> str:
    """A moment on the clock of the profile's time zone, with its day unless that is today.

    Where that zone is unknown, the clock is this machine's, and its zone is named.
    """
    moment = known_start(moment)
    if moment is None:
        return "?"
    zone = zone_of(timezone)
    there = moment.astimezone(zone)
    today_there = dt.datetime.now(zone).date()
    shown = f"{there:%H:%M}" if there.date() == today_there else f"{there:%Y-%m-%d %H:%M}"
    return shown if str(zone) == timezone else f"{shown} {there:%Z}"
