"""What a request is answered with, in the shapes that Toggl uses.

A refusal is a bare JSON string with the JSON content type; the web server in front of Toggl
answers in HTML of its own; a missing authentication gets an empty body.
"""

import http
from collections.abc import Mapping
from typing import Final

import attrs
import msgspec

__all__ = ["ApiError", "Reply", "empty", "file", "json", "proxy_page", "refusal"]

JSON: Final = "application/json; charset=utf-8"

_NO_HEADERS: Final[Mapping[str, str]] = {}


@attrs.frozen(kw_only=True)
class Reply:
    """A status, a body and the headers that belong to this answer alone."""

    status: int = 200
    body: bytes = b""
    media: str | None = JSON
    headers: Mapping[str, str] = _NO_HEADERS


class ApiError(Exception):
    """Ends the handling of a request with a refusal in Toggl's words."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(status, text)
        self.status = status
        self.text = text


def json(value: object, *, status: int = 200, headers: Mapping[str, str] = _NO_HEADERS) -> Reply:
    """Answer with a value as JSON."""
    return Reply(status=status, body=msgspec.json.encode(value), headers=headers)


def empty(*, status: int = 200) -> Reply:
    """Answer with nothing."""
    return Reply(status=status, media=None)


def file(content: bytes, media: str) -> Reply:
    """Answer with a file."""
    return Reply(body=content, media=media)


def refusal(status: int, text: str, *, headers: Mapping[str, str] = _NO_HEADERS) -> Reply:
    """Answer with a bare JSON string."""
    return json(text, status=status, headers=headers)


def proxy_page(status: int) -> Reply:
    """Answer as the web server in front of Toggl does, in HTML."""
    title = f"{status} {http.HTTPStatus(status).phrase}"
    page = (
        f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n"
        "<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
    )
    return Reply(status=status, body=page.encode(), media="text/html")
