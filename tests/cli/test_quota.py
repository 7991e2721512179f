"""`toggl-async quota` and `toggl-async whoami`."""

import base64
import contextlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from anyio.from_thread import start_blocking_portal

from support.budget_program import file_that_is_open
from support.budget_steps import asked, process_of
from toggl_async import FileBudget
from toggl_async.cli import main
from toggl_async.sandbox import Fault, Sandbox
from toggl_async.scheduler.budgets.shared import SharedHolder
from toggl_async.scheduler.core.credentials import public_name
from toggl_async.scheduler.core.limits import SECOND
from toggl_async.scheduler.core.notes import QuotaTold
from toggl_async.scheduler.core.waiters import Want


@pytest.mark.toggl_sandbox(org_quota=240, user_quota=30)
def test_every_window_is_shown(server: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["whoami"]) == 0
    capsys.readouterr()
    assert main(["quota"]) == 0
    head, mine, *theirs, waiting = capsys.readouterr().out.splitlines()
    assert head.split() == ["quota", "used", "left", "of", "resets"]
    assert mine.split()[:4] == ["user", "3", "27", "30"]
    assert " in " in mine
    assert waiting == "no other program that shares the budget is waiting"
    assert len(theirs) <= 1
    assert server.counts.requests == 4


def test_windows_for_machines(server: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    server.company.organizations[next(iter(server.company.organizations))].name = "Org"
    assert main(["quota", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["waiting"] == []
    assert all(
        {"organization_id", "remaining", "resets_in_secs", "total"} <= window.keys()
        for window in told["windows"]
    )


def test_windows_that_say_little(capsys: pytest.CaptureFixture[str]) -> None:
    from toggl_async.cli.quota import _Quotas, _quotas_as_text  # noqa: PLC0415
    from toggl_async.records import Quota  # noqa: PLC0415
    from toggl_async.scheduler import Scheduler  # noqa: PLC0415

    quotas = _Quotas(
        windows=[Quota(organization_id=5), Quota(organization_id=6, remaining=-2, total=30)],
        names={6: "A name that is a good deal too long for its column"},
        stats=Scheduler().stats(),
    )
    _, first, second, _ = _quotas_as_text(quotas).splitlines()
    assert first.split() == ["5", "?", "?", "?", "when", "first", "used"]
    assert second.split()[-6:-3] == ["32", "-2", "30"]


def test_who_it_is(server: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["whoami"]) == 0
    first, *workspaces = capsys.readouterr().out.splitlines()
    owner = server.company.owner
    assert first == f"{owner.name} <{owner.email}>, user {owner.id}"
    assert [line.split(":")[0] for line in workspaces] == [
        f"workspace {number}" for number in server.company.workspaces
    ]
    assert main(["whoami", "--json"]) == 0
    text = capsys.readouterr().out
    assert json.loads(text)["user_id"] == owner.id
    assert server.api_token not in text


@pytest.mark.parametrize("command", ["quota", "whoami"])
def test_trouble(
    server: Sandbox, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    server.order(Fault(status=500), times=1)
    assert main([command]) == 1
    assert "500" in capsys.readouterr().err
    assert main([command, "--base-url", "http://toggl.example.com"]) == 2
    assert "must use https" in capsys.readouterr().err
    monkeypatch.setenv("TOGGL_API_TOKEN", "wrong")
    assert main([command]) == 2
    assert "Toggl refused the credentials" in capsys.readouterr().err


def waiting_elsewhere(path: Path, url: str, token: str) -> "contextlib.AbstractContextManager[str]":
    """Have another holder of a file wait for the account; return its name."""

    @contextlib.contextmanager
    def waiting() -> Iterator[str]:
        with start_blocking_portal() as portal:
            holder = portal.call(opened, path)
            portal.call(wait, holder, account_of(url, token))
            yield holder.name
            portal.call(holder.aclose)

    async def opened(path: Path) -> SharedHolder:
        return FileBudget(path).open(lambda _account: None)

    async def wait(holder: SharedHolder, account: str) -> None:
        window, me = "organization:99", process_of(holder, 3600.0)
        used_up = QuotaTold(window, 0, 3000 * SECOND)
        await asked(holder, me, Want(2, window, 3), notes=[used_up], account=account)

    return waiting()


def account_of(url: str, token: str) -> str:
    credential = base64.b64encode(f"{token}:api_token".encode()).decode()
    return public_name(httpx.URL(url).netloc, f"Basic {credential}")


@pytest.mark.linux
def test_who_shares_the_budget_and_waits_is_shown(
    server: Sandbox, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "budget.sqlite"
    monkeypatch.setenv("TOGGL_BUDGET", file_that_is_open(path))
    with waiting_elsewhere(path, server.base_url, server.api_token) as name:
        assert main(["quota"]) == 0
        *_, head, row = capsys.readouterr().out.splitlines()
        assert head.split() == ["waiting", "calls", "priority", "since"]
        assert row.split()[:4] == ["process", str(os.getpid()), "3", "bulk"]
        assert main(["quota", "--json"]) == 0
        (told,) = json.loads(capsys.readouterr().out)["waiting"]
        assert (told["process"], told["priority"], told["calls"]) == (name, "BULK", 3)
        assert 0 <= told["seconds"] < 600
    assert main(["quota"]) == 0
    assert "no other program that shares the budget is waiting" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "shown"),
    [("412.9f3c@50123", "process 412"), ("build-7.412.9f3c1a", "process 412 on build-7")],
)
def test_processes_are_shown_by_their_ids(name: str, shown: str) -> None:
    from toggl_async.cli.quota import _shown  # noqa: PLC0415

    assert _shown(name) == shown


def test_the_command_shares_by_the_users_file_and_forgets_when_told(
    server: Sandbox, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TOGGL_BUDGET")
    path = FileBudget().path
    assert path.is_relative_to(os.environ["XDG_STATE_HOME"])
    path.unlink(missing_ok=True)
    file_that_is_open(path)
    server.order(Fault(status=410, body='"Gone"'), times=1)
    assert main(["quota"]) == 1
    assert main(["quota"]) == 1
    assert "from memory" in capsys.readouterr().err
    assert server.counts.requests == 1
    assert main(["quota", "--forget"]) == 0
    assert main(["quota"]) == 0
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.linux
def test_a_budget_is_a_file_or_nothing_yet(
    server: Sandbox, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    monkeypatch.setenv("TOGGL_BUDGET", f"file:{pipe}")
    assert main(["quota"]) == 2
    assert f"{pipe} is not a regular file; name one, or a file that does not exist" in capsys.readouterr().err
    assert pipe.is_fifo()


@pytest.mark.parametrize(
    ("budget", "told"),
    [
        ("nowhere", "TOGGL_BUDGET must be none (or memory), file, file:PATH"),
        ("file:/", "is a directory; name a file in it (set TOGGL_BUDGET=none to do without"),
    ],
)
def test_a_budget_that_cannot_be_is_refused(
    server: Sandbox,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    budget: str,
    told: str,
) -> None:
    monkeypatch.setenv("TOGGL_BUDGET", budget)
    assert main(["quota"]) == 2
    assert told in capsys.readouterr().err
    assert server.counts.requests == 0


def test_a_budget_that_needs_an_extra_is_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, server: Sandbox
) -> None:
    monkeypatch.setenv("TOGGL_BUDGET", "redis://127.0.0.1:1")
    monkeypatch.setitem(sys.modules, "redis.asyncio", None)
    assert main(["quota"]) == 2
    assert "pip install 'toggl_async[redis]'" in capsys.readouterr().err


def test_a_budget_that_cannot_be_used_now_is_told_and_costs_nothing_else(
    server: Sandbox, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TOGGL_BUDGET", f"file:{tmp_path}/file/budget.sqlite")
    assert main(["quota"]) == 0
    told = capsys.readouterr().err
    assert told.count("the shared budget cannot be used; this command keeps its own pace") == 1
