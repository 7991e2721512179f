"""The formats of an export: one module for each, all behind one interface, `Format`.

A format writes a whole file from the rows that it is given. It doesn't know where they come from, how far a
run has come, or what the file will be called. `format_named` makes a format by its name; only then is its
module imported, because some formats need packages that may not be installed.
"""

import importlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol, cast, runtime_checkable

from toggl_async.errors import InvalidInput

if TYPE_CHECKING:
    from toggl_async.export.mirror.tables import Table

__all__ = ["FORMATS", "Format", "format_named"]

FORMATS: Mapping[str, tuple[str, str, str]] = MappingProxyType(
    {
        "jsonl": ("jsonl", "JsonLines", ""),
        "csv": ("csv_files", "Csv", ""),
        "parquet": ("parquet", "Parquet", "parquet"),
        "sqlite": ("sqlite", "Sqlite", ""),
        "duckdb": ("duck", "DuckDb", "duckdb"),
    }
)
"""Every format, with its module here, the class in it, and the extra that it needs."""


@runtime_checkable
class Format(Protocol):
    """A way to write datasets to a file."""

    name: str
    """Its name, one of `FORMATS`."""
    suffix: str
    """The suffix of its files, with the dot."""
    per_dataset: bool
    """Whether each dataset is a file of its own, ``projects.csv``; otherwise all are in one,
    ``toggl.sqlite``."""

    def write(self, path: Path, tables: Iterable[tuple["Table", Iterable[bytes]]]) -> dict[str, int]:
        """Write a whole file.

        Args:
            path: the file, under a temporary name. If writing fails, what was written stays there. The caller
                flushes it to the disk and renames it.
            tables: the datasets, each with its rows: JSON objects, as Toggl sent them. It is one dataset if
                every dataset is a file of its own.

        Returns:
            How many rows there are of each dataset.

        Raises:
            OSError: it could not be written.
        """
        ...


def format_named(name: str, *, excel: bool = False) -> Format:
    """The format of that name.

    Args:
        name: one of `FORMATS`.
        excel: CSV for people and their spreadsheets, not for machines.

    Raises:
        InvalidInput: no format has that name, a package that it needs is missing, or `excel` is used with a
            format other than CSV.
    """
    if name not in FORMATS:
        raise InvalidInput(f"unknown format {name!r}; choose one of {', '.join(FORMATS)}")
    if excel and name != "csv":
        raise InvalidInput(f"excel makes CSV files for spreadsheets, so it needs the format csv, not {name}")
    module, kind, extra = FORMATS[name]
    try:
        found = importlib.import_module(f"toggl_async.export.formats.{module}")
    except ModuleNotFoundError as missing:
        raise InvalidInput(
            f"{missing.name} is not installed; the format {name} needs the extra {extra!r}: "
            f"python -m pip install 'toggl_async[{extra}]'"
        ) from None
    return cast("Format", getattr(found, kind)(**({"excel": True} if excel else {})))
