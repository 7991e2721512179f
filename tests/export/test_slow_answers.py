"""Long ranges are cut in two when answers are slow, so that the pace is used."""

import asyncio
import datetime as dt
from pathlib import Path

import httpx
import pytest

from support.export_company import FIRST, NOW, Company, Entry
from support.export_written import ids
from toggl_async import ApiToken, TogglClient
from toggl_async.export import ExportPlan, Manifest, RowsWritten, export

pytestmark = [pytest.mark.anyio, pytest.mark.jump]

PLAN = ExportPlan(
    datasets=("time_entries",), workspaces=(FIRST,), since=dt.date(2025, 8, 1), until=dt.date(2026, 6, 30)
)
ROWS = 600


class Slow(Company):
    """Answers take their time."""

    seconds = 8.0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(self.seconds)
        return await super().handle_async_request(request)


def company(seconds: float) -> Slow:
    slow = Slow(0, page=10)
    slow.seconds = seconds
    half_day = dt.timedelta(hours=12)
    slow.entries = [Entry(number, FIRST, NOW - number * half_day) for number in range(1, ROWS + 1)]
    return slow


async def run(server: Company, directory: Path, **options: object) -> Manifest:
    async with TogglClient(ApiToken("made-up"), transport=server) as client:
        return await export(client, PLAN, directory, **options)  # type: ignore[arg-type]


async def test_slow_answers_are_asked_for_at_once(tmp_path: Path) -> None:
    slow, fast = company(8.0), company(0.1)
    cut = await run(slow, tmp_path / "slow")
    whole = await run(fast, tmp_path / "fast")
    assert ids(tmp_path / "slow", "jsonl") == ids(tmp_path / "fast", "jsonl") == list(range(1, ROWS + 1))
    assert whole.requests == 5 + ROWS / 10 - 2
    assert cut.requests <= 1.05 * ROWS / 10 + 2 + 3
    # One after the other they would take eight seconds each.
    assert cut.duration < 0.6 * 8 * cut.requests
    assert cut.totals_agree is True
    assert len({body["start_date"] for body in slow.asked("search/time_entries")}) > 1


async def test_a_cut_export_goes_on_after_it_was_stopped(tmp_path: Path) -> None:
    slow = company(8.0)
    task: asyncio.Task[Manifest]
    written = 0

    def stop(event: object) -> None:
        nonlocal written
        written += isinstance(event, RowsWritten)
        if written % 7 == 0:
            task.cancel()

    for _ in range(60):
        task = asyncio.ensure_future(run(slow, tmp_path, on_event=stop))
        try:
            await task
        except asyncio.CancelledError:
            written += 1
            continue
        break
    assert ids(tmp_path, "jsonl") == list(range(1, ROWS + 1))
    lines = (tmp_path / "time_entries.jsonl").read_bytes().splitlines()
    assert len(lines) == ROWS
