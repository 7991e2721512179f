"""Refusals that asking again would not change, and the organizations of workspaces.

*A 410* is about what was asked for, be it one project or an endpoint. So it is remembered by
account, method and path as sent.

*A feature 402* is about a plan, and may be about the payload: "Billable is a premium feature" refuses a
flag, but not time entries as such. So query and body belong to its key, too: asking once too
often is cheaper than refusing what would have been allowed.

Both last a day: a stray answer must not close anything forever, and plans are upgraded.

*Refused credentials* are remembered by account. An account is known by its credentials, so other credentials
are another account. In memory they last as long as the process; in a store that others read, a quarter of an
hour. A 403 that may be about them is settled by a single ``GET /me/logged``, which the client sends before
anything else: fifty calls with a wrong token would lock the account.
"""

import hashlib
from typing import Final, TypeAlias

import msgspec

from toggl_async.errors import EndpointGone, FeatureUnavailable, ResponseError
from toggl_async.scheduler.core.limits import SECOND
from toggl_async.scheduler.core.outcome import OutcomeKind

__all__ = [
    "DAY",
    "SHARED_LOGIN",
    "Belongs",
    "Forgotten",
    "Lesson",
    "Memories",
    "RefusalMet",
    "RememberedRefusal",
    "error_from_memory",
    "key_of",
]

DAY: Final = 24 * 3600 * SECOND
"""How long 410s and features are remembered."""
SHARED_LOGIN: Final = 15 * 60 * SECOND
"""How long refused credentials are remembered in a store that others read."""
LIMIT: Final = 10_000
"""How many refusals are kept at most; the oldest are forgotten first."""


class RememberedRefusal(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What is remembered about an answer.

    Attributes:
        status: its HTTP status.
        message: Toggl's own words.
        request_id: Toggl's id of the request, where it sent one.
        until: when it is forgotten, in microseconds of the store's clock; None for never.
        attempts_left: how many logins may still fail, where it said so.
    """

    status: int
    message: str
    request_id: str | None
    until: int | None
    attempts_left: int | None = None


class RefusalMet(msgspec.Struct, frozen=True, gc=False):
    """An answer of kind GONE, FEATURE or LOGIN was met.

    Attributes:
        kind: what it means.
        key: what was refused (`key_of`); empty for LOGIN, which is about all.
        status: its HTTP status.
        message: Toggl's own words.
        request_id: Toggl's id of the request.
        attempts_left: how many logins may still fail, where it said so.
    """

    kind: OutcomeKind
    key: bytes
    status: int
    message: str
    request_id: str | None = None
    attempts_left: int | None = None


class Belongs(msgspec.Struct, frozen=True, gc=False):
    """A record said which organization a workspace belongs to."""

    workspace_id: int
    organization_id: int


class Forgotten(msgspec.Struct, frozen=True, gc=False):
    """Somebody wants to ask again: the refusals are forgotten."""


Lesson: TypeAlias = RefusalMet | Belongs | Forgotten
"""What memories learn from. It travels with the transaction that tells the limits (`notes.Learned`)."""


class Memories(msgspec.Struct, array_like=True, gc=False):
    """What is remembered about one account; stored beside its `Limits`, and read when `cold` has grown."""

    refusals: dict[bytes, RememberedRefusal] = msgspec.field(default_factory=dict)
    login: RememberedRefusal | None = None
    """The refusal of the credentials themselves."""
    organizations: dict[int, int] = msgspec.field(default_factory=dict)
    """The organization of each workspace that was seen."""

    def recall(
        self, method: str, path: str, query: bytes, body: bytes | None, now: int
    ) -> RememberedRefusal | None:
        """Return the refusal that a request would meet again, or None.

        Args:
            method: the HTTP method.
            path: the path as it is sent.
            query: the query as it is sent.
            body: the body; None where it isn't known, as that of a stream.
            now: the store's clock.
        """
        if self.login is not None and not _is_over(self.login, now):
            return self.login
        if not self.refusals:  # nearly always: nothing has to be hashed
            return None
        for kind in (OutcomeKind.GONE, OutcomeKind.FEATURE):
            if body is None and kind is OutcomeKind.FEATURE:
                continue  # it is about a payload, which isn't known
            found = self.refusals.get(key_of(kind, method, path, query, body or b""))
            if found is not None and not _is_over(found, now):
                return found
        return None

    def refuses_login(self, now: int) -> bool:
        """Say whether the credentials themselves are known to be refused."""
        return self.login is not None and not _is_over(self.login, now)

    def take(self, lesson: Lesson, now: int, *, shared: bool = False) -> bool:
        """Take in what was learned; return whether it is news.

        Args:
            lesson: what it is.
            now: the store's clock.
            shared: whether other processes read these memories.
        """
        match lesson:
            case RefusalMet(kind, key, status, message, request_id, attempts_left):
                if kind is OutcomeKind.LOGIN:
                    is_news = self.login is None or _is_over(self.login, now)
                    until = now + SHARED_LOGIN if shared else None
                    self.login = RememberedRefusal(status, message, request_id, until, attempts_left)
                    return is_news
                known = self.refusals.pop(key, None)
                self.refusals[key] = RememberedRefusal(status, message, request_id, now + DAY)
                if len(self.refusals) > LIMIT:
                    del self.refusals[next(iter(self.refusals))]
                return known is None or _is_over(known, now)
            case Belongs(workspace_id, organization_id):
                is_news = self.organizations.get(workspace_id) != organization_id
                self.organizations[workspace_id] = organization_id
                return is_news
            case _:
                is_news = bool(self.refusals) or self.login is not None
                self.refusals.clear()
                self.login = None
                return is_news

    def sweep(self, now: int) -> None:
        """Drop what is over, before the memories are stored."""
        if self.login is not None and _is_over(self.login, now):
            self.login = None
        for key in [key for key, refusal in self.refusals.items() if _is_over(refusal, now)]:
            del self.refusals[key]


def key_of(kind: OutcomeKind, method: str, path: str, query: bytes, body: bytes) -> bytes:
    """Return what a refusal is known by, within its account."""
    digest = hashlib.blake2b(f"{kind.value}\0{method}\0{path}\0".encode(), digest_size=16)
    if kind is OutcomeKind.FEATURE:
        digest.update(query + b"\0" + body)
    return digest.digest()


def error_from_memory(refusal: RememberedRefusal, *, method: str, path: str) -> ResponseError:
    """Return the error that repeats a remembered 410 or 402."""
    kind: type[ResponseError] = EndpointGone if refusal.status == 410 else FeatureUnavailable  # noqa: PLR2004
    return kind(
        refusal.message,
        status=refusal.status,
        method=method,
        path=path,
        request_id=refusal.request_id,
        from_memory=True,
    )


def _is_over(refusal: RememberedRefusal, now: int) -> bool:
    return refusal.until is not None and now >= refusal.until
