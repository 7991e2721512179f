"""Forms and downloads, on a fake network and over a real socket."""

import asyncio
import io
import os
import re
import socket
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.loopback import listening
from toggl_async import (
    UNSET,
    ApiToken,
    BadRequest,
    ClientOptions,
    ConnectionFailed,
    DecodeError,
    InvalidInput,
    Pace,
    RequestFailed,
    RequestTimeout,
    ResponseError,
    TogglClient,
    capture_responses,
)
from toggl_async._operations.files import Download, Form
from toggl_async._operations.operation import Operation

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


def closed_file() -> io.BytesIO:
    file = io.BytesIO(b"content")
    file.close()
    return file


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("missing.png", "file: No such file or directory: 'missing.png'"),
        ("a\0b.png", re.escape(r"file: 'a\x00b.png' is not a path: embedded null byte")),
        (closed_file(), "file: the file cannot be read: I/O operation on closed file.?"),
        (
            io.StringIO("text"),
            re.escape("file: pass a path, bytes, a file opened in binary mode, or (name, one of these)"),
        ),
        (7, re.escape("file: pass a path, bytes, a file opened in binary mode, or (name, one of these)")),
    ],
)
async def test_what_is_no_file_is_refused_before_anything_is_sent(content: object, message: str) -> None:
    network = Network(httpx.Response(200))
    async with network.client() as toggl:
        with pytest.raises(InvalidInput, match=f"^{message}$"):
            await toggl.fetch(UPLOAD, path={}, body=Form({"file": content}, files=("file",)))
    assert network.request is None


async def test_an_open_file_without_a_name_is_called_after_its_field() -> None:
    assert await Form({"file": io.BytesIO(b"x")}, files=("file",)).parts() == (
        {},
        [("file", ("file", b"x", "application/octet-stream"))],
    )


async def test_a_redirect_that_is_the_result_brings_its_target() -> None:
    target = httpx.Response(302, headers={"Location": "https://calendar.example/consent"})
    async with Network(target).client() as toggl:
        assert await toggl.me._call(SETUP) == "https://calendar.example/consent"


async def test_a_redirect_that_does_not_come_is_said_as_such() -> None:
    async with Network(httpx.Response(200, json="no redirect")).client() as toggl:
        with pytest.raises(DecodeError, match="expected a redirect, got 200") as caught:
            await toggl.me._call(SETUP)
    assert (caught.value.operation, caught.value.body) == ("calendar.setup", b'"no redirect"')


async def test_a_redirect_that_nobody_expects_is_an_error() -> None:
    async with Network(httpx.Response(302, headers={"Location": "https://evil.example"})).client() as toggl:
        with pytest.raises(ResponseError, match="Found") as caught:
            await toggl.me.get()
    assert caught.value.status == 302


def download(toggl: TogglClient) -> Download:
    return toggl.me._download(CSV)


async def test_a_download_is_bytes_when_awaited() -> None:
    async with Network(httpx.Response(200, content=b"a,b\n")).client() as toggl:
        assert await download(toggl) == b"a,b\n"


async def test_a_download_is_written_chunk_by_chunk(tmp_path: Path) -> None:
    target = tmp_path / "report.csv"
    async with Network(httpx.Response(200, content=b"a,b\n" * 50_000)).client() as toggl:
        assert await download(toggl).save(target) == 200_000
    assert target.read_bytes() == b"a,b\n" * 50_000
    assert list(tmp_path.iterdir()) == [target]


NOWHERE: list[Any] = [
    "", ".", "..", "folder", "folder/", "new/", "missing/report.csv", "file/report.csv", "pipe", "socket",
    "loop", "link-to-folder", "link-to-pipe",
    "null\0byte", "half-\ud800", "long" * 100, None, 5, b"report.csv",
]  # fmt: skip


@pytest.mark.parametrize("place", NOWHERE, ids=ascii)
async def test_where_nothing_can_be_written_nothing_is_asked_for(
    place: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(b"")
    os.mkfifo("pipe")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "link-to-folder").symlink_to("folder")
    (tmp_path / "link-to-pipe").symlink_to("pipe")
    before = {one.name: one.lstat().st_mode for one in tmp_path.iterdir()}
    network = Network(httpx.Response(200, content=b"a,b\n"))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        before["socket"] = (tmp_path / "socket").lstat().st_mode
        async with network.client() as toggl:
            with pytest.raises(InvalidInput, match=r"^path: ") as caught:
                await download(toggl).save(place)
    assert "partial" not in str(caught.value)
    assert network.request is None
    assert {one.name: one.lstat().st_mode for one in tmp_path.iterdir()} == before


async def test_what_stands_in_place_of_a_device_is_left_alone(tmp_path: Path) -> None:
    try:
        os.mknod(tmp_path / "null", 0o600 | stat.S_IFCHR, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("only root makes devices")
    network = Network(httpx.Response(200, content=b"a,b\n"))
    async with network.client() as toggl:
        with pytest.raises(InvalidInput, match="not a regular file"):
            await download(toggl).save(tmp_path / "null")
    assert network.request is None
    assert stat.S_ISCHR((tmp_path / "null").lstat().st_mode)


@pytest.mark.parametrize("there", [True, False])
async def test_a_link_is_followed(there: bool, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    target = tmp_path / "elsewhere" / "report.csv"
    if there:
        target.write_bytes(b"yesterday's")
    link = tmp_path / "link.csv"
    link.symlink_to(target)
    async with Network(httpx.Response(200, content=b"a,b\n")).client() as toggl:
        assert await download(toggl).save(link) == 4
    assert link.is_symlink()
    assert target.read_bytes() == b"a,b\n"
    assert list((tmp_path / "elsewhere").iterdir()) == [target]


@pytest.mark.parametrize("mode", [0o640, 0o444, 0o600, 0o664])
async def test_an_existing_file_keeps_its_permissions(mode: int, tmp_path: Path) -> None:
    target = tmp_path / "report.csv"
    target.write_bytes(b"yesterday's")
    target.chmod(mode)
    async with Network(httpx.Response(200, content=b"a,b\n")).client() as toggl:
        await download(toggl).save(target)
    assert stat.S_IMODE(target.stat().st_mode) == mode
    assert target.read_bytes() == b"a,b\n"


async def test_two_downloads_to_one_path_do_not_meet(tmp_path: Path) -> None:
    target = tmp_path / "report.csv"
    strange = tmp_path / "report.csv.partial"
    strange.write_bytes(b"a stranger's")
    both = asyncio.Barrier(2)

    async def slow() -> AsyncIterator[bytes]:
        yield b"a,"
        await both.wait()
        yield b"b\n"

    @asynccontextmanager
    async def stream() -> AsyncIterator[AsyncIterator[bytes]]:
        yield slow()

    async def fetch() -> bytes:
        return b""

    downloads = [Download(fetch, stream) for _ in range(2)]
    assert await asyncio.gather(*(one.save(target) for one in downloads)) == [4, 4]
    assert target.read_bytes() == b"a,b\n"
    assert strange.read_bytes() == b"a stranger's"
    assert sorted(tmp_path.iterdir()) == [target, strange]


async def test_a_new_file_is_private(tmp_path: Path) -> None:
    async with Network(httpx.Response(200, content=b"a,b\n")).client() as toggl:
        await download(toggl).save(tmp_path / "report.csv")
    assert stat.S_IMODE((tmp_path / "report.csv").stat().st_mode) == 0o600


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


@pytest.mark.parametrize(
    ("lost", "error"),
    [
        (httpx.ReadError("lost"), ConnectionFailed),
        (httpx.RemoteProtocolError("lost"), ConnectionFailed),
        (httpx.ReadTimeout("slow"), RequestTimeout),
    ],
)
async def test_a_download_that_is_lost_half_way_is_typed(
    lost: httpx.TransportError, error: type[RequestFailed], tmp_path: Path
) -> None:
    class Breaking(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield b"a,b\n"
            raise lost

    async with Network(httpx.Response(200, stream=Breaking())).client() as toggl:
        with pytest.raises(
            error,
            match=rf"^GET /api/v9/me/csv: the answer was cut off: .* \({type(lost).__name__}: {lost}\)$",
        ):
            await download(toggl).save(tmp_path / "report.csv")
    assert toggl.stats().accounts[0].in_flight == 0
    assert list(tmp_path.iterdir()) == []


async def test_a_download_that_cannot_be_decompressed_is_typed(tmp_path: Path) -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        headers = {"Content-Encoding": "gzip"}
        return httpx.Response(200, headers=headers, stream=httpx.ByteStream(b"a,b\n"))

    async with TogglClient(ApiToken("a" * 32), transport=httpx.MockTransport(answer)) as toggl:
        with pytest.raises(DecodeError, match=r"^me\.csv: cannot be decompressed"):
            await download(toggl).save(tmp_path / "report.csv")
        with pytest.raises(DecodeError, match=r"^me\.csv: cannot be decompressed"):
            await download(toggl)
    assert list(tmp_path.iterdir()) == []


async def test_streamed_downloads_are_captured_without_their_body() -> None:
    answers = [
        httpx.Response(200, content=b"a,b\n", headers={"X-Request-Id": "r-1"}),
        httpx.Response(400, json="no such range"),
        httpx.Response(302, headers={"Location": "https://evil.example"}, stream=httpx.ByteStream(b"moved")),
    ]
    network = httpx.MockTransport(lambda _: answers.pop(0))
    options = ClientOptions(pace=Pace(interval=0.001))
    async with TogglClient(ApiToken("a" * 32), transport=network, options=options) as toggl:
        with capture_responses() as captured:
            async with download(toggl).stream() as chunks:
                assert [answer.request_id for answer in captured] == ["r-1"]
                assert [chunk async for chunk in chunks] == [b"a,b\n"]
            for status in (400, 302):
                with pytest.raises(ResponseError, match=str(status)):
                    async with download(toggl).stream():
                        pytest.fail("there is nothing to stream")
    assert [(answer.status, answer.body) for answer in captured] == [
        (200, b""),
        (400, b'"no such range"'),
        (302, b"moved"),
    ]
    assert {(one.operation, one.method, one.path) for one in captured} == {
        ("me.csv", "GET", "/api/v9/me/csv")
    }


async def test_a_download_that_is_left_half_way_is_closed_at_once() -> None:
    closed = []

    class Endless(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            while True:
                yield b"a,b\n"

        async def aclose(self) -> None:
            closed.append(True)

    async with Network(httpx.Response(200, stream=Endless())).client() as toggl:
        async with download(toggl).stream() as chunks:
            assert await anext(chunks) == b"a,b\n"
        assert closed == [True]
        assert await anext(chunks, None) is None
        assert toggl.stats().accounts[0].in_flight == 0


async def test_a_download_that_breaks_off_over_a_real_socket(tmp_path: Path) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/csv\r\nContent-Length: 100\r\n\r\na,b\n")
        await writer.drain()

    async with (
        listening(serve) as port,
        TogglClient(ApiToken("a" * 32), base_url=f"http://127.0.0.1:{port}") as toggl,
    ):
        with pytest.raises(
            ConnectionFailed,
            match=r"cut off: the server closed the connection early.*RemoteProtocolError: peer closed",
        ):
            await download(toggl).save(tmp_path / "report.csv")
    assert list(tmp_path.iterdir()) == []


async def test_a_download_over_a_real_socket(tmp_path: Path) -> None:
    body = b"x" * 300_000

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/csv\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
        writer.write(head % len(body) + body)
        await writer.drain()

    async with (
        listening(serve) as port,
        TogglClient(ApiToken("a" * 32), base_url=f"http://127.0.0.1:{port}") as toggl,
    ):
        assert await download(toggl).save(tmp_path / "report.csv") == len(body)
    assert (tmp_path / "report.csv").read_bytes() == body


@pytest.mark.anyio
async def test_a_folder_that_is_not_there_is_named_by_the_callers_path(tmp_path: Path) -> None:
    """The partial file beside it is nobody's business."""
    download = Download(_never, _never)  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="No such file") as caught:
        await download.save(tmp_path / "nowhere" / "x.csv")
    assert str(tmp_path / "nowhere" / "x.csv") in str(caught.value)
    assert isinstance(caught.value.__cause__, FileNotFoundError)
    assert "partial" not in str(caught.value)


def _never() -> None:
    raise AssertionError("nothing is sent")  # pragma: no cover
