"""Arguments of other types than their own: an InvalidInput before anything is sent."""

import datetime as dt
import functools
import math
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.answers import Answers
from toggl_async import (
    ApiToken,
    ClientOptions,
    Cooldown,
    InvalidInput,
    Middleware,
    Pace,
    RedisBudget,
    Retry,
    Scheduler,
    Tag,
    TogglClient,
    opentelemetry,
    webhooks,
    writes,
)

pytestmark = pytest.mark.anyio

NAN = float("nan")


class Opaque:
    def __repr__(self) -> str:
        raise RuntimeError("a broken repr")


@pytest.mark.parametrize(
    "returns",
    ["Tag", "list[Tag]", 5, Tag(id=1), [], [Tag], {}, ...],
    ids=lambda one: type(one).__name__,
)
async def test_what_is_no_type_is_refused_before_a_write_is_sent(returns: Any) -> None:
    answers = Answers({})
    async with answers.client() as toggl:
        with pytest.raises(InvalidInput, match="returns: pass a type"):
            await toggl.request("POST", "/api/v9/new", json={}, returns=returns)
    assert not answers.asked


@pytest.mark.parametrize(
    ("method", "path", "params", "said"),
    [
        (None, "/api/v9/me", {}, "method"),
        (5, "/api/v9/me", {}, "method"),
        (b"GET", "/api/v9/me", {}, "method"),
        ("G T", "/api/v9/me", {}, "method"),
        ("GET", None, {}, "path"),
        ("GET", b"/api/v9/me", {}, "path"),
        ("GET", 5, {}, "path"),
        ("GET", "/api/v9/me", "a=b", "params"),
        ("GET", "/api/v9/me", None, "params"),
        ("GET", "/api/v9/me", [("a", "b")], "params"),
        ("GET", "/api/v9/me", {1: "b"}, "params"),
        ("GET", "/api/v9/me", {Opaque(): "b"}, "params"),
        ("GET", "/api/v9/me", {"a": "\ud800"}, "a"),
        ("GET", "/api/v9/me\ud800", {}, "path"),
    ],
)
async def test_what_makes_no_request_is_refused(method: Any, path: Any, params: Any, said: str) -> None:
    answers = Answers({})
    async with answers.client() as toggl:
        with pytest.raises(InvalidInput, match=said):
            await toggl.request(method, path, params=params)
    assert not answers.asked


@pytest.mark.parametrize(
    "limit", [1.5, "3", NAN, True, -1, -(10**5000), math.inf, [3]], ids=lambda one: type(one).__name__
)
async def test_a_limit_is_a_count_before_a_page_is_asked_for(limit: Any) -> None:
    answers = Answers([])
    async with answers.client() as toggl:
        with pytest.raises(InvalidInput, match="limit"):
            await toggl.workspace(3).projects.iter().collect(limit=limit)
    assert not answers.asked


YEARS = 100 * 365 * 24 * 3600
TOO_LONG: list[Callable[[Any], object]] = [
    lambda value: ClientOptions(timeout=value),
    lambda value: ClientOptions(max_wait=value),
    lambda value: Cooldown(minimum=value, maximum=value),
    lambda value: Retry(maximum=value),
]


@pytest.mark.parametrize(
    "value", [1e308, 10**400, 10**5000, YEARS + 1], ids=lambda one: f"{type(one).__name__}"
)
@pytest.mark.parametrize("made", TOO_LONG)
async def test_no_time_is_longer_than_a_hundred_years(made: Callable[[Any], object], value: Any) -> None:
    with pytest.raises(InvalidInput, match="a hundred years"):
        made(value)
    with pytest.raises(InvalidInput, match=r"at least 0|greater than 0"):
        made(-value)


@pytest.mark.parametrize("value", [3601, 1e308, 10**5000], ids=lambda one: type(one).__name__)
async def test_a_pace_is_no_slower_than_a_request_an_hour(value: Any) -> None:
    with pytest.raises(InvalidInput, match="an hour"):
        Pace(interval=value)
    with pytest.raises(InvalidInput, match="a hundredfold"):
        Pace(margin=value)


async def test_a_call_is_made_with_the_longest_times_that_there_are() -> None:
    async with Answers([]).client(timeout=YEARS, max_wait=YEARS, cooldown=Cooldown(maximum=YEARS)) as toggl:
        assert await toggl.me.tags.list() == []
    async with Answers([]).client(max_wait=math.inf) as toggl:
        assert await toggl.me.tags.list() == []
        with pytest.raises(InvalidInput, match="a hundred years"):
            toggl.with_options(max_wait=10**400)


class Traced(Middleware):
    pass


async def hear(_event: object) -> None:
    raise AssertionError("never called")


class Ears:
    async def __call__(self, _event: object) -> None:
        raise AssertionError("never called")


@pytest.mark.parametrize(
    "middleware",
    [Traced(), Traced, None, 5, "Traced", {Traced()}, [Traced]],
    ids=lambda one: type(one).__name__,
)
async def test_middleware_is_a_list(middleware: Any) -> None:
    with pytest.raises(InvalidInput, match="middleware must be"):
        TogglClient(ApiToken("a" * 32), middleware=middleware)


async def hear_in_pieces(_event: object) -> AsyncIterator[None]:
    yield


def hear_and_yield(_event: object) -> Iterator[None]:
    yield


@pytest.mark.parametrize(
    "on_event",
    [5, "print", hear, Ears(), hear_in_pieces, hear_and_yield, functools.partial(hear)],
    ids=lambda one: getattr(one, "__name__", type(one).__name__),
)
async def test_a_listener_is_a_function_that_is_called(on_event: Any) -> None:
    for made in (
        lambda: TogglClient(ApiToken("a" * 32), on_event=on_event),
        lambda: Scheduler(on_event=on_event),
    ):
        with pytest.raises(InvalidInput, match="on_event must"):
            made()
    async with Scheduler() as scheduler:
        with pytest.raises(InvalidInput, match="on_event must"):
            scheduler.listen(on_event)


async def test_a_listener_that_returns_a_coroutine_is_told(caplog: pytest.LogCaptureFixture) -> None:
    said = "on_event returned a coroutine, which is never awaited"
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json=[]))
    async with TogglClient(ApiToken("a" * 32), transport=transport, on_event=lambda _: hear(_)) as toggl:  # type: ignore[arg-type]  # noqa: PLW0108
        assert await toggl.me.tags.list() == []
        assert said in caplog.text


@pytest.mark.parametrize("prefix", [5, "", "\n", " ", "a b", "a{b}", None, b"toggl"])
async def test_a_prefix_is_text_that_a_key_can_begin_with(prefix: Any) -> None:
    with pytest.raises(InvalidInput, match="prefix must be"):
        RedisBudget("redis://127.0.0.1:1", prefix=prefix)


@pytest.mark.parametrize("provider", [5, "tracer", object, Traced()], ids=lambda one: type(one).__name__)
async def test_a_provider_is_one_of_opentelemetrys(provider: Any) -> None:
    async with Scheduler() as scheduler:
        with pytest.raises(InvalidInput, match="tracer_provider must be"):
            opentelemetry.instrument(scheduler, tracer_provider=provider)
        with pytest.raises(InvalidInput, match="meter_provider must be"):
            opentelemetry.instrument(scheduler, meter_provider=provider)


async def write(row: object) -> object:
    raise AssertionError("nothing is written")


def plain(row: object) -> object:
    return row


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"rows": 5}, "rows must be"),
        ({"rows": None}, "rows must be"),
        ({"write": 5}, "write must be"),
        ({"write": None}, "write must be"),
        ({"find": 5}, "find must be"),
        ({"find": plain}, "find must be"),
        ({"find": lambda row: row}, "find must be"),
        ({"key": 5}, "key must be"),
        ({"key": "id"}, "key must be"),
        ({"journal": ""}, "journal must be"),
        ({"journal": "a\0b"}, "journal must be"),
        ({"journal": 5}, "journal must be"),
        ({"journal": b"import.sqlite"}, "journal must be"),
        ({"settle": 10**5000 * -1}, "settle must be"),
    ],
)
async def test_a_job_is_checked_before_its_first_row(
    given: dict[str, Any], said: str, tmp_path: Path
) -> None:
    job: dict[str, Any] = {"rows": ["a"], "write": write, "journal": tmp_path / "import.sqlite", **given}
    rows, writing = job.pop("rows"), job.pop("write")
    with pytest.raises(InvalidInput, match=said):
        await anext(writes.write_all(rows, writing, **job))


@pytest.mark.parametrize("token", ["a b", "a\u00a0b", " a", "a ", "a\u2003b"])
async def test_a_token_has_no_spaces_anywhere(token: str) -> None:
    with pytest.raises(InvalidInput, match="token contains"):
        ApiToken(token)


@pytest.mark.parametrize("address", ["", " "])
async def test_an_empty_address_checks_nothing_and_is_refused(address: str) -> None:
    with pytest.raises(InvalidInput, match="url_callback is empty"):
        webhooks.Receiver("secret", url_callback=address)


@pytest.mark.parametrize("length", ["9" * 5000, "0" * 5000 + "1048577", "1048577"], ids=len)
async def test_a_length_of_any_number_of_digits_is_only_too_long(length: str) -> None:
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        raise AssertionError("nothing is read")

    async def send(message: Any) -> None:
        sent.append(message)

    async def handle(_event: object) -> None:
        raise AssertionError("nothing is handled")

    scope: Any = {"type": "http", "method": "POST", "headers": [(b"Content-Length", length.encode())]}
    await webhooks.Receiver("secret").app(handle)(scope, receive, send)
    assert sent[0]["status"] == 413


@pytest.mark.parametrize(
    "url", [None, 5, b"https://x", httpx.URL("https://x")], ids=lambda url: type(url).__name__
)
@pytest.mark.parametrize("name", ["base_url", "accounts_url"])
def test_a_url_is_text(name: str, url: Any) -> None:
    with pytest.raises(
        InvalidInput, match=f"{name} must be text such as 'https://HOST', not {type(url).__name__}"
    ):
        TogglClient(ApiToken("a" * 32), **{name: url})


@pytest.mark.parametrize("environ", [5, "TOGGL_API_TOKEN=a", [("TOGGL_API_TOKEN", "a")]])
def test_an_environment_is_a_mapping(environ: Any) -> None:
    with pytest.raises(InvalidInput, match="environ must be a mapping of names to text"):
        TogglClient.from_env(environ=environ)


@pytest.mark.parametrize(
    "name", ["TOGGL_API_TOKEN", "TOGGL_EMAIL", "TOGGL_PASSWORD", "TOGGL_BASE_URL", "TOGGL_BUDGET"]
)
@pytest.mark.parametrize("value", [None, 5, b"secret"])
def test_a_variable_is_text(name: str, value: Any) -> None:
    environ = {"TOGGL_EMAIL": "ann@example.com", "TOGGL_PASSWORD": "secret", name: value}
    with pytest.raises(InvalidInput, match=rf"environ\['{name}'\] must be text, not {type(value).__name__}"):
        TogglClient.from_env(environ=environ)


@pytest.mark.parametrize("token", [None, 5, b"x", ["x"], dt.date(2026, 1, 1), ApiToken])
def test_the_token_of_a_shared_report_is_text(token: Any) -> None:
    client = TogglClient(ApiToken("a" * 32))
    with pytest.raises(InvalidInput, match="report_token"):
        client.shared_report(token)
