"""Masks secrets in what a server sends: credentials that a proxy echoes, and those that an answer issues."""

import base64
import binascii
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from toggl_async.scheduler.core.spellings import ESCAPING, pattern_of

__all__ = ["hide_what_came", "masked", "masked_headers", "masked_text", "secrets_in", "without_credentials"]

_MASK: Final = b"***"

_SECRET_NAMES: Final = re.compile(
    r"api-?key|\bauth\b|authentication-info|authori[sz]ation|cookie|credential|csrf|jwt|passw|secret|session"
    r"|signature|token|xsrf"
)
"""Words in the names of headers whose values prove something; names are in lower case."""

_HARMLESS_NAMES: Final = re.compile(r"access-control-|x-content-|www-")
"""What names of headers begin with that speak of secrets, and have none."""

_FIGURES: Final = re.compile(
    r"content-length|date|retry-after|x-(?:next|range|remaining-login-attempts|toggl-quota)\b"
)
"""Headers that the library goes by: their numbers and dates stay, even if a password is a part of one."""

_ADDRESSES: Final = frozenset({"content-location", "link", "location", "refresh", "sourcemap"})
"""Headers with URLs, whose queries and user names may be keys to a file or a session."""

_KEYS_OF_AN_ADDRESS: Final = re.compile(r"(?<=//)[^/?#\s]*@|(?<=[?#])[^\s<>,;\"']+")

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
    for secret in sorted({one for one in secrets if len(one) >= _LEAST}, key=len, reverse=True):
        if secret.isascii() and not ESCAPING.search(body):
            body = body.replace(secret.encode(), _MASK)
        else:
            body = pattern_of(secret).sub(_MASK, body)
    return body


def masked_text(text: str, mask: Callable[[bytes], bytes]) -> str:
    """Blank secrets in words of a server that have been decoded, and may have been escaped twice.

    Args:
        text: the words.
        mask: blanks the credentials of the request.
    """
    return mask(text.encode("utf-8", "surrogatepass")).decode("utf-8", "replace")


def masked_headers(headers: Mapping[str, str], mask: Callable[[bytes], bytes] = bytes) -> dict[str, str]:
    """Blank secrets in the headers of an answer, whose names are then in lower case.

    Args:
        headers: the headers.
        mask: blanks the credentials of the request, which any header may repeat.
    """
    return {name.lower(): _shown_value(name.lower(), value, mask) for name, value in headers.items()}


def without_credentials(
    raw: Iterable[tuple[bytes, bytes]], secrets: Iterable[str]
) -> list[tuple[bytes, bytes]]:
    """Blank the credentials of a request in the headers of its answer, which stay of use.

    The cookies that an answer sets are left: whoever keeps them has to get them as they are.
    """
    secrets = tuple(secrets)
    return [
        (
            name,
            value if _FIGURES.match(_lower(name)) or _lower(name) == "set-cookie" else masked(value, secrets),
        )
        for name, value in raw
    ]


def hide_what_came(info: dict[str, object], secrets: Iterable[str]) -> None:
    """Blank secrets in what httpcore traces of a step that is over.

    Args:
        info: what the step returned, with the headers of an answer in it, or the exception that ended it,
            which may quote a header.
        secrets: the credentials of the request.
    """
    returned, secrets = info.get("return_value"), tuple(secrets)
    if isinstance(returned, tuple):
        info["return_value"] = tuple(
            _shown_headers(part, secrets) if isinstance(part, list) else part for part in returned
        )
    if "exception" in info:
        info["exception"] = type(info["exception"])


def _shown_headers(raw: list[tuple[bytes, bytes]], secrets: tuple[str, ...]) -> list[tuple[str, str]]:
    """Return headers as a log may show them."""
    return [
        (
            name.decode("latin-1"),
            _shown_value(_lower(name), value.decode("latin-1"), lambda shown: masked(shown, secrets)),
        )
        for name, value in raw
    ]


def _lower(name: bytes) -> str:
    return name.decode("latin-1").lower()


def _shown_value(name: str, value: str, mask: Callable[[bytes], bytes]) -> str:
    """Blank what is secret in the value of a header."""
    if _SECRET_NAMES.search(name) and not _HARMLESS_NAMES.match(name):
        return _MASK.decode()
    if name in _ADDRESSES:
        value = _KEYS_OF_AN_ADDRESS.sub(_blanked, value)
    if _FIGURES.match(name):
        return value
    return masked_text(value, mask)


def _blanked(found: re.Match[str]) -> str:
    """Keep the @ behind a user's name, so that the host stays a host."""
    return _MASK.decode() + ("@" if found[0].endswith("@") else "")
