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
        progress: its progress, from now on; a piece that is done has nothing unmet any more.
        requests: requests that this run has sent so far, interruptions included.
        dataset: where the rows belong; None where there are none to write or delete.
        workspace_id: the workspace of the piece: that of rows which name none, and of ids below.
        lines: rows to write, in place of those with the same key. No key comes twice.
        met: ids of rows that came, beside those of `lines`: no piece may delete them as missing.
        deleted: ids of rows that Toggl says were deleted.
        missing: ids of rows that didn't come: those are deleted which this piece, and no other, still
            has not met.
        expected: what the piece is to meet, beside what it is waiting for already: these rows, as they stand.
        spared: ids that are not among `expected` although they stand there.
        awaited: ids that the piece is to meet, whether they stand there or not.
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
    """What a store holds: a run under way, a finished one, or nothing.

    Attributes:
        run: what the run under way is, as JSON; None where there is none.
        finished: what the last finished run was, as JSON; None before the first.
        progress: how far each piece of the run under way is.
        requests: requests that it has sent.
        revision: the latest revision.
        id: what tells the store from any other; revisions of another one mean nothing here.
        kept_from: the first day of time entries that it keeps; None where it keeps all.
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
"""Bits of a whole number in a database, its sign included."""


def is_whole(value: object) -> bool:
    """Whether it is a whole number that a database can hold."""
    return isinstance(value, int) and not isinstance(value, bool) and value.bit_length() < _BITS


@attrs.frozen(kw_only=True)
class Forget:
    """Which rows are to be forgotten: one choice, since two could mean what fits both, or either.

    Attributes:
        workspace_id: all that is in a workspace, and the workspace itself.
        user_id: the time entries of a user, and the user.
        before: time entries that began before a day.

    Raises:
        InvalidInput: nothing was chosen, or more than one thing; or it isn't an id or a date.
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

    def kept_from(self, standing: Standing) -> dt.date | None:
        """The first day of time entries that a store keeps once this is forgotten; it is never moved back."""
        return max((one for one in (self.before, standing.kept_from) if one is not None), default=None)


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
        """End early what is being read in another thread, with an error there; else nothing happens."""
        ...


class RowStore(Protocol):
    """Where the rows of a mirror are, with the books that say how far they are.

    Raises (all methods):
        OSError: the database can't be reached, written or read; nothing of what was to be written in this
            call is there when it is opened again, or all of it.
    """

    name: str
    """Its name in messages: a path, or a URL without its password."""

    def open(self) -> Standing:
        """Open or make it, migrate what an older version made, and say how it stands.

        Raises:
            InvalidInput: it can't be opened or made, holds something else, or was made by a newer version.
        """
        ...

    def close(self) -> None:
        """Close it, and let go of `hold`; closing twice does no harm."""
        ...

    def hold(self) -> Standing:
        """Keep every other run out, until it is closed or let go of, and say how it stands then.

        Raises:
            InvalidInput: another run has it.
        """
        ...

    def release(self) -> None:
        """Let go of it, if it is held."""
        ...

    def begin(self, run: bytes) -> None:
        """Begin a run: what it is, as JSON. Progress of any other is forgotten."""
        ...

    def finish(self, finished: bytes) -> None:
        """End the run: what it was, as JSON. Its progress is forgotten."""
        ...

    def commit(self, commit: Commit) -> None:
        """Write a commit, whole or not at all, so that it outlives the process and the machine.

        In one transaction: rows are written and deleted, each change with a revision of its own; what came
        is taken off what all pieces have not met; and the progress is set.
        """
        ...

    def known(self, scope: Scope) -> set[int]:
        """The ids of rows that Toggl has, as far as the mirror knows."""
        ...

    def unmet(self, piece: str) -> set[int]:
        """The ids of rows that a piece is to meet, and that neither it nor any other has met yet."""
        ...

    def stand_ins(self, dataset: Dataset) -> set[int]:
        """The substitutes for the ids of rows without one."""
        ...

    def sums(self, without: Sequence[str] = ()) -> list[DaySum]:
        """The time entries that Toggl has and that have ended, added up by workspace and day.

        Args:
            without: pieces; what they are to meet, and nobody has met yet, is left out.
        """
        ...

    def forget(self, chosen: Forget) -> int:
        """Delete rows and all that is said in them but their keys; return how many.

        The feed tells of them as deleted. What was deleted before is forgotten as well. Time entries from
        before a day are not to come back: `Standing.kept_from` says which day. The rest is to be read as if
        it had never been: `Standing.unread`. So a run under way forgets how far it is.
        """
        ...

    def snapshot(self) -> AbstractContextManager[Snapshot]:
        """The state of now, to be read in the same thread; the store need not be open.

        Raises:
            InvalidInput: no mirror is there, and none is made; or a newer version made it.
        """
        ...
