"""Every operation over a real socket: client and sandbox, on a loop where time runs fast."""

import datetime as dt
import inspect
import itertools
import math
from collections.abc import AsyncIterator, Mapping
from typing import Any

import attrs
import httpx
import pytest

from samples import MOMENT, arguments_of, reach
from sandbox_world import NOW
from toggl_async import EmailPassword, Pages, TogglClient
from toggl_async.catalog import operations
from toggl_async.operation import Operation
from toggl_async.sandbox import SMALL, FastLoop, Sandbox, SandboxOptions, serve
from toggl_async.sandbox.entities import Client, Entry, Project, Tag, Task

pytestmark = pytest.mark.anyio

OPERATIONS = {one.name: one for one in operations()}
WALKED = [name for name, one in OPERATIONS.items() if one.paging is not None]
SPEED = 600.0
NUMBERS = itertools.count(1)
AT_ODDS: Mapping[str, frozenset[str]] = {"me.time_entries.list": frozenset({"since", "before"})}
"""Arguments that exclude others."""
REPORTS = (
    "workspace.reports.detailed.search",
    "workspace.reports.detailed.totals",
    "workspace.reports.summary.search",
    "workspace.reports.weekly.search",
)
"""Reports, which want one argument or another."""


@pytest.fixture(scope="module")
def anyio_backend() -> Any:
    """Run on a loop whose time is fast: the client keeps its pace of one request a second."""
    return "asyncio", {"loop_factory": lambda: FastLoop(SPEED)}


@attrs.frozen
class Service:
    """A sandbox, and a client of its owner's."""

    sandbox: Sandbox
    toggl: TogglClient

    def scope(self, name: str) -> object:
        """Reach a scope the way that a user does."""
        company = self.sandbox.company
        bound: Mapping[str, Any] = {
            "workspace": min(company.workspaces),
            "organization": min(company.organizations),
            "shared_report": "7f3a",
        }
        found = getattr(self.toggl, name.split(".", maxsplit=1)[0])
        return found(bound[name.split(".", maxsplit=1)[0]]) if inspect.ismethod(found) else found


@pytest.fixture(scope="module")
async def service(anyio_backend: Any) -> AsyncIterator[Service]:
    """Run one sandbox for all operations, as a user would find it: what is deleted is gone."""
    options = SandboxOptions(size=SMALL, plan="premium", now=NOW, org_quota=math.inf, user_quota=math.inf)
    async with (
        serve(options) as sandbox,
        # With the password: one of the operations resets the token.
        TogglClient(
            EmailPassword(sandbox.email, sandbox.password),
            base_url=sandbox.base_url,
            transport=httpx.AsyncHTTPTransport(verify=False),
        ) as toggl,
    ):
        yield Service(sandbox, toggl)


def real_values(sandbox: Sandbox) -> dict[str, Any]:
    """Make things that are there, where made-up arguments would find nothing."""
    company, number = sandbox.company, next(NUMBERS)
    workspace, me, now = min(company.workspaces), company.owner.id, int(sandbox.clock.now())
    common: dict[str, Any] = {"workspace_id": workspace, "name": f"Number {number}", "at": now}
    client = Client(id=company.new_id("client"), creator_id=me, **common)
    tag = Tag(id=company.new_id("tag"), creator_id=me, **common)
    project = Project(
        id=company.new_id("project"), client_id=client.id, color="#0b83d9", created=now, **common
    )
    task = Task(id=company.new_id("task"), project_id=project.id, **common)
    entry = Entry(
        id=company.new_id("entry"),
        workspace_id=workspace,
        user_id=me,
        project_id=project.id,
        task_id=task.id,
        billable=False,
        start=now - 600,
        seconds=None,
        description="",
        tag_ids=(tag.id,),
        changed=now * 1_000_000,
    )
    company.clients[client.id], company.tags[tag.id] = client, tag
    company.projects[project.id], company.tasks[task.id] = project, task
    company.touch(entry, now)
    ids = {
        "workspace": workspace,
        "default_workspace": workspace,
        "organization": min(company.organizations),
        "project": project.id,
        "task": task.id,
        "client": client.id,
        "tag": tag.id,
        "user": me,
        "group": company.groups_of(workspace)[0].id,
        "time_entry": entry.id,
    }
    return {
        **{f"{kind}_id": found for kind, found in ids.items()},
        **{f"{kind}_ids": [found] for kind, found in ids.items()},
        "name": f"New {number}",
        "email": sandbox.email,
        "timezone": "Europe/Tallinn",
        "beginning_of_week": 1,
        "sort_field": "name",
        "grouping": "projects",
        "sub_grouping": "users",
        "stop": MOMENT + dt.timedelta(minutes=5),
        "duration": 300,
    }


def allowed(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Settle what no annotation says: arguments that exclude each other, and one that has to be there."""
    kept = {key: value for key, value in arguments.items() if key not in AT_ODDS.get(name, frozenset())}
    return {"start_date": MOMENT.date(), "end_date": MOMENT.date(), **kept} if name in REPORTS else kept


def check(service: Service, operation: Operation[object]) -> None:
    """Insist that the sandbox was asked once, for this, and answered it."""
    route = f"{operation.method} {operation.path}"
    (status,) = service.sandbox.counts.answers(route)
    assert service.sandbox.counts.answers(route) == {status: 1}
    assert status in ({302} if operation.redirects else {200, 201, 204})
    service.sandbox.counts.reset()


@pytest.mark.parametrize("required_only", [True, False], ids=["required", "all"])
@pytest.mark.parametrize("name", OPERATIONS)
async def test_each_operation_is_answered_and_the_answer_read(
    name: str, required_only: bool, service: Service
) -> None:
    service.sandbox.counts.reset()
    coroutine = reach(service.scope(name), name)
    arguments = arguments_of(coroutine, required_only=required_only, values=real_values(service.sandbox))
    answer = await coroutine(**allowed(name, arguments))
    check(service, OPERATIONS[name])
    assert (answer is None) <= (OPERATIONS[name].result is None or name == "me.time_entries.current")


@pytest.mark.parametrize("required_only", [True, False], ids=["required", "all"])
@pytest.mark.parametrize("name", WALKED)
async def test_each_walker_reads_its_first_page(name: str, required_only: bool, service: Service) -> None:
    service.sandbox.counts.reset()
    parent, _, verb = name.rpartition(".")
    walker = "iter" if verb in {"list", "search"} else f"iter_{verb.removeprefix('list_')}"
    walk = reach(service.scope(name), f"{parent}.{walker}")
    values = real_values(service.sandbox)
    pages: Pages[Any] = walk(**allowed(name, arguments_of(walk, required_only=required_only, values=values)))
    async for page in pages.pages():
        assert isinstance(page, list)
        break
    check(service, OPERATIONS[name])


def test_nothing_is_left_out() -> None:
    assert len(OPERATIONS) == 324
    assert MOMENT < NOW
