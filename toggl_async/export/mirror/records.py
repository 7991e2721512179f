"""Rows as records, for programs."""

from collections.abc import Sequence

from toggl_async._operations.record import Record
from toggl_async.codec import Codec
from toggl_async.errors import InvalidInput

__all__ = ["records_of"]


def records_of(
    dataset: str, rows: Sequence[bytes], kind: type[Record] = Record, *, keep_unknown: bool = False
) -> list[Record]:
    """Rows of a dataset as records; those of time entries are `ExportedTimeEntry`.

    Args:
        dataset: the name of the dataset.
        rows: the rows, each one JSON object.
        kind: the record that they are.
        keep_unknown: keep fields that the records don't know, in `Record.unknown`.

    Raises:
        InvalidInput: the rows of this dataset are not records of that kind.
        DecodeError: a row cannot be made a record.
    """
    from toggl_async.export.mirror.tables import table  # noqa: PLC0415 - it loads every record

    declared = table(dataset)
    if not issubclass(declared.record, kind):
        raise InvalidInput(f"the rows of {dataset} are {declared.record.__name__}, not {kind.__name__}")
    decoded: list[Record] = Codec(keep_unknown=keep_unknown).decode(
        list[declared.record],  # type: ignore[name-defined]
        b"[" + b",".join(rows) + b"]",
        operation=declared.dataset.operation,
    )
    return decoded
