"""Days as people say them: today, yesterday, monday, 2026-03-12."""

import calendar
import datetime as dt
import zoneinfo
from typing import Any, Final, Self

import attrs
import click
from click.shell_completion import CompletionItem

from toggl_async._hints import nearest, quoted
from toggl_async.cli.options import Command
from toggl_async.cli.output import complain
from toggl_async.cli.texts import TEXT
from toggl_async.errors import InvalidInput

__all__ = ["DATE", "SpokenDay", "bounds", "day_option", "zone_of"]

_AWAY: Final = {"today": 0, "yesterday": -1, "tomorrow": 1}
_FIRST_YEAR: Final = 1970
_LAST_YEAR: Final = 2200
_WEEKDAYS: Final = tuple(name.lower() for name in calendar.day_name)


@attrs.frozen
class SpokenDay:
    """A day as it was said. Which one it is depends on what day it is where the person is.

    Attributes:
        text: a word, or a date in ISO form.
    """

    text: str

    def __attrs_post_init__(self) -> None:
        """Refuse what isn't a day, before anything is sent for it."""
        self.on(dt.date(2000, 1, 1))

    @classmethod
    def said(cls, text: str) -> Self:
        """Take a day in whichever case it was written.

        Raises:
            InvalidInput: it isn't a day.
        """
        return cls(text.strip().lower())

    @property
    def is_relative(self) -> bool:
        """Whether it depends on what day it is."""
        return self.text in _AWAY or self.text in _WEEKDAYS

    def on(self, today: dt.date) -> dt.date:
        """Return the day that it means; a weekday is the last one, today included.

        Raises:
            InvalidInput: it isn't a day.
        """
        if self.text in _AWAY:
            return today + dt.timedelta(days=_AWAY[self.text])
        if self.text in _WEEKDAYS:
            return today - dt.timedelta(days=(today.weekday() - _WEEKDAYS.index(self.text)) % 7)
        try:
            day = dt.date.fromisoformat(self.text)
        except ValueError:
            near = nearest(self.text, (*_AWAY, *_WEEKDAYS))
            raise InvalidInput(
                f"{quoted(self.text)} is not a day: write a date such as 2026-03-12, today, yesterday, "
                f"tomorrow, or a weekday such as monday, which means the last one{near}"
            ) from None
        if not _FIRST_YEAR <= day.year < _LAST_YEAR:  # near its ends, time zones would leave the calendar
            raise InvalidInput(
                f"{day} cannot be shown: choose a day from {_FIRST_YEAR}-01-01 to {_LAST_YEAR - 1}-12-31"
            )
        return day


class _Date(click.DateTime):
    """A date, which becomes its midnight."""

    def __init__(self) -> None:
        super().__init__(["%Y-%m-%d"])

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read what was given."""
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:  # it speaks of the format in strptime's words
            self.fail(f"{quoted(value)} is not a date; expected YYYY-MM-DD", param, ctx)


DATE: Final = _Date()
"""The type of an option that takes a date."""


def _completed(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    return [CompletionItem(word) for word in (*_AWAY, *_WEEKDAYS) if word.startswith(begun.lower())]


def day_option(command: Command) -> Command:
    """Add ``--day``."""
    option = click.option(
        "--day",
        metavar="DAY",
        type=TEXT,
        default="today",
        shell_complete=_completed,
        callback=lambda _context, _parameter, text: SpokenDay.said(text),
        help="Another day: yesterday, monday, 2026-03-12.",
    )
    return option(command)


def zone_of(name: str | None) -> dt.tzinfo:
    """Return the time zone of a profile; if it is unknown here, this machine's, with a warning."""
    if name:
        try:
            return zoneinfo.ZoneInfo(name)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            complain(
                f"warning: this machine doesn't know the time zone {name}, so times are in its local "
                "time zone"
            )
    local = dt.datetime.now().astimezone().tzinfo
    assert local is not None  # noqa: S101 - `astimezone` gives one
    return local


def bounds(day: dt.date, zone: dt.tzinfo) -> tuple[dt.datetime, dt.datetime]:
    """Return when a day begins and ends in a time zone; it may have 23 or 25 hours."""
    first, last = (dt.datetime.combine(one, dt.time(), zone) for one in (day, day + dt.timedelta(days=1)))
    return first.astimezone(dt.UTC), last.astimezone(dt.UTC)
