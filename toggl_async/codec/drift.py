"""Drift: where Toggl's answers differ from its own description.

A `Misfit` is one such place, raised to the level that can do without the value; `Drift` reports it once, and
not on every call.
"""

import logging
import re
import threading
import warnings
from collections.abc import Iterable, Mapping
from typing import Final

__all__ = ["Drift", "DriftWarning", "Misfit"]

_log = logging.getLogger("toggl_async.codec")

_INDEX: Final = re.compile(r"\[\d+\]")
_CALLER_OF_THE_CODEC: Final = 3
"""A warning is attributed to the caller of `Codec.decode`."""


class DriftWarning(UserWarning):
    """An answer did not fit its record, but was read anyway.

    Attributes:
        operation: the name of the operation, for instance ``"workspace.projects.list"``.
        field: the path of the field without indexes, for instance ``"$[].rate"``.
    """

    def __init__(self, message: str, *, operation: str, field: str) -> None:
        super().__init__(f"{operation}: {field}: {message}")
        self.operation = operation
        self.field = field


class Misfit(Exception):
    """A value that cannot be made what it should be without losing or inventing something."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(path, message)
        self.path = path
        self.message = message


class Drift:
    """What one codec has told already.

    Values are never told: an odd field may hold a token.
    """

    def __init__(self) -> None:
        self._told: set[tuple[str, str]] = set()
        self._lock = threading.Lock()

    def odd(self, operation: str, oddities: Mapping[str, str]) -> None:
        """Warn of fields, by their paths, that did not fit; once an operation and field."""
        for path, message in oddities.items():
            field = _INDEX.sub("[]", path)
            if self._is_new(operation, field):
                warning = DriftWarning(message, operation=operation, field=field)
                warnings.warn(warning, stacklevel=_CALLER_OF_THE_CODEC)

    def unknown(self, operation: str, fields: Iterable[str]) -> None:
        """Log fields that the record has no attribute for, once an operation and field.

        Toggl adds fields unannounced; a warning would make every program noisy.
        """
        for field in fields:
            if self._is_new(operation, f"+{field}"):
                _log.debug("%s: Toggl sends the field %r, which the record does not have", operation, field)

    def _is_new(self, operation: str, what: str) -> bool:
        with self._lock:
            if (operation, what) in self._told:
                return False
            self._told.add((operation, what))
            return True
