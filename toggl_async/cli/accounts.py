"""The file that names many accounts: a line for each, with its subdirectory and where its token is.

::

    # folder   where the token is
    alice      env:ALICE_TOKEN
    bob        keyring:toggl/bob

It never contains tokens: it names environment variables, or entries of the system's keyring (service and
user; needs the extra ``keyring``).
"""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import attrs

from toggl_async._client.auth import ApiToken
from toggl_async.errors import InvalidInput

__all__ = ["NamedAccount", "read_accounts"]

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._@-]*")
_ALLOWED = (
    "a name has letters from A to Z, digits, and . _ @ -, without spaces, "
    "and begins with a letter, a digit or _"
)

_VARIABLE = re.compile(r"(?!toggl_sk_)(?=.*[A-Z_])[A-Za-z_][A-Za-z0-9_]*")
"""A name that can't be a token: those of Toggl are small letters and digits alone."""


@attrs.frozen
class NamedAccount:
    """An account of the file: its name, which is also its subdirectory's, and its token."""

    name: str
    auth: ApiToken


def read_accounts(path: Path, environ: Mapping[str, str] | None = None) -> list[NamedAccount]:
    """Read the file of accounts, and their tokens.

    Args:
        path: the file.
        environ: where the variables are that it names; the environment if not given.

    Raises:
        InvalidInput: the file cannot be read, a line doesn't name an account, a name is used twice, or a
            token is not where the file says.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()  # as some editors write it
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"cannot read {path}: {error}") from None
    accounts = list(_accounts(path, lines, os.environ if environ is None else environ))
    if not accounts:
        raise InvalidInput(f"{path} does not name any account")
    return accounts


def _accounts(path: Path, lines: list[str], environ: Mapping[str, str]) -> Iterator[NamedAccount]:
    names: set[str] = set()
    for number, line in enumerate(lines, 1):
        words = line.partition("#")[0].split(maxsplit=1)
        if not words:
            continue
        name, source = words[0], "".join(words[1:])
        where = f"{path}, line {number}"
        kind, _, place = source.strip().partition(":")
        # What stands there may be a token, so no message repeats it.
        if not _NAME.fullmatch(name) or kind not in {"env", "keyring"} or not place:
            raise InvalidInput(f"{where}: write NAME env:VARIABLE or NAME keyring:SERVICE/USER; {_ALLOWED}")
        if kind == "env" and len(place.split()) > 1:
            raise InvalidInput(
                f"{where}: an environment variable has no space in its name; put a remark behind a #"
            )
        if name.casefold() in names:
            raise InvalidInput(f"{where}: the name {name} is used twice")
        names.add(name.casefold())
        token = environ.get(place) if kind == "env" else _from_keyring(where, place)
        if not token or not token.strip():
            raise InvalidInput(f"{where}: {_lack(kind, place, empty=token is not None)}")
        yield NamedAccount(name, ApiToken(token.strip()))


def _lack(kind: str, place: str, *, empty: bool) -> str:
    """Say where a token should have been; a token that stands there by mistake is not repeated."""
    if kind != "env":
        return "no token found in the keyring entry"
    state = "empty" if empty else "not set"
    if _VARIABLE.fullmatch(place):
        return f"the environment variable {place} is {state}"
    return f"the environment variable named there is {state}; its name is not shown, as it may be a token"


def _from_keyring(where: str, place: str) -> str | None:
    """Ask the system's keyring for a token."""
    try:
        import keyring  # noqa: PLC0415 - an extra
        import keyring.errors  # noqa: PLC0415
    except ModuleNotFoundError:
        raise InvalidInput(
            f"{where}: keyring is not installed: python -m pip install 'toggl_async[keyring]'"
        ) from None
    service, _, user = place.rpartition("/")
    try:
        return keyring.get_password(service, user)
    except keyring.errors.KeyringError as error:
        raise InvalidInput(f"{where}: the keyring cannot be read: {error}") from None
