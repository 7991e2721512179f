"""Where an export goes: one module for each format, all behind one interface, `Sink`.

`make` builds the sink of a format by its name. Formats are imported when they are first used, because
some need packages that not everybody has.
"""

import importlib
import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import cast

from toggl_async.errors import InvalidInput
from toggl_async.export.mirror.sink import Sink

__all__ = ["FORMATS", "make"]

FORMATS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "jsonl": ("jsonl", ""),
        "csv": ("csv_files", ""),
        "parquet": ("parquet", "parquet"),
        "sqlite": ("sqlite", ""),
        "duckdb": ("duck", "duckdb"),
    }
)
"""Every format: the module here that makes its sink, and the extra that it needs."""


def make(name: str, directory: str | os.PathLike[str]) -> Sink:
    """The sink of a format.

    Args:
        name: one of `FORMATS`.
        directory: where the files go.

    Raises:
        InvalidInput: there is no such format, or a package that it needs is missing.
    """
    if name not in FORMATS:
        raise InvalidInput(f"unknown format {name!r}; choose one of {', '.join(FORMATS)}")
    module, extra = FORMATS[name]
    try:
        found = importlib.import_module(f"toggl_async.export.formats._sinks.{module}")
    except ModuleNotFoundError as missing:
        raise InvalidInput(
            f"{missing.name} is not installed; the format {name} needs the extra {extra!r}: "
            f"python -m pip install 'toggl_async[{extra}]'"
        ) from None
    return cast("Sink", found.sink(Path(directory)))
