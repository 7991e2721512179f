"""Who a request is from: the credential that it carries, and what that is called where others can read it."""

import base64
import binascii
import contextlib
import hashlib
import http.cookies
import re
from typing import Final

from toggl_async.errors import InvalidInput
from toggl_async.scheduler.adapter import EXTENSION
from toggl_async.scheduler.core.route import RequestFacts
from toggl_async.scheduler.transport import httpx

__all__ = ["KEY_OF_ANOTHER_PRODUCT", "credential_of", "is_of_another_product", "public_name", "refuse_key"]

KEY_OF_ANOTHER_PRODUCT: Final = (
    "a key of Toggl 2.0 (focus.toggl.com), which Toggl Track does not accept: give the API token at the "
    "foot of https://track.toggl.com/profile"
)
"""What is wrong with such a key, and what to do."""

_KEY: Final = r"[\s\"']*(?:(?:bearer|basic|api_token)\b[\s:=]*)*[\s\"']*toggl_sk_"
"""How keys of Toggl 2.0 begin, also behind the words that people copy along with them."""

_ITS_HOST: Final = "focus.toggl.com"
_SESSION_COOKIES: Final = ("__Secure-accounts-session", "__Host-timer-session")
_TOKEN_USER: Final = b":api_token"


def is_of_another_product(secret: str) -> bool:
    """Whether a secret is a key of Toggl 2.0, with which Toggl Track lets nobody in."""
    return re.match(_KEY, secret, re.IGNORECASE) is not None


def refuse_key(request: httpx.Request) -> None:
    """Refuse a request that takes a key of Toggl 2.0 anywhere but there.

    Raises:
        InvalidInput: it does.
    """
    header = request.headers.get("authorization", "")
    if request.url.host != _ITS_HOST and any(map(is_of_another_product, (header, *_pair(header)))):
        raise InvalidInput(f"the request's Authorization header holds {KEY_OF_ANOTHER_PRODUCT}")


def credential_of(request: httpx.Request) -> str:
    """Return what proves who asks."""
    headers = request.headers
    declared = request.extensions.get(EXTENSION)
    named = declared.account if isinstance(declared, RequestFacts) else None
    return named or headers.get("authorization") or _session(headers.get("cookie", ""))


def public_name(host: bytes, credential: str) -> str:
    """Return what an account is called in a budget that others read; the credential can't be had from it."""
    secret = credential.encode("utf-8", "surrogateescape")
    scheme, _, encoded = secret.partition(b" ")
    with contextlib.suppress(ValueError):
        if scheme == b"Basic" and base64.b64decode(encoded).endswith(_TOKEN_USER):
            # A token is drawn at random: nobody can try them all.
            return hashlib.blake2b(host + b"\0" + secret, digest_size=16, person=b"toggl_async").hexdigest()
    return hashlib.scrypt(secret, salt=b"toggl_async\0" + host, n=1 << 14, r=8, p=1, dklen=16).hex()


def _pair(header: str) -> list[str]:
    """Return user and password of basic authentication; nothing of any other."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return []
    try:
        return base64.b64decode(encoded).decode("utf-8", "replace").split(":", 1)
    except binascii.Error:
        return []


def _session(cookies: str) -> str:
    """Return the session cookie of a Cookie header, or all of it where none is known by name."""
    if any(name in cookies for name in _SESSION_COOKIES):
        jar: http.cookies.SimpleCookie = http.cookies.SimpleCookie()
        with contextlib.suppress(http.cookies.CookieError):  # a server may have set odd ones
            jar.load(cookies)
        for name in _SESSION_COOKIES:
            if name in jar:
                return jar[name].value
    return cookies
