"""Many accounts at once on one display: whose event it is, and a bar for each account."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from toggl_async.cli.display import (
    BAR,
    Display,
    PlainDisplay,
    ScreenDisplay,
    Watch,
    clock_time,
    count,
    quotas,
    spell,
)
from toggl_async.scheduler.events import SchedulerEvent

__all__ = ["ManyDisplay", "Router", "belonging_to", "display_many"]

_FOOT = 3
"""Lines below the accounts."""

_job: ContextVar[int] = ContextVar("job")


def belonging_to(job: int) -> None:
    """Say which job the running task, and every task that it starts, works for."""
    _job.set(job)


class Router:
    """Hands the events of one scheduler to the display of the job whose account they are of.

    An account is new to the scheduler when a task of its job sends something; what the scheduler does for
    an account it does in that task, or in one that was started from it.

    Args:
        displays: one for each job.
    """

    def __init__(self, displays: Sequence[Display]) -> None:
        self._displays = displays
        self._jobs: dict[int, int] = {}

    def on_scheduler(self, event: SchedulerEvent) -> None:
        """Take in an event of the scheduler; of what is about all accounts, the command tells."""
        if not event.account:
            return
        job = self._jobs.setdefault(event.account, _job.get(0))
        self._displays[job].on_scheduler(event)


class ManyDisplay:
    """A line for each account, redrawn a few times a second, for terminals.

    Those that are under way stand first; where there are more than the terminal has lines, the rest is
    summed up.

    Args:
        watches: the figures of each account, by its name.
        console: where to draw.
    """

    def __init__(self, watches: Mapping[str, Watch], console: Console) -> None:
        self._watches = watches
        self._console = console

    def parts(self) -> list[Display]:
        """What takes the events of each account, in their order."""
        return [
            ScreenDisplay(watch, self._console, prefix=f"{name}: ") for name, watch in self._watches.items()
        ]

    def __rich__(self) -> RenderableType:
        shown = sorted(self._watches.items(), key=lambda known: known[1].finished)
        room = max(1, self._console.height - _FOOT)
        table = Table.grid(padding=(0, 2))
        table.add_column(no_wrap=True)
        table.add_column(justify="right", no_wrap=True)
        table.add_column(no_wrap=True)
        table.add_column(no_wrap=True, overflow="ellipsis")
        for name, watch in shown[:room]:
            bar = ProgressBar(total=1.0, completed=watch.share, width=BAR)
            table.add_row(name, f"{watch.rows:,}", bar, _standing(watch))
        lines: list[RenderableType] = [table]
        if len(shown) > room:
            lines.append(Text(f"and {len(shown) - room} more accounts", style="dim"))
        return Group(*lines, Text(self._sum(), style="bold"))

    def _sum(self) -> str:
        """All accounts in a line."""
        watches = self._watches.values()
        parts = [
            f"{sum(watch.finished for watch in watches)} of {len(watches)} accounts done",
            count(sum(watch.rows for watch in watches), "row"),
            count(sum(watch.requests for watch in watches), "request"),
        ]
        known = [left for watch in watches if (left := watch.remaining()) is not None]
        if known and not all(watch.finished for watch in watches):
            parts.append(f"about {spell(max(known))} left, until {clock_time(max(known))}")
        return ", ".join(parts)


@contextmanager
def display_many(watches: Mapping[str, Watch], console: Console | None = None) -> Iterator[list[Display]]:
    """Show the exports of many accounts on stderr: as a table where that is a terminal, else in plain lines.

    Args:
        watches: the figures of each account, by its name.
        console: where to draw; None for stderr.
    """
    screen = console or Console(stderr=True)
    if not screen.is_terminal or screen.is_dumb_terminal:
        yield [PlainDisplay(watch, prefix=f"{name}: ") for name, watch in watches.items()]
        return
    shown = ManyDisplay(watches, screen)
    with Live(shown, console=screen, refresh_per_second=4, transient=False):
        yield shown.parts()


def _standing(watch: Watch) -> Text:
    """How an account is: done, what it waits for and how long, or when it is expected to end."""
    if watch.finished:
        return Text("done", style="green")
    parts = []
    waiting, remaining = watch.wait(), watch.remaining()
    if waiting is not None:
        parts.append(f"waiting until {clock_time(waiting[1])}: {waiting[0]}")
    if remaining is not None:
        parts.append(f"{spell(remaining)} left")
    if watch.quotas:
        parts.append(quotas(watch))
    return Text(", ".join(parts) or "…", style="dim")
