"""Forgetting rows of a mirror, and of the files that an export has written from it."""

import datetime as dt
from pathlib import Path

import attrs
import msgspec

from toggl_async.errors import InvalidInput
from toggl_async.export.formats import Format, format_named
from toggl_async.export.mirror.destination import MIRROR, layout_of
from toggl_async.export.mirror.manifest import MANIFEST, Manifest, write_manifest
from toggl_async.export.mirror.store import Forget, RowStore
from toggl_async.export.mirror.urls import store_of
from toggl_async.export.run.directory import opened
from toggl_async.export.run.files import files_of, remove_partial_files, with_files, write_files
from toggl_async.export.run.refresh import held

__all__ = ["ForgottenRows", "forget_at", "forget_in"]


@attrs.frozen
class ForgottenRows:
    """The result of forgetting rows.

    Attributes:
        rows: how many rows were forgotten.
        kept_from: the first day of time entries that the mirror keeps from now on; None if it keeps all.
    """

    rows: int
    kept_from: dt.date | None


async def forget_at(url: str, chosen: Forget) -> ForgottenRows:
    """Forget rows in a mirror that has no files.

    Args:
        url: the mirror, as for `Mirror`.
        chosen: what is forgotten.

    Raises:
        InvalidInput: another run writes there, or it isn't a mirror. Nothing was forgotten.
        OSError: the mirror could not be written.
    """
    store = store_of(url)
    async with opened(store) as worker, held(store, worker) as holding:
        rows = await worker.run(store.forget, chosen)
    return ForgottenRows(rows, chosen.kept_from(holding.standing))


async def forget_in(directory: Path, chosen: Forget) -> ForgottenRows:
    """Forget rows in the mirror of an export, then write the files that are there again, without them.

    Args:
        directory: the destination of the export.
        chosen: what is forgotten.

    Raises:
        InvalidInput: another run writes there, the directory doesn't contain an export, or contains one of
            another version of this library, or a package that the files' format needs is missing. Nothing was
            forgotten.
        OSError: the mirror or the files could not be written. What was forgotten in the mirror may still be
            in the files: call it again.
    """
    manifest = _read(directory / MANIFEST)
    form = format_named(manifest.format, excel=manifest.excel)
    if manifest.layout != layout_of(manifest.format):
        raise InvalidInput(f"{directory} contains an export made by another version of toggl_async")
    store = store_of(directory / MIRROR)
    async with opened(store) as worker, held(store, worker) as holding:
        forgotten = ForgottenRows(await worker.run(store.forget, chosen), chosen.kept_from(holding.standing))
        manifest = attrs.evolve(manifest, kept_from=forgotten.kept_from)
        await worker.run(_write_again, directory, manifest, form, holding.store)
    return forgotten


def _read(path: Path) -> Manifest:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Manifest)
    except OSError as error:
        raise InvalidInput(f"cannot read {path}: {error.strerror}") from error
    except (msgspec.DecodeError, ValueError) as error:
        raise InvalidInput(
            f"{path} is damaged: {error}; remove that file, and bring the export up to date with --update"
        ) from error


def _write_again(directory: Path, manifest: Manifest, form: Format, store: RowStore) -> None:
    """Write the files of an export again. An unfinished one has none, or those of the run before."""
    datasets = manifest.plan.chosen()
    remove_partial_files(directory, form, datasets)
    if not manifest.finished:
        datasets = [
            dataset
            for path, parts in files_of(directory, form, datasets).items()
            if path.exists()
            for dataset in parts
        ]
    facts = write_files(directory, form, datasets, store)
    if manifest.finished:
        manifest = with_files(manifest, directory, form, manifest.layout, facts)
    write_manifest(directory, manifest)
