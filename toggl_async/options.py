"""Option records: frozen, keyword-only, validated when built; all times in seconds.

Any module may import this one; it imports only `errors` from the package.
"""

import enum
import math
from collections.abc import Mapping
from typing import Final, Literal, TypeAlias, TypeVar

import attrs

from toggl_async._hints import known_fields
from toggl_async.errors import InvalidInput, shown

__all__ = ["ClientOptions", "Cooldown", "Pace", "PlanCheck", "Priority", "QuotaPolicy", "Retry"]

T = TypeVar("T")

PlanCheck: TypeAlias = Literal["drop", "error", "off"]
"""What to do with a field that the workspace's plan lacks; see `ClientOptions.plan_check`."""


class Priority(enum.IntEnum):
    """Which call goes first when several wait; within one priority, first come, first served."""

    INTERACTIVE = 0
    """Somebody is looking at the screen."""
    NORMAL = 1
    """The default."""
    BULK = 2
    """Exports and other long work; still never starved."""


_LONGEST: Final = (100 * 365 * 24 * 3600, "a hundred years")
"""Seconds; nobody waits longer, and clocks have no room for much more."""

_HOUR: Final = (3600, "an hour")


def _number(
    minimum: float,
    *,
    exclusive: bool = False,
    finite: bool = True,
    optional: bool = False,
    most: tuple[float, str] = _LONGEST,
) -> "attrs._ValidatorType[float]":
    """Accept a number from `minimum` on; None, too, if that is an option."""

    def validate(instance: object, attribute: "attrs.Attribute[float]", value: object) -> None:
        if value is None and optional:
            return
        name = f"{type(instance).__name__}.{attribute.name}"
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or (isinstance(value, float) and math.isnan(value))
        ):
            raise InvalidInput(f"{name} must be a number, not {shown(value)}")
        if value == math.inf and not finite:
            return
        if value == math.inf:
            raise InvalidInput(f"{name} must be finite, not {shown(value)}")
        if value > most[0]:
            raise InvalidInput(f"{name} must be at most {most[0]:,} ({most[1]}), not {shown(value)}")
        if value < minimum or (exclusive and value == minimum):
            least = f"{'greater than' if exclusive else 'at least'} {minimum:g}"
            raise InvalidInput(f"{name} must be {least}, not {shown(value)}")

    return validate


def _count(minimum: int) -> "attrs._ValidatorType[int]":
    """Accept a whole number from `minimum` on."""

    def validate(instance: object, attribute: "attrs.Attribute[int]", value: object) -> None:
        name = f"{type(instance).__name__}.{attribute.name}"
        if isinstance(value, bool) or not isinstance(value, int):
            raise InvalidInput(f"{name} must be a whole number, not {shown(value)}")
        if value < minimum:
            raise InvalidInput(f"{name} must be at least {minimum}, not {shown(value)}")

    return validate


def _made_by(kind: type[T]) -> "attrs._ValidatorType[T]":
    """Accept an instance of a class."""

    def validate(instance: object, attribute: "attrs.Attribute[T]", value: object) -> None:
        if not isinstance(value, kind):
            name = f"{type(instance).__name__}.{attribute.name}"
            raise InvalidInput(f"{name} must be a {kind.__name__}, not {shown(value)}")

    return validate


def _user_agent(_instance: object, _attribute: "attrs.Attribute[str]", value: object) -> None:
    """Accept what can be sent in a header."""
    if not (isinstance(value, str) and value.strip() and value.isascii() and value.isprintable()):
        raise InvalidInput(f"ClientOptions.user_agent must be printable ASCII text, not {shown(value)}")


def _plan_check(_instance: object, _attribute: "attrs.Attribute[PlanCheck]", value: object) -> None:
    """Accept what `ClientOptions.plan_check` takes."""
    if value not in ("drop", "error", "off"):
        raise InvalidInput(f"ClientOptions.plan_check must be 'drop', 'error' or 'off', not {shown(value)}")


def _ordered(options: "Retry | Cooldown") -> None:
    """Refuse a range whose maximum is less than its minimum."""
    if options.maximum < options.minimum:
        name = type(options).__name__
        raise InvalidInput(
            f"{name}.maximum ({options.maximum:g}) is less than its minimum ({options.minimum:g})"
        )


@attrs.frozen(kw_only=True)
class Pace:
    """How far apart the requests of one account are sent.

    Attributes:
        interval: seconds that Toggl wants between two requests (about 1); 0 for no pace at all, for instance
            in tests of your own program.
        margin: how much to add against network jitter, as a share of `interval`.
    """

    interval: float = attrs.field(default=1.0, validator=_number(0, most=_HOUR))
    margin: float = attrs.field(default=0.02, validator=_number(0, most=(100, "a hundredfold")))


@attrs.frozen(kw_only=True)
class Retry:
    """How often, and how far apart, a request is repeated if that is safe.

    Attributes:
        attempts: how often a request is sent at most, including the first time.
        minimum: seconds before the first repetition, at least.
        maximum: seconds before any repetition, at most.
    """

    attempts: int = attrs.field(default=5, validator=_count(1))
    minimum: float = attrs.field(default=0.5, validator=_number(0))
    maximum: float = attrs.field(default=30.0, validator=_number(0))

    def __attrs_post_init__(self) -> None:
        _ordered(self)


@attrs.frozen(kw_only=True)
class Cooldown:
    """How long an account rests after a 429: a random time within this range.

    Attributes:
        minimum: seconds, at least.
        maximum: seconds, at most; a longer Retry-After from the server wins.
    """

    minimum: float = attrs.field(default=120.0, validator=_number(0))
    maximum: float = attrs.field(default=240.0, validator=_number(0))

    def __attrs_post_init__(self) -> None:
        _ordered(self)


@attrs.frozen(kw_only=True)
class QuotaPolicy:
    """How the hourly quotas are spent.

    Attributes:
        reserve: requests of each window to leave to your other programs.
    """

    reserve: int = attrs.field(default=0, validator=_count(0))


_ELSEWHERE: Final[Mapping[str, str]] = {
    **dict.fromkeys(["auth", "base_url", "scheduler", "transport"], "pass it to TogglClient"),
    **dict.fromkeys(["attempts", "max_retries", "retries"], "pass retry=Retry(attempts=…)"),
    **dict.fromkeys(["interval", "rate_limit"], "pass pace=Pace(interval=…)"),
    "margin": "pass pace=Pace(margin=…)",
    "priority": "use client.with_options(priority=…)",
    "reserve": "pass quota=QuotaPolicy(reserve=…)",
}
"""What is looked for among the options of a client, and what to write instead."""


@known_fields(_ELSEWHERE)
@attrs.frozen(kw_only=True)
class ClientOptions:
    """Everything that can be set on a client; each part is a record of its own.

    Attributes:
        pace: spacing of requests.
        retry: repetition of safe requests.
        cooldown: rest after a 429.
        quota: spending of the hourly quotas.
        max_in_flight: how many requests of one account may be under way at once.
        max_wait: seconds that a call may wait for its turn; a call that would wait longer fails at once, with
            the time at which it could be sent. None waits as long as it takes.
        timeout: seconds for each of connecting, sending and the next byte of an answer; None for no limit.
        user_agent: what the client calls itself, in ASCII; name your program or a contact address.
        keep_unknown: keep fields that the records don't have, in `Record.unknown`.
        coalesce: let identical reads that are under way share one answer.
        plan_check: what to do with a field that the workspace's plan lacks: ``"drop"`` leaves it out with a
            `PlanWarning`, ``"error"`` refuses the call with `NotInPlan`, ``"off"`` sends it and lets Toggl
            decide. The client learns plans from the workspaces and organizations in other answers, and never
            sends a request to learn one: begin with ``await toggl.me.workspaces.list()``, which covers all
            workspaces in one request. If a plan is unknown, nothing is checked, which is logged at DEBUG
            under ``toggl_async.plans``.
    """

    pace: Pace = attrs.field(default=Pace(), validator=_made_by(Pace))
    retry: Retry = attrs.field(default=Retry(), validator=_made_by(Retry))
    cooldown: Cooldown = attrs.field(default=Cooldown(), validator=_made_by(Cooldown))
    quota: QuotaPolicy = attrs.field(default=QuotaPolicy(), validator=_made_by(QuotaPolicy))
    max_in_flight: int = attrs.field(default=8, validator=_count(1))
    max_wait: float | None = attrs.field(default=600.0, validator=_number(0, finite=False, optional=True))
    timeout: float | None = attrs.field(default=60.0, validator=_number(0, exclusive=True, optional=True))
    user_agent: str = attrs.field(default="toggl_async", validator=_user_agent)
    keep_unknown: bool = attrs.field(default=False, validator=_made_by(bool))
    coalesce: bool = attrs.field(default=True, validator=_made_by(bool))
    plan_check: PlanCheck = attrs.field(default="off", validator=_plan_check)
