"""Refusals that asking again does not change: endpoints gone (410), features not paid for (402), credentials.

A 410 speaks of the endpoint, whoever asks: it is remembered by host and route for every account of
the scheduler. A feature 402 speaks of a plan and is remembered by account, by workspace or
organization, and by route. It can speak of the payload too ("Billable is a premium feature" refuses
one flag, not the creating of time entries), so a request counts as the same only if query and body
are the same: asking once too often is cheaper than refusing what would have been allowed.

Credentials that were refused are refused to every call of their account, which has others as soon as the
program gives it others: after a few wrong ones, Toggl locks a user out.
"""

import hashlib
from typing import Final

import attrs
import httpx

from toggl_async.errors import EndpointGone, FeatureUnavailable, LoginRefused, ResponseError
from toggl_async.scheduler.outcome import OutcomeKind
from toggl_async.scheduler.route import RequestFacts, shown_path

__all__ = ["Memory"]

_LIMIT: Final = 10_000
"""Feature refusals kept at most; the oldest are forgotten first."""


@attrs.frozen
class _Refusal:
    message: str
    request_id: str | None


_Feature = tuple[bytes, int | None, int | None, str, bytes]


class Memory:
    """The refusals remembered by one scheduler."""

    __slots__ = ("_features", "_gone", "_refused")

    def __init__(self) -> None:
        self._gone: dict[tuple[str, str], _Refusal] = {}
        self._features: dict[_Feature, _Refusal] = {}
        self._refused: dict[bytes, LoginRefused] = {}

    def refuse(self, account: bytes, error: LoginRefused) -> None:
        """Remember that the credentials of an account were refused."""
        self._refused[account] = error

    def are_refused(self, account: bytes) -> bool:
        """Say whether the credentials of an account were refused."""
        return account in self._refused

    def recall(self, account: bytes, facts: RequestFacts, request: httpx.Request) -> ResponseError | None:
        """Return the error that a request would meet again, or None."""
        if not self._gone and not self._features and not self._refused:
            return None
        refused = self._refused.get(account)
        if refused is not None:
            return LoginRefused(
                refused.message,
                status=refused.status,
                method=request.method,
                path=shown_path(request),
                request_id=refused.request_id,
                headers=refused.headers,
                from_memory=True,
            )
        kind: type[ResponseError] = EndpointGone
        refusal = self._gone.get((request.url.netloc.decode("ascii"), facts.route))
        status = 410
        if refusal is None and self._features:
            feature = _feature(account, facts, request)
            refusal = self._features.get(feature) if feature is not None else None
            kind, status = FeatureUnavailable, 402
        if refusal is None:
            return None
        return kind(
            refusal.message,
            status=status,
            method=request.method,
            path=shown_path(request),
            request_id=refusal.request_id,
            from_memory=True,
        )

    def note(
        self,
        kind: OutcomeKind,
        account: bytes,
        facts: RequestFacts,
        request: httpx.Request,
        *,
        message: str,
        request_id: str | None,
    ) -> None:
        """Remember an answer of kind GONE or FEATURE; others are none of its business."""
        refusal = _Refusal(message, request_id)
        if kind is OutcomeKind.GONE:
            self._gone[request.url.netloc.decode("ascii"), facts.route] = refusal
        elif kind is OutcomeKind.FEATURE and (feature := _feature(account, facts, request)) is not None:
            self._features[feature] = refusal
            if len(self._features) > _LIMIT:
                del self._features[next(iter(self._features))]

    def forget(self) -> None:
        """Forget everything, for instance after an upgrade of the plan."""
        self._gone.clear()
        self._features.clear()
        self._refused.clear()


def _feature(account: bytes, facts: RequestFacts, request: httpx.Request) -> _Feature | None:
    """Return what a feature refusal is known by; None where the payload is not known."""
    try:
        body = request.content
    except httpx.RequestNotRead:
        return None
    digest = hashlib.blake2b(request.url.query + b"\0" + body, digest_size=16)
    return account, facts.organization_id, facts.workspace_id, facts.route, digest.digest()
