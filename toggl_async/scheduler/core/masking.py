"""Masks credentials in a server's words: if a proxy echoes a request, errors must not show them."""

import base64
import binascii
import html
import json
from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import quote

__all__ = ["masked", "secrets_in"]

_MASK: Final = b"***"

_LEAST: Final = 4
"""Characters of a secret: shorter ones occur in many words."""

_NO_SECRET: Final = "api_token"  # noqa: S105
"""The password beside a token."""


def secrets_in(headers: Mapping[str, str]) -> frozenset[str]:
    """Return what in the headers of a request proves who asks.

    Args:
        headers: the headers, by names in lower case or regardless of case.
    """
    found: set[str] = set()
    scheme, _, value = headers.get("authorization", "").partition(" ")
    found.add(value or scheme)
    if scheme.lower() == "basic":
        try:
            user, _, password = base64.b64decode(value).decode("utf-8", "replace").partition(":")
        except binascii.Error:
            user, password = value, ""
        found.add(user if password == _NO_SECRET else password)
    for cookie in headers.get("cookie", "").split(";"):
        found.add(cookie.partition("=")[2].strip())
    return frozenset(found)


def masked(body: bytes, secrets: Iterable[str]) -> bytes:
    """Blank secrets in what a server said, also as JSON, HTML and URLs write them."""
    spellings: set[str] = set()
    for secret in secrets:
        if len(secret) >= _LEAST:
            spellings |= {
                secret,
                html.escape(secret),
                quote(secret, safe=""),
                json.dumps(secret)[1:-1],
                json.dumps(secret, ensure_ascii=False)[1:-1],
            }
    for spelling in sorted(spellings, key=len, reverse=True):
        body = body.replace(spelling.encode("utf-8", "surrogatepass"), _MASK)
    return body
