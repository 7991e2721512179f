"""What a format has to do: the protocol `Sink`, and what goes in and out of it.

Rows and the progress of the piece that they belong to go in together, as one `Commit`: after whatever
may happen, either both are there or neither is. That is all that resuming stands on.
"""

import datetime as dt
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

import attrs

from toggl_async.export.mirror.pieces import Progress
from toggl_async.export.plan.datasets import Dataset
from toggl_async.export.rows import Known, Line

__all__ = [
    "Commit",
    "DaySum",
    "FileFacts",
    "Known",
    "Recovered",
    "Sink",
]


@attrs.frozen(kw_only=True)
class FileFacts:
    """What became of a dataset's file.

    Attributes:
        file: its name in the destination; it ends in ``.partial`` when the dataset is not whole.
        rows: rows of the dataset in it.
        bytes: its size; None for a database, which holds other datasets as well.
        sha256: its checksum, in hexadecimal; None for a database, and for what is not whole.
    """

    file: str
    rows: int
    bytes: int | None = None
    sha256: str | None = None


@attrs.frozen(kw_only=True)
class Commit:
    """A page: rows, and how far its piece has come with them.

    Attributes:
        piece: the name of the piece.
        progress: its progress, from now on.
        requests: requests that this export has sent so far, in all its runs.
        dataset: where the rows belong; None when there are none to write or remove.
        workspace_id: the workspace of the rows.
        lines: rows to add.
        removed: ids of rows to take out first, those included that the lines replace.
    """

    piece: str
    progress: Progress
    requests: int
    dataset: Dataset | None = None
    workspace_id: int | None = None
    lines: Sequence[Line] = ()
    removed: Sequence[int] = ()


@attrs.frozen(kw_only=True)
class Recovered:
    """What an earlier run of the same export has left.

    Attributes:
        progress: the progress of each piece, by its name.
        requests: requests that were sent for it.
        finished: datasets that are whole.
    """

    progress: Mapping[str, Progress] = attrs.field(factory=dict)
    requests: int = 0
    finished: Mapping[str, FileFacts] = attrs.field(factory=dict)


class DaySum(NamedTuple):
    """Time entries of a workspace that began on one day and have ended."""

    workspace_id: int | None
    day: dt.date
    rows: int
    seconds: int


@runtime_checkable
class Sink(Protocol):
    """A destination of one format; its calls are short and made from the event loop."""

    format: str
    """The name of the format."""
    directory: Path
    """Where the files and the manifest go; it is there, and locked, when the sink is opened."""
    finishes_in_thread: bool
    """Whether `finish` takes so long for many rows that it is called in a thread, alone of all calls."""

    def open(self, run: str, *, update: Collection[str]) -> Recovered:
        """Take up what an earlier run of the same name has left, or begin.

        Args:
            run: the name of the export; progress of any other is forgotten.
            update: the datasets of a finished export that are there and that this one changes; empty in a
                first export. A file of any other dataset is no longer as it was written: it keeps its name
                until the new one is whole, and nothing is read from it.
        """
        ...

    def commit(self, commit: Commit) -> None:
        """Write a commit, whole or not at all, so that it outlives the process and the machine.

        Raises:
            OSError: it could not be written; nothing of it will be found when the sink is opened again.
        """
        ...

    def known(self, dataset: Dataset) -> Iterator[Known]:
        """Look at every row of a dataset that is not finished."""
        ...

    def sums(self, dataset: Dataset) -> Iterator[DaySum]:
        """Add up the time entries of every workspace and day, some days perhaps more than once."""
        ...

    def finish(self, dataset: Dataset) -> FileFacts:
        """Make a dataset whole; it may have had no rows at all."""
        ...

    def seal(self) -> None:
        """Make everything whole, once every dataset is finished; nothing is written afterwards."""
        ...

    def stop(self) -> dict[str, FileFacts]:
        """Close what is not whole, leave it recognizable, and say what it holds, by dataset."""
        ...

    def clean(self) -> None:
        """Remove what was kept to resume with; the manifest is written."""
        ...
