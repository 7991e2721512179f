"""What holds for every way to call: views, walks, `request()`, captured answers and plans, together."""

import datetime as dt
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from toggl_async import (
    ApiToken,
    ClientOptions,
    ConnectionFailed,
    DecodeError,
    InvalidInput,
    MaxWaitExceeded,
    NotFound,
    NotInPlan,
    PlanWarning,
    Priority,
    TogglClient,
    capture_responses,
)
from toggl_async.records import Tag
from toggl_async.scheduler.adapter import EXTENSION

pytestmark = [pytest.mark.anyio, pytest.mark.jump]

FREE = [{"id": 3, "organization_id": 11, "premium": False, "business_ws": False}]


class Network:
    """Answers what it is told to, and keeps what it was asked."""

    def __init__(self, answer: Callable[[int, httpx.Request], object]) -> None:
        self.asked: list[httpx.Request] = []
        self._answer = answer

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        found = self._answer(len(self.asked), request)
        return found if isinstance(found, httpx.Response) else httpx.Response(200, json=found)

    def client(self, **options: Any) -> TogglClient:
        return TogglClient(
            ApiToken("a" * 32), transport=httpx.MockTransport(self), options=ClientOptions(**options)
        )


def pages_of_tasks(number: int, request: httpx.Request) -> object:
    return {"data": [{"id": number, "name": "x"}] if number < 3 else [], "per_page": 1}


async def test_each_page_of_a_walk_goes_as_the_view_says_and_is_captured() -> None:
    network = Network(pages_of_tasks)
    async with network.client() as toggl:
        view = toggl.with_options(priority=Priority.BULK, max_wait=30.0, timeout=5.0)
        with capture_responses() as answers:
            tasks = await view.workspace(3).tasks.iter().collect()
    assert [task.id for task in tasks] == [1, 2]
    assert [json.loads(answer.body)["per_page"] for answer in answers] == [1, 1, 1]
    facts = [request.extensions[EXTENSION] for request in network.asked]
    assert [(one.priority, one.max_wait) for one in facts] == [(Priority.BULK, 30.0)] * 3
    assert {request.extensions["timeout"]["read"] for request in network.asked} == {5.0}


async def test_a_request_that_was_sent_again_is_one_answer() -> None:
    network = Network(lambda number, _: httpx.Response(503) if number == 1 else [])
    async with network.client() as toggl:
        with capture_responses() as answers:
            assert await toggl.workspace(3).tags.list() == []
    (answer,) = answers
    assert (answer.status, answer.attempts) == (200, 2)
    assert answer.waited > 0
    assert len(network.asked) == 2


async def test_a_call_without_an_answer_leaves_none() -> None:
    def refuse(_: int, request: httpx.Request) -> object:
        raise httpx.ConnectError("no route", request=request)

    async with Network(refuse).client() as toggl:
        with capture_responses() as answers, pytest.raises(ConnectionFailed):
            await toggl.me.get()
    assert answers == []


async def test_an_answer_does_not_show_its_body() -> None:
    async with Network(
        lambda *_: {"id": 7, "default_workspace_id": 3, "api_token": "s3cret"}
    ).client() as toggl:
        with capture_responses() as answers:
            await toggl.me.get()
    assert "s3cret" in answers[0].body.decode()
    assert "s3cret" not in repr(answers)


async def test_a_view_that_waits_for_nothing_fails_at_once_and_the_client_goes_on() -> None:
    network = Network(lambda *_: [])
    async with network.client() as toggl:
        await toggl.workspace(3).tags.list()
        with pytest.raises(MaxWaitExceeded) as caught:
            await toggl.with_options(max_wait=0).workspace(3).tags.list()
        assert caught.value.max_wait == 0
        assert len(network.asked) == 1
        assert await toggl.workspace(3).tags.list() == []


async def test_what_a_view_forgets_its_client_forgets() -> None:
    network = Network(lambda number, _: httpx.Response(410, json="gone") if number == 1 else [])
    async with network.client() as toggl:
        for _ in range(2):
            with pytest.raises(Exception, match="gone"):
                await toggl.workspace(3).tags.list()
        toggl.with_options(timeout=5).forget_refusals()
        assert await toggl.workspace(3).tags.list() == []
    assert len(network.asked) == 2


async def test_a_request_reads_records_and_raises_what_coroutines_raise() -> None:
    answers = [[{"id": 1, "name": "a"}], httpx.Response(404, json="no such thing"), {"name": "a"}]
    network = Network(lambda number, _: answers[number - 1])
    async with network.client() as toggl:
        view = toggl.with_options(priority=Priority.INTERACTIVE)
        assert await view.request("GET", "/api/v9/tags", returns=list[Tag]) == [Tag(id=1, name="a")]
        with pytest.raises(NotFound, match="no such thing") as refused:
            await toggl.request("DELETE", "/api/v9/tags/5")
        with pytest.raises(DecodeError) as misread:
            await toggl.request("GET", "/api/v9/tags/6", returns=Tag)
    assert network.asked[0].extensions[EXTENSION].priority is Priority.INTERACTIVE
    assert (refused.value.method, refused.value.path) == ("DELETE", "/api/v9/tags/5")
    assert misread.value.field == "$.id"
    assert json.loads(misread.value.body) == {"name": "a"}


@pytest.mark.parametrize("arguments", [{"json": {"a": {1: 2}}}, {"json": b"x"}, {"params": {"a": None}}])
async def test_a_request_that_cannot_be_sent_is_refused_before(arguments: Any) -> None:
    network = Network(lambda *_: [])
    async with network.client() as toggl:
        with pytest.raises(InvalidInput):
            await toggl.request("POST", "/api/v9/tags", **arguments)
    assert network.asked == []


async def test_a_request_is_sent_as_it_is_given_whatever_the_plan_lacks() -> None:
    network = Network(lambda *_: FREE)
    async with network.client(plan_check="error") as toggl:
        await toggl.me.workspaces.list()
        await toggl.request("POST", "/api/v9/workspaces/3/projects", json={"billable": True})
    assert json.loads(network.asked[1].content) == {"billable": True}


def reports(number: int, request: httpx.Request) -> object:
    return FREE if request.method == "GET" else []


async def test_walks_keep_to_the_plan_as_well() -> None:
    network = Network(reports)
    async with network.client(plan_check="drop") as toggl:
        await toggl.me.workspaces.list()
        detailed = toggl.workspace(3).reports.detailed
        with pytest.warns(PlanWarning, match="left out billable") as caught:
            assert await detailed.iter(start_date=dt.date(2024, 1, 1), billable=True).collect() == []
        assert caught[0].filename == __file__
    sent = json.loads(network.asked[1].content)
    assert "billable" not in sent
    assert sent["start_date"] == "2024-01-01"


async def test_or_are_refused_with_the_first_item() -> None:
    network = Network(reports)
    async with network.client(plan_check="error") as toggl:
        await toggl.me.workspaces.list()
        found = toggl.workspace(3).reports.detailed.iter(start_date=dt.date(2024, 1, 1), billable=True)
        with pytest.raises(NotInPlan) as refused:
            await anext(aiter(found))
    assert refused.value.fields == ("billable",)
    assert len(network.asked) == 1
