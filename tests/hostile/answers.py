"""Answers as bytes on the wire: any body in any coding and framing, whole or cut."""

import gzip
import zlib
from collections.abc import Callable, Mapping
from typing import Literal

import attrs

from hostile.server import Reply

__all__ = ["CODINGS", "JSON", "Answer", "Framing"]

JSON = ("Content-Type", "application/json; charset=utf-8")

Framing = Literal["length", "chunked", "close"]

_REASONS = {200: "OK", 201: "Created", 204: "No Content", 302: "Found"}
_BODILESS = {204, 304}
_PIECE = 512


def _raw_deflate(content: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(content) + packer.flush()


def _members(content: bytes) -> bytes:
    """Two gzip members, one behind the other: a file that was written in two goes."""
    middle = len(content) // 2
    return gzip.compress(content[:middle], mtime=0) + gzip.compress(content[middle:], mtime=0)


CODINGS: Mapping[str, tuple[str, Callable[[bytes], bytes]]] = {
    "identity": ("", lambda content: content),
    "gzip": ("gzip", lambda content: gzip.compress(content, mtime=0)),
    "gzip members": ("gzip", _members),
    "deflate": ("deflate", zlib.compress),
    "raw deflate": ("deflate", _raw_deflate),
    "deflate and gzip": ("deflate, gzip", lambda content: gzip.compress(zlib.compress(content), mtime=0)),
}
"""Codings that httpx reads with nothing installed beside it: the header, and how a body is coded."""


@attrs.frozen(kw_only=True)
class Answer:
    """An answer of a server that is not to be trusted.

    Attributes:
        body: the body before it is coded.
        status: the status.
        headers: the headers beside those of coding and framing.
        coding: how the body is coded, a key of `CODINGS`.
        framing: how its end is marked.
        cut: the share of the coded body that is sent; None for all of it.
        cut_before_framing: whether the framing says that what is left is all.
        then: what becomes of the connection; a body that lacks its end closes it in any case.
    """

    body: bytes = b""
    status: int = 200
    headers: tuple[tuple[str, str], ...] = (JSON,)
    coding: str = "identity"
    framing: Framing = "length"
    cut: float | None = None
    cut_before_framing: bool = False
    then: Literal["keep", "close", "reset", "silence"] = "keep"

    def reply(self) -> Reply:
        """Put it into bytes."""
        named, code = CODINGS[self.coding]
        coded = code(self.body)
        kept = coded if self.cut is None else coded[: int(len(coded) * self.cut)]
        if self.cut_before_framing:
            coded = kept
        headers = list(self.headers)
        if named:
            headers.append(("Content-Encoding", named))
        sent = kept
        if self.status in _BODILESS:
            sent = b""
        elif self.framing == "length":
            headers.append(("Content-Length", str(len(coded))))
        elif self.framing == "chunked":
            headers.append(("Transfer-Encoding", "chunked"))
            sent = _chunked(kept, ends=len(kept) == len(coded))
        lacks_end = len(kept) < len(coded) or (self.framing == "close" and self.status not in _BODILESS)
        then = "close" if lacks_end and self.then == "keep" else self.then
        if then == "close":
            headers.append(("Connection", "close"))
        first = f"HTTP/1.1 {self.status} {_REASONS.get(self.status, 'Odd')}\r\n"
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
        return Reply(data=(first + lines + "\r\n").encode("latin-1") + sent, then=then)


def _chunked(content: bytes, *, ends: bool) -> bytes:
    pieces = [content[start : start + _PIECE] for start in range(0, len(content), _PIECE)]
    framed = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return framed + (b"0\r\n\r\n" if ends else b"")
