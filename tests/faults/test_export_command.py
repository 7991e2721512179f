"""What the command says of an export, and how it reaches Toggl."""

import asyncio
import base64
import contextlib
import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import httpx
import pytest

from support.export_company import FIRST, NOW, SECOND, Company
from toggl_async import ClientOptions, Pace, Retry
from toggl_async.cli import connect, main
from toggl_async.sandbox import Fault, Sandbox
from toggl_async.sandbox.pytest_plugin import toggl_sandbox as toggl_sandbox  # noqa: PLC0414

WRONG = "Incorrect username and/or password"
SEARCH = "POST /reports/api/v3/workspace/{workspace_id}/search/time_entries"


@attrs.frozen
class Done:
    """What came of a command."""

    returncode: int
    stdout: str
    stderr: str


Command = Callable[..., Done]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run the command in this process, at full speed, with no other environment than is given."""
    options = ClientOptions(pace=Pace(interval=0.0001), retry=Retry(attempts=1, minimum=0.0, maximum=0.0))
    monkeypatch.setattr(connect, "OPTIONS", options)

    def run(*arguments: str, **environ: str) -> Done:
        with monkeypatch.context() as patch:
            for name in os.environ:
                if name.lower().endswith("_proxy"):
                    patch.delenv(name)
            patch.setenv("TOGGL_API_TOKEN", "made-up-token-0123456789abcdef")
            for name, value in environ.items():
                patch.setenv(name, value)
            code = main(arguments)
        printed = capsys.readouterr()
        return Done(code, printed.out, printed.err)

    return run


class Served:
    """A made-up company on a real socket, over plain HTTP."""

    def __init__(self, company: Company) -> None:
        self.company = company
        self.url = ""

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:

        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                line, *lines = head.split("\r\n")
                headers = dict(one.split(": ", 1) for one in lines if one)
                length = int(
                    {name.lower(): value for name, value in headers.items()}.get("content-length", 0)
                )
                method, target, _ = line.split(" ")
                request = httpx.Request(method, f"http://x{target}", content=await reader.readexactly(length))
                response = await self.company.handle_async_request(request)
                body = response.content
                kept = [
                    f"{name}: {value}" for name, value in response.headers.items() if name != "content-length"
                ]
                told = [f"HTTP/1.1 {response.status_code} x", *kept, f"content-length: {len(body)}", "", ""]
                writer.write("\r\n".join(told).encode() + body)
                await writer.drain()
        writer.close()


@contextlib.contextmanager
def served(company: Company) -> Iterator[str]:
    """Serve a company from a thread of its own, and tell the address."""
    ready, loop = threading.Event(), asyncio.new_event_loop()
    address: list[int] = []

    async def main() -> None:
        server = await asyncio.start_server(Served(company).answer, "127.0.0.1", 0)
        address.append(server.sockets[0].getsockname()[1])
        ready.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        server.close()

    task = loop.create_task(main())
    thread = threading.Thread(target=lambda: loop.run_until_complete(task))
    thread.start()
    ready.wait()
    try:
        yield f"http://127.0.0.1:{address[0]}"
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()


class Proxy(threading.Thread):
    """An HTTP proxy that knows no server: it notes what it is asked for, and refuses."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        self.asked: list[str] = []

    def run(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                self.asked.append(connection.recv(65536).decode())
                connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    proxy = Proxy()
    proxy.start()
    yield proxy
    proxy.listener.shutdown(socket.SHUT_RDWR)
    proxy.listener.close()
    proxy.join()


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
@pytest.mark.parametrize("arguments", [("whoami",), ("quota",), ("export", "--dry-run"), ("export", "--out")])
def test_commands_go_through_the_proxy(
    command: Command, proxy: Proxy, tmp_path: Path, variable: str, arguments: tuple[str, ...]
) -> None:
    if arguments[-1] == "--out":
        arguments = (*arguments, str(tmp_path / "out"))
    url = f"http://somebody:secret@127.0.0.1:{proxy.port}"
    done = command(*arguments, "--base-url", "https://toggl.invalid", **{variable: url})
    assert proxy.asked
    assert all(one.startswith("CONNECT toggl.invalid:443 ") for one in proxy.asked)
    assert base64.b64encode(b"somebody:secret").decode() in proxy.asked[0]
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert "secret" not in done.stderr
    assert "somebody" not in done.stderr


def test_what_needs_no_proxy_goes_without(command: Command, proxy: Proxy, toggl_sandbox: Sandbox) -> None:
    url = f"http://127.0.0.1:{proxy.port}"
    environ = {"TOGGL_API_TOKEN": toggl_sandbox.api_token, "TOGGL_BASE_URL": toggl_sandbox.base_url}
    assert command("whoami", HTTPS_PROXY=url, ALL_PROXY=url, **environ).returncode == 0
    refused = command(
        "whoami", "--base-url", "https://toggl.invalid", HTTPS_PROXY=url, NO_PROXY="toggl.invalid"
    )
    assert refused.returncode == 2
    assert proxy.asked == []


@pytest.mark.parametrize(
    "environ",
    [
        {"SSL_CERT_FILE": "/nowhere/cert.pem"},
        {"SSL_CERT_FILE": os.devnull},
        {"ALL_PROXY": "socks5://somebody:secret@127.0.0.1:9"},
        {"HTTPS_PROXY": "ftp://somebody:secret@127.0.0.1:9"},
    ],
)
def test_an_environment_that_cannot_be_used_costs_one_line(command: Command, environ: dict[str, str]) -> None:
    if environ.get("SSL_CERT_FILE") == os.devnull:
        environ = {"SSL_CERT_FILE": os.devnull}
    done = command("whoami", "--base-url", "https://127.0.0.1:9", **environ)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "secret" not in done.stderr


@pytest.mark.parametrize("words", [WRONG, "Invalid API token", ""])
@pytest.mark.parametrize("status", [403, 401])
@pytest.mark.sampled(1)
def test_a_token_that_is_reset_midway_fails_the_export(
    command: Command, tmp_path: Path, words: str, status: int
) -> None:

    company, out = Company(12, days=2), tmp_path / "out"
    reset = False

    def after_the_first_page(path: str, body: Any) -> httpx.Response | None:
        nonlocal reset
        reset = reset or bool(body and body.get("first_row_number"))
        return httpx.Response(status, json=words) if reset else None

    company.before = after_the_first_page
    with served(company) as url:
        options = ("export", "--out", str(out), "--dataset", "time_entries", "--since", "2026-01-01")
        stopped = command(*options, TOGGL_BASE_URL=url)
        assert stopped.returncode == 1, stopped.stderr
        manifest = json.loads((out / "manifest.json").read_bytes())
        assert (manifest["finished"], manifest["complete"]) == (False, False)
        assert "run the same command to resume it" in stopped.stderr
        company.before = lambda path, body: None
        done = command(*options, TOGGL_BASE_URL=url)
        assert done.returncode == 0, done.stderr
    manifest = json.loads((out / "manifest.json").read_bytes())
    assert (manifest["finished"], manifest["complete"]) == (True, True)
    assert manifest["datasets"]["time_entries"]["rows"] == 12


def test_a_toggl_that_is_gone_midway_fails_the_export(command: Command, tmp_path: Path) -> None:
    company, out = Company(6), tmp_path / "out"

    def gone(path: str, body: Any) -> httpx.Response | None:
        if company.asked("/tags"):
            raise ConnectionResetError
        return None

    company.before = gone
    with served(company) as url:
        options = ("export", "--out", str(out), "--dataset", "tags", "--dataset", "clients")
        stopped = command(*options, TOGGL_BASE_URL=url)
        assert stopped.returncode == 1, stopped.stderr
        assert "run the same command to resume it" in stopped.stderr
        company.before = lambda path, body: None
        assert command(*options, TOGGL_BASE_URL=url).returncode == 0


@pytest.mark.parametrize(
    ("path", "status", "chosen", "code"),
    [
        ("tags", 402, ["tags", "clients"], 4),  # it was named
        ("tags", 403, ["tags", "clients"], 4),
        ("tags", 402, [], 0),  # the plan lacks it
        ("tags", 403, [], 0),  # the role does
        ("tags", 404, [], 4),
        ("search/time_entries", 402, [], 4),
        ("search/time_entries", 403, ["time_entries"], 4),
    ],
)
@pytest.mark.sampled(2)
def test_what_is_refused_decides_the_exit_code(
    command: Command, tmp_path: Path, path: str, status: int, chosen: list[str], code: int
) -> None:

    company, out = Company(2), tmp_path / "out"
    company.before = lambda asked, body: (
        httpx.Response(status, json="a premium feature")
        if asked.endswith((f"{FIRST}/{path}", f"{SECOND}/{path}"))
        else None
    )
    options = [word for name in chosen for word in ("--dataset", name)]
    with served(company) as url:
        done = command("export", "--out", str(out), "--since", str(NOW.date()), *options, TOGGL_BASE_URL=url)
    assert done.returncode == code, done.stderr
    manifest = json.loads((out / "manifest.json").read_bytes())
    assert (manifest["finished"], manifest["complete"]) == (True, code == 0)
    assert len(manifest["not_in_plan"]) == (2 if code == 0 else 0)
    dataset = path.rpartition("/")[2]
    assert manifest["datasets"][dataset]["complete"] is (code == 0)
    if code:
        assert f"toggl-async: {dataset} of workspace {FIRST} are missing: a premium feature" in done.stderr


def test_rows_that_are_gone_from_the_destination_are_read_again(
    command: Command, toggl_sandbox: Sandbox, out: Path
) -> None:
    environ = {"TOGGL_API_TOKEN": toggl_sandbox.api_token, "TOGGL_BASE_URL": toggl_sandbox.base_url}
    options = ("export", "--out", str(out), "--dataset", "tags", "--dataset", "clients")
    assert command(*options, **environ).returncode == 0
    before = (out / "tags.jsonl").read_bytes()
    (out / "tags.jsonl").rename(out.parent / "elsewhere")
    assert command(*options, "--update", **environ).returncode == 0
    assert sorted((out / "tags.jsonl").read_bytes().splitlines()) == sorted(before.splitlines())


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def test_a_part_of_another_shape_is_named(command: Command, tmp_path: Path) -> None:

    company, out = Company(2), tmp_path / "out"
    company.before = lambda asked, body: (
        httpx.Response(200, json={"error": "internal"}) if asked.endswith("/tags") else None
    )
    with served(company) as url:
        done = command("export", "--out", str(out), "--dataset", "tags", TOGGL_BASE_URL=url)
    assert done.returncode == 4
    assert f"toggl-async: tags of workspace {FIRST} are incomplete: workspace.tags.list: " in done.stderr
    assert "in 1 dataset," in done.stdout


def test_who_an_account_of_two_products_is(command: Command, tmp_path: Path) -> None:

    company = Company(2)
    me, _ = company._answer("/api/v9/me", {}, None)
    company.before = lambda asked, body: (
        (httpx.Response(200, json=me | {"default_workspace_id": 99}) if asked == "/api/v9/me" else None)
        or (httpx.Response(200, json=[]) if asked == "/api/v9/me/workspaces" else None)
    )
    with served(company) as url:
        told = command("whoami", TOGGL_BASE_URL=url)
        assert told.returncode == 0
        assert "warning: Toggl doesn't show the account's default workspace 99; " in told.stderr
        machine = json.loads(command("whoami", "--json", TOGGL_BASE_URL=url).stdout)
        assert len(machine["warnings"]) == 1
        done = command("export", "--out", str(tmp_path / "out"), "--dataset", "tags", TOGGL_BASE_URL=url)
    assert done.returncode == 0
    assert "default workspace 99" in done.stderr


def test_a_fault_is_no_refusal(command: Command, toggl_sandbox: Sandbox, out: Path) -> None:
    environ = {"TOGGL_API_TOKEN": toggl_sandbox.api_token, "TOGGL_BASE_URL": toggl_sandbox.base_url}
    toggl_sandbox.order(Fault(status=403), route=SEARCH, times=1)
    done = command("export", "--out", str(out), "--dataset", "time_entries", **environ)
    assert done.returncode == 4, done.stderr
    assert (
        command("export", "--out", str(out), "--dataset", "time_entries", "--update", **environ).returncode
        == 0
    )
