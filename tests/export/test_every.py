"""A mirror that is kept fresh: rounds, what ends one of them and what ends all, quotas, files."""

import asyncio
import gc
import math
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.sandbox_asgi import BASE_URL, World, world
from toggl_async import (
    ApiToken,
    ClientOptions,
    InvalidInput,
    LoginRefused,
    MaxWaitExceeded,
    Pace,
    QuotaPolicy,
    RequestTimeout,
    Retry,
    TogglClient,
)
from toggl_async.export import ExportPlan, Mirror, RefreshRound, export_every, refresh_every
from toggl_async.sandbox import Fault, FaultPlan

pytestmark = [pytest.mark.anyio, pytest.mark.jump]

TAGS = ExportPlan(datasets=("tags",))
ROOMY: dict[str, Any] = {"org_quota": 10_000, "user_quota": 10_000}
HOUR = 3600


class Line(httpx.AsyncBaseTransport):
    """A connection that may be cut."""

    def __init__(self, running: World) -> None:
        self._inner = httpx.ASGITransport(running.app)
        self.is_cut = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self.is_cut:
            raise httpx.ConnectError("no route to host")
        return await self._inner.handle_async_request(request)


async def first(rounds: AsyncGenerator[RefreshRound, None], count: int) -> list[RefreshRound]:
    """So many rounds, after which nobody asks for another."""
    told: list[RefreshRound] = []
    async with aclosing(rounds):
        async for one in rounds:
            told.append(one)
            if len(told) == count:
                break
    return told


def rename(running: World, name: str) -> None:
    next(iter(running.company.tags.values())).name = name


async def test_the_first_round_reads_everything_and_the_others_what_the_quota_allows(tmp_path: Path) -> None:
    async with world(org_quota=30, user_quota=30) as running, running.client() as toggl:
        read, requests = [], []
        async with aclosing(refresh_every(toggl, ExportPlan(), tmp_path / "m.sqlite", every=600)) as rounds:
            async for one in rounds:
                assert one.error is None
                assert one.manifest is not None
                read.append(one.manifest.read)
                requests.append(one.manifest.requests)
                if len(read) == 20:
                    break
        assert running.counts.refused == {402: 0, 429: 0}
    assert len(read[0]) == 9
    assert all("time_entries" in names for names in read)
    assert {name for names in read[1:] for name in names} == set(read[0])
    assert min(requests) < 10


async def test_where_there_is_no_quota_each_round_reads_everything(tmp_path: Path) -> None:
    async with world(org_quota=math.inf, user_quota=math.inf) as running, running.client() as toggl:
        read = []
        async with aclosing(refresh_every(toggl, ExportPlan(), tmp_path / "m.sqlite", every=600)) as rounds:
            async for one in rounds:
                assert one.manifest is not None
                read.append(one.manifest.read)
                if len(read) == 3:
                    break
    assert {len(names) for names in read} == {9}


async def test_rounds_come_at_their_time_and_a_long_one_is_followed_at_once(
    tmp_path: Path, anyio_backend: object
) -> None:
    async with world(**ROOMY) as running, running.client() as toggl:
        for every, pause in ((HOUR, True), (1, False)):
            begun, next_in = [], []
            arguments = (toggl, TAGS, tmp_path / "m.sqlite")
            async with aclosing(refresh_every(*arguments, every=every)) as rounds:
                async for one in rounds:
                    begun.append(running.clock.now())
                    next_in.append(one.next_in)
                    if len(begun) == 4:
                        break
            assert all((one > 0) is pause for one in next_in)
            if pause:
                assert begun[3] - begun[1] == pytest.approx(2 * HOUR, abs=5)


async def test_what_came_is_counted(tmp_path: Path) -> None:
    async with world(**ROOMY) as running, running.client() as toggl:
        company, changes = running.company, []
        async with aclosing(refresh_every(toggl, ExportPlan(), tmp_path / "m.sqlite", every=600)) as rounds:
            async for one in rounds:
                assert one.manifest is not None
                changes.append(one.manifest.changes)
                if len(changes) == 4:
                    break
                if len(changes) == 2:
                    rename(running, "renamed")
                if len(changes) == 1:
                    gone, edited, *_ = company.reported(next(iter(company.workspaces)))
                    gone.deleted = int(running.clock.now())
                    edited.description = "edited"
                    for entry in (gone, edited):
                        company.touch(entry, running.clock.now())
    first, second, third, fourth = changes
    assert first["tags"].added == 5
    assert (second["time_entries"].added, second["time_entries"].edited, second["time_entries"].deleted) == (
        0, 1, 1,
    )  # fmt: skip
    assert second.keys() == {"time_entries"}
    assert (third["tags"].added, third["tags"].edited, third["tags"].deleted) == (0, 1, 0)
    assert fourth == {}


@pytest.mark.parametrize("accident", ["network", "500", "429", "busy", "disk"])
async def test_what_ends_one_round_does_not_end_the_next(
    tmp_path: Path, accident: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world(**ROOMY) as running:
        line, url = Line(running), tmp_path / "m.sqlite"
        options = ClientOptions(timeout=None, pace=Pace(interval=0), retry=Retry(attempts=2))
        token = ApiToken(running.company.account.api_token)
        told: list[RefreshRound] = []
        async with (
            TogglClient(token, base_url=BASE_URL, transport=line, options=options) as toggl,
            aclosing(refresh_every(toggl, TAGS, url, every=600)) as rounds,
            Mirror(url) as mirror,
        ):
            async for one in rounds:
                told.append(one)
                if len(told) == 3:
                    break
                with monkeypatch.context() as patch:
                    line.is_cut = accident == "network" and len(told) == 1
                    if accident in {"500", "429"} and len(told) == 1:
                        running.faults.order(Fault(status=int(accident)), times=2)
                    if len(told) == 1 and accident in {"busy", "disk"}:
                        patch.setattr(mirror.__class__, "__aenter__", _failing(accident))
                        told.append(await anext(rounds))
                rename(running, "renamed meanwhile")
            names = await mirror.sql("SELECT name FROM tags WHERE deleted_at IS NULL")
    first, second, third = told
    assert first.error is third.error is None
    assert (second.manifest is None) is (accident != "429")  # that is waited for, and the call sent again
    assert third.next_in > 0
    assert "renamed meanwhile" in {row["name"] for row in names}


def _failing(accident: str) -> Any:
    async def fail(_: object) -> None:
        if accident == "busy":
            raise InvalidInput("another run is writing to it")
        raise OSError(28, "No space left on device")

    return fail


async def test_refused_credentials_end_it(tmp_path: Path) -> None:
    async with world(**ROOMY) as running, running.client() as toggl:
        rounds = refresh_every(toggl, TAGS, tmp_path / "m.sqlite", every=600)
        assert (await anext(rounds)).error is None
        running.faults.order(Fault(status=403, body='"Incorrect username and/or password"'), times=9)
        with pytest.raises(LoginRefused):
            await anext(rounds)
        assert [one async for one in rounds] == []


async def test_bad_input_ends_it_at_once(tmp_path: Path) -> None:
    (tmp_path / "m.sqlite").write_text("something else")
    async with world(**ROOMY) as running, running.client() as toggl:
        with pytest.raises(InvalidInput):
            await anext(refresh_every(toggl, TAGS, tmp_path / "m.sqlite", every=600))
        for every in (0, -1, float("nan")):
            with pytest.raises(InvalidInput, match="every must be more than 0 seconds"):
                await anext(refresh_every(toggl, TAGS, tmp_path / "n.sqlite", every=every))
        (there := tmp_path / "there").mkdir()
        (there / "notes.txt").write_text("something else")
        for destination, form in ((there, None), (tmp_path / "new", "xml")):
            with pytest.raises(InvalidInput):
                await anext(export_every(toggl, TAGS, destination, every=600, format=form))
        assert running.counts.requests == 0
    assert {path.name for path in tmp_path.iterdir()} == {"m.sqlite", "there"}


async def test_what_only_the_account_can_tell_ends_the_first_round(tmp_path: Path) -> None:
    """No later round of this plan could do better."""
    async with world(**ROOMY) as running, running.client() as toggl:
        with pytest.raises(InvalidInput, match="unknown workspace 1; the token sees "):
            await anext(refresh_every(toggl, ExportPlan(workspaces=(1,)), tmp_path / "m.sqlite", every=600))


async def test_a_used_up_quota_is_waited_for_and_the_reserve_is_left(tmp_path: Path) -> None:
    policy = QuotaPolicy(reserve=7)
    async with world(org_quota=12, user_quota=20) as running, running.client(quota=policy) as toggl:
        told = await first(refresh_every(toggl, ExportPlan(), tmp_path / "m.sqlite", every=60), 12)
        assert running.counts.refused == {402: 0, 429: 0}
        organization = next(iter(running.company.organizations))
        arrivals = running.counts.arrivals(running.company.account.id)
    assert {one.error for one in told} == {None}
    assert any(one.waits_for_quota for one in told)
    totals = {quota.organization_id: quota.total for quota in told[-1].quotas}
    assert totals == {None: 13, organization: 5}
    assert arrivals[-1] - arrivals[0] > 5 * HOUR


@pytest.mark.slow
async def test_where_toggl_does_not_tell_the_totals(tmp_path: Path) -> None:
    async with world(org_quota=30, user_quota=30) as running, running.client() as toggl:
        running.faults.order(Fault(status=404), route="GET /api/v9/me/quota", times=9)
        told = await first(refresh_every(toggl, ExportPlan(), tmp_path / "m.sqlite", every=600), 9)
        assert running.counts.refused == {402: 0, 429: 0}
    assert {one.error for one in told} == {None}
    assert {quota.total for one in told for quota in one.quotas} == {None}


async def test_a_bounded_wait_ends_the_round_and_the_next_one_goes_on(tmp_path: Path) -> None:
    async with world(org_quota=4, user_quota=20) as running, running.client() as toggl:
        plan, told = ExportPlan(datasets=("tags", "users", "groups", "clients", "projects")), []
        rounds = refresh_every(toggl, plan, tmp_path / "m.sqlite", every=600, max_wait=60)
        async with aclosing(rounds):
            async for one in rounds:
                told.append(one)
                if one.manifest is not None:
                    break
        asked = running.counts.asked["GET /api/v9/workspaces/{workspace_id}/tags"]
    assert isinstance(told[0].error, MaxWaitExceeded)
    assert 500 < told[0].next_in < 600
    assert asked == 4  # two pages in each workspace: no committed one is asked for again


async def test_a_bounded_wait_for_the_first_request(tmp_path: Path) -> None:
    async with (
        world(user_quota=2) as running,
        running.client() as toggl,
        Mirror(tmp_path / "m.sqlite") as mirror,
    ):
        for _ in range(2):
            await toggl.me.get()
        with pytest.raises(MaxWaitExceeded) as ended:
            await mirror.refresh(toggl, TAGS, max_wait=60)
        assert (ended.value.reason, ended.value.max_wait) == ("quota", 60)
        assert running.counts.requests == 2
        await mirror.refresh(toggl, TAGS, max_wait=2 * HOUR)  # that is enough


async def test_the_wait_of_another_account_ends_no_run(tmp_path: Path) -> None:
    slow = FaultPlan(latency=10)
    async with world(user_quota=2, faults=slow) as running, running.client() as toggl:
        other = next(one for one in running.company.people.values() if one is not running.company.account)
        waiting = TogglClient(
            ApiToken(other.api_token),
            base_url=BASE_URL,
            transport=httpx.ASGITransport(running.app),
            scheduler=toggl.scheduler,
        )
        async with waiting, Mirror(tmp_path / "m.sqlite") as mirror:
            for _ in range(2):
                await waiting.me.get()
            call = asyncio.create_task(waiting.with_options(max_wait=None).me.get())
            assert (await mirror.refresh(toggl, TAGS, max_wait=60)).complete
            assert not call.done()
            await call


async def test_a_request_that_times_out_is_no_bounded_wait(tmp_path: Path) -> None:
    class Slow(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            raise httpx.ReadTimeout("too slow")

    options = ClientOptions(retry=Retry(attempts=1))
    async with (
        TogglClient(ApiToken("made-up"), base_url=BASE_URL, transport=Slow(), options=options) as toggl,
        Mirror(tmp_path / "m.sqlite") as mirror,
    ):
        with pytest.raises(RequestTimeout):
            await mirror.refresh(toggl, TAGS, max_wait=60)


async def test_a_round_that_was_broken_off_is_gone_on_with(tmp_path: Path) -> None:
    async def begun(rounds: AsyncGenerator[RefreshRound, None]) -> RefreshRound:
        async with aclosing(rounds):
            return await anext(rounds)

    async with world(**ROOMY) as running, running.client() as toggl:
        running.faults.order(
            Fault(status=403, body='"Incorrect username and/or password"'),
            route="GET /api/v9/workspaces/{workspace_id}/tasks",
        )
        with pytest.raises(LoginRefused):
            await begun(refresh_every(toggl, ExportPlan(), tmp_path / "m.sqlite", every=600))
        spent = running.counts.requests
        toggl.scheduler.forget_refusals()
        one = await begun(refresh_every(toggl, ExportPlan(), tmp_path / "m.sqlite", every=600))
        assert one.manifest is not None
        assert one.manifest.complete
        assert running.counts.requests - spent < 40


async def test_files_are_written_anew_only_when_something_changed(tmp_path: Path) -> None:
    directory = tmp_path / "out"
    async with world(**ROOMY) as running, running.client() as toggl:
        file, seen = directory / "tags.jsonl", []
        async with aclosing(export_every(toggl, TAGS, directory, every=600)) as rounds:
            async for one in rounds:
                assert one.manifest is not None
                assert one.manifest.files["tags.jsonl"].bytes == file.stat().st_size
                seen.append((file.stat().st_ino, file.read_bytes()))
                match len(seen):
                    case 2:
                        rename(running, "renamed")
                    case 3:
                        file.write_bytes(b"edited by hand")
                    case 4:
                        async with Mirror(directory / "mirror.sqlite") as mirror:
                            await mirror.forget(workspace=next(iter(running.company.workspaces)))
                    case 5:
                        break
    inodes, contents = zip(*seen, strict=True)
    assert inodes[0] == inodes[1]
    assert contents[0] == contents[1] != contents[2]
    assert contents[2] == contents[3]  # as they were before somebody edited them
    assert contents[3] != b"edited by hand"
    assert sorted(contents[4].splitlines()) == sorted(contents[3].splitlines())  # Toggl still has it


@pytest.mark.slow
async def test_nothing_grows_from_round_to_round(tmp_path: Path) -> None:
    async with world(**ROOMY) as running, running.client() as toggl:
        held: dict[int, int] = {}
        number = 0
        async with aclosing(refresh_every(toggl, TAGS, tmp_path / "m.sqlite", every=600)) as rounds:
            async for _ in rounds:
                number += 1
                if number in {20, 60}:
                    gc.collect()
                    held[number] = len(gc.get_objects())
                if number == 60:
                    break
    assert held[60] - held[20] < 400
