"""A body is whole or it is an error, in every content coding."""

import functools
import gzip
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import brotli  # type: ignore[import-untyped]
import httpx
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from support.support_wire import QUICK, TOKEN, Received, answer, raw_server
from toggl_async import ApiToken, TogglClient
from toggl_async._operations.files import Download
from toggl_async._operations.operation import Operation
from toggl_async.errors import ConnectionFailed, DecodeError, NotFound, ResponseError
from toggl_async.scheduler import ScheduledTransport
from toggl_async.scheduler.content_coding import Decoder, decode, decoder_for

pytestmark = pytest.mark.anyio

TEXT = b"".join(b"%d,project %d\n" % (row, row * 7919 % 1000) for row in range(2_000))
QUOTED = b'"' + TEXT.replace(b"\n", b";") + b'"'

CSV: Operation[bytes] = Operation.declare("me.csv", "GET /api/v9/me/csv", bytes)


def csv(toggl: TogglClient) -> Download:
    return toggl.me._download(CSV)


def packed(data: bytes) -> bytes:
    """Compress the same way each time, as the names of tests demand."""
    return gzip.compress(data, mtime=0)


Coder = Callable[[bytes], bytes]


def raw_deflate(data: bytes) -> bytes:
    coder = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return coder.compress(data) + coder.flush()


def members(data: bytes) -> bytes:
    third = len(data) // 3
    return b"".join(map(gzip.compress, (data[:third], data[third : 2 * third], data[2 * third :])))


def frames(data: bytes) -> bytes:
    half = len(data) // 2
    return b"".join(zstandard.ZstdCompressor().compress(part) for part in (data[:half], data[half:]))


CODINGS: dict[str, tuple[str, Coder]] = {
    "gzip": ("gzip", gzip.compress),
    "x-gzip": ("X-GZip", gzip.compress),
    "gzip members": ("gzip", members),
    "gzip with padding": ("gzip", lambda data: gzip.compress(data) + bytes(9)),
    "zlib": ("deflate", zlib.compress),
    "raw deflate": ("deflate", raw_deflate),
    "br": ("br", brotli.compress),
    "zstd": ("zstd", zstandard.ZstdCompressor().compress),
    "zstd frames": ("zstd", frames),
    "deflate, gzip": ("deflate, gzip", lambda data: gzip.compress(zlib.compress(data))),
    "gzip, identity, br": ("gzip, identity, br", lambda data: brotli.compress(members(data))),
    "identity": ("identity", bytes),
}
CUT = sorted(set(CODINGS) - {"identity"})


def encoded(name: str, data: bytes) -> tuple[bytes, dict[str, str]]:
    coding, coder = CODINGS[name]
    return coder(data), {"Content-Encoding": coding}


@pytest.mark.parametrize("name", CODINGS)
async def test_a_whole_body_is_read_in_every_way(name: str, tmp_path: Path) -> None:
    def respond(asked: Received) -> bytes:
        body, headers = encoded(name, TEXT if asked.target.endswith("csv") else QUOTED)
        return answer(200, body, headers)

    async with raw_server(respond) as server, server.client() as toggl:
        assert await toggl.request("GET", "/api/v9/me") == QUOTED[1:-1].decode()
        assert await csv(toggl) == TEXT
        assert await csv(toggl).save(tmp_path / "a.csv") == len(TEXT)
    assert (tmp_path / "a.csv").read_bytes() == TEXT


@pytest.mark.parametrize("name", CUT)
async def test_a_cut_body_is_lost_in_every_way(name: str, tmp_path: Path) -> None:
    """What is fetched whole is fetched again, as after any lost answer."""

    def respond(asked: Received) -> bytes:
        body, headers = encoded(name, TEXT if asked.target.endswith("csv") else QUOTED)
        return answer(200, body[: len(body) // 2], headers)

    async with raw_server(respond) as server, server.client() as toggl:
        with pytest.raises(ConnectionFailed, match="cut short"):
            await toggl.request("GET", "/api/v9/me")
        assert len(server.received) == QUICK.retry.attempts
        with pytest.raises(ConnectionFailed, match="cut short"):
            await csv(toggl)
        with pytest.raises(ConnectionFailed, match="was cut off"):
            await csv(toggl).save(tmp_path / "a.csv")
        with pytest.raises(ConnectionFailed) as caught:
            await toggl.request("POST", "/api/v9/workspaces/3/tags", json={})
        assert caught.value.maybe_applied
    assert list(tmp_path.iterdir()) == []


async def test_a_cut_body_is_fetched_again() -> None:
    whole = packed(QUOTED)
    bodies = [whole[:-1], whole[:1], b"", whole]
    headers = {"Content-Encoding": "gzip"}
    async with raw_server(lambda _: answer(200, bodies.pop(0), headers)) as server, server.client() as toggl:
        with pytest.raises(ConnectionFailed):
            await toggl.request("GET", "/api/v9/me")
        assert await toggl.request("GET", "/api/v9/me") == QUOTED[1:-1].decode()
    assert len(server.received) == 4


@pytest.mark.parametrize("name", CUT)
@settings(max_examples=settings().max_examples // 4)
@given(share=st.floats(0, 1, exclude_max=True), piece=st.integers(1, 999))
@pytest.mark.sampled(2)
def test_no_beginning_of_a_body_is_a_body(name: str, share: float, piece: int) -> None:
    """Wherever it is cut, and however it arrives; only between members it is whole for all one can know."""
    if name in {"gzip members", "zstd frames", "gzip with padding", "gzip, identity, br"}:
        share = share * 0.3
    body, headers = encoded(name, TEXT)
    for data, whole in ((body, True), (body[: int(len(body) * share)], False)):
        decoder = decoder_for(httpx.Headers(headers))
        assert decoder is not None
        decoded = b"".join(decoder.feed(data[at : at + piece]) for at in range(0, len(data), piece))
        if whole:
            decoder.finish()
            assert decoded == TEXT
        else:
            assert TEXT.startswith(decoded)
            with pytest.raises(httpx.RemoteProtocolError):
                decoder.finish()


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", packed(QUOTED) + b"garbage"),
        ("gzip", packed(QUOTED) + b"\0\0garbage"),
        ("gzip", packed(QUOTED)[:-8] + bytes(8)),
        ("gzip", b"no gzip"),
        ("deflate", zlib.compress(QUOTED) + b"garbage"),
        ("deflate", raw_deflate(QUOTED) + b"garbage"),
        ("deflate", zlib.compress(QUOTED)[:-4] + bytes(4)),
        ("br", brotli.compress(QUOTED) + b"garbage"),
        ("br", b"no brotli"),
        ("zstd", zstandard.ZstdCompressor().compress(QUOTED) + b"garbage"),
        ("compress", b"\x1f\x9d"),
        ("gzip;q=1", packed(QUOTED)),
        (", ".join(["gzip"] * 9), b"\x1f\x8b"),
    ],
)
async def test_a_damaged_or_unknown_body_is_said_as_such(coding: str, body: bytes, tmp_path: Path) -> None:
    headers = {"Content-Encoding": coding}
    async with raw_server(lambda _: answer(200, body, headers)) as server, server.client() as toggl:
        with pytest.raises(DecodeError, match="cannot be decompressed") as caught:
            await toggl.request("GET", "/api/v9/me")
        assert caught.value.body == body
        with pytest.raises(DecodeError, match="cannot be decompressed"):
            await csv(toggl).save(tmp_path / "a.csv")
    assert len(server.received) == 2
    assert list(tmp_path.iterdir()) == []


def decode_in_pieces(decoder: Decoder, body: bytes, piece: int) -> bytes:
    decoded = b"".join(decoder.feed(body[at : at + piece]) for at in range(0, len(body), piece))
    decoder.finish()
    return decoded


@pytest.mark.parametrize("piece", [1, 10**9])
@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
def test_what_follows_the_end_is_damage_however_it_arrives(coding: str, piece: int) -> None:
    body = encoded("zlib" if coding == "deflate" else coding, TEXT)[0] + b"garbage"
    decoder = decoder_for(httpx.Headers({"Content-Encoding": coding}))
    assert decoder is not None
    with pytest.raises((httpx.DecodingError, httpx.RemoteProtocolError)):
        decode_in_pieces(decoder, body, piece)


@pytest.mark.parametrize("coding", ["br", "zstd"])
def test_a_coding_whose_package_is_missing_is_unknown(coding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "brotli", None)
    monkeypatch.setitem(sys.modules, "brotlicffi", None)
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(httpx.DecodingError, match="needs the package"):
        decode(httpx.Headers({"Content-Encoding": coding}), b"x")


@pytest.mark.parametrize("body", [packed(b'"no such thing"'), packed(b'"no such thing"')[:-8], b"odd", b""])
async def test_a_refusal_is_one_however_its_body_is_encoded(body: bytes) -> None:
    headers = {"Content-Encoding": "gzip"}
    async with raw_server(lambda _: answer(404, body, headers)) as server, server.client() as toggl:
        with pytest.raises(NotFound):
            await toggl.request("GET", "/api/v9/me")
    assert len(server.received) == 1


def constantly(answered: bytes, _asked: Received) -> bytes:
    return answered


async def test_a_redirect_is_refused_however_its_body_is_encoded(tmp_path: Path) -> None:
    for body in (gzip.compress(b"moved"), b"odd"):
        moved = answer(302, body, {"Content-Encoding": "gzip", "Location": "/elsewhere"})
        async with raw_server(functools.partial(constantly, moved)) as server, server.client() as toggl:
            for call in (toggl.request("GET", "/api/v9/me"), csv(toggl).save(tmp_path / "a.csv")):
                with pytest.raises((ResponseError, DecodeError)):
                    await call


async def test_answers_without_a_body_have_no_end_to_miss() -> None:
    headers = {"Content-Encoding": "gzip"}

    def respond(asked: Received) -> bytes:
        return b"HTTP/1.1 204 None\r\nContent-Encoding: gzip\r\n\r\n" if asked.method == "GET" else head

    head = answer(200, b"", headers)
    async with raw_server(respond) as server, server.client() as toggl:
        assert await toggl.request("GET", "/api/v9/me") is None
        assert await toggl.request("HEAD", "/api/v9/me") is None


async def test_a_foreign_client_gets_all_members_too() -> None:
    headers = {"Content-Encoding": "gzip"}
    async with (
        raw_server(lambda _: answer(200, members(QUOTED), headers)) as server,
        httpx.AsyncClient(transport=ScheduledTransport(options=QUICK)) as client,
    ):
        assert (await client.get(f"{server.url}/api/v9/me")).content == QUOTED


@pytest.mark.jump
async def test_a_mocked_answer_is_read_whole_too() -> None:
    def respond(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=members(QUOTED), headers={"Content-Encoding": "gzip"})

    async with TogglClient(ApiToken(TOKEN), transport=httpx.MockTransport(respond)) as toggl:
        assert await toggl.request("GET", "/api/v9/me") == QUOTED[1:-1].decode()
