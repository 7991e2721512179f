"""Who asks: basic authentication, by API token or by password, or the cookie of a session.

Sessions are begun and ended at ``/api/sessions``, which Toggl keeps on a host of its own; here it is
the same one.
"""

import base64
import binascii
import secrets
from collections import Counter
from typing import Final

import msgspec
from starlette.responses import Response

from toggl_async.sandbox import answers
from toggl_async.sandbox.entities import PersonRow
from toggl_async.sandbox.state import State

__all__ = ["LOGIN", "LOGOUT", "SESSION_COOKIE", "Accounts"]

LOGIN: Final = "POST /api/sessions"
"""The route that begins a session."""

LOGOUT: Final = "DELETE /api/sessions"
"""The route that ends one."""

SESSION_COOKIE: Final = "__Secure-accounts-session"
"""The cookie that a session is."""

_WRONG: Final = "Incorrect username and/or password"
_TOKEN_PASSWORD: Final = "api_token"  # noqa: S105 - what replaces the password beside a token
_LIFETIME: Final = 28 * 86_400
"""Seconds after which a session ends by itself."""

_ATTEMPTS: Final = 5
"""Logins that may fail in a row; then the account counts as locked until the sandbox ends."""


class Accounts:
    """The accounts of a company's people, and their sessions.

    Args:
        state: the people.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._sessions: dict[str, tuple[PersonRow, float]] = {}
        self._failed: Counter[str] = Counter()

    def identify(self, authorization: str | None, cookie: str | None, now: float) -> PersonRow | Response:
        """Return the person behind a request, or the answer that refuses it.

        Without credentials, or with a session that is over, that is an empty 401; wrong ones get 403.
        """
        if authorization:
            return self._by_credentials(*_credentials(authorization))
        person, ends = self._sessions.get(cookie or "", (None, 0.0))
        if person is not None and now < ends:
            return person
        return answers.unauthorized()

    def log_in(self, body: bytes, now: float) -> Response:
        """Begin a session, for an e-mail address and its password."""
        try:
            given = msgspec.json.decode(body, type=dict[str, str])
        except msgspec.DecodeError:
            return answers.refusal(400, "JSON is not valid")
        email, password = given.get("email", ""), given.get("password", "")
        person = self._by_credentials(email, password)
        if isinstance(person, Response) or self._failed[email] >= _ATTEMPTS:
            self._failed[email] += 1
            left = max(0, _ATTEMPTS - self._failed[email])
            return answers.refusal(403, _WRONG, headers={"X-Remaining-Login-Attempts": str(left)})
        self._failed[email] = 0
        session = _token(person, now)
        self._sessions[session] = (person, now + _LIFETIME)
        cookie = f"{SESSION_COOKIE}={session}; Path=/; HttpOnly; Secure; SameSite=Lax"
        return answers.json({"email": person.email, "fullname": person.name}, headers={"Set-Cookie": cookie})

    def log_out(self, cookie: str | None) -> Response:
        """End a session."""
        if self._sessions.pop(cookie or "", None) is None:
            return answers.unauthorized()
        return answers.empty()

    def _by_credentials(self, user: str, password: str) -> PersonRow | Response:
        for person in self._state.people.values():
            by_token = _same(user, person.api_token) and _same(password, _TOKEN_PASSWORD)
            if by_token or (_same(user, person.email) and _same(password, person.password)):
                return person
        return answers.refusal(403, _WRONG)


def _token(person: PersonRow, now: float) -> str:
    """Make what a session looks like: a JSON Web Token that says when it ends."""
    claims = {"iss": "accounts.toggl.com", "aud": ["track"], "sub": str(person.id), "iat": int(now)}
    parts = ({"alg": "EdDSA", "typ": "JWT"}, {**claims, "exp": int(now) + _LIFETIME})
    encoded = [base64.urlsafe_b64encode(msgspec.json.encode(part)).decode().rstrip("=") for part in parts]
    return ".".join((*encoded, secrets.token_urlsafe(48)))


def _credentials(authorization: str) -> tuple[str, str]:
    """Return user and password of a basic header; empty ones of anything else."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        decoded = base64.b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    user, _, password = decoded.partition(":")
    return user, password


def _same(given: str, known: str) -> bool:
    return secrets.compare_digest(given.encode(), known.encode())
