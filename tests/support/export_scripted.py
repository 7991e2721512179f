"""A Toggl that answers what a test wrote down, for what the sandbox would never do."""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import httpx

WORKSPACE, OTHER, ORGANIZATION = 10, 20, 1
SEARCH = f"/reports/api/v3/workspace/{WORKSPACE}/search/time_entries"
TOTALS = f"{SEARCH}/totals"

Reply = httpx.Response | Exception | object
"""A response, an exception to raise, or JSON for a 200."""


class Scripted(httpx.AsyncBaseTransport):
    """Answers from a table of paths; a callable is asked for its reply with the request's body."""

    def __init__(self, replies: Mapping[str, Reply | Callable[[Any], Reply]] = {}) -> None:
        self.replies: dict[str, Reply | Callable[[Any], Reply]] = {
            "/api/v9/me": {
                "id": 7,
                "fullname": "Zoë",
                "email": "zoe@example.com",
                "workspaces": [{"id": WORKSPACE, "name": "One", "organization_id": ORGANIZATION}],
            },
            "/api/v9/me/organizations": [{"id": ORGANIZATION, "created_at": "2026-01-01T00:00:00Z"}],
            "/api/v9/me/time_entries/current": None,
            **replies,
        }
        self.asked: Counter[str] = Counter()
        self.bodies: list[Any] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer; what is not in the table is an empty list, a total zero, users the caller alone."""
        path = request.url.path
        body = json.loads(await request.aread() or b"null")
        self.asked[path] += 1
        self.bodies.append(body)
        usual = {"seconds": 0} if path.endswith("/totals") else [{"id": 7}] if path.endswith("/users") else []
        reply = self.replies.get(path, usual)
        if callable(reply):
            reply = reply(body)
        if isinstance(reply, Exception):
            raise reply
        if isinstance(reply, httpx.Response):
            return reply
        return httpx.Response(200, content=json.dumps(reply))


def entry(number: int, *, seconds: int = 60, start: str = "2026-11-02T09:00:00+01:00") -> dict[str, Any]:
    """A row of the detailed report with one time entry."""
    return {
        "user_id": 7,
        "time_entries": [{"id": number, "seconds": seconds, "start": start, "stop": start, "at": start}],
    }


def once(*pages: Reply) -> Callable[[Any], Reply]:
    """Reply with these in turn, then with empty lists."""
    left = list(pages)
    return lambda body: left.pop(0) if left else []


def page(rows: list[Any], *, following: int | None = None) -> httpx.Response:
    """A page of the report, and where the next one starts."""
    return httpx.Response(200, json=rows, headers={"X-Next-Row-Number": str(following)} if following else {})
