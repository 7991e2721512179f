import asyncio
import datetime as dt
import io
import math
import re

import attrs
import pytest
from rich.console import Console

from toggl_async.cli.display import PlainDisplay, RichDisplay, Watch, display, spell
from toggl_async.cli.jobs import _LoopClock
from toggl_async.cli.many import ManyDisplay, Router, belonging_to, display_many
from toggl_async.export import (
    Check,
    DatasetFinished,
    ExportStarted,
    FileFacts,
    PieceRefused,
    RangeChecked,
    Refusal,
    RowsWritten,
)
from toggl_async.scheduler import Lane
from toggl_async.scheduler.events import Answered, Granted, Paused, QuotaChanged, Reason, Sent

STARTED = ExportStarted(datasets=("tags", "time_entries"), workspaces=1)
FACTS = FileFacts(file="tags.jsonl", rows=1234, bytes=1, sha256="")


class Clock:
    """A time that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def sent(at: float) -> Sent:
    return Sent(at=at, account=1, call=1, route="GET /api/v9/me", attempt=1)


def granted(at: float) -> Granted:
    return Granted(at=at, account=1, call=1, route="GET /api/v9/me", waited=0.0)


def quota(lane: Lane, organization_id: int | None, remaining: int | None, total: int | None) -> QuotaChanged:
    return QuotaChanged(
        at=0.0,
        account=1,
        lane=lane,
        organization_id=organization_id,
        workspace_id=None,
        remaining=remaining,
        total=total,
        until=None,
    )


def paused(until: float, reason: Reason = Reason.QUOTA) -> Paused:
    return Paused(at=0.0, account=1, reason=reason, until=until, waiting=3)


def written(total: int, left: int) -> RowsWritten:
    return RowsWritten(dataset="time_entries", workspace_id=1, rows=1, total=total, requests_left=left)


def checked(server_seconds: int) -> RangeChecked:
    day = dt.date(2026, 1, 1)
    check = Check(workspace_id=1, first=day, last=day, rows=1, seconds=1, server_seconds=server_seconds)
    return RangeChecked(check=check)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "1 s"), (59.0, "59 s"), (60.0, "1 min 0 s"), (2861.0, "47 min 41 s"), (3720.0, "1 h 2 min")],
)
def test_durations_are_spelt_out(seconds: float, words: str) -> None:
    assert spell(seconds) == words


def test_the_watch_counts_rows_and_requests(clock: Clock) -> None:
    watch = Watch(clock=clock)
    watch.on_export(STARTED)
    for at in (100.0, 101.0, 102.0):
        watch.on_scheduler(sent(at))
    watch.on_scheduler(Answered(at=102.0, account=1, call=1, route="", status=200, elapsed=0.1))
    watch.on_export(written(2000, 10))
    watch.on_export(DatasetFinished(dataset="tags", facts=FACTS))
    watch.on_export(checked(1))
    assert (watch.rows, watch.requests) == (2000, 3)
    assert watch.datasets["tags"].finished
    assert watch.remaining() == 10.0


def test_nothing_is_expected_before_the_first_page(clock: Clock) -> None:
    watch = Watch(clock=clock)
    watch.on_scheduler(sent(100.0))
    assert watch.remaining() is None
    assert watch.wait() is None


def test_a_wait_is_in_real_seconds_and_ends_with_the_next_turn(clock: Clock) -> None:
    watch = Watch(clock=clock, speed=20.0)
    watch.on_export(STARTED)
    watch.on_export(written(1, 0))
    watch.on_scheduler(paused(300.0))
    assert watch.wait() == ("quota", 10.0)
    assert watch.remaining() == 10.0
    clock.now = 300.0
    assert watch.wait() is None
    watch.on_scheduler(paused(math.inf, Reason.PROBE))
    assert watch.wait() is None
    watch.on_scheduler(paused(400.0))
    watch.on_scheduler(granted(301.0))
    assert watch.wait() is None


def test_plain_lines_are_few(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    shown = PlainDisplay(Watch(clock=clock), clock=clock)
    shown.on_export(STARTED)
    shown.on_export(written(1000, 9))
    clock.now += 4.9
    shown.on_export(written(2000, 8))
    assert capsys.readouterr().err == ""
    clock.now += 0.2
    shown.on_scheduler(sent(clock.now))
    shown.on_export(written(3000, 7))
    shown.on_export(written(4000, 6))
    shown.on_export(DatasetFinished(dataset="tags", facts=FACTS))
    output = capsys.readouterr()
    first, second = output.err.splitlines()
    assert first.startswith("3,000 rows, 1 request, about ")
    assert second == "tags: 1,234 rows"
    assert output.out == ""


def test_plain_lines_say_long_waits_once(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    shown = PlainDisplay(Watch(clock=clock), clock=clock)
    shown.on_scheduler(granted(100.0))
    shown.on_scheduler(paused(105.0, Reason.BACKOFF))
    shown.on_scheduler(paused(2961.0))
    shown.on_scheduler(paused(2962.0))
    assert re.fullmatch(r"waiting 47 min 41 s, until \d\d:\d\d:\d\d: quota\n", capsys.readouterr().err)


def test_plain_lines_say_what_is_wrong(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    shown = PlainDisplay(Watch(clock=clock), clock=clock)
    shown.on_export(checked(1))
    shown.on_export(checked(2))
    refusal = Refusal(dataset="tasks", workspace_id=5, status=402, message="Tasks are a premium feature")
    shown.on_export(PieceRefused(refusal=refusal))
    assert capsys.readouterr().err.splitlines() == [
        "workspace 1, 2026-01-01 to 2026-01-01: the totals differ",
        "tasks of workspace 5: Tasks are a premium feature",
    ]


def test_a_terminal_gets_a_table(clock: Clock) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    with display(Watch(clock=clock), console) as shown:
        assert isinstance(shown, RichDisplay)
        shown.on_export(STARTED)
        shown.on_scheduler(sent(100.0))
        shown.on_export(written(2500, 3))
        shown.on_export(DatasetFinished(dataset="tags", facts=FACTS))
        shown.on_export(checked(2))
        shown.on_scheduler(quota(Lane.USER, None, 27, None))
        shown.on_scheduler(quota(Lane.ORGANIZATION, 5, 187, 240))
        shown.on_scheduler(quota(Lane.ORGANIZATION, 6, None, None))
        shown.on_scheduler(paused(160.0))
    output = console.file
    assert isinstance(output, io.StringIO)
    drawn = output.getvalue()
    assert "requests left in the window: user 27, organization 5 187 of 240" in drawn
    for piece in (
        "time_entries",
        "2,500",
        "done",
        "1 request",
        "waiting 1 min 0 s, until ",
        "totals differ",
    ):
        assert piece in drawn


def test_elsewhere_there_are_plain_lines(clock: Clock) -> None:
    with display(Watch(clock=clock), Console(file=io.StringIO())) as shown:
        assert isinstance(shown, PlainDisplay)
    with display(Watch(clock=clock)) as shown:  # stderr of a test is no terminal
        assert isinstance(shown, PlainDisplay)


def test_many_accounts_share_a_terminal(clock: Clock) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=160, height=6)
    watches = {name: Watch(clock=clock) for name in ("alice", "bob", "carol", "dave", "eve")}
    with display_many(watches, console) as parts:
        alice, bob, carol, *_ = parts
        for part in parts:
            part.on_export(STARTED)
        alice.on_scheduler(sent(100.0))
        alice.on_scheduler(sent(102.0))
        alice.on_export(written(2500, 6))
        alice.on_scheduler(quota(Lane.USER, None, 27, 30))
        alice.on_scheduler(paused(160.0))
        bob.on_scheduler(sent(100.0))
        bob.on_export(written(10, 1))
        bob.on_export(checked(2))
        for name in STARTED.datasets:
            carol.on_export(DatasetFinished(dataset=name, facts=FACTS))
        assert (watches["alice"].share, watches["bob"].share, watches["carol"].share) == (0.25, 0.5, 1.0)
        assert not watches["alice"].finished
    output = console.file
    assert isinstance(output, io.StringIO)
    drawn = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", output.getvalue())
    last = drawn[drawn.rindex("alice") :]
    assert re.match(r"alice +2,500 .*waiting until \d\d:\d\d:\d\d: quota, 1 min 12 s left, requests", last)
    assert "user 27 of 30" in last
    assert "bob: workspace 1, 2026-01-01 to 2026-01-01: the totals differ" in drawn
    assert "and 2 more accounts" in last  # the one that is done among them
    assert "carol" not in last
    assert "1 of 5 accounts done, 2,510 rows, 3 requests, about 1 min 12 s left, until " in last
    for part in parts:
        for name in STARTED.datasets:
            part.on_export(DatasetFinished(dataset=name, facts=FACTS))
    console = Console(file=io.StringIO(), width=160, height=20)
    console.print(ManyDisplay(watches, console))
    output = console.file
    assert isinstance(output, io.StringIO)
    assert output.getvalue().count("done\n") == 5
    assert output.getvalue().endswith("5 of 5 accounts done, 2,510 rows, 3 requests\n")


def test_many_accounts_elsewhere_have_plain_lines(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with display_many({"alice": Watch(clock=clock), "bob": Watch(clock=clock)}) as (_, bob):
        bob.on_export(STARTED)
        bob.on_scheduler(paused(160.0))
        bob.on_export(DatasetFinished(dataset="tags", facts=FACTS))
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("bob: waiting 1 min 0 s, until ")
    assert second == "bob: tags: 1,234 rows"


@pytest.mark.anyio
async def test_events_go_to_the_account_that_they_are_of(clock: Clock) -> None:
    watches = [Watch(clock=clock), Watch(clock=clock)]
    router = Router([PlainDisplay(watch) for watch in watches])

    async def work(job: int, account: int, requests: int) -> None:
        belonging_to(job)

        async def send() -> None:
            router.on_scheduler(attrs.evolve(sent(100.0), account=account))

        await asyncio.gather(*(send() for _ in range(requests)))

    await asyncio.gather(work(1, 7, 3), work(0, 8, 2))
    router.on_scheduler(attrs.evolve(sent(100.0), account=7))  # from nobody's task
    router.on_scheduler(attrs.evolve(sent(100.0), account=0))  # of all accounts, so of none
    assert [watch.requests for watch in watches] == [2, 4]


@pytest.mark.anyio
async def test_the_time_of_the_loop_is_known_to_the_thread_that_draws() -> None:
    clock = _LoopClock()
    assert clock() == 0.0
    clock.start()
    before = asyncio.get_running_loop().time()
    assert before <= await asyncio.to_thread(clock) <= asyncio.get_running_loop().time()


def test_a_terminal_that_cannot_move_its_cursor_has_plain_lines(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "dumb")
    console = Console(file=io.StringIO(), force_terminal=True)
    with display(Watch(clock=clock), console) as shown:
        assert isinstance(shown, PlainDisplay)
    with display_many({"ann": Watch(clock=clock)}, console) as parts:
        assert all(isinstance(part, PlainDisplay) for part in parts)


def test_trouble_cannot_steer_the_terminal(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    written = io.StringIO()
    shown = RichDisplay(Watch(clock=clock), Console(file=written, force_terminal=True, width=100))
    refusal = Refusal(dataset="tags", workspace_id=7, status=403, message="\x1b]0;owned\x07")
    shown.on_export(PieceRefused(refusal=refusal))
    assert written.getvalue() == "tags of workspace 7: \\u001b]0;owned\\u0007\n"
