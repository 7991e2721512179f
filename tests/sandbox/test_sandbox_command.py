"""What `toggl-async sandbox` says of itself, and shows."""

import re
import subprocess
from collections.abc import Iterator

import httpx
import pytest

from support.commands import running
from toggl_async.cli import main
from toggl_async.sandbox import origins


@pytest.fixture
def served() -> Iterator[tuple[subprocess.Popen[str], str]]:
    with running("sandbox", "--access-log", "--role", "user") as process:
        assert process.stdout is not None
        yield process, "".join(process.stdout.readline() for _ in range(6))


def test_it_says_its_address_its_token_and_what_it_answers_from_state(
    served: tuple[subprocess.Popen[str], str],
) -> None:
    process, said = served
    url = re.search(r"TOGGL_BASE_URL=(\S+)", said)
    token = re.search(r"TOGGL_API_TOKEN=(\S+)", said)
    assert url is not None
    assert token is not None
    known = list(origins().values())
    assert f"It answers {known.count('state')} of {len(known)} operations from state" in said
    with httpx.Client(base_url=url[1], auth=(token[1], "api_token"), trust_env=False) as http:
        space = http.get("/api/v9/me").json()["default_workspace_id"]
        assert http.get(f"/api/v9/workspaces/{space}/expenses").status_code == 200
        assert http.get(f"/api/v9/workspaces/{space}").json()["role"] == "user"
        assert http.post("/sandbox/advance", json={"hours": 1}).status_code == 200
    process.terminate()
    assert process.stderr is not None
    log = process.stderr.read()
    assert '"GET /api/v9/me HTTP/1.1" 200' in log
    assert log.count("is answered by a sample") == 1


def test_it_lists_all_operations(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sandbox", "--operations"]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert len(rows) == 2 + len(origins())
    assert "| `GET /api/v9/me` | `me.get` | from state |" in rows
    assert any(row.endswith("| by a sample |") for row in rows)
