import asyncio
import base64
import gc
import re
import warnings
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from support.loopback import nobody_listening
from support.patience import PatientLoop
from support.sandbox_world import World, until, world
from toggl_async.sandbox import SMALL, Fault, FaultPlan, Sandbox, SandboxOptions, run_forever, serve

pytestmark = pytest.mark.anyio

ME = "GET /api/v9/me"
QUOTA_TEXT = re.compile(r"quota will reset in (\d+) seconds")


@pytest.mark.slow
async def test_it_listens_on_the_loopback_and_leaves_nothing_behind() -> None:
    before = asyncio.all_tasks()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        async with world() as toggl:
            url = httpx.URL(toggl.sandbox.base_url)
            assert (url.scheme, url.host) == ("http", "127.0.0.1")
            assert (await toggl.http.get("/api/v9/me")).status_code == 200
        gc.collect()
    assert asyncio.all_tasks() == before


async def test_a_port_can_be_chosen_and_taken() -> None:
    with nobody_listening() as port:
        chosen = SandboxOptions(size=SMALL, port=port)
        status = f"http://127.0.0.1:{port}/api/v9/status"
        async with httpx.AsyncClient(verify=False, trust_env=False) as http:
            async with serve(chosen) as sandbox:
                assert sandbox.base_url == f"http://127.0.0.1:{port}"
                with pytest.raises(OSError, match="in use"):
                    async with serve(chosen):
                        pass
                assert (await http.get(status)).json() == "OK"
            with pytest.raises(httpx.ConnectError):
                await http.get(status)


async def test_it_serves_with_its_defaults() -> None:
    async with serve() as sandbox:
        assert len(sandbox.company.entries) > 25_000


async def test_it_stops_in_the_middle_of_requests_without_a_trace() -> None:
    before = asyncio.all_tasks()
    async with world() as toggl:
        toggl.sandbox.order(Fault(latency=3600.0), route=ME)
        toggl.sandbox.order(Fault(slow_body=3600.0), route="GET /api/v9/me/projects")
        waiting = [
            asyncio.create_task(toggl.http.get(path)) for path in ("/api/v9/me", "/api/v9/me/projects")
        ]
        half = await asyncio.open_connection("127.0.0.1", httpx.URL(toggl.sandbox.base_url).port)
        half[1].write(b"POST /api/v9/me HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        await until(lambda: toggl.sandbox.counts.requests == 3)
        client = toggl.http
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(result, httpx.TransportError | RuntimeError) for result in results), results
    assert client.is_closed
    half[1].close()
    assert asyncio.all_tasks() == before


async def test_run_forever_announces_and_ends_when_cancelled() -> None:
    told: list[Sandbox] = []
    task = asyncio.create_task(run_forever(SandboxOptions(size=SMALL), told.append))
    await until(lambda: bool(told))
    async with httpx.AsyncClient(verify=False, trust_env=False) as http:
        assert (await http.get(f"{told[0].base_url}/api/v9/status")).json() == "OK"
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_the_repr_hides_the_secrets() -> None:
    async with world() as toggl:
        sandbox = toggl.sandbox
        assert sandbox.api_token not in repr(sandbox)
        assert sandbox.password not in repr(sandbox)
        assert len(sandbox.api_token) == 32


async def test_the_token_or_e_mail_and_password_open_the_door() -> None:
    async with world() as toggl:
        for auth in (
            (toggl.sandbox.api_token, "api_token"),
            (toggl.sandbox.email, toggl.sandbox.password),
        ):
            answer = await toggl.http.get("/api/v9/me", auth=auth)
            assert answer.status_code == 200
            assert answer.json()["id"] == toggl.sandbox.company.owner.id


async def test_no_credentials_are_an_empty_401() -> None:
    async with world() as toggl, httpx.AsyncClient(base_url=toggl.sandbox.base_url, verify=False) as stranger:
        answer = await stranger.get("/api/v9/me")
    assert answer.status_code == 401
    assert answer.content == b""
    assert answer.headers["content-length"] == "0"
    assert answer.headers["x-authorization-missing"] == "true"
    assert "x-toggl-request-id" in answer.headers
    assert "x-toggl-quota-remaining" not in answer.headers


@pytest.mark.parametrize(
    "header",
    [
        "Basic " + base64.b64encode(b"wrong:api_token").decode(),
        "Basic " + base64.b64encode(b"person1@example.com:wrong").decode(),
        "Basic " + base64.b64encode(b":").decode(),
        "Basic " + base64.b64encode("käse:käse".encode()).decode(),
        "Basic " + base64.b64encode(b"\xff\xfe").decode(),
        "Basic !",
        "Bearer abc",
    ],
)
async def test_wrong_credentials_are_a_403_with_a_text(header: str) -> None:
    async with world() as toggl, httpx.AsyncClient(base_url=toggl.sandbox.base_url, verify=False) as stranger:
        answer = await stranger.get("/api/v9/me", headers={"Authorization": header})
    assert (answer.status_code, answer.json()) == (403, "Incorrect username and/or password")


async def test_every_answer_has_a_request_id_of_its_own_and_the_sandboxs_date() -> None:
    async with world() as toggl:
        answers = [await toggl.http.get(path) for path in ("/api/v9/me", "/api/v9/nothing")]
    assert len({answer.headers["x-toggl-request-id"] for answer in answers}) == 2
    assert {answer.headers["date"] for answer in answers} <= {"Wed, 20 May 2026 12:00:00 GMT"}


async def test_unknown_paths_and_methods() -> None:
    async with world() as toggl:
        unknown = await toggl.http.get("/api/v9/workspaces/abc")
        wrong = await toggl.http.delete("/api/v9/me")
        assert (unknown.status_code, unknown.text) == (404, "404 page not found\n")
        assert (wrong.status_code, wrong.headers["allow"]) == (405, "GET, PUT")
        assert toggl.sandbox.counts.answers("GET (unknown)") == {404: 1}


async def test_gone_routes_answer_410() -> None:
    async with world(gone={ME, "GET /api/v9/me/location"}) as toggl:
        assert (await toggl.refused("GET", "/api/v9/me"))[0] == 410
        assert (await toggl.refused("GET", "/api/v9/me/location"))[0] == 410
        assert (await toggl.http.get("/api/v9/me/tags")).status_code == 200


async def test_a_full_bucket_answers_as_nginx_does() -> None:
    async with world(interval=1.0, burst=2, user_quota=30) as toggl:
        answers = [await toggl.http.get("/api/v9/me") for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert answers[2].headers["content-type"] == "text/html"
        assert "<center>nginx</center>" in answers[2].text
        assert "429 Too Many Requests" in answers[2].text
        assert "retry-after" not in answers[2].headers
        assert "x-toggl-quota-remaining" not in answers[2].headers
        toggl.sandbox.clock.advance(1.0)
        after = await toggl.http.get("/api/v9/me")
        assert after.headers["x-toggl-quota-remaining"] == "27"  # what the bucket refused cost no quota
        assert toggl.sandbox.counts.refused == {402: 0, 429: 1}
        assert toggl.sandbox.counts.answers(ME) == {200: 3, 429: 1}
        assert toggl.sandbox.spacing.requests == 4
        assert toggl.sandbox.arrivals == sorted(toggl.sandbox.arrivals)


async def test_a_bucket_belongs_to_an_account_however_it_logs_in() -> None:
    async with world(interval=60.0, burst=1) as toggl:
        other = list(toggl.sandbox.company.people.values())[1]
        same = (toggl.sandbox.email, toggl.sandbox.password)
        assert (await toggl.http.get("/api/v9/me")).status_code == 200
        assert (await toggl.http.get("/api/v9/me", auth=same)).status_code == 429
        assert (await toggl.http.get("/api/v9/me", auth=(other.api_token, "api_token"))).status_code == 200
        assert toggl.sandbox.counts.spacing(other.id).requests == 1


async def test_both_quotas_are_counted_and_told() -> None:
    async with world(user_quota=2, org_quota=3) as toggl:
        first = await toggl.http.get("/api/v9/me")
        assert first.headers["x-toggl-quota-remaining"] == "1"
        assert first.headers["x-toggl-quota-resets-in"] == "3600"
        for path in (toggl.workspace, toggl.organization):
            assert (await toggl.http.get(path)).status_code == 200
        report = await toggl.http.post(f"{toggl.reports}/search/time_entries", json={"user_ids": [1]})
        assert report.headers["x-toggl-quota-remaining"] == "0"
        quota = await toggl.json("GET", "/api/v9/me/quota")
        organization_id = next(iter(toggl.sandbox.company.organizations))
        assert quota == [
            {"organization_id": None, "remaining": 0, "resets_in_secs": 3600, "total": 2},
            {"organization_id": organization_id, "remaining": 0, "resets_in_secs": 3600, "total": 3},
        ]
        for path in ("/api/v9/me", toggl.workspace, "/api/v9/nothing"):
            status, text = await toggl.refused("GET", path)
            assert status == 402
            assert "hourly limit" in text
            found = QUOTA_TEXT.search(text)
            assert found is not None
            assert found[1] == "3600"
        toggl.sandbox.clock.advance(3599.5)
        late = await toggl.http.get("/api/v9/me")
        assert (late.status_code, late.headers["x-toggl-quota-resets-in"]) == (402, "1")
        toggl.sandbox.clock.advance(1.0)
        fresh = await toggl.http.get("/api/v9/me")
        assert (fresh.status_code, fresh.headers["x-toggl-quota-remaining"]) == (200, "1")
        assert toggl.sandbox.counts.refused == {402: 4, 429: 0}


async def test_a_quota_of_nothing_and_one_without_end() -> None:
    async with world(user_quota=0) as toggl:
        assert (await toggl.refused("GET", "/api/v9/me"))[0] == 402
        answer = await toggl.http.get(toggl.workspace)
        assert answer.status_code == 200
        assert "x-toggl-quota-remaining" not in answer.headers


async def test_a_quota_that_is_off_is_not_listed() -> None:
    async with world(org_quota=3) as toggl:
        (quota,) = await toggl.json("GET", "/api/v9/me/quota")
        assert (quota["organization_id"] is not None, quota["total"]) == (True, 3)


async def test_a_foreign_workspace_spends_the_users_own_quota() -> None:
    async with world(user_quota=5) as toggl:
        answer = await toggl.http.get("/api/v9/workspaces/1/tags")
        assert (answer.status_code, answer.headers["x-toggl-quota-remaining"]) == (403, "4")
        answer = await toggl.http.get("/api/v9/organizations/1")
        assert (answer.status_code, answer.headers["x-toggl-quota-remaining"]) == (404, "3")


@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_errors_before_and_after_a_request_was_carried_out(status: int) -> None:
    async with world() as toggl:
        route = "POST /api/v9/workspaces/{workspace_id}/tags"
        toggl.sandbox.order(Fault(status=status), route=route)
        toggl.sandbox.order(Fault(status=status, applied=True), route=route)
        first = await toggl.http.post(f"{toggl.workspace}/tags", json={"name": "lost"})
        second = await toggl.http.post(f"{toggl.workspace}/tags", json={"name": "kept"})
        assert [first.status_code, second.status_code] == [status, status]
        assert ("nginx" in first.text) == (status != 500)
        names = {tag.name for tag in toggl.sandbox.company.tags.values()}
        assert "lost" not in names
        assert "kept" in names
        assert toggl.sandbox.counts.answers(route) == {status: 2}


async def test_resets_before_and_after_a_request_was_carried_out() -> None:
    async with world() as toggl:
        route = "POST /api/v9/workspaces/{workspace_id}/tags"
        toggl.sandbox.order(Fault(reset=True), route=route)
        toggl.sandbox.order(Fault(reset=True, applied=True), route=route)
        url = httpx.URL(toggl.sandbox.base_url)
        _, bystander = await asyncio.open_connection(url.host, url.port)
        for name in ("lost", "kept"):
            with pytest.raises(httpx.ReadError):
                await toggl.http.post(f"{toggl.workspace}/tags", json={"name": name})
        names = {tag.name for tag in toggl.sandbox.company.tags.values()}
        assert "lost" not in names
        assert "kept" in names
        assert toggl.sandbox.counts.answers(route) == {0: 2}
        assert not bystander.is_closing()
        bystander.close()
        assert (await toggl.http.get("/api/v9/me")).status_code == 200


async def test_a_reset_is_one_and_no_orderly_end() -> None:
    async with world() as toggl:
        toggl.sandbox.order(Fault(reset=True))
        url = httpx.URL(toggl.sandbox.base_url)
        reader, writer = await asyncio.open_connection(url.host, url.port)
        writer.write(b"GET /api/v9/me HTTP/1.1\r\nHost: x\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            await reader.read()
        writer.close()


async def test_planned_faults_happen() -> None:
    async with world(faults=FaultPlan(error_before=1.0, statuses=(503,))) as toggl:
        assert (await toggl.http.get("/api/v9/me")).status_code == 503


def on_a_fast_loop(test: Callable[[], Any]) -> Any:
    """Run a coroutine whose seconds of waiting pass a thousand times as fast."""
    with asyncio.Runner(loop_factory=lambda: PatientLoop(1000.0)) as runner:
        return runner.run(test())


def test_latency_takes_the_sandboxs_seconds() -> None:
    async def main() -> float:
        async with world(faults=FaultPlan(latency=30.0)) as toggl:
            began = toggl.sandbox.clock.now()
            assert (await toggl.http.get("/api/v9/me", timeout=None)).status_code == 200
            return toggl.sandbox.clock.now() - began

    assert on_a_fast_loop(main) == pytest.approx(30, abs=0.01)


def test_slow_bodies_arrive_in_pieces_and_whole() -> None:
    async def main() -> tuple[float, int, bool]:
        async with world(faults=FaultPlan(slow_bodies=1.0, slow_seconds=20.0)) as toggl:
            toggl.http.timeout = httpx.Timeout(None)
            began = toggl.sandbox.clock.now()
            async with toggl.http.stream("GET", "/api/v9/me/projects") as answer:
                pieces = [piece async for piece in answer.aiter_raw()]
            took = toggl.sandbox.clock.now() - began
            toggl.sandbox.order(Fault())
            whole = (await toggl.http.get("/api/v9/me/projects")).content
            assert (await toggl.http.get("/api/v9/me/logged")).content == b""
            return took, len(pieces), b"".join(pieces) == whole

    took, pieces, same = on_a_fast_loop(main)
    assert took == pytest.approx(20, abs=0.01)
    assert pieces > 3
    assert same


async def test_the_sandboxs_own_speed_runs_its_clock() -> None:
    async with world(speed=1_000_000.0) as toggl:
        loop = asyncio.get_running_loop()
        began, moment = toggl.sandbox.clock.now(), loop.time()
        await asyncio.sleep(0.002)
        passed = (loop.time() - moment) * 1_000_000.0
        assert passed >= 2000
        assert toggl.sandbox.clock.now() - began == pytest.approx(passed)


def test_a_paced_client_on_a_fast_loop_meets_no_refusal() -> None:
    async def main() -> World:
        async with world(interval=1.0, burst=2) as toggl:
            loop = asyncio.get_running_loop()
            await toggl.http.get("/api/v9/status", timeout=None)  # connecting takes time of its own
            await asyncio.sleep(5)
            toggl.sandbox.counts.reset()
            for _ in range(15):
                sent = loop.time()
                assert (await toggl.http.get("/api/v9/me", timeout=None)).status_code == 200
                await asyncio.sleep(1.05 - (loop.time() - sent))
            return toggl

    toggl = on_a_fast_loop(main)
    assert toggl.sandbox.counts.refused[429] == 0
    assert toggl.sandbox.spacing.mean >= 1.0


async def test_a_client_that_leaves_midway_harms_nobody() -> None:
    async with world() as toggl:
        port = httpx.URL(toggl.sandbox.base_url).port
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"PUT /api/v9/me HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        await until(lambda: toggl.sandbox.counts.requests == 1)
        writer.close()
        await writer.wait_closed()
        assert (await toggl.http.get("/api/v9/me")).status_code == 200
        assert toggl.sandbox.counts.statuses == {200: 1}
