"""Proxies and certificates that the environment names, and what is told of them."""

import asyncio
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from support.loopback import listening, nobody_listening
from toggl_async import (
    ApiToken,
    ClientOptions,
    ConnectionFailed,
    InvalidInput,
    Pace,
    Retry,
    ScheduledTransport,
    TogglClient,
)
from toggl_async.scheduler.transport.environment import CERTIFICATE_VARIABLES

pytestmark = pytest.mark.anyio

OPTIONS = ClientOptions(pace=Pace(interval=0), retry=Retry(attempts=3, minimum=0.0, maximum=0.0))
TOKEN = "a" * 32
VARIABLES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy")


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


async def asked_by_a_client() -> None:
    async with TogglClient(ApiToken(TOKEN), base_url="https://toggl.example", options=OPTIONS) as toggl:
        await toggl.workspace(3).tags.create(name="x")


async def asked_by_httpx() -> None:
    async with httpx.AsyncClient(transport=ScheduledTransport(options=OPTIONS)) as client:
        await client.post("https://toggl.example/api/v9/x")


WAYS = [asked_by_a_client, asked_by_httpx]


@pytest.mark.parametrize("ask", WAYS)
@pytest.mark.parametrize("name", ["HTTPS_PROXY", "all_proxy"])
async def test_a_socks_proxy_says_what_it_needs(
    ask: object, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    monkeypatch.setenv(name, "socks5://ada:sesame@127.0.0.1:1080")
    with pytest.raises(InvalidInput, match=rf"^{name} names a SOCKS proxy.*pip install 'httpx\[socks\]'$"):
        await ask()  # type: ignore[operator]


@pytest.mark.parametrize("ask", WAYS)
@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:99999", "http://", "ftp://x", "http://[::1", " ", "http://a b"]
)
async def test_a_proxy_that_is_no_address_is_refused(
    ask: object, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", address)
    with pytest.raises(InvalidInput, match="HTTPS_PROXY must be a URL"):
        await ask()  # type: ignore[operator]


@pytest.mark.parametrize("ask", WAYS)
async def test_who_cannot_connect_is_told_of_the_proxy(ask: object, monkeypatch: pytest.MonkeyPatch) -> None:
    with nobody_listening() as port:
        monkeypatch.setenv("HTTPS_PROXY", f"http://ada:sesame@127.0.0.1:{port}")
        with pytest.raises(ConnectionFailed, match="cannot connect") as caught:
            await ask()  # type: ignore[operator]
    assert f"through the proxy http://127.0.0.1:{port}, which HTTPS_PROXY names" in str(caught.value)
    assert "sesame" not in str(caught.value)
    assert not caught.value.maybe_applied


@pytest.mark.parametrize(("status", "times"), [(403, 1), (407, 1), (404, 1), (502, 3), (429, 3)])
async def test_a_proxy_that_refuses_for_good_is_asked_once(
    status: int, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(f"HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n".encode())
        await writer.drain()

    async with listening(refuse) as port:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
        with pytest.raises(ConnectionFailed, match=rf"refused to connect \(ProxyError: {status} ") as caught:
            await asked_by_a_client()
    assert len(asked) == times
    assert not caught.value.maybe_applied


def made(variable: str, value: str, *, before: str = "") -> str:
    """Make a client in a process of its own, since a TLS context is built once; return what it says."""
    program = (
        f"{before}\n"
        "from toggl_async import *\n"
        "try: TogglClient(ApiToken('a' * 32))\n"
        "except InvalidInput as error: print(error)\n"
        "try: ScheduledTransport()\n"
        "except InvalidInput as error: print(error)\n"
    )
    environ = {name: known for name, known in os.environ.items() if name not in CERTIFICATE_VARIABLES}
    environ |= {variable: value, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environ, check=True
    )
    return done.stdout


@pytest.mark.slow
def test_certificates_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    text = tmp_path / "text.pem"
    text.write_text("nothing of the kind")
    for variable, path, why in [
        ("SSL_CERT_FILE", tmp_path / "missing.pem", "No such file"),
        ("SSL_CERT_FILE", text, "NO_CERTIFICATE_OR_CRL_FOUND"),
        ("SSL_CERT_FILE", tmp_path, "directory"),
        ("SSL_CERT_DIR", tmp_path / "missing", "not a directory"),
        ("SSL_CERT_DIR", text, "not a directory"),
        ("SSLKEYLOGFILE", tmp_path, "directory"),
    ]:
        first, second = made(variable, str(path)).splitlines()
        assert first == second
        assert first.startswith(f"{variable} names {str(path)!r}, which ")
        assert why in first


def test_an_installation_without_certificates_is_told(tmp_path: Path) -> None:
    """They are a package of their own, which some build of a container may have left out."""
    missing = os.fspath(tmp_path / "missing.pem")
    before = f"import certifi; certifi.where = lambda: {missing!r}"
    for line in made("NO_PROXY", "", before=before).splitlines():
        assert line == "the certificates of certifi cannot be read: No such file or directory"
