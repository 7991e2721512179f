"""A value of an answer that is not decoded yet, and the report for anything odd about it."""

from typing import Any, Final, Protocol

import attrs
import msgspec

from toggl_async.codec.drift import Misfit

__all__ = ["Node", "Report"]

_KINDS: Final = {
    b'"': "a string",
    b"{": "an object",
    b"[": "a list",
    b"t": "a boolean",
    b"f": "a boolean",
    b"n": "null",
}


class Report(Protocol):
    """Where hooks tell what they met."""

    @property
    def keep_unknown(self) -> bool:
        """Whether records keep what they have no attribute for."""
        ...

    @property
    def indispensable(self) -> str | None:
        """A field that no record can do without, though its class could."""
        ...

    def odd(self, path: str, message: str) -> None:
        """Tell of a value that did not fit."""
        ...


@attrs.frozen
class Node:
    """A value that is not read yet: its JSON, where it stands (``$[3].id``), and whom to tell."""

    raw: msgspec.Raw
    path: str
    report: Report

    @property
    def kind(self) -> str:
        """What kind of JSON value it is, in words."""
        return _KINDS.get(bytes(memoryview(self.raw)[:1]), "a number")

    @property
    def value(self) -> Any:
        """What it is as plain JSON; UNSET where Python has no room for it, such as for ``1e999``."""
        try:
            return msgspec.json.decode(self.raw)
        except msgspec.ValidationError:
            return msgspec.UNSET

    def at(self, piece: msgspec.Raw, step: str | int) -> "Node":
        """Step down to a piece of this value: by its name in an object, or its index in a list."""
        path = f"{self.path}[{step}]" if isinstance(step, int) else f"{self.path}.{step}"
        return Node(piece, path, self.report)

    def coerced(self, expected: str) -> None:
        """Tell that the value was not what was expected, but could be read as that."""
        self.report.odd(self.path, f"expected {expected}, got {self.kind}; converted")

    def misfit(self, expected: str) -> Misfit:
        """Say that the value cannot be what was expected."""
        kind = self.kind
        if kind == "a number" and self.value is msgspec.UNSET:
            kind += " out of range"
        return Misfit(self.path, f"expected {expected}, got {kind}")
