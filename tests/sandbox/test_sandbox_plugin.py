import sys
import threading
from typing import Any

import httpx
import pytest

from support.loopback import nobody_listening
from toggl_async.sandbox import Sandbox
from toggl_async.sandbox.options import SMALL, SandboxOptions
from toggl_async.sandbox.pytest_plugin import _SandboxThread


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


def test_the_thread_ends_with_the_test() -> None:
    with nobody_listening() as port:
        thread = _SandboxThread(SandboxOptions(size=SMALL, port=port))
        sandbox = thread.start()
        assert any(known.name == "toggl-sandbox" for known in threading.enumerate())
        thread.stop()
        assert not any(known.name == "toggl-sandbox" for known in threading.enumerate())
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{sandbox.base_url}/api/v9/status", trust_env=False)


def test_what_keeps_it_from_starting_is_raised_in_the_test(toggl_sandbox: Sandbox) -> None:
    port = int(toggl_sandbox.base_url.rsplit(":", 1)[1])
    with pytest.raises(OSError, match="in use"):
        _SandboxThread(SandboxOptions(size=SMALL, port=port)).start()


def test_without_the_extra_it_names_the_extra(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "toggl_async.sandbox.server")
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(pytest.fail.Exception, match=r"uvicorn is not installed; .* the extra 'sandbox'"):
        request.getfixturevalue("toggl_sandbox")


def test_the_marker_is_registered(pytestconfig: pytest.Config) -> None:
    markers: Any = pytestconfig.getini("markers")
    assert any(line.startswith("toggl_sandbox(") for line in markers)
