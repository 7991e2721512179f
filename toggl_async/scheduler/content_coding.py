"""Content codings: gzip, deflate, br and zstd, alone or stacked, decoded whole or not at all.

httpx's decoders don't notice incomplete data: compressed bytes that were cut off yield the first part of a
file without an error, and of several gzip members only the first is read. So bodies are decoded here, up to
the end that each coding marks. Any data that a coding doesn't mark as its own counts as damage.

br and zstd are supported if the packages that httpx uses for them are installed.
"""

import contextlib
import importlib
import zlib
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from toggl_async.scheduler.transport import httpx

__all__ = ["Decoder", "UnknownCoding", "decode", "decode_what_is_there", "decoder_for"]


class UnknownCoding(httpx.DecodingError):
    """A body is encoded in a way that can't be decoded here."""


class Decoder(Protocol):
    """Decodes one body, piece by piece."""

    def feed(self, data: bytes) -> bytes:
        """Decode the next piece, and return what comes of it.

        Raises:
            httpx.DecodingError: it is damaged.
        """
        ...

    def finish(self) -> None:
        """Note that no piece follows.

        Raises:
            httpx.RemoteProtocolError: the end is missing.
        """
        ...


class _Deflate:
    """One stream of deflate, with zlib's header around it as the standard has it, or without."""

    def __init__(self) -> None:
        self._start = b""
        self._stream: Any = None

    def feed(self, data: bytes) -> bytes:
        if self._stream is None:
            data = self._start = self._start + data
            if len(data) < 2:  # noqa: PLR2004 - the header's length
                return b""
            wrapped = data[0] & 0x0F == zlib.DEFLATED and int.from_bytes(data[:2]) % 31 == 0
            self._stream = zlib.decompressobj(zlib.MAX_WBITS if wrapped else -zlib.MAX_WBITS)
        if self._stream.eof:
            _refuse_more(data)
        decoded: bytes = self._stream.decompress(data)
        _refuse_more(self._stream.unused_data)
        return decoded

    def finish(self) -> None:
        if self._stream is None or not self._stream.eof:
            raise _cut()


class _Members:
    """A sequence of members, each whole in itself: those of gzip, the frames of zstd."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._member: Any = None
        self._ended = 0

    def feed(self, data: bytes) -> bytes:
        decoded: list[bytes] = []
        while data := data if self._member or not self._ended else data.lstrip(b"\0"):  # padding
            if self._member is None:
                self._member = self._make()
            decoded.append(self._member.decompress(data))
            data = b""
            if self._member.eof:
                data, self._member = self._member.unused_data, None
                self._ended += 1
        return b"".join(decoded)

    def finish(self) -> None:
        if self._member is not None or not self._ended:
            raise _cut()


class _Brotli:
    """One stream of Brotli."""

    def __init__(self, brotli: Any) -> None:
        self._stream = brotli.Decompressor()
        self._process: Callable[[bytes], bytes] = (
            getattr(self._stream, "process", None) or self._stream.decompress
        )

    def feed(self, data: bytes) -> bytes:
        if self._stream.is_finished():
            _refuse_more(data)
        return self._process(data)

    def finish(self) -> None:
        if not self._stream.is_finished():
            raise _cut()


class _Stack:
    """Several codings, one inside the other."""

    def __init__(self, decoders: list[Decoder]) -> None:
        self._decoders = decoders

    def feed(self, data: bytes) -> bytes:
        try:
            for decoder in self._decoders:
                data = decoder.feed(data)
        except Exception as error:
            # Each package has an exception of its own, and all mean that the bytes make no sense.
            raise httpx.DecodingError(str(error)) from error
        return data

    def finish(self) -> None:
        for decoder in self._decoders:
            decoder.finish()


def _gzip() -> Decoder:
    return _Members(lambda: zlib.decompressobj(zlib.MAX_WBITS | 16))


def _brotli() -> Decoder:
    return _Brotli(_installed("brotli", "brotlicffi"))


def _zstd() -> Decoder:
    zstandard = _installed("zstandard")
    return _Members(lambda: zstandard.ZstdDecompressor().decompressobj())


_CODINGS: Final[Mapping[str, Callable[[], Decoder]]] = {
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": _Deflate,
    "br": _brotli,
    "zstd": _zstd,
}

_DEEPEST: Final = 8
"""Codings that are undone, one inside the other; more could only serve to exhaust the decoder."""


def decoder_for(headers: httpx.Headers) -> Decoder | None:
    """Return a decoder for a body with these headers; None if it isn't encoded.

    Raises:
        UnknownCoding: there is none.
    """
    stated = headers.get("content-encoding")
    if stated is None:
        return None
    names = [name for name in map(str.strip, stated.lower().split(",")) if name not in {"", "identity"}]
    if not names:
        return None
    if len(names) > _DEEPEST or not all(name in _CODINGS for name in names):
        raise UnknownCoding(f"it is encoded as {stated[:100]!r}")
    return _Stack([_CODINGS[name]() for name in reversed(names)])


def decode(headers: httpx.Headers, body: bytes) -> bytes:
    """Decode a whole body.

    Raises:
        httpx.RemoteProtocolError: its end is missing.
        httpx.DecodingError: it is damaged, or encoded in an unknown way.
    """
    decoder = decoder_for(headers)
    if decoder is None:
        return body
    decoded = decoder.feed(body)
    decoder.finish()
    return decoded


def decode_what_is_there(headers: httpx.Headers, body: bytes) -> bytes:
    """Decode as much of a body as possible, which may be nothing."""
    with contextlib.suppress(httpx.DecodingError):
        decoder = decoder_for(headers)
        return body if decoder is None else decoder.feed(body)
    return b""


def _installed(*names: str) -> Any:
    """Import the first of several packages that is installed."""
    for name in names:
        with contextlib.suppress(ImportError):
            return importlib.import_module(name)
    raise UnknownCoding(f"decoding it needs the package {names[0]}")


def _refuse_more(data: bytes) -> None:
    if data:
        raise httpx.DecodingError("there is data after its end")


def _cut() -> httpx.RemoteProtocolError:
    return httpx.RemoteProtocolError("the compressed body is cut short")
