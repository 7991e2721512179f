"""Seconds of the Unix epoch to the shapes in which Toggl writes moments, and back.

Lists of the Track API write ``+00:00``; answers to POST, PUT and PATCH write ``Z``; `at` of a time
entry is ``Z`` with up to six fractional digits; reports write the offset of the user's own zone.
Days and minutes are looked up rather than formatted: a report page holds four thousand moments.
"""

import datetime as dt
import functools
import zoneinfo
from typing import Final

__all__ = ["UTC", "Zone", "at_fraction", "day_of", "offset_utc", "parse", "parse_day", "zulu"]

_DAY: Final = 86_400
_EPOCH_DAY: Final = dt.date(1970, 1, 1).toordinal()
_MINUTES: Final = tuple(f"T{hour:02d}:{minute:02d}:" for hour in range(24) for minute in range(60))
_SECONDS: Final = tuple(f"{second:02d}" for second in range(60))


@functools.cache
def _day_text(day: int) -> str:
    return dt.date.fromordinal(_EPOCH_DAY + day).isoformat()


def _text(seconds: int) -> str:
    day, rest = divmod(seconds, _DAY)
    return _day_text(day) + _MINUTES[rest // 60] + _SECONDS[rest % 60]


def offset_utc(seconds: int) -> str:
    """Write a moment as lists do: ``2024-12-16T01:38:02+00:00``."""
    return _text(seconds) + "+00:00"


def zulu(seconds: int) -> str:
    """Write a moment as answers to writes do: ``2024-12-16T01:38:02Z``."""
    return _text(seconds) + "Z"


def at_fraction(micros: int) -> str:
    """Write microseconds as a time entry's `at`: ``Z``, with the fraction's zeros cut off."""
    seconds, fraction = divmod(micros, 1_000_000)
    return f"{_text(seconds)}.{fraction:06d}".rstrip("0").rstrip(".") + "Z"


class Zone:
    """A time zone of the IANA database; an unknown one counts as UTC on systems without it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._info: dt.tzinfo
        try:
            self._info = zoneinfo.ZoneInfo(name)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError):
            self._info = dt.UTC
        self._offsets: dict[int, tuple[int, str]] = {}

    def text(self, seconds: int) -> str:
        """Write a moment as reports do, in local time: ``2024-12-16T04:38:02+03:00``."""
        offset, suffix = self._offset(seconds)
        return _text(seconds + offset) + suffix

    def day(self, seconds: int) -> dt.date:
        """Return the local date of a moment."""
        offset, _ = self._offset(seconds)
        return dt.date.fromordinal(_EPOCH_DAY + (seconds + offset) // _DAY)

    def midnight(self, day: dt.date) -> int:
        """Return the moment at which a local day begins."""
        return int(dt.datetime.combine(day, dt.time(), self._info).timestamp())

    def _offset(self, seconds: int) -> tuple[int, str]:
        # Zones change at quarters of an hour at the finest.
        quarter = seconds // 900
        known = self._offsets.get(quarter)
        if known is None:
            local = dt.datetime.fromtimestamp(seconds, self._info)
            known = (round((local.utcoffset() or dt.timedelta()).total_seconds()), local.isoformat()[-6:])
            self._offsets[quarter] = known
        return known


UTC: Final = Zone("UTC")

_YEARS: Final = range(3, 9998)
"""The years that a request may name. Beside them is room for a time zone, and for a report that is compared
with an equally long one before it."""


def day_of(seconds: float) -> dt.date:
    """Return the UTC date of a moment."""
    return dt.date.fromordinal(_EPOCH_DAY + int(seconds // _DAY))


def parse(text: str) -> int:
    """Read an RFC 3339 moment, fractions cut off, or a date, which stands for its midnight in UTC.

    Raises:
        ValueError: it is neither, or a moment without its offset, or of a year that nobody means.
    """
    if len(text) == len("2024-12-16"):
        return UTC.midnight(_meant(dt.date.fromisoformat(text)))
    moment = dt.datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no offset")
    _meant(moment)
    return int(moment.timestamp() // 1)


def parse_day(text: str) -> dt.date:
    """Read a date, ``2024-12-16``.

    Raises:
        ValueError: it isn't one, or of a year that nobody means.
    """
    day = dt.date.fromisoformat(text)
    if day.isoformat() != text:  # Python reads other ways of writing a date, too
        raise ValueError(f"{text!r} is not a date")
    return _meant(day)


def _meant(day: dt.date) -> dt.date:
    if day.year not in _YEARS:
        raise ValueError(f"the year {day.year} is out of range")
    return day
