"""Credentials: which ones belong to another product, and the name of an account where others can read it."""

import base64
import binascii
import contextlib
import hashlib
import re
from typing import Final

__all__ = [
    "KEY_OF_ANOTHER_PRODUCT",
    "holds_key_of_another_product",
    "is_of_another_product",
    "is_password",
    "public_name",
]

KEY_OF_ANOTHER_PRODUCT: Final = (
    "a key of Toggl 2.0 (focus.toggl.com), which Toggl Track does not accept: use the API token at the "
    "bottom of https://track.toggl.com/profile"
)
"""What is wrong with such a key, and what to do."""

_KEY: Final = r"[\s\"']*(?:(?:bearer|basic|api_token)\b[\s:=]*)*[\s\"']*toggl_sk_"
"""How keys of Toggl 2.0 begin, also behind the words that people copy along with them."""

_TOKEN_USER: Final = b":api_token"


def is_of_another_product(secret: str) -> bool:
    """Whether a secret is a key of Toggl 2.0, with which Toggl Track lets nobody in."""
    return re.match(_KEY, secret, re.IGNORECASE) is not None


def holds_key_of_another_product(header: str) -> bool:
    """Whether an Authorization header holds such a key, as it is or as user or password."""
    return any(map(is_of_another_product, (header, *_pair(header))))


def is_password(header: str) -> bool:
    """Whether an Authorization header proves who asks by a password; without one, a session does."""
    pair = _pair(header)
    return not header or (bool(pair) and pair[1] != "api_token")


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
