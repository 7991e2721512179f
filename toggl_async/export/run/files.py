"""The files of an export: written from the mirror under temporary names, and renamed once they are whole."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from toggl_async.errors import InvalidInput
from toggl_async.export.formats import Format
from toggl_async.export.mirror.destination import Held
from toggl_async.export.mirror.manifest import File, FileFacts, Manifest
from toggl_async.export.mirror.storage import PARTIAL, digest, is_special, replace
from toggl_async.export.mirror.store import RowStore, Snapshot
from toggl_async.export.plan.datasets import Dataset

if TYPE_CHECKING:
    from toggl_async.export.mirror.tables import Table

__all__ = ["check_files", "files_of", "kept_files", "remove_partial_files", "with_files", "write_files"]

_PRIVATE = 0o600


def files_of(directory: Path, form: Format, datasets: Iterable[Dataset]) -> Mapping[Path, list[Dataset]]:
    """The files of an export, and which datasets are in each."""
    if form.per_dataset:
        return {directory / f"{dataset.name}{form.suffix}": [dataset] for dataset in datasets}
    return {directory / f"toggl{form.suffix}": list(datasets)}


def check_files(directory: Path, form: Format, datasets: Iterable[Dataset]) -> None:
    """Make sure that the names of the files are free, or taken by files; remove an empty directory.

    Raises:
        InvalidInput: something else has such a name: a pipe, say, or a directory that is not empty; or the
            format can't be written there.
    """
    if form.name == "duckdb":
        _check_duckdb(directory)
    for path in files_of(directory, form, datasets):
        if path.is_dir():
            try:
                path.rmdir()
            except OSError as error:
                raise InvalidInput(
                    f"{path} is a directory, but a file is expected there: move it away"
                ) from error
        elif is_special(path):
            raise InvalidInput(f"{path} is not a regular file, but one is expected there: move it away")


def _check_duckdb(directory: Path) -> None:
    """Refuse a path that DuckDB reads differently, before anything is asked for."""
    path = str(directory.absolute())
    if "?" in path:  # what follows it would be parameters
        raise InvalidInput(
            f"DuckDB can't write to a path with a question mark, such as {directory}; name another directory"
        )
    if path.encode(errors="ignore").decode() != path:
        raise InvalidInput(
            f"DuckDB can't write to a path that isn't UTF-8, such as {str(directory)!r}; "
            "name another directory"
        )


def remove_partial_files(directory: Path, form: Format, datasets: Iterable[Dataset]) -> None:
    """Remove the unfinished files that a killed run has left."""
    for path in files_of(directory, form, datasets):
        path.with_name(path.name + PARTIAL).unlink(missing_ok=True)


def write_files(
    directory: Path, form: Format, datasets: Iterable[Dataset], store: RowStore
) -> dict[str, FileFacts]:
    """Write the files of an export from one snapshot; return the facts about each dataset.

    A file keeps its name until the new one is whole.

    Raises:
        OSError: one could not be written.
    """
    facts = {}
    with store.snapshot() as snapshot:
        for path, parts in files_of(directory, form, datasets).items():
            partial = path.with_name(path.name + PARTIAL)
            partial.unlink(missing_ok=True)
            rows = form.write(partial, _tables(snapshot, parts))
            partial.chmod(_PRIVATE)
            replace(partial, path)
            size, checksum = path.stat().st_size, digest(path)
            for dataset in parts:
                facts[dataset.name] = FileFacts(
                    file=path.name,
                    rows=rows[dataset.name],
                    bytes=size if form.per_dataset else None,
                    sha256=checksum if form.per_dataset else None,
                )
    return facts


def kept_files(directory: Path, held: Held) -> dict[str, FileFacts] | None:
    """The facts about the files in a directory; None unless all are still as they were written."""
    facts = {
        name: FileFacts(file=entry.file, rows=entry.rows, bytes=entry.bytes, sha256=entry.sha256)
        for name, entry in held.datasets.items()
        if entry.file is not None
    }
    files = {one.file for one in facts.values()}
    if not held.finished or len(facts) < len(held.datasets) or not files <= held.files.keys():
        return None
    intact = all(
        (directory / name).is_file() and digest(directory / name) == held.files[name].sha256 for name in files
    )
    return facts if intact else None


def _tables(snapshot: Snapshot, datasets: Iterable[Dataset]) -> Iterator[tuple["Table", Iterator[bytes]]]:
    from toggl_async.export.mirror.tables import table  # noqa: PLC0415 - it loads every record

    for dataset in datasets:
        yield table(dataset.name), snapshot.rows(dataset)


def with_files(
    manifest: Manifest, directory: Path, form: Format, layout: str, facts: Mapping[str, FileFacts]
) -> Manifest:
    """The manifest of a directory: that of its mirror, plus its files."""
    entries = {
        name: entry
        if name not in facts
        else attrs.evolve(
            entry,
            file=facts[name].file,
            rows=facts[name].rows,
            bytes=facts[name].bytes,
            sha256=facts[name].sha256,
        )
        for name, entry in manifest.datasets.items()
    }
    files = {
        one.file: File(
            bytes=(directory / one.file).stat().st_size, sha256=one.sha256 or digest(directory / one.file)
        )
        for one in {one.file: one for one in facts.values()}.values()
    }
    return attrs.evolve(
        manifest,
        format=form.name,
        layout=layout,
        rows=sum(entry.rows for entry in entries.values()),
        datasets=entries,
        files=files,
    )
