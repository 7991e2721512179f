"""Spans and metrics, as an exporter sees them."""

import asyncio
import importlib
import importlib.metadata
import sys
from collections.abc import Iterator
from typing import Any

import attrs
import httpx
import pytest
from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from support.model import NGINX
from support.support_wire import TOKEN
from toggl_async import (
    ApiToken,
    ClientOptions,
    ConnectionFailed,
    Cooldown,
    EndpointGone,
    InvalidInput,
    MaxWaitExceeded,
    Middleware,
    Pace,
    Retry,
    Scheduler,
    Send,
    TogglClient,
)
from toggl_async.opentelemetry import TogglInstrumentor, instrument

pytestmark = [pytest.mark.anyio, pytest.mark.jump]

TAGS = "/api/v9/workspaces/314159/tags"
ROUTE = "/api/v9/workspaces/{workspace_id}/tags"
SECRET = "5e5a3e"

OPTIONS = ClientOptions(
    pace=Pace(interval=1, margin=0),
    cooldown=Cooldown(minimum=60, maximum=60),
    retry=Retry(minimum=0, maximum=0),
)


@attrs.define
class Telemetry:
    """What is exported."""

    spans: InMemorySpanExporter = attrs.field(factory=InMemorySpanExporter)
    reader: InMemoryMetricReader = attrs.field(factory=InMemoryMetricReader)

    def __attrs_post_init__(self) -> None:
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(SimpleSpanProcessor(self.spans))
        self.meters = MeterProvider([self.reader])

    tracers: TracerProvider = attrs.field(init=False)
    meters: MeterProvider = attrs.field(init=False)

    @property
    def providers(self) -> dict[str, Any]:
        return {"tracer_provider": self.tracers, "meter_provider": self.meters}

    def finished(self) -> list[ReadableSpan]:
        return list(self.spans.get_finished_spans())

    def points(self, name: str) -> list[tuple[dict[str, Any], Any]]:
        """The attributes and the value of each point of a metric; count and sum of a histogram."""
        data: Any = self.reader.get_metrics_data()
        return [
            (
                dict(point.attributes),
                (point.count, round(point.sum, 3)) if hasattr(point, "sum") else point.value,
            )
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == f"toggl.client.{name}"
            for point in metric.data.data_points
        ]

    def everything(self) -> str:
        data = self.reader.get_metrics_data()
        return "".join(span.to_json() for span in self.finished()) + (data.to_json() if data else "")


@pytest.fixture
def telemetry() -> Telemetry:
    return Telemetry()


def ok(left: int | None = None) -> httpx.Response:
    headers = {} if left is None else {"X-Toggl-Quota-Remaining": str(left), "X-Toggl-Quota-Resets-In": "90"}
    return httpx.Response(200, json=[], headers=headers)


def client(*answers: httpx.Response | Exception, **other: Any) -> TogglClient:
    left = list(answers)

    async def respond(_request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0.25)
        answer = left.pop(0) if left else ok()
        if isinstance(answer, Exception):
            raise answer
        return answer

    given = {"options": OPTIONS, "transport": httpx.MockTransport(respond), **other}
    return TogglClient(ApiToken(TOKEN), **given)


def id_of(span: ReadableSpan) -> int:
    assert span.context is not None
    number: int = span.context.span_id
    return number


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


async def test_a_call_is_one_span_over_its_waits_and_attempts(telemetry: Telemetry) -> None:
    answers = (httpx.Response(429, html=NGINX), httpx.Response(503), ok(28))
    async with client(*answers) as toggl:
        instrument(toggl, **telemetry.providers)
        with telemetry.tracers.get_tracer("mine").start_as_current_span("job"):
            await toggl.request("GET", TAGS, params={"code": SECRET})
    call, job = telemetry.finished()
    assert call.parent is not None
    assert call.parent.span_id == id_of(job)
    assert (call.name, call.kind, call.status.status_code) == (
        f"GET {ROUTE}",
        SpanKind.CLIENT,
        StatusCode.UNSET,
    )
    found = attributes(call)
    waited = {name: found.pop(name) for name in list(found) if name.startswith("toggl.wait.")}
    assert found == {
        "http.request.method": "GET",
        "url.template": ROUTE,
        "server.address": "api.track.toggl.com",
        "toggl.priority": "normal",
        "http.response.status_code": 200,
        "toggl.attempts": 3,
        "toggl.coalesced": False,
        "toggl.quota.remaining": 28,
    }
    assert waited["toggl.wait.cool_down"] == pytest.approx(60)
    assert [event.name for event in call.events] == [
        *("sent", "answered", "retried", "queued"),
        *("sent", "answered", "retried", "queued"),
        *("sent", "answered"),
    ]


@pytest.mark.parametrize(
    ("base_url", "server"),
    [
        ("https://toggl.test:8443", {"server.address": "toggl.test", "server.port": 8443}),
        ("http://127.0.0.1:8080", {"server.address": "127.0.0.1", "server.port": 8080}),
        ("https://toggl.test:443", {"server.address": "toggl.test"}),
        ("https://toggl.test", {"server.address": "toggl.test"}),
    ],
)
async def test_a_port_is_told_where_it_is_not_the_usual_one(
    base_url: str, server: dict[str, Any], telemetry: Telemetry
) -> None:
    async with client(base_url=base_url) as toggl:
        instrument(toggl, **telemetry.providers)
        await toggl.request("GET", TAGS)
    (span,) = telemetry.finished()
    assert {name: one for name, one in attributes(span).items() if name.startswith("server.")} == server


async def test_middleware_of_calls_stands_outside_of_the_span_and_that_of_attempts_inside(
    telemetry: Telemetry,
) -> None:
    class Seeing(Middleware):
        async def call(self, request: httpx.Request, send: Send) -> httpx.Response:
            seen.append(trace.get_current_span())
            return await send(request)

        async def attempt(self, request: httpx.Request, send: Send) -> httpx.Response:
            seen.append(trace.get_current_span())
            return await send(request)

    seen: list[trace.Span] = []
    async with client(middleware=[Seeing()]) as toggl:
        instrument(toggl, **telemetry.providers)
        await toggl.request("GET", TAGS)
    outside, inside = seen
    assert not outside.get_span_context().is_valid
    assert inside.get_span_context().span_id == id_of(telemetry.finished()[0])


async def test_each_thing_that_happens_is_counted(telemetry: Telemetry) -> None:
    answers = (ok(28), httpx.Response(429, html=NGINX), ok(27), httpx.ReadError("gone"), ok(25), ok(30))
    async with client(*answers) as toggl:
        instrument(toggl, **telemetry.providers)
        await toggl.request("GET", TAGS)
        await toggl.request("GET", TAGS)
        with pytest.raises(ConnectionFailed):
            await toggl.request("POST", TAGS)
        await toggl.request("GET", "/api/v9/organizations/2/groups")
        await toggl.request("GET", "/api/v9/me")
    named = {"http.request.method": "GET", "url.template": ROUTE}
    points = telemetry.points("request.duration")
    assert ({**named, "http.response.status_code": 200}, (2, 0.5)) in points
    assert ({**named, "http.response.status_code": 429, "error.type": "429"}, (1, 0.25)) in points
    lost = {**named, "http.request.method": "POST", "error.type": "ReadError"}
    assert (lost, (1, 0.25)) in points
    assert telemetry.points("cooldowns") == [({"toggl.account": 1}, 1)]
    waits = {one["toggl.wait.reason"]: value for one, value in telemetry.points("wait.duration")}
    assert waits["cool_down"] == (1, pytest.approx(60, abs=0.001))
    assert telemetry.points("queue.length") == [({"toggl.account": 1}, 0)]
    quota = {one["toggl.quota"]: left for one, left in telemetry.points("quota.remaining")}
    assert quota == {"user": 30, "organization 1": 26, "organization 2": 25}


async def test_calls_that_share_an_answer_are_spans_of_their_own(telemetry: Telemetry) -> None:
    async with client() as toggl:
        instrument(toggl.scheduler, **telemetry.providers)
        await asyncio.gather(*(toggl.request("GET", TAGS) for _ in range(3)))
    told = [
        (found["toggl.coalesced"], found["toggl.attempts"]) for found in map(attributes, telemetry.finished())
    ]
    assert sorted(told) == [(False, 1), (True, 0), (True, 0)]
    assert telemetry.points("coalesced") == [({"http.request.method": "GET", "url.template": ROUTE}, 2)]


async def test_calls_that_wait_are_told_apart(telemetry: Telemetry) -> None:
    async with client() as toggl:
        instrument(toggl, **telemetry.providers)
        calls = [asyncio.create_task(toggl.request("GET", f"{TAGS}/{n}")) for n in range(5)]
        await asyncio.sleep(0.5)
        assert telemetry.points("queue.length") == [({"toggl.account": 1}, 4)]
        calls[3].cancel()
        await asyncio.wait(calls)
    found = [attributes(span) for span in telemetry.finished()]
    waits = sorted(
        round(sum(value for name, value in one.items() if name.startswith("toggl.wait."))) for one in found
    )
    assert waits == [0, 0, 1, 2, 3]  # the cancelled one waited half a second
    cancelled = [
        span for span in telemetry.finished() if attributes(span).get("error.type") == "CancelledError"
    ]
    assert [attributes(span)["toggl.attempts"] for span in cancelled] == [0]
    assert [span.status.status_code for span in cancelled] == [StatusCode.ERROR]
    assert telemetry.points("queue.length") == [({"toggl.account": 1}, 0)]


async def test_what_fails_is_named_and_its_words_are_not(telemetry: Telemetry) -> None:
    async with client(httpx.Response(410, text=SECRET), httpx.Response(404, text=SECRET)) as toggl:
        instrument(toggl, **telemetry.providers)
        for _ in range(2):
            with pytest.raises(EndpointGone):
                await toggl.request("GET", TAGS)
        with pytest.raises(Exception, match=SECRET):
            await toggl.request("DELETE", f"{TAGS}/5")
        with pytest.raises(MaxWaitExceeded):
            await toggl.with_options(max_wait=0).request("POST", TAGS, json={"name": SECRET})
    gone, remembered, missing, late = telemetry.finished()
    assert {span.status.status_code for span in telemetry.finished()} == {StatusCode.ERROR}
    kinds = [attributes(span)["error.type"] for span in (gone, remembered, missing, late)]
    assert kinds == ["410", "EndpointGone", "404", "MaxWaitExceeded"]
    refusals = {one["error.type"]: count for one, count in telemetry.points("refusals")}
    assert refusals == {"EndpointGone": 1, "MaxWaitExceeded": 1}
    for secret in (TOKEN, SECRET, "314159", "Basic"):
        assert secret not in telemetry.everything()


async def test_a_span_is_current_while_its_call_is_sent(telemetry: Telemetry) -> None:
    class Watching(Middleware):
        async def attempt(self, request: httpx.Request, send: Send) -> httpx.Response:
            seen.append(trace.get_current_span())
            return await send(request)

    seen: list[trace.Span] = []
    async with client(middleware=[Watching()]) as toggl:
        instrument(toggl, **telemetry.providers)
        await toggl.request("GET", TAGS)
        assert trace.get_current_span() is trace.INVALID_SPAN
    assert [span.get_span_context().span_id for span in seen] == [
        id_of(span) for span in telemetry.finished()
    ]


async def test_who_takes_over_a_shared_call_has_its_own_waits(telemetry: Telemetry) -> None:
    async with client() as toggl:
        instrument(toggl, **telemetry.providers)
        await toggl.request("GET", "/api/v9/me")
        first = asyncio.create_task(toggl.request("GET", TAGS))
        second = asyncio.create_task(toggl.request("GET", TAGS))
        await asyncio.sleep(0.3)
        first.cancel()
        assert await second == []
    _, left, took = map(attributes, telemetry.finished())
    assert (left["error.type"], left["toggl.attempts"]) == ("CancelledError", 0)
    assert (took["toggl.coalesced"], took["toggl.attempts"]) == (False, 1)


async def test_it_ends_when_it_is_told_to(telemetry: Telemetry) -> None:
    async with client() as toggl:
        end = instrument(toggl, **telemetry.providers)
        instrument(toggl.scheduler, **telemetry.providers)()  # it is already, and stays so
        await toggl.request("GET", TAGS)
        waiting = [asyncio.create_task(toggl.request("GET", f"{TAGS}/{n}")) for n in range(3)]
        await asyncio.sleep(0)
        end()
        end()
        await asyncio.gather(*waiting)
        await toggl.request("GET", TAGS)
    assert len(telemetry.finished()) == 4
    assert telemetry.points("queue.length") == [({"toggl.account": 1}, 0)]


async def test_calls_from_before_it_began_are_none_of_its_own(telemetry: Telemetry) -> None:
    async with client() as toggl:
        before = [asyncio.create_task(toggl.request("GET", f"{TAGS}/{n}")) for n in range(3)]
        await asyncio.sleep(0.1)
        instrument(toggl, **telemetry.providers)
        await toggl.request("GET", "/api/v9/me")
        await asyncio.gather(*before)
    (span,) = telemetry.finished()
    assert (span.name, attributes(span)["toggl.attempts"]) == ("GET /api/v9/me", 1)


async def test_anything_but_a_client_or_a_scheduler_is_refused() -> None:
    with pytest.raises(InvalidInput, match="takes a TogglClient or a Scheduler, not str"):
        instrument("toggl")  # type: ignore[arg-type]


@pytest.fixture
def instrumentor() -> Iterator[TogglInstrumentor]:
    (point,) = importlib.metadata.entry_points(group="opentelemetry_instrumentor", name="toggl_async")
    found: TogglInstrumentor = point.load()()
    yield found
    found.uninstrument()


async def test_the_entry_point_instruments_what_is_made_after_it(
    telemetry: Telemetry, instrumentor: TogglInstrumentor
) -> None:
    before = Scheduler(OPTIONS)
    instrumentor.instrument(**telemetry.providers, skip_dep_check=True)
    TogglInstrumentor().instrument(**telemetry.providers)
    async with client() as toggl, client(options=None, scheduler=before) as other:
        await toggl.request("GET", TAGS)
        await other.request("GET", TAGS)
        instrumentor.uninstrument()
        async with client() as later:
            await later.request("GET", TAGS)
    await before.aclose()
    assert len(telemetry.finished()) == 1


async def test_without_the_extra_one_sentence_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    monkeypatch.delitem(sys.modules, "toggl_async.opentelemetry")
    with pytest.raises(ModuleNotFoundError) as caught:
        importlib.import_module("toggl_async.opentelemetry")
    assert str(caught.value) == (
        "opentelemetry is not installed; toggl_async.opentelemetry needs the extra 'otel': "
        "python -m pip install 'toggl_async[otel]'"
    )
