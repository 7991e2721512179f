"""What is logged, at which level, and how a program without logging sees it."""

import asyncio
import logging
import os
import re
import subprocess
import sys

import httpx
import pytest

from support.model import NGINX
from support.support_wire import TOKEN, Received, answer, raw_server
from toggl_async import ApiToken, ClientOptions, Cooldown, EndpointGone, Pace, RequestFailed, TogglClient

LOGGER = "toggl_async.scheduler"
SECRET = "5e5a3e"
TAGS = "/api/v9/workspaces/314159/tags"


def lines(caplog: pytest.LogCaptureFixture, level: int = logging.DEBUG) -> list[tuple[str, str]]:
    return [
        (record.levelname, record.getMessage())
        for record in caplog.records
        if record.name == LOGGER and record.levelno >= level
    ]


@pytest.mark.anyio
async def test_each_request_is_one_line_at_debug(caplog: pytest.LogCaptureFixture) -> None:
    left = iter([503, 200])

    def answering(received: Received) -> bytes:
        headers = {"X-Toggl-Quota-Remaining": "28", "X-Toggl-Quota-Resets-In": "60"}
        return answer(next(left), b"[]", headers)

    caplog.set_level(logging.DEBUG, LOGGER)
    async with raw_server(answering) as server, server.client() as toggl:
        await toggl.request("GET", TAGS, params={"code": SECRET})
    (failed, done) = [message for _, message in lines(caplog)]
    route = "account 1: GET /api/v9/workspaces/{workspace_id}/tags: "
    assert failed.startswith(f"{route}503 in ")
    assert failed.endswith(" ms (attempt 1, waited 0.0 s, 28 left this hour)")
    assert done.startswith(f"{route}200 in ")
    assert "(attempt 2, waited 0.0 s, 28 left this hour)" in done
    for secret in (TOKEN, SECRET, "314159"):
        assert secret not in str(lines(caplog))


@pytest.mark.anyio
@pytest.mark.parametrize(
    "secret",
    [
        "ann@example.com",
        "ann%40example.com",
        "https%3A%2F%2Fexample.com",
        "203.0.113.7",
        "A1b2C3",
        "a1b2c3",
        "1a2b",
        "QWxhZGRpbg==",
        "Xk",
        "qwertyuiopasdfghjklzxcvbnm",
        "deadbeef-dead-beef-dead-beefdeadbeef",
        "8f14e45f-ceea-467f-a1d6-a3f1c1c1f1c1",
        "eyJhbGciOiJIUzI1NiJ9.e30.c2ln",
        "~ann",
    ],
)
async def test_a_path_that_is_not_known_is_logged_with_names(
    secret: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, LOGGER)
    async with raw_server(lambda _: answer(410, "Gone")) as server, server.client() as toggl:
        with pytest.raises(EndpointGone) as caught:
            await toggl.request("GET", f"/api/v9/new_things/{secret}/sign-in.csv")
        with pytest.raises(EndpointGone):
            await toggl.request("GET", f"/api/v9/new_things/{secret}/sign-in.csv")
    told = " ".join(record.getMessage() for record in caplog.records)
    assert "GET /api/v9/new_things/{id}/sign-in.csv: 410 in " in told
    assert secret not in told
    assert secret not in str(caught.value) or secret == "203.0.113.7"


@pytest.mark.anyio
async def test_a_request_without_answer_is_one_line_too(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, LOGGER)
    async with raw_server(lambda _: None) as server, server.client() as toggl:
        with pytest.raises(RequestFailed):
            await toggl.request("POST", TAGS, json={"name": SECRET})
    ((_, told),) = lines(caplog)
    assert told == (
        "account 1: POST /api/v9/workspaces/{workspace_id}/tags: RemoteProtocolError "
        "(attempt 1, waited 0.0 s, may have been sent)"
    )


@pytest.mark.anyio
async def test_nothing_is_made_for_a_level_that_nobody_reads(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, LOGGER)
    async with raw_server(lambda _: answer()) as server, server.client() as toggl:
        await toggl.request("GET", TAGS)
    assert lines(caplog) == []


@pytest.mark.jump
@pytest.mark.anyio
@pytest.mark.parametrize(("rest", "level"), [(5, None), (30, "INFO"), (90, "WARNING")])
async def test_a_long_wait_is_told_and_a_very_long_one_is_a_warning(
    rest: float, level: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, LOGGER)
    answers = iter([httpx.Response(429, html=NGINX), httpx.Response(200, json=[])])
    transport = httpx.MockTransport(lambda _: next(answers))
    options = ClientOptions(cooldown=Cooldown(minimum=rest, maximum=rest))
    async with TogglClient(ApiToken(TOKEN), transport=transport, options=options) as toggl:
        await toggl.request("GET", TAGS)
    told = [(level, f"account 1: 1 call is waiting for {rest:.0f} s: cool-down")] if level else []
    assert lines(caplog) == told


@pytest.mark.jump
@pytest.mark.anyio
async def test_a_queue_is_told_once_a_level(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, LOGGER)
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json=[]))
    options = ClientOptions(pace=Pace(interval=1, margin=0))
    async with TogglClient(ApiToken(TOKEN), transport=transport, options=options) as toggl:
        await asyncio.gather(*(toggl.request("GET", f"/api/v9/me/{n}") for n in range(70)))
    assert lines(caplog) == [
        ("INFO", "account 1: 10 calls are waiting, the last for at least 11 s: queue"),
        ("WARNING", "account 1: 60 calls are waiting, the last for at least 61 s: queue"),
    ]


def run(code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **variables}
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )


PROGRAM = """
import logging, toggl_async
for name in ("toggl_async.scheduler", "httpcore", "root"):
    logging.getLogger(name).info("from %s", name)
"""


def test_the_variable_shows_the_log_of_the_library_alone() -> None:
    told = run(PROGRAM, TOGGL_LOG="Debug").stderr
    assert re.fullmatch(r"\S+ \S+ INFO toggl_async.scheduler: from toggl_async.scheduler\n", told)


@pytest.mark.parametrize("value", ["", "warning"])
def test_without_it_or_at_another_level_nothing_is_shown(value: str) -> None:
    assert run(PROGRAM, TOGGL_LOG=value).stderr == ""


def test_what_is_no_level_is_told() -> None:
    assert run(PROGRAM, TOGGL_LOG="loud").stderr == (
        "TOGGL_LOG must be one of debug, info, warning, error, not 'loud'; it is ignored\n"
    )


def test_a_program_that_has_set_up_logging_gets_each_line_once() -> None:
    set_up = "import logging; logging.basicConfig(format='mine: %(message)s');"
    assert run(set_up + PROGRAM, TOGGL_LOG="info").stderr == "mine: from toggl_async.scheduler\n"


def test_the_module_is_loaded_only_where_the_variable_is_set() -> None:
    code = "import sys, toggl_async; print('toggl_async._logs' in sys.modules)"
    assert run(code, TOGGL_LOG="").stdout == "False\n"
    assert run(code, TOGGL_LOG="error").stdout == "True\n"
