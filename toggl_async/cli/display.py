"""What a person sees while an export runs: a table on a terminal, plain lines elsewhere, on stderr.

`Watch` keeps the figures, from the events of the export and of the scheduler; the two displays only
show them.
"""

import datetime as dt
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

import attrs
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from toggl_async.cli.output import defused, remark
from toggl_async.export import (
    DatasetFinished,
    ExportEvent,
    ExportStarted,
    Failure,
    PieceFailed,
    PieceRefused,
    RangeChecked,
    Refusal,
    RowsWritten,
    Stale,
)
from toggl_async.scheduler import Lane
from toggl_async.scheduler.events import Granted, Paused, QuotaChanged, SchedulerEvent, Sent

__all__ = [
    "BAR",
    "Display",
    "PlainDisplay",
    "RichDisplay",
    "ScreenDisplay",
    "Watch",
    "clock_time",
    "count",
    "display",
    "place_of",
    "quotas",
    "spell",
    "trouble",
]

_LINE_EVERY = 5.0
"""Seconds between two plain lines, at least; finished datasets have theirs anyway."""

BAR = 30
"""Characters of a bar."""

_LONG_WAIT = 10.0
"""Seconds from which on a wait is worth a plain line of its own."""


def count(number: int, thing: str) -> str:
    """So many things, as people write it, such as ``"1 dataset"`` and ``"2,000 rows"``."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def place_of(part: Refusal | Failure | Stale) -> str:
    """Name the part of an export that something is said about."""
    # What belongs to the account has no workspace, which is told by 0.
    whose = f"workspace {part.workspace_id}" if part.workspace_id else "the account"
    return f"{part.dataset} of {whose}"


def spell(seconds: float) -> str:
    """A duration as people write it, such as ``"47 min 41 s"``."""
    whole = math.ceil(seconds)
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


@attrs.define
class _Shown:
    """A dataset on the display."""

    rows: int = 0
    share: float = 0.0
    finished: bool = False


@attrs.define(kw_only=True)
class Watch:
    """The figures of an export that runs; durations that it gives are real seconds.

    Attributes:
        clock: the loop's time, in which events are dated.
        speed: how many times faster than real time it runs.
        datasets: rows by dataset, in order.
        requests: requests sent.
        requests_left: requests that are expected to follow; None before the first page.
        quotas: requests left, and to a window, of each hourly quota that is known.
    """

    clock: Callable[[], float]
    speed: float = 1.0
    datasets: dict[str, _Shown] = attrs.field(factory=dict)
    requests: int = 0
    requests_left: int | None = None
    quotas: dict[tuple[Lane, int | None], tuple[int, int | None]] = attrs.field(factory=dict)
    _first_sent: float = 0.0
    _last_sent: float = 0.0
    _paused: Paused | None = None

    @property
    def rows(self) -> int:
        """Rows written so far."""
        return sum(shown.rows for shown in self.datasets.values())

    @property
    def finished(self) -> bool:
        """Whether every dataset is whole."""
        return bool(self.datasets) and all(shown.finished for shown in self.datasets.values())

    @property
    def share(self) -> float:
        """How many of the requests are behind, as far as can be told: 0.0 to 1.0."""
        if self.finished:
            return 1.0
        return self.requests / (self.requests + self.requests_left) if self.requests_left else 0.0

    def on_scheduler(self, event: SchedulerEvent) -> None:
        """Take in an event of the scheduler."""
        match event:
            case Sent():
                self.requests += 1
                self._first_sent = self._first_sent or event.at
                self._last_sent = event.at
            case Paused():
                self._paused = event
            case Granted():
                self._paused = None
            case QuotaChanged(remaining=int(remaining)):
                self.quotas[event.lane, event.organization_id] = remaining, event.total

    def on_export(self, event: ExportEvent) -> None:
        """Take in an event of the export."""
        match event:
            case ExportStarted(datasets=names):
                self.datasets = {name: _Shown() for name in names}
            case RowsWritten(dataset=name, total=total):
                self.datasets[name].rows = total
                self.datasets[name].share = event.share
                self.requests_left = event.requests_left
            case DatasetFinished(dataset=name):
                self.datasets[name].finished = True

    def wait(self) -> tuple[str, float] | None:
        """What everything waits for now, and for how many seconds still; None when nothing does."""
        if self._paused is None or not math.isfinite(self._paused.until):
            return None
        seconds = (self._paused.until - self.clock()) / self.speed
        return (self._paused.reason.value, seconds) if seconds > 0 else None

    def remaining(self) -> float | None:
        """Seconds until the expected end: the requests left at the speed so far."""
        if self.requests_left is None or self.finished:
            return None
        gaps = max(1, self.requests - 1)
        each = (self._last_sent - self._first_sent) / gaps / self.speed
        waiting = self.wait()
        return self.requests_left * each + (waiting[1] if waiting else 0.0)


class Display(Protocol):
    """What is shown of an export."""

    def on_scheduler(self, event: SchedulerEvent) -> None:
        """Take in an event of the scheduler."""
        ...

    def on_export(self, event: ExportEvent) -> None:
        """Take in an event of the export."""
        ...


class PlainDisplay:
    """Plain lines, few of them: for logs, pipes and cron.

    Args:
        watch: the figures.
        prefix: what each line begins with, such as the name of an account.
        clock: real seconds.
    """

    def __init__(
        self, watch: Watch, *, prefix: str = "", clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._watch = watch
        self._prefix = prefix
        self._clock = clock
        self._last_line = clock()
        self._announced = -math.inf

    def on_scheduler(self, event: SchedulerEvent) -> None:
        """Say long waits, each once."""
        self._watch.on_scheduler(event)
        waiting = self._watch.wait()
        if not isinstance(event, Paused) or waiting is None or waiting[1] < _LONG_WAIT:
            return
        if event.until > self._announced:
            self._announced = event.until + _LONG_WAIT
            self._say(f"waiting {spell(waiting[1])}, until {clock_time(waiting[1])}: {waiting[0]}")

    def on_export(self, event: ExportEvent) -> None:
        """Say what is done and what went wrong, and now and then how far it is."""
        self._watch.on_export(event)
        match event:
            case DatasetFinished():
                self._say(f"{event.dataset}: {count(event.facts.rows, 'row')}")
            case RowsWritten() if self._clock() - self._last_line >= _LINE_EVERY:
                left = [quotas(self._watch)] if self._watch.quotas else []
                self._say(", ".join([_state(self._watch), *left]))
            case PieceRefused() | PieceFailed() | RangeChecked():
                self._say(trouble(event))

    def _say(self, line: str) -> None:
        if line:
            self._last_line = self._clock()
            remark(self._prefix + line)


class ScreenDisplay:
    """Keeps the figures of an export that a screen draws; trouble stays on the screen above them.

    Args:
        watch: the figures.
        console: where the screen is.
        prefix: what stands before trouble: the account, where there are several.
    """

    def __init__(self, watch: Watch, console: Console, *, prefix: str = "") -> None:
        self._watch = watch
        self._console = console
        self._prefix = prefix

    def on_scheduler(self, event: SchedulerEvent) -> None:
        """Take in an event of the scheduler."""
        self._watch.on_scheduler(event)

    def on_export(self, event: ExportEvent) -> None:
        """Take in an event of the export."""
        self._watch.on_export(event)
        wrong = trouble(event)
        if wrong:
            self._console.print(Text(defused(self._prefix + wrong), style="yellow"))


class RichDisplay(ScreenDisplay):
    """A table that is redrawn a few times a second, for terminals."""

    def __rich__(self) -> RenderableType:
        table = Table.grid(padding=(0, 2))
        table.add_column()
        table.add_column(justify="right")
        table.add_column()
        table.add_column()
        for name, shown in self._watch.datasets.items():
            bar = ProgressBar(total=1.0, completed=1.0 if shown.finished else shown.share, width=BAR)
            mark = Text("done", style="green") if shown.finished else Text("…", style="dim")
            table.add_row(name, f"{shown.rows:,}", bar, mark)
        waiting = self._watch.wait()
        lines = [Text(_state(self._watch), style="bold")]
        if self._watch.quotas:
            lines.append(Text(quotas(self._watch), style="dim"))
        if waiting:
            until = clock_time(waiting[1])
            lines.append(Text(f"waiting {spell(waiting[1])}, until {until}: {waiting[0]}", style="dim"))
        return Group(table, *lines)


def quotas(watch: Watch) -> str:
    """What is left of the hourly quotas, in a line."""
    parts = []
    for (lane, organization_id), (remaining, total) in watch.quotas.items():
        whose = "user" if lane is Lane.USER else f"organization {organization_id or ''}".rstrip()
        parts.append(f"{whose} {remaining}{'' if total is None else f' of {total}'}")
    return f"requests left in the window: {', '.join(parts)}"


def clock_time(seconds: float) -> str:
    """The local time in so many seconds."""
    return f"{dt.datetime.now().astimezone() + dt.timedelta(seconds=seconds):%H:%M:%S}"


def _state(watch: Watch) -> str:
    """Rows, requests and the expected end in a line."""
    parts = [count(watch.rows, "row"), count(watch.requests, "request")]
    remaining = watch.remaining()
    if remaining is not None:
        parts.append(f"about {spell(remaining)} left, until {clock_time(remaining)}")
    return ", ".join(parts)


def trouble(event: ExportEvent) -> str:
    """What went wrong, in a line; empty when nothing did."""
    match event:
        case PieceRefused(refusal=refusal):
            return f"{place_of(refusal)}: {refusal.message}"
        case PieceFailed(failure=failure):
            return f"{place_of(failure)}: {failure.message}"
        case RangeChecked(check=check) if check.agrees is False:
            return f"workspace {check.workspace_id}, {check.first} to {check.last}: the totals differ"
    return ""


@contextmanager
def display(watch: Watch, console: Console | None = None) -> Iterator[Display]:
    """Show an export on stderr: as a table where that is a terminal, else in plain lines."""
    screen = console or Console(stderr=True)
    if not screen.is_terminal or screen.is_dumb_terminal:  # no cursor to move
        yield PlainDisplay(watch)
        return
    shown = RichDisplay(watch, screen)
    with Live(shown, console=screen, refresh_per_second=8, transient=False):
        yield shown
