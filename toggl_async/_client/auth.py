"""Credentials: who a client is to Toggl. None of them shows its secret in a repr, an error or a log.

`Auth` sets the headers of a request. A `SessionCookie` sets none: its client logs in with it, and
`_client/session_login.py` keeps the session. The scheduler knows an account only by a keyed hash of these
headers.
Source: https://engineering.toggl.com/docs/track/authentication.
"""

import base64
import os
from collections.abc import Mapping
from typing import Final, Protocol

import attrs

from toggl_async.errors import InvalidInput, MissingCredentials
from toggl_async.scheduler.core.credentials import KEY_OF_ANOTHER_PRODUCT, is_of_another_product

__all__ = ["ApiToken", "Auth", "EmailPassword", "SessionCookie", "auth_from_env", "checked_environ"]


class Auth(Protocol):
    """What a client needs from credentials."""

    def headers(self) -> Mapping[str, str]:
        """The headers that prove who asks."""
        ...


def _printable(instance: object, attribute: "attrs.Attribute[str]", value: str) -> None:
    """Refuse what cannot be a credential, without ever quoting it."""
    what = f"{type(instance).__name__}: the {attribute.name}"
    if not isinstance(value, str):
        raise InvalidInput(f"{what} must be text")
    if not value.strip():
        raise MissingCredentials(f"{what} is empty")
    if not value.isprintable():
        raise InvalidInput(f"{what} contains a line break or another control character")


def _without_spaces(instance: object, attribute: "attrs.Attribute[str]", value: str) -> None:
    """Refuse the spaces that copying and pasting leaves around a token, or in it."""
    if any(map(str.isspace, value)) or not value.isascii():
        raise InvalidInput(
            f"{type(instance).__name__}: the {attribute.name} contains spaces or characters outside ASCII"
        )


def _of_track(instance: object, attribute: "attrs.Attribute[str]", value: str) -> None:
    """Refuse a key of Toggl 2.0, with which Toggl Track lets nobody in; it says so only of passwords."""
    if is_of_another_product(str(value)):
        raise InvalidInput(f"{type(instance).__name__}: the {attribute.name} is {KEY_OF_ANOTHER_PRODUCT}")


def _basic(user: str, password: str) -> dict[str, str]:
    pair = base64.b64encode(f"{user}:{password}".encode()).decode("ascii")
    return {"Authorization": f"Basic {pair}"}


@attrs.frozen(repr=False)
class ApiToken:
    """The API token of a profile, as shown at the bottom of Toggl's profile page.

    Args:
        token: the token.

    Raises:
        MissingCredentials: it is empty.
        InvalidInput: it cannot be a token, or is a key of Toggl 2.0, which is another product.
    """

    token: str = attrs.field(validator=[_of_track, _printable, _without_spaces])

    def headers(self) -> Mapping[str, str]:
        """Basic authentication: the token as user, the literal ``api_token`` as password."""
        return _basic(self.token, "api_token")

    def __repr__(self) -> str:
        return "ApiToken(…)"


def _address(instance: object, _attribute: "attrs.Attribute[str]", value: str) -> None:
    """Refuse what isn't an e-mail address, or would not stay one on the wire."""
    if "@" not in value or ":" in value:
        raise InvalidInput(f"{type(instance).__name__}: email is not a valid e-mail address")


@attrs.frozen(repr=False)
class EmailPassword:
    """A user's e-mail address and password, sent with every request.

    Args:
        email: the address.
        password: the password.

    Raises:
        MissingCredentials: one of them is empty.
        InvalidInput: the address has no ``@``, or contains a colon, which would end it on the wire; or one of
            them is a key of Toggl 2.0, which is another product.
    """

    email: str = attrs.field(validator=[_of_track, _printable, _address])
    password: str = attrs.field(validator=[_of_track, _printable])

    def headers(self) -> Mapping[str, str]:
        """Basic authentication: the address as user."""
        return _basic(self.email, self.password)

    def __repr__(self) -> str:
        return "EmailPassword(…)"


@attrs.frozen(repr=False)
class SessionCookie:
    """A user's e-mail address and password, sent only once, to log in.

    The client's first call logs in at the accounts host, and gets a session cookie that replaces the
    credentials. The cookie is kept only in memory and renewed when it expires. The session ends when the
    client is closed, or with `TogglClient.end_session`. An account with a second factor needs an `ApiToken`.

    Args:
        email: the address.
        password: the password.

    Raises:
        MissingCredentials: one of them is empty.
        InvalidInput: the address has no ``@``, or contains a colon; or one of them is a key of Toggl 2.0.
    """

    email: str = attrs.field(validator=[_of_track, _printable, _address])
    password: str = attrs.field(validator=[_of_track, _printable])

    def __repr__(self) -> str:
        return "SessionCookie(…)"


_READ: Final = ("TOGGL_API_TOKEN", "TOGGL_BASE_URL", "TOGGL_BUDGET", "TOGGL_EMAIL", "TOGGL_PASSWORD")
"""The variables that a client may be built from."""


def checked_environ(environ: Mapping[str, str] | None) -> Mapping[str, str]:
    """Return the variables to build a client from; those of the process if None.

    Raises:
        InvalidInput: they are no mapping, or one that counts isn't text; values are not quoted.
    """
    if environ is None:
        return os.environ
    if not isinstance(environ, Mapping):
        raise InvalidInput(
            f"environ must be a mapping of names to text, such as os.environ, not {type(environ).__name__}"
        )
    for name in _READ:
        value: object = environ.get(name, "")
        if not isinstance(value, str):
            raise InvalidInput(
                f"environ[{name!r}] must be text, not {type(value).__name__}: leave it out to unset it"
            )
    return environ


def auth_from_env(environ: Mapping[str, str] | None = None) -> Auth:
    """Read ``TOGGL_API_TOKEN``, or else ``TOGGL_EMAIL`` and ``TOGGL_PASSWORD``.

    Args:
        environ: the variables; those of the process when left out. (As a default value they would
            stand, secrets and all, in the signature that documentation tools print.)

    Raises:
        MissingCredentials: none of them is set, or what is set is empty.
        InvalidInput: what is set cannot be a credential.
    """
    environ = os.environ if environ is None else environ
    if "TOGGL_API_TOKEN" in environ:
        if not environ["TOGGL_API_TOKEN"].strip():
            raise MissingCredentials("the environment variable TOGGL_API_TOKEN is empty")
        return ApiToken(environ["TOGGL_API_TOKEN"])
    if "TOGGL_EMAIL" in environ or "TOGGL_PASSWORD" in environ:
        for name, other in (("TOGGL_EMAIL", "TOGGL_PASSWORD"), ("TOGGL_PASSWORD", "TOGGL_EMAIL")):
            if not environ.get(name, "").strip():
                what = f"is empty, but {other} is set" if name in environ else f"is not set, but {other} is"
                raise MissingCredentials(f"the environment variable {name} {what}")
        return EmailPassword(environ["TOGGL_EMAIL"], environ["TOGGL_PASSWORD"])
    raise MissingCredentials("no credentials: set the environment variable TOGGL_API_TOKEN")
