"""OpenTelemetry: a span for each call, and metrics of what the scheduler does; needs the extra ``otel``.

::

    from toggl_async.opentelemetry import instrument

    end = instrument(client)      # or a Scheduler, for all its clients

A span covers a call from its start until its final answer, with its waits by reason, its attempts, the quota
left, and whether it shared another call's answer. It is a child of the caller's span, and is the current span
during the call, so that spans of httpx become its children.

Spans and metrics name a call by method and path template. They contain no token, header, query or body, no
ids from a path, and no error messages, which may quote an id. Accounts and organizations are small numbers
that are valid as long as their scheduler.

None of this is loaded, and nothing listens, unless a program asks for it.
"""

import contextvars
from collections.abc import Callable
from importlib.metadata import version
from typing import Final, TypeAlias

from toggl_async._client.client import TogglClient
from toggl_async._extras import needed_by
from toggl_async.errors import InvalidInput
from toggl_async.scheduler import (
    EXTENSION,
    Attempted,
    Lane,
    Reason,
    Scheduler,
    SchedulerEvent,
    classify,
    facts_of,
)
from toggl_async.scheduler.events.kinds import (
    Answered,
    Cancelled,
    CooledDown,
    Granted,
    Lost,
    Queued,
    QuotaChanged,
    Refused,
    Retried,
    Sent,
    Shared,
)
from toggl_async.scheduler.scheduler import drivers_of, on_made
from toggl_async.scheduler.transport import Send, httpx

with needed_by("toggl_async.opentelemetry", "otel"):
    from opentelemetry import metrics, trace
    from opentelemetry.trace import SpanKind, Status, StatusCode

__all__ = ["TogglInstrumentor", "instrument"]

_NAME: Final = "toggl_async"
_SCHEMA: Final = "https://opentelemetry.io/schemas/1.30.0"

_DURATIONS: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""Seconds: the boundaries that the semantic conventions advise for requests."""
_WAITS: Final = (0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)
"""Seconds: a pace of one a second, cool-downs of some minutes, quotas by the hour."""

_FIRST_ERROR: Final = 400

_Key = tuple[int, int]
"""Account and call, by their numbers in the events."""


def instrument(
    client_or_scheduler: TogglClient | Scheduler,
    *,
    tracer_provider: trace.TracerProvider | None = None,
    meter_provider: metrics.MeterProvider | None = None,
) -> Callable[[], None]:
    """Record spans and metrics of what a scheduler does, from now on.

    Args:
        client_or_scheduler: a scheduler, or a client, which stands for its scheduler, even a shared one.
        tracer_provider: makes the tracer; by default, the global one.
        meter_provider: makes the meter; by default, the global one.

    Returns:
        A function that stops this; calling it twice does nothing. If the scheduler is already instrumented,
        neither `instrument` nor that function does anything.

    Raises:
        InvalidInput: one of the arguments has the wrong type.
    """
    given: object = client_or_scheduler
    scheduler = given.scheduler if isinstance(given, TogglClient) else given
    if not isinstance(scheduler, Scheduler):
        raise InvalidInput(f"instrument takes a TogglClient or a Scheduler, not {type(given).__name__}")
    _check_provider("tracer_provider", tracer_provider, "get_tracer")
    _check_provider("meter_provider", meter_provider, "get_meter")
    drivers = drivers_of(scheduler)
    if drivers.around is not None:
        return lambda: None
    spans = _Spans(
        trace.get_tracer(_NAME, version(_NAME), tracer_provider=tracer_provider, schema_url=_SCHEMA)
    )
    meters = _Meters(
        metrics.get_meter(_NAME, version(_NAME), meter_provider=meter_provider, schema_url=_SCHEMA)
    )
    drivers.around = spans.around
    ends = scheduler.listen(spans.hear), scheduler.listen(meters.hear)

    def end() -> None:
        if drivers.around == spans.around:
            drivers.around = None
            meters.end()
        for one in ends:
            one()

    return end


_begun: Final[list[Callable[[Scheduler], None]]] = []
"""What instruments the schedulers of this process as they are made; one at most."""


class TogglInstrumentor:
    """Instruments every scheduler of a process; ``opentelemetry-instrument`` finds it automatically."""

    def instrument(
        self,
        *,
        tracer_provider: trace.TracerProvider | None = None,
        meter_provider: metrics.MeterProvider | None = None,
        **_others: object,
    ) -> None:
        """Instrument all schedulers, and so all clients, made from now on; calling it once is enough.

        Args:
            tracer_provider: as for the function `instrument`.
            meter_provider: as for the function `instrument`.
        """
        if _begun:
            return

        def begin(scheduler: Scheduler) -> None:
            instrument(scheduler, tracer_provider=tracer_provider, meter_provider=meter_provider)

        _begun.append(begin)
        on_made.append(begin)

    def uninstrument(self, **_others: object) -> None:
        """Stop instrumenting schedulers made from now on."""
        while _begun:
            on_made.remove(_begun.pop())


_Told: TypeAlias = Queued | Granted | Sent | Answered | Lost | Retried | Cancelled | Refused
"""The events that a span takes."""


class _Waits:
    """What a call has waited for."""

    __slots__ = ("_since", "by_reason")

    def __init__(self) -> None:
        self._since: tuple[Reason, float] | None = None
        self.by_reason: dict[Reason, float] = {}

    def begin(self, reason: Reason, at: float) -> None:
        """Note that a wait begins."""
        self._since = reason, at

    def end(self, at: float, *, waited: float = 0.0) -> tuple[Reason, float]:
        """Note that a wait ends, perhaps one that no event announced, as for a slot a little ahead.

        Args:
            at: the loop's time, in seconds.
            waited: seconds that it took, if nothing was told of its beginning.
        """
        reason, seconds = Reason.PACE, waited
        if self._since is not None:
            reason, began = self._since
            seconds = max(waited, at - began)
        self._since = None
        if seconds > 0:
            self.by_reason[reason] = self.by_reason.get(reason, 0.0) + seconds
        return reason, seconds


class _Call:
    """A call that has a span."""

    __slots__ = ("attempts", "key", "route", "span", "waits")

    def __init__(self, span: trace.Span, route: str) -> None:
        self.span = span
        self.route = route
        self.key: _Key | None = None
        self.attempts = 0
        self.waits = _Waits()

    def answered(self, response: httpx.Response) -> None:
        """Say what came of it."""
        status = response.status_code
        attempted: Attempted = response.extensions[EXTENSION]
        self.span.set_attribute("http.response.status_code", status)
        self.span.set_attribute("toggl.coalesced", attempted.shared)
        left = classify(status, response.headers, b"").remaining
        if left is not None:
            self.span.set_attribute("toggl.quota.remaining", left)
        if status >= _FIRST_ERROR:
            self.span.set_attribute("error.type", str(status))
            self.span.set_status(Status(StatusCode.ERROR))

    def failed(self, error: BaseException) -> None:
        """Say that nothing came of it, without the error's words."""
        self.span.set_attribute("error.type", type(error).__name__)
        self.span.set_status(Status(StatusCode.ERROR))

    def close(self) -> None:
        """Say how it was obtained, and what it waited for."""
        self.span.set_attribute("toggl.attempts", self.attempts)
        for reason, seconds in self.waits.by_reason.items():
            self.span.set_attribute(f"toggl.wait.{_name_of(reason)}", seconds)


def _check_provider(name: str, given: object, method: str) -> None:
    """Check that an argument is a provider, or None.

    Raises:
        InvalidInput: it isn't.
    """
    if given is not None and (isinstance(given, type) or not callable(getattr(given, method, None))):
        raise InvalidInput(f"{name} must be one of OpenTelemetry's, not {type(given).__name__}")


class _Spans:
    """One span a call."""

    def __init__(self, tracer: trace.Tracer) -> None:
        self._tracer = tracer
        self._calls: dict[_Key, _Call] = {}
        self._current: contextvars.ContextVar[_Call | None] = contextvars.ContextVar("call", default=None)

    async def around(self, request: httpx.Request, send: Send) -> httpx.Response:
        """Make a call inside a span."""
        facts = facts_of(request)
        with self._tracer.start_as_current_span(
            facts.route,
            kind=SpanKind.CLIENT,
            attributes={
                **_named(facts.route),
                **_server(request.url),
                "toggl.priority": facts.priority.name.lower(),
            },
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            call = _Call(span, facts.route)
            token = self._current.set(call)
            try:
                response = await send(request)
            except BaseException as error:
                call.failed(error)
                raise
            else:
                call.answered(response)
                return response
            finally:
                self._current.reset(token)
                if call.key is not None:
                    del self._calls[call.key]
                call.close()

    def hear(self, event: SchedulerEvent) -> None:
        """Put what happens to a call into its span."""
        if isinstance(event, _Told):
            call = self._of(event.account, event.call, event.route)
            if call is not None:
                _tell(call, event)

    def _of(self, account: int, number: int, route: str) -> _Call | None:
        """Return the call to which an event belongs; the first event links the two."""
        key = account, number
        call = self._calls.get(key)
        if call is None and number >= 0:
            here = self._current.get()
            if here is not None and here.key is None and here.route == route:
                here.key = key
                self._calls[key] = call = here
        return call


def _tell(call: _Call, event: _Told) -> None:
    """Tell a span what happened to its call."""
    span = call.span
    match event:
        case Queued(reason=reason, at=at):
            call.waits.begin(reason, at)
            span.add_event("queued", {"toggl.wait.reason": _name_of(reason)})
        case Granted(at=at, waited=waited):
            call.waits.end(at, waited=waited)
        case Cancelled(at=at) | Refused(at=at):
            call.waits.end(at)
        case Sent(attempt=attempt):
            call.attempts = attempt
            span.add_event("sent", {"toggl.attempt": attempt})
        case Answered(status=status):
            span.add_event("answered", {"http.response.status_code": status})
        case Lost(error=error):
            span.add_event("lost", {"error.type": error})
        case _:
            reason = event.reason
            span.add_event("retried", {"toggl.wait.reason": _name_of(reason)})


class _Meters:
    """The metrics of one scheduler."""

    def __init__(self, meter: metrics.Meter) -> None:
        self._requests = meter.create_histogram(
            "toggl.client.request.duration",
            unit="s",
            description="Time from sending a request until it was answered or lost.",
            explicit_bucket_boundaries_advisory=_DURATIONS,
        )
        self._waited = meter.create_histogram(
            "toggl.client.wait.duration",
            unit="s",
            description="Time that calls waited for their turn.",
            explicit_bucket_boundaries_advisory=_WAITS,
        )
        self._refusals = meter.create_counter(
            "toggl.client.refusals", unit="{call}", description="Calls that failed without being sent."
        )
        self._shared = meter.create_counter(
            "toggl.client.coalesced",
            unit="{call}",
            description="Calls that shared the answer of an identical call.",
        )
        self._cooldowns = meter.create_counter(
            "toggl.client.cooldowns", unit="{cooldown}", description="Cool-downs of an account after a 429."
        )
        self._quota = meter.create_gauge(
            "toggl.client.quota.remaining", unit="{request}", description="Requests left in an hourly quota."
        )
        self._queue = meter.create_up_down_counter(
            "toggl.client.queue.length", unit="{call}", description="Calls waiting for their turn."
        )
        self._waiting: dict[_Key, _Waits] = {}
        self._sent: dict[_Key, float] = {}
        self._organizations: dict[tuple[int, int | None, int | None], int] = {}

    def hear(self, event: SchedulerEvent) -> None:
        """Count what happens."""
        account = {"toggl.account": event.account}
        match event:
            case Queued(call=call, reason=reason, at=at):
                self._leaves((event.account, call), at)
                self._joins((event.account, call), reason, at)
            case Granted(call=call, at=at, waited=waited):
                self._leaves((event.account, call), at, waited=waited)
            case Sent(call=call, at=at):
                self._sent[event.account, call] = at
            case Answered(call=call, route=route, status=status, elapsed=elapsed):
                self._sent.pop((event.account, call), None)
                failed = {"error.type": str(status)} if status >= _FIRST_ERROR else {}
                self._requests.record(
                    elapsed, {**_named(route), "http.response.status_code": status, **failed}
                )
            case Lost(call=call, route=route, error=error, at=at):
                began = self._sent.pop((event.account, call), at)
                self._requests.record(at - began, {**_named(route), "error.type": error})
            case Cancelled(call=call, at=at):
                self._sent.pop((event.account, call), None)
                self._leaves((event.account, call), at)
            case Refused(call=call, error=error, at=at):
                self._refusals.add(1, {"error.type": error})
                self._leaves((event.account, call), at)
            case Shared(route=route):
                self._shared.add(1, _named(route))
            case CooledDown():
                self._cooldowns.add(1, account)
            case QuotaChanged(remaining=int() as remaining):
                self._quota.set(remaining, {**account, "toggl.quota": self._quota_of(event)})

    def end(self) -> None:
        """Take back what still waits: nobody will tell when it goes."""
        for account, _ in self._waiting:
            self._queue.add(-1, {"toggl.account": account})
        self._waiting.clear()

    def _quota_of(self, event: QuotaChanged) -> str:
        """Name a quota: organizations are numbered as they come, as accounts are."""
        if event.lane is Lane.USER:
            return event.lane.value
        whose = event.account, event.organization_id, event.workspace_id
        number = self._organizations.setdefault(whose, len(self._organizations) + 1)
        return f"{event.lane.value} {number}"

    def _joins(self, key: _Key, reason: Reason, at: float) -> None:
        """Take note that a call waits."""
        self._waiting[key] = waits = _Waits()
        self._queue.add(1, {"toggl.account": key[0]})
        waits.begin(reason, at)

    def _leaves(self, key: _Key, at: float, *, waited: float = 0.0) -> None:
        """Take a call out of the queue, if it was in it."""
        waits = self._waiting.pop(key, None)
        if waits is not None:
            self._queue.add(-1, {"toggl.account": key[0]})
        reason, seconds = (waits or _Waits()).end(at, waited=waited)
        if seconds > 0:
            self._waited.record(seconds, {"toggl.wait.reason": _name_of(reason)})


def _named(route: str) -> dict[str, str]:
    """Name a request as the semantic conventions do."""
    method, _, template = route.partition(" ")
    return {"http.request.method": method, "url.template": template}


def _server(url: httpx.URL) -> dict[str, str | int]:
    """Name a server likewise: its port where it is not that of the scheme."""
    return {"server.address": url.host} | ({} if url.port is None else {"server.port": url.port})


def _name_of(reason: Reason) -> str:
    """Write a reason as a part of a name, such as ``cool_down``."""
    return reason.value.replace("-", "_").replace(" ", "_")
