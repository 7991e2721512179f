"""Forms and downloads, on a fake network and over a real socket."""

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from toggl_async import UNSET, ApiToken, BadRequest, InvalidInput, ResponseError, TogglClient
from toggl_async.files import Download, Form
from toggl_async.operation import Operation

pytestmark = pytest.mark.anyio

UPLOAD: Operation[None] = Operation.declare("me.avatar.upload", "POST /api/v9/avatars")
CSV: Operation[bytes] = Operation.declare("me.csv", "GET /api/v9/me/csv", bytes)
SETUP: Operation[str] = Operation.declare("calendar.setup", "GET /api/v9/setup", str, redirects=True)


class Network:
    """Keeps the last request, read, and gives one answer."""

    def __init__(self, answer: httpx.Response) -> None:
        self.answer = answer
        self.request: httpx.Request | None = None

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        self.request = request
        return self.answer

    def client(self) -> TogglClient:
        return TogglClient(ApiToken("a" * 32), transport=httpx.MockTransport(self))


@pytest.mark.parametrize("how", ["path", "text", "bytes", "file"])
async def test_a_file_is_sent_from_wherever_it_is(how: str, tmp_path: Path) -> None:
    path = tmp_path / "ada.png"
    path.write_bytes(b"\x89PNG")
    network = Network(httpx.Response(200))
    with path.open("rb") as file:
        content = {"path": path, "text": str(path), "bytes": b"\x89PNG", "file": file}[how]
        async with network.client() as toggl:
            form = Form({"file": content, "note": "é", "left_out": UNSET}, files=("file",))
            await toggl.fetch(UPLOAD, path={}, body=form)
    assert network.request is not None
    assert network.request.headers["content-type"].startswith("multipart/form-data; boundary=")
    sent = network.request.content
    assert b"\x89PNG" in sent
    assert (b'filename="file"' if how == "bytes" else b'filename="ada.png"') in sent
    assert 'name="note"\r\n\r\né\r\n'.encode() in sent
    assert b"left_out" not in sent


async def test_a_form_without_files_is_urlencoded() -> None:
    network = Network(httpx.Response(200))
    async with network.client() as toggl:
        await toggl.fetch(UPLOAD, path={}, body=Form({"code": "a b", "on": True}))
    assert network.request is not None
    assert network.request.headers["content-type"] == "application/x-www-form-urlencoded"
    assert network.request.content == b"code=a+b&on=true"


async def test_a_form_of_several_parts_needs_no_file() -> None:
    network = Network(httpx.Response(200))
    async with network.client() as toggl:
        form = Form({"message": "é", "file": UNSET}, files=("file",))
        await toggl.fetch(UPLOAD, path={}, body=form)
    assert network.request is not None
    assert network.request.headers["content-type"].startswith("multipart/form-data; boundary=")
    assert 'name="message"\r\n\r\né\r\n'.encode() in network.request.content


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("missing.png", "file: No such file or directory: 'missing.png'"),
        (io.StringIO("text"), "file: give a path, bytes, or a file opened in binary mode"),
        (7, "file: give a path, bytes, or a file opened in binary mode"),
    ],
)
async def test_what_is_no_file_is_refused_before_anything_is_sent(content: object, message: str) -> None:
    network = Network(httpx.Response(200))
    async with network.client() as toggl:
        with pytest.raises(InvalidInput, match=f"^{message}$"):
            await toggl.fetch(UPLOAD, path={}, body=Form({"file": content}, files=("file",)))
    assert network.request is None


async def test_an_open_file_without_a_name_is_called_after_its_field() -> None:
    assert await Form({"file": io.BytesIO(b"x")}, files=("file",)).parts() == ({}, {"file": ("file", b"x")})


async def test_a_redirect_that_is_the_result_brings_its_target() -> None:
    target = httpx.Response(302, headers={"Location": "https://calendar.example/consent"})
    async with Network(target).client() as toggl:
        session = toggl.me._caller
        assert await session.call(SETUP, path={}, query={}) == "https://calendar.example/consent"


async def test_a_redirect_that_nobody_expects_is_an_error() -> None:
    async with Network(httpx.Response(302, headers={"Location": "https://evil.example"})).client() as toggl:
        with pytest.raises(ResponseError, match="Found") as caught:
            await toggl.me.get()
    assert caught.value.status == 302


def download(toggl: TogglClient) -> Download:
    return toggl.me._caller.download(CSV, path={}, query={})


async def test_a_download_is_bytes_when_awaited() -> None:
    async with Network(httpx.Response(200, content=b"a,b\n")).client() as toggl:
        assert await download(toggl) == b"a,b\n"


async def test_a_download_is_written_chunk_by_chunk(tmp_path: Path) -> None:
    target = tmp_path / "report.csv"
    async with Network(httpx.Response(200, content=b"a,b\n" * 50_000)).client() as toggl:
        assert await download(toggl).save(target) == 200_000
    assert target.read_bytes() == b"a,b\n" * 50_000
    assert list(tmp_path.iterdir()) == [target]


async def test_a_refused_download_leaves_no_file(tmp_path: Path) -> None:
    async with Network(httpx.Response(400, json="no such range")).client() as toggl:
        with pytest.raises(BadRequest, match="no such range"):
            await download(toggl).save(tmp_path / "report.csv")
    assert list(tmp_path.iterdir()) == []


async def test_a_download_that_breaks_off_leaves_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "report.csv"
    target.write_bytes(b"yesterday's")

    async def broken() -> AsyncIterator[bytes]:
        yield b"a,b\n"
        raise ConnectionResetError("lost")

    @asynccontextmanager
    async def stream() -> AsyncIterator[AsyncIterator[bytes]]:
        yield broken()

    async def fetch() -> bytes:
        return b""

    with pytest.raises(ConnectionResetError):
        await Download(fetch, stream).save(target)
    assert target.read_bytes() == b"yesterday's"
    assert list(tmp_path.iterdir()) == [target]


async def test_a_download_over_a_real_socket(tmp_path: Path) -> None:
    body = b"x" * 300_000

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/csv\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
        writer.write(head % len(body) + body)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, TogglClient(ApiToken("a" * 32), base_url=f"http://127.0.0.1:{port}") as toggl:
        assert await download(toggl).save(tmp_path / "report.csv") == len(body)
    assert (tmp_path / "report.csv").read_bytes() == body
