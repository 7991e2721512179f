"""What a request is answered with, in the shapes that Toggl uses.

A refusal is a bare JSON string with the JSON content type; the web server in front of Toggl
answers in HTML of its own; missing credentials get an empty body.
"""

import http
from collections.abc import Mapping
from typing import Final

import msgspec
from starlette.responses import Response

__all__ = [
    "ApiError",
    "by_status",
    "empty",
    "file",
    "json",
    "not_found",
    "proxy_page",
    "refusal",
    "unauthorized",
]

_JSON: Final = "application/json; charset=utf-8"

_PROXYS: Final = frozenset({429, 502, 503, 504})
"""What the web server in front of Toggl answers by itself."""

_NO_HEADERS: Final[Mapping[str, str]] = {}


class ApiError(Exception):
    """Ends the handling of a request with a refusal in Toggl's words."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(status, text)
        self.status = status
        self.text = text


def json(value: object, *, status: int = 200, headers: Mapping[str, str] = _NO_HEADERS) -> Response:
    """Answer with a value as JSON."""
    return Response(msgspec.json.encode(value), status, {"Content-Type": _JSON, **headers})


def empty(*, status: int = 200, headers: Mapping[str, str] = _NO_HEADERS) -> Response:
    """Answer with nothing."""
    return Response(status_code=status, headers=dict(headers))


def file(content: bytes, media: str) -> Response:
    """Answer with a file."""
    # As a header, the type stays as it is: `media_type` would add a character set to text.
    return Response(content, headers={"Content-Type": media})


def refusal(status: int, text: str, *, headers: Mapping[str, str] = _NO_HEADERS) -> Response:
    """Answer with a bare JSON string."""
    return json(text, status=status, headers=headers)


def unauthorized() -> Response:
    """Answer a request without credentials."""
    return empty(status=401, headers={"X-Authorization-Missing": "true"})


def not_found() -> Response:
    """Answer a path that does not exist."""
    headers = {"Content-Type": "text/plain; charset=utf-8"}
    return Response(b"404 page not found\n", 404, headers)


def proxy_page(status: int) -> Response:
    """Answer as the web server in front of Toggl does, in HTML."""
    title = f"{status} {http.HTTPStatus(status).phrase}"
    page = (
        f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n"
        "<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
    )
    return Response(page, status, {"Content-Type": "text/html"})


def by_status(status: int) -> Response:
    """Answer as a status is answered where there is nothing to say but that: by Toggl, or before it."""
    if status in _PROXYS:
        return proxy_page(status)
    if status == http.HTTPStatus.UNAUTHORIZED:
        return unauthorized()
    if status < http.HTTPStatus.BAD_REQUEST:
        return empty(status=status)
    return refusal(status, http.HTTPStatus(status).phrase)
