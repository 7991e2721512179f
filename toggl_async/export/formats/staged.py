"""Formats of one file per dataset: rows are staged as JSON Lines, and turned into the format at the end.

Until a dataset is whole its rows stand in ``NAME.jsonl.partial``, whatever the format, and the journal
``progress.log`` says up to which byte they are committed. To resume is to cut the files off there. For
JSON Lines the staged file is the result and only changes its name; CSV and Parquet are written from
it in one go, to another name first. An update works alike: changed rows are staged, then merged with
the file that is there.
"""

import os
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import Protocol

import attrs

from toggl_async.export.mirror.journal import Appender, Journal
from toggl_async.export.mirror.pieces import Progress
from toggl_async.export.mirror.sink import Commit, DaySum, FileFacts, Recovered
from toggl_async.export.mirror.storage import PARTIAL, digest
from toggl_async.export.plan.datasets import DATASETS, Dataset, Key
from toggl_async.export.rows import Known, known_of

__all__ = ["JOURNAL", "FileFormat", "StagedRows", "StagedSink"]

JOURNAL = "progress.log"
"""The journal's name in the destination, while an export is under way."""


@attrs.frozen(kw_only=True)
class StagedRows:
    """What a dataset's file is made from.

    Attributes:
        dataset: the dataset.
        lines: the staged rows, dead ones left out.
        base: the file of the export that is updated; None in a first export.
        dead: whether a row of the base, by its key, was removed or replaced.
    """

    dataset: Dataset
    lines: Iterable[bytes]
    base: Path | None
    dead: Callable[[Key], bool]


class FileFormat(Protocol):
    """A format of one file per dataset."""

    name: str
    """Its name."""
    suffix: str
    """The suffix of its files."""
    staged: bool
    """Whether the staged file is the result already."""

    def write(self, path: Path, source: StagedRows) -> int:
        """Write a whole file and return how many rows it has."""
        ...

    def known(self, path: Path, dataset: Dataset) -> Iterator[Known]:
        """Look at the rows of a file."""
        ...


@attrs.frozen(kw_only=True)
class _Entry:
    """An entry of the journal: a commit, a dataset that is finished, or at first the name of the run."""

    run: str | None = None
    piece: str | None = None
    progress: Progress | None = None
    requests: int = 0
    dataset: str | None = None
    workspace_id: int | None = None
    size: int = 0
    rows: int = 0
    removed: tuple[int, ...] = ()
    finished: FileFacts | None = None


@attrs.define
class _Stage:
    """The staged rows of a dataset on their way.

    Attributes:
        file: the file; None until the first row.
        size: committed bytes.
        rows: committed rows, dead ones included.
        removed: what was removed, and how many bytes were staged by then: what stands before is dead.
    """

    file: Appender | None = None
    size: int = 0
    rows: int = 0
    removed: dict[Key, int] = attrs.field(factory=dict)


class StagedSink:
    """A sink for a format of one file per dataset; see the module."""

    finishes_in_thread = True

    def __init__(self, directory: Path, form: FileFormat) -> None:
        """Args: directory: where the files go. form: the format."""
        self.directory = directory
        self.format: str = form.name
        self._form = form
        self._journal = Journal(directory / JOURNAL, _Entry)
        self._stages: dict[str, _Stage] = {}
        self._finished: dict[str, FileFacts] = {}
        self._update: Collection[str] = ()

    def open(self, run: str, *, update: Collection[str]) -> Recovered:
        """Read the journal and cut the staged files off at what it says; see `Sink.open`."""
        self._update = update
        self._stages.clear()
        self._finished.clear()
        entries = self._journal.open()
        if not entries or entries[0].run != run:
            self._journal.close()
            self._journal.path.unlink()
            for leftover in self.directory.glob(f"*{PARTIAL}"):
                leftover.unlink()
            self._journal.open()
            self._journal.append(_Entry(run=run))
            return Recovered()
        progress: dict[str, Progress] = {}
        for entry in entries[1:]:
            self._replay(entry)
            if entry.piece is not None and entry.progress is not None:
                progress[entry.piece] = entry.progress
        for name, stage in self._stages.items():
            if name not in self._finished and self._staged(name).exists():
                stage.file = Appender(self._staged(name), stage.size)
        return Recovered(
            progress=progress,
            requests=max(entry.requests for entry in entries),
            finished=dict(self._finished),
        )

    def commit(self, commit: Commit) -> None:
        """Append the rows, then the entry that makes them count; see `Sink.commit`."""
        entry = _Entry(piece=commit.piece, progress=commit.progress, requests=commit.requests)
        if commit.dataset is not None and (commit.lines or commit.removed):
            name = commit.dataset.name
            stage = self._stages.setdefault(name, _Stage())
            if commit.lines:
                if stage.file is None:
                    stage.file = Appender(self._staged(name), stage.size)
                elif stage.file.size != stage.size:  # rows of a commit that failed at its entry
                    stage.file.close()
                    stage.file = Appender(self._staged(name), stage.size)
                stage.file.append(b"".join(line.data + b"\n" for line in commit.lines))
            entry = attrs.evolve(
                entry,
                dataset=name,
                workspace_id=commit.workspace_id,
                size=stage.size if stage.file is None else stage.file.size,
                rows=len(commit.lines),
                removed=tuple(commit.removed),
            )
        self._journal.append(entry)
        self._replay(entry)

    def known(self, dataset: Dataset) -> Iterator[Known]:
        """Look at the rows of the base that live, and at the staged ones."""
        base, dead = self._base(dataset.name), self._dead(dataset)
        if base is not None:
            yield from (seen for seen in self._form.known(base, dataset) if not dead(_key(dataset, seen)))
        yield from (seen for seen, _ in self._live(dataset))

    def sums(self, dataset: Dataset) -> Iterator[DaySum]:
        """Add up what `known` finds."""
        rows: Counter[tuple[int | None, int]] = Counter()
        seconds: Counter[tuple[int | None, int]] = Counter()
        days = {}
        for seen in self.known(dataset):
            if seen.day is not None and seen.seconds is not None:
                key = seen.workspace_id, seen.day.toordinal()
                days[key] = seen.day
                rows[key] += 1
                seconds[key] += seen.seconds
        for (workspace_id, ordinal), day in days.items():
            key = workspace_id, ordinal
            yield DaySum(workspace_id, day, rows[key], seconds[key])

    def finish(self, dataset: Dataset) -> FileFacts:
        """Write the dataset's file under another name, give it its own, and say so in the journal."""
        name = dataset.name
        if name in self._finished:
            return self._finished[name]
        stage = self._stages.setdefault(name, _Stage())
        whole, staged, base = self._whole(name), self._staged(name), self._base(name)
        if stage.file is not None:
            stage.file.close()
            stage.file = None
        if self._form.staged and base is None and not stage.removed:
            # Else it was renamed just before a crash; what has that name where no row came is damaged.
            if staged.exists() or not whole.exists() or not stage.rows:
                staged.touch()
                staged.replace(whole)
            rows = stage.rows
        else:
            fresh = whole.with_name(whole.name + PARTIAL + ".new")
            rows = self._form.write(
                fresh,
                StagedRows(
                    dataset=dataset,
                    lines=(line for _, line in self._live(dataset)),
                    base=base,
                    dead=self._dead(dataset),
                ),
            )
            _sync(fresh)
            fresh.replace(whole)
        facts = FileFacts(file=whole.name, rows=rows, bytes=whole.stat().st_size, sha256=digest(whole))
        self._journal.append(_Entry(dataset=name, finished=facts))
        self._finished[name] = facts
        staged.unlink(missing_ok=True)
        return facts

    def seal(self) -> None:
        """Close the journal; every file has its name already."""
        self._journal.close()

    def stop(self) -> dict[str, FileFacts]:
        """Close the staged files and leave them as they are."""
        facts = {}
        for name, stage in self._stages.items():
            if stage.file is not None:
                stage.file.close()
                stage.file = None
            if name not in self._finished and self._staged(name).exists():
                facts[name] = FileFacts(file=self._staged(name).name, rows=stage.rows, bytes=stage.size)
        self._journal.close()
        return facts

    def clean(self) -> None:
        """Remove the journal."""
        self._journal.path.unlink(missing_ok=True)

    def _replay(self, entry: _Entry) -> None:
        """Take an entry of the journal in."""
        if entry.dataset is None:
            return
        if entry.finished is not None:
            self._finished[entry.dataset] = entry.finished
            return
        dataset, stage = DATASETS[entry.dataset], self._stages.setdefault(entry.dataset, _Stage())
        for number in entry.removed:
            stage.removed[dataset.key_of(entry.workspace_id, number)] = stage.size
        stage.size = entry.size
        stage.rows += entry.rows

    def _staged(self, name: str) -> Path:
        return self.directory / f"{name}.jsonl{PARTIAL}"

    def _whole(self, name: str) -> Path:
        return self.directory / f"{name}{self._form.suffix}"

    def _base(self, name: str) -> Path | None:
        """The file that is updated; None where nothing is: a file of that name is our own, or damaged."""
        return self._whole(name) if name in self._update and self._whole(name).exists() else None

    def _live(self, dataset: Dataset) -> Iterator[tuple[Known, bytes]]:
        """The staged rows that were not removed later."""
        stage = self._stages.get(dataset.name)
        if stage is None or not self._staged(dataset.name).exists():
            return
        reached = 0
        with self._staged(dataset.name).open("rb") as stream:
            while reached < stage.size:
                line = stream.readline()
                seen = known_of(line)
                if stage.removed.get(_key(dataset, seen), -1) <= reached:
                    yield seen, line[:-1]
                reached += len(line)

    def _dead(self, dataset: Dataset) -> Callable[[Key], bool]:
        """Tell which rows of the base don't count: what was removed, and what is staged anew."""
        stage = self._stages.get(dataset.name)
        if dataset.name not in self._update or stage is None:
            return _never
        gone = {*stage.removed, *(_key(dataset, seen) for seen, _ in self._live(dataset))}
        return lambda key: key in gone


def _key(dataset: Dataset, seen: Known) -> Key:
    return dataset.key_of(seen.workspace_id, seen.id)


def _never(_: Key) -> bool:
    return False


def _sync(path: Path) -> None:
    number = os.open(path, os.O_RDWR)
    try:
        os.fsync(number)
    finally:
        os.close(number)
