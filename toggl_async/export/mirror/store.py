"""The database of a mirror: the protocol `RowStore`, what goes into it, and what comes out.

A store is synchronous, and never called by two threads at once: a mirror calls it from one worker thread.
One run at a time writes to it, and anybody may read it: a `Snapshot` shows the state of one moment during a
run.
"""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol, TypeAlias

import attrs

from toggl_async.errors import InvalidInput
from toggl_async.export.mirror.pieces import Progress
from toggl_async.export.plan.arguments import check_day, check_id, or_none
from toggl_async.export.plan.datasets import Dataset, Key
from toggl_async.export.plan.plan import DateRange
from toggl_async.export.rows import Line, Stored

__all__ = [
    "Change",
    "Commit",
    "DaySum",
    "Forget",
    "RowStore",
    "Scope",
    "Snapshot",
    "Standing",
    "UnreadPart",
    "Values",
    "is_whole",
]

SCHEMA = 1
"""The number of the schema; it grows with every change to a table or to its content."""

_FURTHEST_AHEAD = dt.timedelta(hours=14)
"""How far ahead of UTC a time zone can be: an entry lies on a day of its profile's time zone."""

Values: TypeAlias = Sequence[Stored] | Mapping[str, Stored]
"""Parameters of a statement, by position or by name."""

UnreadPart: TypeAlias = tuple[str, int]
"""What an update reads for itself: the name of a dataset, and the id of a workspace."""


@attrs.frozen(kw_only=True)
class Scope:
    """Some rows of a dataset that Toggl has, as far as the mirror knows.

    Attributes:
        dataset: the dataset.
        workspace_id: only those of a workspace; None for all.
        days: only time entries that began on one of these days; None for all.
    """

    dataset: Dataset
    workspace_id: int | None = None
    days: DateRange | None = None


@attrs.frozen(kw_only=True)
class Commit:
    """A page: rows, and how far its piece has come with them.

    Attributes:
        piece: the name of the piece.
        progress: its progress from now on. When a piece is done, its list of unmet rows is dropped.
        requests: requests that this run has sent so far, interruptions included.
        dataset: the dataset of the rows; None if there are none to write or delete.
        workspace_id: the workspace of the piece, of rows that name none, and of the ids below.
        lines: rows to write, in place of those with the same key. No key comes twice.
        met: ids of further rows that came, so that no piece may delete them as missing.
        deleted: ids of rows that Toggl says were deleted.
        missing: ids of rows that didn't come. Those that are still on this piece's list of unmet rows are
            deleted.
        expected: rows in the store that the piece should meet, in addition to those on its list.
        spared: ids to leave out of `expected`.
        awaited: ids that the piece should meet, whether or not they are in the store.
    """

    piece: str
    progress: Progress
    requests: int
    dataset: Dataset | None = None
    workspace_id: int | None = None
    lines: Sequence[Line] = ()
    met: Sequence[int] = ()
    deleted: Sequence[int] = ()
    missing: Sequence[int] = ()
    expected: Scope | None = None
    spared: Sequence[int] = ()
    awaited: Sequence[int] = ()


@attrs.frozen(kw_only=True)
class Standing:
    """The state of a store: a run under way, a finished one, or nothing.

    Attributes:
        run: the run under way, as JSON; None if there is none.
        finished: the last finished run, as JSON; None before the first.
        progress: the progress of each piece of the run under way.
        requests: requests that it has sent.
        revision: the latest revision.
        id: a unique id; revisions of stores with other ids are unrelated.
        kept_from: the first day of time entries that it keeps; None if it keeps all.
        unread: parts of which rows were forgotten since the last finished run, and which may come back.
    """

    run: bytes | None = None
    finished: bytes | None = None
    progress: Mapping[str, Progress] = attrs.field(factory=dict)
    requests: int = 0
    revision: int = 0
    id: str = ""
    kept_from: dt.date | None = None
    unread: frozenset[UnreadPart] = frozenset()


_BITS = 64
"""Bits of an integer in a database, including the sign."""


def is_whole(value: object) -> bool:
    """Whether it is an integer that a database can hold."""
    return isinstance(value, int) and not isinstance(value, bool) and value.bit_length() < _BITS


@attrs.frozen(kw_only=True)
class Forget:
    """Which rows to forget: one choice, because two could mean rows that match both, or either.

    Attributes:
        workspace_id: all that is in a workspace, and the workspace itself.
        user_id: the time entries of a user, and the user.
        before: time entries that began before a day, which must have begun somewhere on Earth.

    Raises:
        InvalidInput: nothing was chosen, or more than one thing; or it isn't an id or a date, or the date is
            in the future.
    """

    workspace_id: int | None = None
    user_id: int | None = None
    before: dt.date | None = None

    def __attrs_post_init__(self) -> None:
        given = {"workspace": self.workspace_id, "user": self.user_id, "before": self.before}
        chosen = [name for name, value in given.items() if value is not None]
        if not chosen:
            raise InvalidInput("choose what to forget: workspace, user, or time entries before a day")
        if len(chosen) > 1:
            raise InvalidInput(
                f"forget one thing at a time: {' and '.join(chosen)} could mean both or either"
            )
        for name, value in (("workspace", self.workspace_id), ("user", self.user_id)):
            or_none(check_id)(value, name)
        or_none(check_day)(self.before, "before")
        if self.before is not None:
            _check_begun(self.before, "before")

    def kept_from(self, standing: Standing) -> dt.date | None:
        """The first day of time entries that a store keeps after this; it never moves back."""
        return max((one for one in (self.before, standing.kept_from) if one is not None), default=None)


def _check_begun(day: dt.date, name: str) -> None:
    """Refuse a day that is in the future everywhere: what began before it is everything, for good."""
    if day > (dt.datetime.now(dt.UTC) + _FURTHEST_AHEAD).date():
        raise InvalidInput(
            f"{name} {day} is in the future: it would erase all time entries, and no update would bring any "
            "back; choose a day that has begun"
        )


class DaySum(NamedTuple):
    """Time entries of a workspace that began on one day and have ended."""

    workspace_id: int | None
    day: dt.date
    rows: int
    seconds: int


class Change(NamedTuple):
    """The latest change of a row: its new content, or that Toggl no longer has it.

    Attributes:
        dataset: the name of its dataset.
        key: what identifies the row in its dataset, in the order of `Dataset.key`.
        revision: the number of the change, which is unique, and grows with each change.
        deleted: whether Toggl no longer has it.
        row: the row as JSON, as Toggl sent it; None if it is deleted.
    """

    dataset: str
    key: Key
    revision: int
    deleted: bool
    row: bytes | None


class Snapshot(Protocol):
    """The state of a store at one moment, whatever is written meanwhile.

    Raises (each of them):
        OSError: the store cannot be read.
    """

    id: str
    """An id that is unique to the store; see `Standing`."""

    def count(self, dataset: Dataset) -> int:
        """How many rows Toggl has of a dataset, as far as the mirror knows."""
        ...

    def rows(self, dataset: Dataset) -> Iterator[bytes]:
        """These rows as JSON, by their keys."""
        ...

    def changes(self, after: int, dataset: Dataset | None = None) -> Iterator[Change]:
        """The rows that changed after a revision, of one dataset or all, deleted ones included, by revision.

        Raises:
            InvalidInput: the store has not come to that revision yet.
        """
        ...

    def count_changes(self, after: int, dataset: Dataset) -> tuple[int, int]:
        """How many rows of a dataset changed after a revision and are there, and how many were deleted."""
        ...

    def query(self, statement: str, parameters: Values) -> tuple[Sequence[str], Iterator[tuple[Stored, ...]]]:
        """Run a statement that reads, and return the names of its columns, and its rows.

        Raises:
            InvalidInput: the database refuses the statement, or it would do more than read.
        """
        ...

    def interrupt(self) -> None:
        """Interrupt what another thread is reading, which gets an error; otherwise, do nothing."""
        ...


class RowStore(Protocol):
    """The place of a mirror's rows and books.

    Raises (all methods):
        OSError: the database can't be reached, written or read. When it is opened again, it contains either
            all or nothing of what this call was to write.
    """

    name: str
    """Its name in messages: a path, or a URL without its password."""

    def open(self) -> Standing:
        """Open or create it, migrate an older version, and return its state.

        Raises:
            InvalidInput: it can't be opened or created, contains something else, or was made by a newer
                version.
        """
        ...

    def close(self) -> None:
        """Close it, and release it; closing twice does no harm."""
        ...

    def hold(self) -> Standing:
        """Keep other runs out until it is closed or released, and return its state.

        Raises:
            InvalidInput: another run is writing to it.
        """
        ...

    def release(self) -> None:
        """Release it, if it is held."""
        ...

    def begin(self, run: bytes) -> None:
        """Begin a run, given as JSON, and discard the progress of any other."""
        ...

    def finish(self, finished: bytes) -> None:
        """End the run, whose result is given as JSON, and discard its progress."""
        ...

    def commit(self, commit: Commit) -> None:
        """Write a commit, whole or not at all, so that it survives a crash of the process or the machine.

        One transaction writes and deletes rows, each change with a new revision, takes the rows that came off
        the lists of all pieces, and sets the progress.
        """
        ...

    def known(self, scope: Scope) -> set[int]:
        """The ids of rows that Toggl has, as far as the mirror knows."""
        ...

    def unmet(self, piece: str) -> set[int]:
        """The ids of rows that a piece should meet, and that no piece has met yet."""
        ...

    def stand_ins(self, dataset: Dataset) -> set[int]:
        """The substitutes for the ids of rows without one."""
        ...

    def sums(self, without: Sequence[str] = ()) -> list[DaySum]:
        """The time entries that Toggl has and that have ended, added up by workspace and day.

        Args:
            without: pieces whose lists of unmet rows are left out.
        """
        ...

    def forget(self, chosen: Forget) -> int:
        """Delete rows and erase everything but their keys; return how many.

        The feed reports them as deleted. Rows that were deleted before are erased as well. Time entries from
        before a day must not come back; see `Standing.kept_from`. Anything else has to be read as if for the
        first time; see `Standing.unread`. So the progress of a run under way is discarded.
        """
        ...

    def snapshot(self) -> AbstractContextManager[Snapshot]:
        """A snapshot of the present state, to be read in the same thread; the store need not be open.

        Raises:
            InvalidInput: there is no mirror, or a newer version made it. None is created.
        """
        ...
