"""Things that go wrong on purpose: errors, resets, latency, slow bodies."""

import collections
import http
import random
from collections.abc import Mapping

import attrs

from toggl_async.sandbox.options import FaultPlan

__all__ = ["Fault", "Faults"]


def _status(instance: object, attribute: "attrs.Attribute[int | None]", value: int | None) -> None:
    del instance
    if value is not None and value not in set(http.HTTPStatus):
        raise ValueError(f"{attribute.name} must be an HTTP status, not {value!r}")


def _body(instance: object, attribute: "attrs.Attribute[str | None]", value: object) -> None:
    del instance
    if value is not None and not isinstance(value, str):
        raise TypeError(
            f"{attribute.name} must be the text to send, a str (use json.dumps for JSON), "
            f"not a value of type {type(value).__name__}"
        )


@attrs.frozen(kw_only=True)
class Fault:
    """What happens to one request.

    Attributes:
        status: the status to answer with, a 5xx or any other; None for the right answer. The body is the one
            that Toggl would send: nginx's page with 429, 502, 503 and 504, nothing with 401 and below 400,
            otherwise the status in words, as a JSON string.
        headers: additional headers of this answer, such as ``Retry-After``.
        body: an odd body instead of the right one, as text, such as ``"[]"``; without a status, the body of a
            200.
        media: the media type of that body.
        reset: whether the connection is reset instead of answered.
        cut: whether the connection is reset in the middle of the body; the request is carried out.
        applied: whether the request is carried out before it fails.
        latency: seconds before the answer begins.
        slow_body: seconds that the body takes to arrive.

    Raises:
        TypeError: `body` isn't a str but, for instance, a list; use `json.dumps`.
        ValueError: `status` isn't an HTTP status.
    """

    status: int | None = attrs.field(default=None, validator=_status)
    headers: Mapping[str, str] = attrs.field(factory=dict, hash=False)
    body: str | None = attrs.field(default=None, validator=_body)
    media: str = "application/json; charset=utf-8"
    reset: bool = False
    cut: bool = False
    applied: bool = False
    latency: float = 0.0
    slow_body: float = 0.0

    @property
    def fails(self) -> bool:
        """Whether the caller gets anything but the right answer."""
        return self.reset or self.status is not None or self.body is not None


class Faults:
    """Decides what happens to each request: what was ordered for its route first, else by the plan's dice."""

    def __init__(self, plan: FaultPlan, rng: random.Random) -> None:
        self._plan = plan
        self._random = rng
        self._ordered: collections.deque[tuple[str | None, Fault]] = collections.deque()

    def order(self, fault: Fault, *, route: str | None = None, times: int = 1) -> None:
        """Let the next requests of a route, or of any, meet this fault."""
        self._ordered.extend([(route, fault)] * times)

    def forget(self) -> None:
        """Forget what was ordered and has not happened."""
        self._ordered.clear()

    def decide(self, route: str) -> Fault:
        """Return what happens to a request of this route."""
        for index, (wanted, fault) in enumerate(self._ordered):
            if wanted in {None, route}:
                del self._ordered[index]
                return fault
        return self._roll()

    def _roll(self) -> Fault:
        plan, rng = self._plan, self._random
        fault = Fault(
            latency=plan.latency + plan.jitter * rng.random(),
            slow_body=plan.slow_seconds if rng.random() < plan.slow_bodies else 0.0,
        )
        roll = rng.random()
        for share, reset, applied in (
            (plan.error_before, False, False),
            (plan.error_after, False, True),
            (plan.reset_before, True, False),
            (plan.reset_after, True, True),
        ):
            if roll < share:
                status = None if reset else rng.choice(plan.statuses)
                return attrs.evolve(fault, status=status, reset=reset, applied=applied)
            roll -= share
        return fault
