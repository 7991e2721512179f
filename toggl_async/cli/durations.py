"""Durations as people write them: ``90s``, ``10m``, ``1h``, ``1d``."""

import re
from typing import Any, Final

import click

from toggl_async._hints import quoted

__all__ = ["Duration"]

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}

_LONGEST: Final = 366 * _UNITS["d"]

_WRITTEN: Final = re.compile(r"(\d+(?:\.\d+)?)([smhd])")


class Duration(click.FloatRange):
    """A duration, which becomes seconds: 366 days at most.

    Args:
        minimum: the least number of seconds.
    """

    name = "duration"

    def __init__(self, minimum: float) -> None:
        super().__init__(min=minimum, max=_LONGEST)
        self._minimum = minimum

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read what was given."""
        written = _WRITTEN.fullmatch(str(value).strip())
        if written is None and str(value).strip().isdecimal():
            self.fail(f"{value} has no unit; write {value}s for seconds, or {value}m for minutes", param, ctx)
        if written is None:
            self.fail(f"{quoted(value)} is not a duration; write it as 90s, 10m, 1h or 1d", param, ctx)
        seconds = float(written[1]) * _UNITS[written[2]]
        if not self._minimum <= seconds <= _LONGEST:
            self.fail(
                f"{quoted(value)} is out of range; write a duration from {self._minimum:g}s to 366d",
                param,
                ctx,
            )
        return seconds
