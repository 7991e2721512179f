"""A small sandbox with a client of its own, for the tests of the sandbox."""

import asyncio
import contextlib
import datetime as dt
import math
from collections.abc import AsyncIterator, Callable
from typing import Any

import attrs
import httpx

from toggl_async.sandbox import SMALL, Sandbox, SandboxOptions, serve

NOW = dt.datetime(2026, 5, 20, 12, 0, 0, tzinfo=dt.UTC)
"""When the sandboxes of tests begin: a Wednesday."""

GROUPS = frozenset(
    {
        "GET /api/v9/workspaces/{workspace_id}/groups",
        "GET /api/v9/organizations/{organization_id}/workspaces/{workspace_id}/groups",
    }
)
"""The routes of both lists of groups."""


@attrs.frozen
class World:
    """A running sandbox, and a client that is logged in as its owner."""

    sandbox: Sandbox
    http: httpx.AsyncClient

    @property
    def organization(self) -> str:
        """The path of the organization."""
        return f"/api/v9/organizations/{next(iter(self.sandbox.company.organizations))}"

    @property
    def workspace_id(self) -> int:
        """The big workspace's id."""
        return min(self.sandbox.company.workspaces)

    @property
    def workspace(self) -> str:
        """The path of the big workspace."""
        return f"/api/v9/workspaces/{self.workspace_id}"

    @property
    def reports(self) -> str:
        """The path of the big workspace's reports."""
        return f"/reports/api/v3/workspace/{self.workspace_id}"

    async def json(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """Make a request that must succeed, and return its JSON."""
        answer = await self.http.request(method, path, json=body, params=query)
        assert answer.status_code == 200, (method, path, answer.status_code, answer.text)
        return answer.json()

    async def refused(self, method: str, path: str, body: Any = None, **query: Any) -> tuple[int, str]:
        """Make a request that must fail with a bare JSON string, and return status and string."""
        answer = await self.http.request(method, path, json=body, params=query)
        assert answer.headers["content-type"] == "application/json; charset=utf-8"
        text = answer.json()
        assert isinstance(text, str)
        return answer.status_code, text


async def until(condition: Callable[[], bool]) -> None:
    """Let the event loop turn, and its time pass, until something has happened."""
    while not condition():  # noqa: ASYNC110 - the sandbox has no events of its own to wait for
        await asyncio.sleep(0.001)


@contextlib.asynccontextmanager
async def world(**options: Any) -> AsyncIterator[World]:
    """Run a small sandbox without limits, unless the options set some."""
    settings: dict[str, Any] = {
        "size": SMALL,
        "now": NOW,
        "interval": 0.0,
        "org_quota": math.inf,
        "user_quota": math.inf,
        **options,
    }
    async with (
        serve(SandboxOptions(**settings)) as sandbox,
        httpx.AsyncClient(
            base_url=sandbox.base_url, auth=(sandbox.api_token, "api_token"), verify=False, trust_env=False
        ) as http,
    ):
        yield World(sandbox, http)
