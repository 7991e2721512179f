"""What can be set about a sandbox: frozen, keyword-only records; times in Toggl's seconds."""

import datetime as dt
import math
from collections.abc import Iterable
from typing import Final, Literal, TypeAlias

import attrs

__all__ = ["FULL", "QUOTAS", "SMALL", "CompanySize", "FaultPlan", "PlanName", "RoleName", "SandboxOptions"]

PlanName: TypeAlias = Literal["free", "starter", "premium"]
"""A plan of the sandbox's organization."""

RoleName: TypeAlias = Literal["owner", "admin", "user"]
"""A person's role in the organization."""

QUOTAS: Final[dict[PlanName, int]] = {"free": 30, "starter": 240, "premium": 600}
"""Requests an hour to one organization, by its plan."""

USER_QUOTA: Final = 30
"""Requests an hour to ``/me``, on every plan."""


_SHARE: Final = (attrs.validators.ge(0.0), attrs.validators.le(1.0))
_SECONDS: Final = (attrs.validators.ge(0.0), attrs.validators.lt(math.inf))
_OVER_ZERO: Final = (attrs.validators.gt(0.0), attrs.validators.lt(math.inf))
_QUOTA: Final = attrs.validators.optional(attrs.validators.ge(0.0))


def _aware(
    instance: object, attribute: "attrs.Attribute[dt.datetime | None]", value: dt.datetime | None
) -> None:
    if value is not None and value.tzinfo is None:
        raise ValueError(f"{type(instance).__name__}.{attribute.name} needs a time zone")


def _texts(texts: Iterable[str]) -> frozenset[str]:
    return frozenset(texts)


@attrs.frozen(kw_only=True)
class CompanySize:
    """How much data the made-up company has.

    Attributes:
        people: members of the organization; the first one owns it, and is the token's user.
        projects: projects in both workspaces.
        clients: clients in both workspaces.
        tags: tags in both workspaces.
        days: days of history, not counting today.
        time_entries: time entries that reports show: neither deleted nor running.
        deleted: additional time entries that are deleted.
    """

    people: int = attrs.field(default=12, validator=attrs.validators.ge(1))
    projects: int = attrs.field(default=40, validator=attrs.validators.ge(2))
    clients: int = attrs.field(default=14, validator=attrs.validators.ge(2))
    tags: int = attrs.field(default=22, validator=attrs.validators.ge(2))
    days: int = attrs.field(default=913, validator=attrs.validators.ge(7))
    time_entries: int = attrs.field(default=26_400, validator=attrs.validators.ge(0))
    deleted: int = attrs.field(default=420, validator=attrs.validators.ge(0))


FULL: Final = CompanySize()
"""12 people, 40 projects, two and a half years, 26,400 time entries; made in well under a second."""

SMALL: Final = CompanySize(people=3, projects=6, clients=4, tags=5, days=120, time_entries=240, deleted=12)
"""Enough to have one of everything; made in a few milliseconds, for unit tests."""


@attrs.frozen(kw_only=True)
class FaultPlan:
    """What goes wrong, and how often; shares are of all requests that the limiters let pass.

    Attributes:
        error_before: share answered with a 5xx without being carried out.
        error_after: share carried out and then answered with a 5xx.
        reset_before: share whose connection is reset without the request being carried out.
        reset_after: share carried out, whose connection is then reset.
        statuses: the statuses of those errors, drawn evenly.
        latency: seconds that every answer takes.
        jitter: the most seconds added to that; how many is drawn evenly.
        slow_bodies: share of the answers whose body arrives slowly.
        slow_seconds: seconds that a slow body takes.
    """

    error_before: float = attrs.field(default=0.0, validator=_SHARE)
    error_after: float = attrs.field(default=0.0, validator=_SHARE)
    reset_before: float = attrs.field(default=0.0, validator=_SHARE)
    reset_after: float = attrs.field(default=0.0, validator=_SHARE)
    statuses: tuple[int, ...] = attrs.field(
        default=(500, 502, 503, 504), validator=attrs.validators.min_len(1)
    )
    latency: float = attrs.field(default=0.0, validator=_SECONDS)
    jitter: float = attrs.field(default=0.0, validator=_SECONDS)
    slow_bodies: float = attrs.field(default=0.0, validator=_SHARE)
    slow_seconds: float = attrs.field(default=10.0, validator=_SECONDS)


@attrs.frozen(kw_only=True)
class SandboxOptions:
    """Everything about a sandbox that can be set.

    Attributes:
        seed: sandboxes with the same seed, size and `now` have the same company (but different secrets).
        size: how much data the company has.
        plan: the organization's plan. The company has the tasks of a Starter plan by default.
        speed: Toggl seconds per second of the event loop.
        interval: seconds that the bucket wants between two requests of an account; 0 for no bucket.
        burst: requests of an account that may come at once; 1 enforces the interval strictly.
        org_quota: requests an hour to the organization; None for the plan's, ``math.inf`` for no limit.
        user_quota: requests an hour to ``/me``; None for 30, ``math.inf`` for no limit.
        rounding_minutes: the user's preference for reports, which round up to it by default; 0 for exact
            times.
        faults: what goes wrong on purpose.
        gone: routes that answer 410, such as ``"GET /api/v9/me/location"``.
        role: whose token the sandbox shows: the owner's, another administrator's, or a user's, who sees only
            their own time and the time on public projects.
        not_in_plan: prefixes of path segments, such as ``"timesheet"`` or ``"invoices"``. Routes that contain
            one answer 402, as if the account's plan lacked them.
        now: the time at which the sandbox begins; None for the real time.
        port: the port to listen on; 0 for a free one.
    """

    seed: int = 2024
    size: CompanySize = FULL
    plan: PlanName = attrs.field(default="starter", validator=attrs.validators.in_(tuple(QUOTAS)))
    speed: float = attrs.field(default=1.0, validator=_OVER_ZERO)
    interval: float = attrs.field(default=1.0, validator=_SECONDS)
    burst: int = attrs.field(default=5, validator=attrs.validators.ge(1))
    org_quota: float | None = attrs.field(default=None, validator=_QUOTA)
    user_quota: float | None = attrs.field(default=None, validator=_QUOTA)
    rounding_minutes: int = attrs.field(default=0, validator=attrs.validators.ge(0))
    faults: FaultPlan = FaultPlan()
    gone: frozenset[str] = attrs.field(default=frozenset(), converter=_texts)
    role: RoleName = attrs.field(default="owner", validator=attrs.validators.in_(("owner", "admin", "user")))
    not_in_plan: frozenset[str] = attrs.field(default=frozenset(), converter=_texts)
    now: dt.datetime | None = attrs.field(default=None, validator=_aware)
    port: int = attrs.field(default=0, validator=(attrs.validators.ge(0), attrs.validators.le(65_535)))

    @property
    def organization_quota(self) -> float:
        """Requests an hour to the organization."""
        return QUOTAS[self.plan] if self.org_quota is None else self.org_quota

    @property
    def personal_quota(self) -> float:
        """Requests an hour to ``/me``."""
        return USER_QUOTA if self.user_quota is None else self.user_quota
