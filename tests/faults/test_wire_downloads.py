"""Downloads that are cut, partial or no files: over a real socket, from the first byte on."""

from pathlib import Path

import pytest

from support.servers import Asked, http_server
from toggl_async import ApiToken, ClientOptions, ConnectionFailed, DecodeError, Pace, Retry, TogglClient
from toggl_async._operations.files import Download
from toggl_async._operations.operation import Operation

pytestmark = pytest.mark.anyio

CSV: Operation[bytes] = Operation.declare("me.csv", "GET /api/v9/me/csv", bytes)
WRITE: Operation[bytes] = Operation.declare("me.csv", "POST /api/v9/me/csv", bytes)
OPTIONS = ClientOptions(pace=Pace(interval=0), retry=Retry(attempts=3, minimum=0.0, maximum=0.0))


def client(url: str) -> TogglClient:
    return TogglClient(ApiToken("a" * 32), base_url=url, options=OPTIONS)


def download(toggl: TogglClient, operation: Operation[bytes] = CSV) -> Download:
    return toggl.me._download(operation)


@pytest.mark.parametrize("cuts", [1, 2, 3])
async def test_a_read_that_is_cut_before_its_first_byte_is_sent_again(cuts: int, tmp_path: Path) -> None:
    def cut(asked: Asked) -> None:
        if len(server.asked) <= cuts:
            asked.head(200, 4)
            asked.hang_up()
        else:
            asked.answer(body=b"a,b\n", Content_Type="text/csv")

    async with http_server(cut) as server, client(server.url) as toggl:
        if cuts < 3:
            assert await download(toggl).save(tmp_path / "x.csv") == 4
        else:
            with pytest.raises(ConnectionFailed, match=r"cut off: .*peer closed connection"):
                await download(toggl).save(tmp_path / "x.csv")
        (account,) = toggl.stats().accounts
        assert account.in_flight == 0
    assert len(server.asked) == min(cuts + 1, 3)


async def test_what_was_passed_on_is_not_sent_again(tmp_path: Path) -> None:
    def cut(asked: Asked) -> None:
        asked.head(200, 100)
        asked.writer.write(b"a,b\n")
        asked.hang_up()

    async with http_server(cut) as server, client(server.url) as toggl:
        with pytest.raises(ConnectionFailed, match="cut off"):
            await download(toggl).save(tmp_path / "x.csv")
    assert len(server.asked) == 1
    assert list(tmp_path.iterdir()) == []


async def test_a_write_that_is_cut_is_not_sent_again(tmp_path: Path) -> None:
    def cut(asked: Asked) -> None:
        asked.head(200, 4)
        asked.hang_up()

    async with http_server(cut) as server, client(server.url) as toggl:
        with pytest.raises(ConnectionFailed, match="may have been applied"):
            await download(toggl, WRITE).save(tmp_path / "x.csv")
    assert len(server.asked) == 1


@pytest.mark.parametrize("way", ["await", "save"])
@pytest.mark.parametrize(
    ("status", "body", "headers", "told"),
    [
        (206, b"a,b\n", {"Content_Range": "bytes 0-3/900"}, r"only a part of the answer.*bytes 0-3/900"),
        (206, b"a,b\n", {}, "without a Content-Range"),
        (226, b"a,b\n", {}, "only a part of the answer"),
        (202, b"", {}, r"got no answer yet \(202 Accepted\)"),
        (202, b"a,b\n", {}, "got no answer yet"),
        (205, b"", {}, "got no answer yet"),
        (204, b"", {}, r"got no file \(204 No Content\)"),
        (200, b'"too big to be exported\\u001b"', {}, r'got text: "too big to be exported\\x1b"'),
        (200, b'{"error": "too big"}', {}, "too big"),
    ],
)
async def test_what_is_no_whole_file_is_not_saved(
    status: int, body: bytes, headers: dict[str, str], told: str, way: str, tmp_path: Path
) -> None:
    async with (
        http_server(lambda asked: asked.answer(status, body, **headers)) as server,
        client(server.url) as toggl,
    ):
        with pytest.raises(DecodeError, match=told):
            await (download(toggl) if way == "await" else download(toggl).save(tmp_path / "x.csv"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("body", [b'"User","Email"\n"ann","x"\n', b""])
async def test_a_file_that_begins_like_json_is_one(body: bytes, tmp_path: Path) -> None:
    async with (
        http_server(lambda asked: asked.answer(200, body)) as server,
        client(server.url) as toggl,
    ):
        assert await download(toggl) == body
        await download(toggl).save(tmp_path / "x.csv")
    assert (tmp_path / "x.csv").read_bytes() == body
