"""Pages of HTML that came where Toggl answers in JSON: a proxy's, or the login page of a network.

Toggl's own balancers are nginx, and their pages count as Toggl's.
"""

import html
import re
from collections.abc import Mapping
from typing import Final

__all__ = ["is_page", "words_of_page"]

_MARKUP: Final = re.compile(rb"\s*<(?:!doctype\s+html|html|head|body|title)\b", re.IGNORECASE)
_TITLE: Final = re.compile(rb"<title[^>]*>(.*?)</title", re.IGNORECASE | re.DOTALL)
_GLANCE: Final = 65_536
"""Bytes that are searched for a title."""
_SHOWN: Final = 120
"""Characters of a title that are shown."""


def is_page(headers: Mapping[str, str], body: bytes) -> bool:
    """Say whether a body is a page of HTML that isn't Toggl's."""
    if b"nginx" in body[:_GLANCE].lower():
        return False
    start = body[:_GLANCE].removeprefix(b"\xef\xbb\xbf")
    is_html = "html" in headers.get("content-type", "").lower() and start.lstrip().startswith(b"<")
    return is_html or _MARKUP.match(start) is not None


def words_of_page(body: bytes) -> str:
    """Say that a page came, and its title."""
    found = _TITLE.search(body[:_GLANCE])
    title = "" if found is None else " ".join(html.unescape(found[1].decode("utf-8", "replace")).split())
    titled = f', titled "{title[:_SHOWN]}{"…" if len(title) > _SHOWN else ""}"' if title else ""
    return f"HTML came instead of an answer from Toggl{titled}: a proxy or a login page may be in the way"
