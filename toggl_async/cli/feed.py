"""``toggl-async feed``: what changed in a mirror, as JSON lines for other programs."""

import os
from pathlib import Path

import click
import msgspec

from toggl_async.cli.exits import Exit
from toggl_async.cli.mirrors import store_at
from toggl_async.cli.output import complain, json_text, say
from toggl_async.errors import InvalidInput
from toggl_async.export import DATASETS, Change
from toggl_async.export.mirror.storage import is_special, write_atomically
from toggl_async.export.mirror.store import Snapshot

__all__ = ["feed"]

_LINES = 500
"""Lines that are written at once."""

_EXIT_CODES = """\b
Exit codes:
  0    done
  1    the mirror cannot be read, or the lines or the state cannot be written; what was written is correct
  2    bad input, no mirror, or not the mirror of the state file; nothing was written
"""


_ANEW = "remove it, or name another file, and apply the whole feed to an empty copy"


class _State(msgspec.Struct, forbid_unknown_fields=True):
    """The last line, and what the state file holds: of which mirror, and which revision to go on from."""

    mirror: str
    revision: int


@click.command(epilog=_EXIT_CODES)
@click.argument("store", metavar="STORE|DIR")
@click.option(
    "--after", metavar="N", type=click.IntRange(min=0), help="Begin after this revision.  [default: 0]"
)
@click.option(
    "--state",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Begin where the last run with this file ended, and record in it where this one ends.",
)
def feed(store: str, *, after: int | None, state: Path | None) -> int:
    """Write what changed in a mirror as JSON lines, in the order of the changes. Sends no requests.

    STORE is sqlite:///PATH, a path, or postgresql://USER@HOST/DATABASE; DIR is the directory of an export.
    Each line is a row that is new or edited, with "row" as Toggl sent it, or a row that was deleted:

    \b
      {"dataset":"tags","key":{"id":7},"revision":12,"deleted":false,"row":{"id":7,"name":"a"}}
      {"dataset":"tags","key":{"id":8},"revision":13,"deleted":true}

    The last line names the revision to continue from. A program that keeps applying the lines has the rows of
    the mirror; applying a line twice does no harm.
    """  # noqa: D301 - click's mark for lines that stay as they are
    if after is not None and state is not None:
        raise InvalidInput("--after and --state cannot be combined")
    source = store_at(store)
    begin = _State("", after or 0)
    if state is not None:
        _check_state(state)
        begin = _read(state) or begin
    try:
        with source.snapshot() as snapshot:
            end = _write(snapshot, begin, store)
    except OSError as error:
        complain(f"the feed ended early: {error.strerror or error}")
        return Exit.FAILED
    if state is not None:
        try:
            write_atomically(state, msgspec.json.encode(end))
        except OSError as error:
            complain(f"cannot write {state}: {error.strerror or error}; the next run repeats these lines")
            return Exit.FAILED
    return Exit.DONE


def _check_state(state: Path) -> None:
    """Make sure that the state can be read now, and written at the end, before any line is."""
    if is_special(state):
        raise InvalidInput(f"cannot write {state}: it is not a regular file; name a file of its own")
    folder = state.parent
    if not folder.is_dir():
        raise InvalidInput(f"cannot write {state}: there is no directory {folder}")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InvalidInput(f"cannot write {state}: {folder} is not a directory that you can write to")


def _read(state: Path) -> _State | None:
    """Where the last run ended; None before the first."""
    try:
        content = state.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InvalidInput(f"cannot read {state}: {error.strerror}") from error
    if not content:
        raise InvalidInput(f"{state} is empty, so where the last run ended is not known; {_ANEW}")
    try:
        return msgspec.json.decode(content, type=_State)
    except (msgspec.DecodeError, ValueError) as error:
        raise InvalidInput(f"{state} is damaged, or not a state file of this command; {_ANEW}") from error


def _write(snapshot: Snapshot, begin: _State, store: str) -> _State:
    """Write the changes, and return where they end."""
    if begin.mirror not in {"", snapshot.id}:
        raise InvalidInput(
            f"the state file belongs to another mirror than {store}: apply the whole feed to an empty copy, "
            "with a new state file"
        )
    end, lines = begin.revision, list[bytes]()
    for change in snapshot.changes(begin.revision):
        end = change.revision
        lines.append(_line(change))
        if len(lines) == _LINES:
            say(json_text(b"\n".join(lines)))
            lines.clear()
    ended = _State(snapshot.id, end)
    say(json_text(b"\n".join([*lines, msgspec.json.encode(ended)])))
    return ended


def _line(change: Change) -> bytes:
    """A change as JSON, with its row byte for byte."""
    key = dict(zip(DATASETS[change.dataset].key, change.key, strict=True))
    line = msgspec.json.encode(
        {"dataset": change.dataset, "key": key, "revision": change.revision, "deleted": change.deleted}
    )
    return line if change.row is None else b'%b,"row":%b}' % (line[:-1], change.row)
