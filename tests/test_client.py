"""The client's own work, on a fake network: what goes out, what comes back, what is refused."""

import asyncio
import datetime as dt
import json
import math
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any

import anyio
import httpx
import pytest

from toggl_async import (
    UNSET,
    ApiToken,
    ClientClosed,
    ClientOptions,
    DecodeError,
    InvalidInput,
    MissingCredentials,
    NotFound,
    Priority,
    Scheduler,
    TogglClient,
    capture_responses,
)
from toggl_async._client.catalog import operation
from toggl_async._operations.paging import Bookmark, PageAnswer, PageNumber, PageRequest, Pages, PageStep
from toggl_async.records import Project
from toggl_async.scheduler import Lane, RequestFacts
from toggl_async.scheduler.adapter import EXTENSION
from toggl_async.scheduler.scheduler import drivers_of

pytestmark = [pytest.mark.anyio, pytest.mark.jump]

SECRET = "1971800d4d82861d8f2c1651fea4d212"
ME = {"id": 7, "default_workspace_id": 3, "workspaces": [{"id": 3, "organization_id": 11}]}


class FakeToggl:
    """A network that keeps what it was asked and answers what it was told to."""

    def __init__(self, *answers: httpx.Response | object) -> None:
        self.requests: list[httpx.Request] = []
        self._answers = list(answers)

    @property
    def facts(self) -> list[RequestFacts]:
        return [request.extensions[EXTENSION] for request in self.requests]

    async def answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        await asyncio.sleep(0)
        answer = self._answers.pop(0)
        if isinstance(answer, httpx.Response):
            return answer
        return httpx.Response(200, text=json.dumps(answer), headers={"Content-Type": "application/json"})

    def client(self, options: ClientOptions | None = None, scheduler: Scheduler | None = None) -> TogglClient:
        transport = httpx.MockTransport(self.answer)
        return TogglClient(ApiToken(SECRET), transport=transport, options=options, scheduler=scheduler)


async def test_a_call_goes_out_as_json_with_credentials_and_a_user_agent() -> None:
    fake = FakeToggl([])
    async with fake.client(ClientOptions(user_agent="timesheets (ada@example.com)")) as toggl:
        assert await toggl.workspace(3).projects.list(active="both", user_ids=[1, 2]) == []
    (request,) = fake.requests
    assert str(request.url) == (
        "https://api.track.toggl.com/api/v9/workspaces/3/projects?active=both&user_ids=1%2C2"
    )
    assert request.headers["content-type"] == "application/json"
    assert request.headers["user-agent"] == "timesheets (ada@example.com)"
    assert request.headers["authorization"].startswith("Basic ")
    assert request.content == b""


async def test_an_update_sends_changed_fields_alone_and_null_as_null() -> None:
    fake = FakeToggl({"id": 5, "name": "Apollo"})
    async with fake.client() as toggl:
        project = await toggl.workspace(3).projects.update(5, name="Apollo", client_id=None, color=UNSET)
    (request,) = fake.requests
    assert (request.method, request.url.path) == ("PUT", "/api/v9/workspaces/3/projects/5")
    assert json.loads(request.content) == {"name": "Apollo", "client_id": None}
    assert project == Project(id=5, name="Apollo")


async def test_a_refusal_is_typed_and_shows_toggls_words_but_no_secret() -> None:
    refusal = httpx.Response(404, json="Project not found", headers={"X-Toggl-Request-Id": "r-9"})
    fake = FakeToggl(refusal)
    async with fake.client() as toggl:
        with pytest.raises(NotFound) as caught:
            await toggl.workspace(3).projects.get(5)
    error = caught.value
    assert (error.message, error.status, error.request_id) == ("Project not found", 404, "r-9")
    assert (error.method, error.path) == ("GET", "/api/v9/workspaces/3/projects/5")
    assert SECRET not in str(error)
    assert SECRET not in repr(vars(error))
    assert len(fake.requests) == 1


async def test_the_scheduler_is_told_what_each_call_is() -> None:
    fake = FakeToggl([], {"id": 5}, [])
    async with fake.client() as toggl:
        await toggl.workspace(3).tags.list()
        await toggl.with_options(priority=Priority.BULK, max_wait=math.inf).organization(4).get()
        await toggl.me.quota()
    tags, organization, quota = fake.facts
    assert (tags.route, tags.workspace_id, tags.reads) == (
        "GET /api/v9/workspaces/{workspace_id}/tags", 3, True,
    )  # fmt: skip
    assert (tags.priority, tags.max_wait, tags.lane) == (Priority.NORMAL, 600.0, "organization")
    assert (organization.organization_id, organization.priority) == (4, Priority.BULK)
    assert organization.max_wait == math.inf
    assert quota.lane == "user"


async def test_each_scope_is_bound_to_its_entity() -> None:
    fake = FakeToggl("up", [], {"id": 1}, {}, [])
    async with fake.client() as toggl:
        await toggl.service.status()
        await toggl.calendar.integrations.list()
        await toggl.organizations.create(name="Analytical Engines", workspace_name="Mill")
        await toggl.shared_report("a/b c").get()
        await toggl.organization(4).users.list()
    assert [request.url.raw_path.decode() for request in fake.requests] == [
        "/api/v9/status",
        "/api/v9/integrations/calendar",
        "/api/v9/organizations",
        "/reports/api/v3/shared/a%2Fb%20c",
        "/api/v9/organizations/4/users",
    ]


async def test_options_of_a_view_are_checked_and_leave_the_client_as_it_was() -> None:
    fake = FakeToggl([], [])
    async with fake.client() as toggl:
        with pytest.raises(InvalidInput, match="max_wait must be at least 0"):
            toggl.with_options(max_wait=-1)
        view = toggl.with_options(timeout=5.0).with_options(priority=Priority.INTERACTIVE)
        assert view.scheduler is toggl.scheduler
        await view.workspace(3).tags.list()
        await toggl.workspace(3).tags.list()
    assert fake.requests[0].extensions["timeout"] == dict.fromkeys(("connect", "read", "write", "pool"), 5.0)
    assert [facts.priority for facts in fake.facts] == [Priority.INTERACTIVE, Priority.NORMAL]


async def test_workspaces_that_pass_by_teach_the_scheduler_their_organization() -> None:
    scheduler = Scheduler()
    fake = FakeToggl(ME, {"id": 9, "organization_id": 12}, None)
    async with fake.client(scheduler=scheduler) as toggl:
        await toggl.me.get(with_related_data=True)
        await toggl.workspace(9).get()
        assert await toggl.me.workspaces.list() == []
    assert drivers_of(scheduler).organizations == {3: 11, 9: 12}


async def test_responses_are_captured_for_the_task_that_asks() -> None:
    fake = FakeToggl(ME, httpx.Response(404, json="no"), ME)
    async with fake.client() as toggl:
        with capture_responses() as outer:
            await toggl.me.get()
            with capture_responses() as inner, pytest.raises(NotFound):
                await toggl.workspace(3).get()
        await toggl.me.get()
    assert [answer.status for answer in outer] == [200, 404]
    assert [answer.status for answer in inner] == [404]
    assert json.loads(outer[0].body) == ME
    assert (outer[0].attempts, outer[0].headers["content-type"]) == (1, "application/json")
    assert outer[1].waited == pytest.approx(1.02)
    assert [(answer.operation, answer.method, answer.path) for answer in outer] == [
        ("me.get", "GET", "/api/v9/me"),
        ("workspace.get", "GET", "/api/v9/workspaces/3"),
    ]


async def test_answers_of_concurrent_calls_can_be_told_apart() -> None:
    fake = FakeToggl(ME, [])
    async with fake.client() as toggl:
        with capture_responses() as answers:
            await asyncio.gather(toggl.me.get(), toggl.me.get(), toggl.request("GET", "/api/v9/me/tags?a=b"))
    assert sorted((one.operation, one.path, one.attempts) for one in answers) == [
        ("GET /api/v9/me/tags", "/api/v9/me/tags", 1),
        ("me.get", "/api/v9/me", 0),
        ("me.get", "/api/v9/me", 1),
    ]


async def test_responses_of_other_tasks_are_not_captured() -> None:
    fake = FakeToggl(ME, ME)
    async with fake.client(ClientOptions(coalesce=False)) as toggl:

        async def capture() -> int:
            with capture_responses() as answers:
                await toggl.me.get()
            return len(answers)

        assert set(await asyncio.gather(capture(), capture())) == {1}


async def test_what_has_no_coroutine_can_be_asked_for() -> None:
    fake = FakeToggl({"any": [1]}, {"id": 5}, None)
    async with fake.client() as toggl:
        assert await toggl.request("get", "/api/v9/new", params={"q": "a b", "left_out": UNSET}) == {
            "any": [1]
        }
        project = await toggl.request("POST", "/api/v9/new", json={"a": None, "b": UNSET}, returns=Project)
        assert await toggl.request("GET", "/api/v9/workspaces/3/new", returns=bytes) == b"null"
    assert project.id == 5
    assert fake.requests[0].url.query == b"q=a+b"
    assert fake.requests[1].content == b'{"a":null}'
    assert [facts.lane for facts in fake.facts] == ["user", "user", "organization"]


@pytest.mark.parametrize("path", ["api/v9/me", "//evil.example/api", "https://evil.example/"])
async def test_a_path_that_would_leave_the_host_is_refused(path: str) -> None:
    fake = FakeToggl()
    async with fake.client() as toggl:
        with pytest.raises(InvalidInput, match="path must start with a single slash"):
            await toggl.request("GET", path)
    assert fake.requests == []


@pytest.mark.parametrize(
    ("method", "path", "params"),
    [
        ("GET", "/x?since=1", {"per_page": 5}),
        ("GET", "/api/../admin", {}),
        ("GET", "/a\r\nX-Evil: 1", {}),
        ("FOO BAR", "/x", {}),
    ],
)
async def test_a_request_that_would_not_go_as_written_is_refused(
    method: str, path: str, params: dict[str, object]
) -> None:
    fake = FakeToggl()
    async with fake.client() as toggl:
        with pytest.raises(InvalidInput):
            await toggl.request(method, path, params=params)
    assert fake.requests == []


async def test_a_query_may_stand_in_the_path() -> None:
    fake = FakeToggl(None)
    async with fake.client() as toggl:
        await toggl.request("GET", "/x?since=1&q=a%20b", params={"left_out": UNSET})
    assert fake.requests[0].url.query == b"since=1&q=a%20b"


async def test_rows_come_as_toggl_sent_them() -> None:
    first = [{"id": number, "new": True} for number in range(200)]
    fake = FakeToggl(first, [{"id": 200}])
    async with fake.client() as toggl:
        pages = [
            page async for page in toggl.walk(operation("workspace.projects.list"), path={"workspace_id": 3})
        ]
    assert [len(page) for page in pages] == [200, 1]
    assert [json.loads(row) for row in pages[0]] == first
    assert [request.url.params["page"] for request in fake.requests] == ["1", "2"]


async def test_a_page_that_is_html_is_said_as_such() -> None:
    fake = FakeToggl(httpx.Response(200, text="<html><title>Sign in</title>"))
    async with fake.client() as toggl:
        with pytest.raises(DecodeError) as caught:
            await anext(toggl.walk(operation("workspace.projects.list"), path={"workspace_id": 3}))
    assert str(caught.value) == 'workspace.projects.list: got HTML from api.track.toggl.com, titled "Sign in"'
    assert caught.value.body == b"<html><title>Sign in</title>"


async def test_an_operation_without_pages_cannot_be_walked() -> None:
    fake = FakeToggl()
    async with fake.client() as toggl:
        with pytest.raises(InvalidInput, match=r"workspace\.get has no pages"):
            await anext(toggl.walk(operation("workspace.get"), path={"workspace_id": 3}))


async def test_an_operation_can_be_fetched_raw() -> None:
    fake = FakeToggl(httpx.Response(200, content=b'{"id": 3}', headers={"X-Request-Id": "r-2"}))
    async with fake.client() as toggl:
        answer = await toggl.fetch(operation("workspace.get"), path={"workspace_id": 3})
    assert (answer.status, answer.body, answer.request_id) == (200, b'{"id": 3}', "r-2")


async def test_a_closed_client_sends_nothing() -> None:
    fake = FakeToggl()
    toggl = fake.client()
    await toggl.aclose()
    with pytest.raises(ClientClosed):
        await toggl.me.get()
    with pytest.raises(ClientClosed, match="cannot be entered again: make a new one"):
        async with toggl:
            pass  # pragma: no cover
    assert fake.requests == []


async def test_calls_that_wait_when_the_client_closes_are_told() -> None:
    fake = FakeToggl(ME)
    toggl = fake.client(ClientOptions(coalesce=False))
    calls = [asyncio.create_task(toggl.me.get()) for _ in range(3)]
    await asyncio.sleep(0.5)
    await toggl.aclose()
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(outcome).__name__ for outcome in outcomes] == ["Me", "ClientClosed", "ClientClosed"]


class Closable(httpx.AsyncBaseTransport):
    """A network that is closed."""

    def __init__(self) -> None:
        self.closed = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(60)
        return httpx.Response(200, json=ME)

    async def aclose(self) -> None:
        await asyncio.sleep(0)
        self.closed += 1


class SlowToClose(Scheduler):
    async def aclose(self) -> None:
        await asyncio.sleep(1)
        await super().aclose()


@pytest.mark.parametrize("how", ["task", "scope"])
async def test_a_close_that_is_cancelled_closes_the_connections(how: str) -> None:
    network = Closable()
    toggl = TogglClient(ApiToken(SECRET), transport=network, scheduler=SlowToClose())
    toggl._owns_scheduler = True
    if how == "task":
        closing = asyncio.create_task(toggl.aclose())
        await asyncio.sleep(0.5)
        closing.cancel()
        await asyncio.wait([closing])
        assert closing.cancelled()
    else:
        with anyio.CancelScope() as scope:
            scope.cancel()
            await toggl.aclose()
    assert network.closed == 1


async def test_a_view_is_neither_entered_nor_does_it_close_its_client() -> None:
    network = Closable()
    async with TogglClient(ApiToken(SECRET), transport=network) as toggl:
        view = toggl.with_options(max_wait=30.0)
        with pytest.raises(InvalidInput, match="a view of a client cannot be entered"):
            await view.__aenter__()
        await view.aclose()
        await view.with_options(timeout=1.0).aclose()
        assert network.closed == 0
        assert (await view.me.get()).id == 7
    assert network.closed == 1


@pytest.mark.parametrize("priority", ["bulk", 5, -1, None])
async def test_what_is_no_priority_is_refused_at_once(priority: object) -> None:
    async with FakeToggl().client() as toggl:
        with pytest.raises(InvalidInput, match=f"priority must be a Priority, not {priority!r}"):
            toggl.with_options(priority=priority)  # type: ignore[arg-type]
        with pytest.raises(InvalidInput, match=f"priority must be a Priority, not {priority!r}"):
            RequestFacts(route="GET /x", lane=Lane.USER, reads=True, priority=priority)  # type: ignore[arg-type]


async def test_the_number_of_a_priority_is_one() -> None:
    fake = FakeToggl([])
    async with fake.client() as toggl:
        await toggl.with_options(priority=2).workspace(3).tags.list()  # type: ignore[arg-type]
    assert fake.facts[0].priority is Priority.BULK


async def test_stats_are_those_of_the_scheduler() -> None:
    fake = FakeToggl([])
    async with fake.client() as toggl:
        await toggl.workspace(3).tags.list()
        assert toggl.stats().sent == 1
        assert toggl.stats() == toggl.scheduler.stats()


async def test_a_walk_that_is_left_early_is_closed_at_once() -> None:
    closed = []

    class Watched(Pages[int]):
        async def steps(self, start: Bookmark | None = None) -> AsyncGenerator[PageStep[int], None]:
            try:
                async for step in super().steps(start):
                    yield step
            finally:
                closed.append(start)

    async def fetch(request: PageRequest) -> PageAnswer:
        return PageAnswer(result=[1, 2, 3], headers={})

    found = Watched(fetch, paging=PageNumber(), request=PageRequest(query={}, body=UNSET))
    async with aclosing(aiter(found)) as items:
        assert await anext(items) == 1
    assert len(closed) == 1
    async with aclosing(found.pages()) as pages:
        assert await anext(pages) == [1, 2, 3]
    assert len(closed) == 2
    assert await found.collect(limit=2) == [1, 2]
    assert len(closed) == 3


@pytest.mark.parametrize("wrong", [[1, 2], "3", True])
async def test_a_scope_is_bound_to_one_id(wrong: Any) -> None:
    async with FakeToggl([]).client() as toggl:
        with pytest.raises(InvalidInput, match="workspace_id: pass one id"):
            toggl.workspace(wrong)
        with pytest.raises(InvalidInput, match="organization_id: pass one id"):
            toggl.organization(wrong)


async def test_a_scope_knows_what_it_is_bound_to() -> None:
    async with FakeToggl().client() as toggl:
        workspace = toggl.workspace(3)
        assert (workspace.workspace_id, workspace.projects.workspace_id) == (3, 3)
        assert toggl.organization(4).organization_id == 4
        with pytest.raises(AttributeError, match="MeScope is not bound to any workspace"):
            _ = toggl.me.workspace_id
        assert not hasattr(workspace, "organization_id")
        with pytest.raises(AttributeError):
            workspace.workspace_id = 5  # type: ignore[misc]


@pytest.mark.parametrize(
    ("since", "message"),
    [
        (dt.datetime(2026, 1, 1), "since: a datetime needs a time zone"),  # noqa: DTZ001 - hence the refusal
        (dt.date(2026, 1, 1), "since: pass a datetime, not a value of type date"),
        (1.5, "since: pass a datetime, not a value of type float"),
        (True, "since: pass a datetime, not a value of type bool"),
        (1_767_225_600_000, "since: pass UNIX seconds, not milliseconds"),
    ],
)
async def test_what_is_no_moment_is_refused_by_name(since: object, message: str) -> None:
    async with FakeToggl().client() as toggl:
        with pytest.raises(InvalidInput, match=message):
            await toggl.me.time_entries.list(since=since)  # type: ignore[arg-type]


@pytest.mark.parametrize("since", [1_767_225_600, dt.datetime(2026, 1, 1, tzinfo=dt.UTC)])
async def test_a_moment_goes_as_unix_seconds(since: dt.datetime | int) -> None:
    fake = FakeToggl([])
    async with fake.client() as toggl:
        await toggl.me.time_entries.list(since=since)
    assert fake.requests[0].url.params["since"] == "1767225600"


async def test_a_shared_scheduler_keeps_one_pace_and_outlives_its_clients() -> None:
    times = []

    def answer(request: httpx.Request) -> httpx.Response:
        times.append(asyncio.get_running_loop().time())
        return httpx.Response(200, json=ME)

    scheduler = Scheduler()
    for _ in range(2):
        transport = httpx.MockTransport(answer)
        async with TogglClient(ApiToken(SECRET), transport=transport, scheduler=scheduler) as toggl:
            await toggl.me.get()
    assert times[1] - times[0] == pytest.approx(1.02)
    assert scheduler.stats().sent == 2
    await scheduler.aclose()


async def test_the_memory_of_refusals_can_be_cleared() -> None:
    gone = httpx.Response(410, json="gone")
    fake = FakeToggl(gone, ME)
    async with fake.client() as toggl:
        for _ in range(3):
            with pytest.raises(Exception, match="gone"):
                await toggl.me.get()
        toggl.forget_refusals()
        assert (await toggl.me.get()).id == 7
    assert len(fake.requests) == 2


@pytest.mark.parametrize(
    "base_url",
    ["https://toggl.example", "http://127.0.0.1:8080", "http://[::1]:8080", "http://localhost:8080/prefix"],
)
def test_base_urls_that_keep_the_credentials_safe_are_taken(base_url: str) -> None:
    assert repr(TogglClient(ApiToken(SECRET), base_url=base_url)) == f"TogglClient(base_url={base_url!r})"


@pytest.mark.parametrize(
    ("base_url", "message"),
    [
        ("http://api.track.toggl.com", "credentials would be sent in the clear"),
        ("http://127.0.0.1.evil.example", "credentials would be sent in the clear"),
        ("ftp://api.track.toggl.com", "must be https://HOST"),
        ("api.track.toggl.com", "must be https://HOST"),
        ("https://", "must be https://HOST"),
        ("https://api.track.toggl.com?x=1", "must be https://HOST"),
        (f"https://ada:{SECRET}@api.track.toggl.com", "must not contain credentials"),
        ("https://api track", "must be https://HOST"),
        ("https://host:port", "base_url is not a valid URL"),
    ],
)
def test_base_urls_that_do_not_are_refused(base_url: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message) as caught:
        TogglClient(ApiToken(SECRET), base_url=base_url)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("environ", "shown"),
    [
        ({"TOGGL_API_TOKEN": SECRET}, "https://api.track.toggl.com"),
        ({"TOGGL_API_TOKEN": SECRET, "TOGGL_BASE_URL": "http://127.0.0.1:9"}, "http://127.0.0.1:9"),
    ],
)
def test_the_environment_makes_a_client(environ: dict[str, str], shown: str) -> None:
    assert shown in repr(TogglClient.from_env(environ=environ))


def test_the_environment_of_the_process_is_read_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOGGL_API_TOKEN", SECRET)
    monkeypatch.setenv("TOGGL_BASE_URL", "http://127.0.0.1:9")
    assert TogglClient.from_env().base_url == "http://127.0.0.1:9"
    assert TogglClient.from_env(base_url="http://127.0.0.1:8").base_url == "http://127.0.0.1:8"
    with pytest.raises(InvalidInput, match="accounts_url must use https"):
        TogglClient.from_env(accounts_url="http://accounts.toggl.com")


@pytest.mark.parametrize(
    ("auth", "shown"),
    [
        (SECRET, "str"),
        (None, "NoneType"),
        (ApiToken, "the class ApiToken"),
        ((SECRET, "api_token"), "tuple"),
    ],
)
def test_what_are_no_credentials_is_refused_without_being_quoted(auth: object, shown: str) -> None:
    with pytest.raises(InvalidInput, match=rf"^auth must be ApiToken\(…\), .*, not {shown}$") as caught:
        TogglClient(auth)  # type: ignore[arg-type]
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("options", [{}, {"timeout": 5}, ClientOptions])
def test_what_are_no_options_is_refused(options: object) -> None:
    with pytest.raises(
        InvalidInput, match=r"options must be a ClientOptions, not (dict|the class ClientOptions)"
    ):
        TogglClient(ApiToken(SECRET), options=options)  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match=r"options must be a ClientOptions, not (dict|type)"):
        Scheduler(options)  # type: ignore[arg-type]


@pytest.mark.parametrize("build", [lambda: TogglClient.from_env(environ={})])
def test_an_environment_without_credentials_makes_none(build: Callable[[], object]) -> None:
    with pytest.raises(MissingCredentials):
        build()
