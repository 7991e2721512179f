import asyncio
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any
from unittest import mock

import httpx
import pytest

from toggl_async import QuotaExceeded, TogglClient
from toggl_async.sandbox import Sandbox
from toggl_async.sandbox.options import SMALL


def test_a_synchronous_program_can_ask_it(toggl_sandbox: Sandbox) -> None:
    auth = (toggl_sandbox.api_token, "api_token")
    with httpx.Client(auth=auth, trust_env=False, timeout=None) as http:
        for _ in range(10):
            assert http.get(f"{toggl_sandbox.base_url}/api/v9/me").status_code == 200
    assert toggl_sandbox.counts.refused == {402: 0, 429: 0}
    assert len(toggl_sandbox.company.people) == SMALL.people


@pytest.mark.toggl_sandbox(plan="free", user_quota=1)
def test_a_marker_sets_its_options(toggl_sandbox: Sandbox) -> None:
    auth = (toggl_sandbox.api_token, "api_token")
    url = f"{toggl_sandbox.base_url}/api/v9/me/organizations"
    answers = [httpx.get(url, auth=auth, trust_env=False, timeout=None) for _ in range(2)]
    assert answers[0].json()[0]["pricing_plan_name"] == "Free"
    assert answers[1].status_code == 402


@pytest.mark.anyio
async def test_an_asynchronous_program_can_ask_it(toggl_sandbox: Sandbox) -> None:
    async with httpx.AsyncClient(verify=False, trust_env=False, timeout=None) as http:
        answer = await http.get(f"{toggl_sandbox.base_url}/api/v9/status")
    assert answer.json() == "OK"


@pytest.mark.slow
def test_the_thread_ends_with_the_test(tmp_path: Path) -> None:
    program = """
        import threading

        import httpx
        import pytest

        seen = []

        def test_it_runs(toggl_sandbox):
            seen.append(toggl_sandbox.base_url)
            assert any(known.name == "toggl-sandbox" for known in threading.enumerate())

        def test_it_is_gone():
            assert not any(known.name == "toggl-sandbox" for known in threading.enumerate())
            with pytest.raises(httpx.ConnectError):
                httpx.get(f"{seen[0]}/api/v9/status", trust_env=False)

        @pytest.mark.toggl_sandbox(speed=0)
        def test_it_does_not_start(toggl_sandbox):
            pass

        @pytest.mark.toggl_sandbox("free")
        def test_it_would_have_another_plan(toggl_sandbox):
            pass
        """
    (tmp_path / "test_program.py").write_text(textwrap.dedent(program), "utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_program.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "2 passed, 2 errors" in done.stdout
    assert "'speed' must be > 0" in done.stdout
    assert "toggl_sandbox takes only keyword arguments, not 'free': write @pytest.mark." in done.stdout


def test_without_the_extra_it_names_the_extra(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "toggl_async.sandbox.server", raising=False)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(pytest.fail.Exception, match=r"uvicorn is not installed; .* the extra 'sandbox'"):
        request.getfixturevalue("toggl_sandbox")


def test_the_marker_is_registered(pytestconfig: pytest.Config) -> None:
    markers: Any = pytestconfig.getini("markers")
    assert any(line.startswith("toggl_sandbox(") for line in markers)


@pytest.mark.anyio
async def test_a_hundred_calls_of_the_client_take_no_time_of_their_own(
    toggl_client: TogglClient, toggl_sandbox: Sandbox
) -> None:
    loop = asyncio.get_running_loop()
    waits: list[float] = []

    def call_at(when: float, *args: Any, **more: Any) -> asyncio.TimerHandle:
        waits.append(when - loop.time())
        return asyncio.SelectorEventLoop.call_at(loop, when, *args, **more)  # type: ignore[arg-type]

    with mock.patch.object(loop, "call_at", call_at):
        async with toggl_client as toggl:
            tags = toggl.workspace(min(toggl_sandbox.company.workspaces)).tags
            for _ in range(100):
                await tags.list()
    assert toggl_sandbox.counts.statuses == {200: 100}
    # A pace would be timers of about a second. Connecting has one of a quarter, and timeouts are longer.
    assert [seconds for seconds in waits if 0.5 < seconds < 2] == []


@pytest.mark.anyio
@pytest.mark.toggl_sandbox(user_quota=1)
async def test_the_client_does_not_wait_for_a_quota(toggl_client: TogglClient) -> None:
    async with toggl_client as toggl:
        await toggl.me.get()
        with pytest.raises(QuotaExceeded):
            await toggl.me.get()


def test_a_program_in_another_process_gets_its_environment(toggl_sandbox: Sandbox) -> None:
    program = (
        "import asyncio\n"
        "from toggl_async import TogglClient\n"
        "async def main():\n"
        "    async with TogglClient.from_env() as toggl:\n"
        "        print((await toggl.me.get()).email)\n"
        "asyncio.run(main())\n"
    )
    environment = os.environ | toggl_sandbox.environment
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == toggl_sandbox.email


def test_time_is_moved_from_the_tests_own_thread(toggl_sandbox: Sandbox) -> None:
    before = toggl_sandbox.now
    toggl_sandbox.advance(hours=1)
    assert (toggl_sandbox.now - before).total_seconds() >= 3600
    assert toggl_sandbox.next_day().added
    with pytest.raises(ValueError, match="backwards"):
        toggl_sandbox.advance(seconds=-1)
