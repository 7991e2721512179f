"""The sandbox in a process of its own, with what one peer still asks for: details of Reports v2.

Run as a script with `ServerOptions` as JSON for its argument. It prints its address and the token, serves
until its standard input ends, and prints its `Record` as JSON. Time runs `speed` times as fast as
Toggl's, for the bucket, the windows and the delay of answers.
"""

import asyncio
import bisect
import datetime as dt
import json
import math
import sys
from pathlib import Path
from typing import Any, Final
from unittest import mock

import attrs
from starlette.responses import Response

from toggl_async.sandbox import FastLoop, FaultPlan, SandboxOptions, answers, serve
from toggl_async.sandbox.call import ApiRequest
from toggl_async.sandbox.entities import TimeEntryRow
from toggl_async.sandbox.options import PlanName
from toggl_async.sandbox.routes import HANDLERS
from toggl_async.sandbox.timestamps import offset_utc, parse_day

__all__ = ["Record", "ServerOptions"]

V2_PAGE: Final = 50
"""Reports v2 had pages of this size, always."""


@attrs.frozen(kw_only=True)
class ServerOptions:
    """How strict the server is; times in Toggl's seconds.

    Attributes:
        now: the moment at which it begins, in ISO 8601: with one moment, all have the same data.
        truth: the file that all time entries go to, one JSON object a line, for comparison.
        speed: Toggl's seconds to a real one.
        plan: the organization's plan.
        interval: what the bucket wants between two requests; 0 for no bucket.
        quota: requests an hour to the organization, and to ``/me``; None for no limit.
        latency: how long an answer takes.
    """

    now: str
    truth: str
    speed: float
    plan: PlanName = "starter"
    interval: float = 0.0
    quota: int | None = None
    latency: float = 0.0


@attrs.frozen(kw_only=True)
class Record:
    """What the server saw.

    Attributes:
        requests: requests that came.
        throttled: those that the bucket refused with 429.
        over_quota: those that a window refused with 402.
        seconds: Toggl's seconds from the first request to the last.
    """

    requests: int
    throttled: int
    over_quota: int
    seconds: float


DETAILS: Final = "GET /reports/api/v2/workspace/{workspace_id}/details"
"""The route of Reports v2, which the sandbox does not have."""


def details(call: ApiRequest) -> Response:
    """Return a page of the details of Reports v2, oldest first; page 0 is the first, as is page 1."""
    rows = call.company.reported(call.workspace().id)
    zone = call.company.zone(call.person)
    since, until = (parse_day(call.query[name]) for name in ("since", "until"))
    begin = bisect.bisect_left(rows, zone.midnight(since), key=_start)
    end = bisect.bisect_left(rows, zone.midnight(until + dt.timedelta(days=1)), key=_start)
    first = begin + max(0, int(call.query.get("page", "1")) - 1) * V2_PAGE
    page = rows[first : min(end, first + V2_PAGE)]
    shape = {"total_count": end - begin, "per_page": V2_PAGE, "data": list(map(_v2, page))}
    return answers.json(shape)


def _start(entry: TimeEntryRow) -> int:
    return entry.start


def _v2(entry: TimeEntryRow) -> dict[str, Any]:
    return {
        "id": entry.id,
        "uid": entry.user_id,
        "pid": entry.project_id,
        "tid": entry.task_id,
        "description": entry.description,
        "dur": 1000 * (entry.seconds or 0),
        "start": offset_utc(entry.start),
        "end": offset_utc(entry.start + (entry.seconds or 0)),
        "updated": offset_utc(entry.changed // 1_000_000),
        "is_billable": entry.billable,
    }


async def main(options: ServerOptions) -> None:
    """Serve until standard input ends."""
    limit = math.inf if options.quota is None else options.quota
    sandbox = SandboxOptions(
        now=dt.datetime.fromisoformat(options.now),
        plan=options.plan,
        interval=options.interval,
        org_quota=limit,
        user_quota=limit,
        faults=FaultPlan(latency=options.latency),
    )
    async with serve(sandbox) as fake:
        truth = "".join(json.dumps(row) + "\n" for row in fake.company.dataset("time_entries"))
        await asyncio.to_thread(Path(options.truth).write_text, truth, "utf-8")
        print(json.dumps({"url": fake.base_url, "token": fake.api_token}), flush=True)
        await asyncio.to_thread(sys.stdin.read)
        moments = fake.arrivals
        record = Record(
            requests=fake.counts.requests,
            throttled=fake.counts.refused[429],
            over_quota=fake.counts.refused[402],
            seconds=moments[-1] - moments[0] if moments else 0.0,
        )
        print(json.dumps(attrs.asdict(record)), flush=True)


if __name__ == "__main__":
    given = ServerOptions(**json.loads(sys.argv[1]))
    with (
        mock.patch.dict(HANDLERS, {DETAILS: details}),
        asyncio.Runner(loop_factory=lambda: FastLoop(given.speed)) as runner,
    ):
        runner.run(main(given))
