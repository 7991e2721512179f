"""Who asks: Toggl's basic authentication, by API token or by e-mail and password."""

import base64
import binascii
import secrets

from toggl_async.sandbox import answers
from toggl_async.sandbox.answers import Answer
from toggl_async.sandbox.entities import Person
from toggl_async.sandbox.state import State

__all__ = ["identify"]

_WRONG = "Incorrect username and/or password"
_TOKEN_PASSWORD = "api_token"  # noqa: S105 - what stands in the password's place beside a token


def identify(state: State, authorization: str | None) -> Person | Answer:
    """Return the person behind an ``Authorization`` header, or the answer that refuses it.

    Without one that is an empty 401; a wrong one gets 403.
    """
    if not authorization:
        return Answer(status=401, media=None, headers={"X-Authorization-Missing": "true"})
    user, password = _credentials(authorization)
    for person in state.people.values():
        by_token = _same(user, person.api_token) and _same(password, _TOKEN_PASSWORD)
        if by_token or (_same(user, person.email) and _same(password, person.password)):
            return person
    return answers.refusal(403, _WRONG)


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
