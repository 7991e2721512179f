"""Every operation over a real socket: client and sandbox, on a loop whose waits are short."""

import inspect
import math
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import attrs
import httpx
import pytest

from support.hook_receiver import Receiver, receiver
from support.patience import patient
from support.real_things import ready_export, real_values
from support.samples import MOMENT, arguments_of, deprecation, reach
from support.sandbox_world import NOW
from toggl_async import ClientOptions, EmailPassword, Pages, TogglClient
from toggl_async._client.catalog import operations
from toggl_async._operations.operation import Operation
from toggl_async.sandbox import SMALL, Sandbox, SandboxOptions, serve
from toggl_async.sandbox.documents import operations as described

pytestmark = pytest.mark.anyio

OPERATIONS = {one.name: one for one in operations()}
DAY = 86_400.0
WALKED = [name for name, one in OPERATIONS.items() if one.paging is not None]
AT_ODDS: Mapping[str, frozenset[str]] = {
    "me.time_entries.list": frozenset({"since", "before"}),
    "organization.users.update": frozenset({"organization_admin"}),
}
"""Arguments that exclude others."""
OTHERWISE: Mapping[str, Mapping[str, str]] = {
    "organization.groups.create": {"users": "user_ids", "workspaces": "workspace_ids"},
    "organization.groups.update": {"users": "user_ids", "workspaces": "workspace_ids"},
    "organization.users.update": {"email": "new_email", "groups": "group_ids"},
    "workspace.reports.saved.bulk_update": {"changes": "report_changes"},
    "workspace.timesheets.update": {"status": "timesheet_status"},
}
"""Arguments whose value goes by another name."""
NEEDED: Mapping[str, frozenset[str]] = {
    "me.exports.create": frozenset({"profile"}),
    "workspace.reports.detailed.csv": frozenset({"start_date"}),
    "workspace.reports.detailed.pdf": frozenset({"start_date"}),
    "workspace.reports.detailed.search": frozenset({"start_date"}),
    "workspace.reports.detailed.totals": frozenset({"start_date"}),
    "workspace.reports.summary.csv": frozenset({"start_date"}),
    "workspace.reports.summary.pdf": frozenset({"start_date"}),
    "workspace.reports.summary.search": frozenset({"start_date"}),
    "workspace.reports.weekly.csv": frozenset({"start_date"}),
    "workspace.reports.weekly.pdf": frozenset({"start_date"}),
    "workspace.reports.weekly.search": frozenset({"start_date"}),
}
"""Arguments that may be left out, but not all of them."""


@pytest.fixture(scope="module")
def anyio_backend() -> Any:
    """Run on a loop whose waits are short: the client keeps its pace of one request a second."""
    return patient(600)


@attrs.frozen
class Service:
    """A sandbox, a client of its owner's, and a receiver of webhooks."""

    sandbox: Sandbox
    toggl: TogglClient
    hooks: Receiver

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

    def arguments(self, name: str, coroutine: Callable[..., Any], *, required_only: bool) -> dict[str, Any]:
        """Make arguments of things that are there; and settle what no annotation says."""
        self.sandbox.counts.reset()
        values = real_values(self.sandbox, callback=self.hooks.url)
        ready_export(self.sandbox, None if name.startswith("me.") else min(self.sandbox.company.workspaces))
        values |= {argument: values[one] for argument, one in OTHERWISE.get(name, {}).items()}
        made = arguments_of(coroutine, required_only=False, values=values)
        needed = arguments_of(coroutine, required_only=True, values=values).keys() | NEEDED.get(name, set())
        return {
            argument: value
            for argument, value in made.items()
            if argument not in AT_ODDS.get(name, ()) and (argument in needed or not required_only)
        }


@pytest.fixture(scope="module")
async def service(anyio_backend: Any) -> AsyncIterator[Service]:
    """Run one sandbox for all operations, as a user would find it: what is deleted is gone."""
    options = SandboxOptions(size=SMALL, plan="premium", now=NOW, org_quota=math.inf, user_quota=math.inf)
    async with (
        receiver() as hooks,
        serve(options) as sandbox,
        # With the password: one of the operations resets the token.
        TogglClient(
            EmailPassword(sandbox.email, sandbox.password),
            base_url=sandbox.base_url,
            transport=httpx.AsyncHTTPTransport(verify=False),
            options=ClientOptions(timeout=DAY),
        ) as toggl,
    ):
        yield Service(sandbox, toggl, hooks)


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
    coroutine = reach(service.scope(name), name)
    with deprecation(OPERATIONS[name]):
        answer = await coroutine(**service.arguments(name, coroutine, required_only=required_only))
    check(service, OPERATIONS[name])
    assert (answer is None) == (OPERATIONS[name].result is None)


@pytest.mark.parametrize("required_only", [True, False], ids=["required", "all"])
@pytest.mark.parametrize("name", WALKED)
async def test_each_walker_reads_its_first_page(name: str, required_only: bool, service: Service) -> None:
    parent, _, verb = name.rpartition(".")
    walker = "iter" if verb in {"list", "list_page", "search"} else f"iter_{verb.removeprefix('list_')}"
    walk = reach(service.scope(name), f"{parent}.{walker}")
    with deprecation(OPERATIONS[name]):
        pages: Pages[Any] = walk(**service.arguments(name, walk, required_only=required_only))
    async for page in pages.pages():
        assert isinstance(page, list)
        break
    check(service, OPERATIONS[name])


def test_nothing_is_left_out() -> None:
    assert len(OPERATIONS) == len(described())
    assert MOMENT < NOW
