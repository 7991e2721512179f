"""The wire: requests built and sent, and answers read, without httpx's own client.

That client logs the URL of every request, with the tokens and codes that some of Toggl's paths and queries
contain; it keeps cookies; and it takes a good part of a request's CPU time. So this module uses httpx's
requests, responses and transports, but not its client.

Imported by the session and the client.
"""

import ipaddress
import re
from collections.abc import AsyncIterator, Sequence
from typing import Final, cast
from urllib.parse import unquote

from toggl_async._operations.files import Form
from toggl_async.codec import query_items
from toggl_async.errors import DecodeError, InvalidInput, shown
from toggl_async.scheduler.content_coding import decode
from toggl_async.scheduler.transport import Around, Network, httpx, proxy_for

__all__ = ["Wire", "check_call", "checked_url", "network", "raw_chunks", "read", "undecodable"]

_ACCEPT: Final = "application/json, */*;q=0.5"
"""JSON where there is a choice; files, and refusals in other forms, come as what they are."""

_ENCODINGS: Final = "gzip, deflate"
"""What httpx reads whatever is installed beside it."""

_KEPT_CONNECTIONS: Final = 4
"""Idle connections cost CPU on every request, and a pace of one a second needs few."""

_METHOD: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""A token of RFC 9110."""


class Wire:
    """Where requests go, and how they travel.

    Args:
        base_url: the server.
        user_agent: what the client calls itself.
        transport: what sends the requests.
        around: what goes around each call, if anything.
    """

    def __init__(
        self,
        base_url: httpx.URL,
        *,
        user_agent: str,
        transport: httpx.AsyncBaseTransport,
        around: Around | None = None,
    ) -> None:
        self.base_url: httpx.URL = base_url
        self.transport: httpx.AsyncBaseTransport = transport
        self._around = around
        self._prefix = str(base_url).rstrip("/")
        self._headers: tuple[tuple[str, str], ...] = (
            ("Accept", _ACCEPT),
            ("Accept-Encoding", _ENCODINGS),
            ("User-Agent", user_agent),
        )

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Sequence[tuple[str, str]],
        body: Form | bytes | None,
        timeout: float | None,  # noqa: ASYNC109 - it travels with the request
    ) -> httpx.Request:
        """Build a request.

        Args:
            method: the HTTP method.
            path: the path from the host on, escaped.
            query: names and values, not yet escaped.
            body: JSON as bytes, or a form.
            timeout: seconds for each of connecting, sending and the next byte of an answer; None for no
                limit.

        Raises:
            InvalidInput: they make no URL, or a file of the form cannot be read.
        """
        content: bytes | None = None
        fields: dict[str, str] | None = None
        files: list[tuple[str, tuple[str | None, bytes | str] | tuple[str, bytes, str]]] = []
        headers = self._headers
        if isinstance(body, Form):
            values, contents = await body.parts()
            fields = dict(query_items(values))
            if body.multipart:
                # As parts without a file name; httpx would send fields alone urlencoded.
                files += [*((name, (None, value)) for name, value in fields.items()), *contents]
                fields = {}
        else:
            content = body
            headers = (*headers, ("Content-Type", "application/json"))
        try:
            return httpx.Request(
                method,
                f"{self._prefix}{path}",
                params=tuple(query) or None,
                headers=headers,
                content=content,
                data=fields,
                files=files or None,
                extensions={"timeout": httpx.Timeout(timeout).as_dict()},
            )
        except (httpx.InvalidURL, UnicodeError) as error:
            # Neither quotes the URL: there may be a secret in it.
            raise InvalidInput(f"{method}: the path does not make a valid URL: {error}") from None

    async def send(self, request: httpx.Request) -> httpx.Response:
        """Send a request and return its answer, unread.

        The answer is not tied to its request, or httpx would hang that, URL and all, on its errors.
        """
        send = self.transport.handle_async_request
        return await (send(request) if self._around is None else self._around(request, send))


_LAST_PORT: Final = 65535

_PATH_OF_AN_API: Final = re.compile(r"/(?:(?:reports|insights|webhooks)/)?api/v\d+/?")
"""What Toggl's documentation shows behind the host, and every path of ours begins with."""


def checked_url(address: str, name: str) -> httpx.URL:
    """Return a base or accounts URL, unless the credentials would travel in clear over it.

    Raises:
        InvalidInput: they would, or it isn't the URL of a host.
    """
    if not isinstance(address, str):
        raise InvalidInput(f"{name}_url must be text such as 'https://HOST', not {type(address).__name__}")
    try:
        url = httpx.URL(address)
        _ = url.host  # decoded only when somebody asks
    except (httpx.InvalidURL, UnicodeError) as error:
        raise InvalidInput(f"{name}_url is not a valid URL: {error}") from None
    if url.port is not None and not 0 < url.port <= _LAST_PORT:
        raise InvalidInput(f"{name}_url must have a port from 1 to {_LAST_PORT}, not {url.port}")
    if url.userinfo:
        raise InvalidInput(f"{name}_url must not contain credentials")
    if (
        not url.host
        or any(map(str.isspace, address))
        or url.scheme not in {"http", "https"}
        or url.query
        or url.fragment
    ):
        raise InvalidInput(f"{name}_url must be https://HOST, not {shown(address)}")
    if _PATH_OF_AN_API.fullmatch(url.path):
        raise InvalidInput(f"{name}_url must be https://HOST: leave out {url.path.rstrip('/')}")
    if url.scheme == "http" and not _is_loopback(url.host):
        raise InvalidInput(
            f"{name}_url must use https, or credentials would be sent in the clear: {shown(address)}"
        )
    return url


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def check_call(method: object, path: object, *, has_query: bool) -> None:
    """Refuse what would leave the host or the path, or lose half of a query.

    Args:
        method: the HTTP method.
        path: the path from the host on, escaped already; it may carry a query.
        has_query: whether another query is to be added.

    Raises:
        InvalidInput: they cannot be sent as they are; the path is not quoted.
    """
    if not (isinstance(method, str) and _METHOD.fullmatch(method)):
        raise InvalidInput(f"method must be an HTTP method, not {shown(method)}")
    if not isinstance(path, str):
        raise InvalidInput(f"path: pass a str, not a value of type {type(path).__name__}")
    if not path.startswith("/") or path.startswith("//"):
        raise InvalidInput("path must start with a single slash and must not name a host")
    if "#" in path:
        raise InvalidInput("path must not contain a fragment: write # as %23")
    way, asked, _ = path.partition("?")
    if asked and has_query:
        raise InvalidInput("path already contains a query: pass all of it in params")
    if any(unquote(segment) in {".", ".."} for segment in way.split("/")):
        raise InvalidInput("path must not contain dot segments: they would lead elsewhere")


async def read(response: httpx.Response, *, operation: str) -> bytes:
    """Read the body of an answer, which the scheduler has decoded as far as it could be.

    Raises:
        DecodeError: it is damaged, or encoded otherwise than was asked for.
    """
    if not response.is_success and "content-encoding" not in response.headers:
        return await response.aread()
    stream = response.stream
    if isinstance(stream, httpx.ByteStream):
        raw = b"".join(stream)
    else:
        raw = b"".join([chunk async for chunk in raw_chunks(response)])
    if not raw or "content-encoding" not in response.headers:
        return raw
    try:
        return decode(response.headers, raw)
    except httpx.DecodingError as error:
        raise undecodable(error, operation=operation, body=raw) from error


async def raw_chunks(response: httpx.Response) -> AsyncIterator[bytes]:
    """Pass on the body of an answer as its transport has it.

    httpx's own readers decode, and a part of a body satisfies them.
    """
    # The scheduler hands on no other kind.
    async for chunk in cast("httpx.AsyncByteStream", response.stream):
        yield chunk


def undecodable(error: httpx.DecodingError, *, operation: str, body: bytes = b"") -> DecodeError:
    """Return the typed error for a body that cannot be decompressed."""
    return DecodeError(f"cannot be decompressed: {error}", operation=operation, field="$", body=body)


def network(url: httpx.URL, *, connections: int) -> Network:
    """Return httpx's own transport, through the proxy that the environment names for a host.

    Args:
        url: the host.
        connections: connections at once, at most.

    Raises:
        InvalidInput: the proxy that the environment names is not a valid URL; it is not quoted, since it
            may hold a password.
    """
    limits = httpx.Limits(max_connections=connections, max_keepalive_connections=_KEPT_CONNECTIONS)
    return Network(limits=limits, proxy=proxy_for(url))
