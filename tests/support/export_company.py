"""A small made-up company behind a transport, whose data a test changes while it is exported.

Its report names the following page by row number alone, which is the worst that Toggl may do: whatever
is deleted meanwhile shifts the rows behind it.
"""

import datetime as dt
import json
from collections.abc import Callable
from typing import Any

import attrs
import httpx

FIRST, SECOND, ORGANIZATION, USER = 10, 20, 1, 7
NOW = dt.datetime(2026, 6, 15, 12, 0, tzinfo=dt.UTC)
ZONE = dt.timezone(dt.timedelta(hours=1))
TOKEN_REFUSED = "Incorrect username and/or password"
"""What Toggl says in a 403 that means the token itself, which ends an export."""


@attrs.define
class Entry:
    """A time entry."""

    id: int
    workspace_id: int
    start: dt.datetime
    seconds: int = 60
    description: str = ""
    at: dt.datetime = NOW - dt.timedelta(days=400)
    deleted: bool = False

    @property
    def day(self) -> dt.date:
        return self.start.astimezone(ZONE).date()


class Company(httpx.AsyncBaseTransport):
    """Answers for two workspaces, each with lists and time entries."""

    def __init__(self, entries: int = 24, *, page: int = 4, days: int = 20) -> None:
        self.now = NOW
        self.page = page
        self.user = USER
        self.timezone: str | None = None
        self.entries = [
            Entry(
                number,
                FIRST if number % 3 else SECOND,
                NOW - dt.timedelta(days=1 + number * days),
                seconds=60 + number,
            )
            for number in range(1, entries + 1)
        ]
        self.lists: dict[str, list[dict[str, Any]]] = {
            name: [
                {"id": number, "workspace_id": FIRST if number % 2 else SECOND, "name": f"{name} {number}"}
                for number in range(1, 6)
            ]
            for name in ("clients", "projects", "tags", "tasks", "users", "groups")
        }
        self.lists["users"] += [
            {"id": USER, "workspace_id": number, "name": "Zoë"} for number in (FIRST, SECOND)
        ]
        self.related: dict[str, Any] = {"time_entries": None}
        """The related data in the profile; without any key, the server doesn't have such data."""
        self.sorts = True
        """Whether it sorts by the last change as it is asked to."""
        self.announces = False
        """Whether it names the row that the following page begins with, and not only its number."""
        self.running: dict[str, Any] | None = None
        self.log: list[tuple[str, Any]] = []
        self.before: Callable[[str, Any], httpx.Response | None] = lambda path, body: None

    def refuse_the_token_at(self, end: str) -> None:
        """Refuse the token from the request on whose path ends so: the export ends there."""
        self.before = lambda path, body: (
            httpx.Response(403, json=TOKEN_REFUSED) if path.endswith(end) else None
        )

    def asked(self, end: str) -> list[Any]:
        """The bodies or queries of the requests whose path ends so."""
        return [what for path, what in self.log if path.endswith(end)]

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(await request.aread() or b"null")
        path, query = request.url.path, dict(request.url.params)
        self.log.append((path, body or query))
        special = self.before(path, body)
        if special is not None:
            return special
        answer, headers = self._answer(path, query, body)
        headers["Date"] = self.now.strftime("%a, %d %b %Y %H:%M:%S GMT")
        return httpx.Response(200, content=json.dumps(answer), headers=headers)

    def _answer(self, path: str, query: dict[str, str], body: Any) -> tuple[Any, dict[str, str]]:
        parts = path.strip("/").split("/")
        if parts[0] == "reports":
            return self._report(parts, body)
        if path == "/api/v9/me":
            workspaces = [
                {"id": number, "name": f"W{number}", "organization_id": ORGANIZATION, "api_token": "hidden"}
                for number in (FIRST, SECOND)
            ]
            return {
                "id": self.user,
                "fullname": "Zoë",
                "timezone": self.timezone,
                "email": "z@example.com",
                "workspaces": workspaces,
                **self.related,
            }, {}
        if path == "/api/v9/me/organizations":
            return [{"id": ORGANIZATION, "name": "Org", "created_at": "2025-09-01T00:00:00Z"}], {}
        if path == "/api/v9/me/quota":
            quota = {"remaining": 3, "resets_in_secs": 600, "total": 10}
            return [{"organization_id": None, **quota}, {"organization_id": ORGANIZATION, **quota}], {}
        if path.endswith("/current"):
            return self.running, {}
        if path == "/api/v9/me/time_entries":
            since = int(query["since"])
            return [self._track(entry) for entry in self.entries if entry.at.timestamp() >= since], {}
        workspace_id, name = int(parts[3]), parts[4]
        rows = [row for row in self.lists[name] if row["workspace_id"] == workspace_id]
        if "since" in query:
            rows = [row for row in rows if row.get("at", 0) >= int(query["since"])]
        else:
            rows = [row for row in rows if not row.get("server_deleted_at")]
        if "page" in query:
            size = int(query["per_page"])
            begin = (int(query["page"]) - 1) * size
            rows = rows[begin : begin + size]
        return ({"data": rows, "total_count": len(rows)} if name == "tasks" else rows), {}

    def _report(self, parts: list[str], body: dict[str, Any]) -> tuple[Any, dict[str, str]]:
        first, last = dt.date.fromisoformat(body["start_date"]), dt.date.fromisoformat(body["end_date"])
        rows = sorted(
            (
                entry
                for entry in self.entries
                if entry.workspace_id == int(parts[4]) and not entry.deleted and first <= entry.day <= last
            ),
            key=lambda entry: (entry.start, entry.id),
        )
        if parts[-1] == "totals":
            months: dict[str, int] = {}
            for ordinal in range(first.toordinal(), last.toordinal() + 1):
                months.setdefault(str(dt.date.fromordinal(ordinal))[:7], 0)
            for entry in rows:
                months[str(entry.day)[:7]] += entry.seconds
            graph = [{"seconds": seconds} for seconds in months.values()]
            return {"seconds": sum(months.values()), "resolution": "month", "graph": graph}, {}
        if parts[5] == "summary":
            return {"groups": [{"sub_groups": [{"ids": [entry.id for entry in rows]}]}]}, {}
        if body["order_by"] == "last_update":
            assert body["order_dir"] == "DESC"
            rows = sorted(rows, key=lambda entry: entry.at, reverse=self.sorts)
        begin = (body.get("first_row_number") or 1) - 1
        shown, left = rows[begin : begin + self.page], rows[begin + self.page :]
        return [self._row(entry) for entry in shown], (
            {"X-Next-Row-Number": str(begin + self.page + 1)}
            | ({"X-Next-ID": str(left[0].id)} if self.announces else {})
            if left
            else {}
        )

    def _row(self, entry: Entry) -> dict[str, Any]:
        start = entry.start.astimezone(ZONE)
        return {
            "user_id": USER,
            "username": "Zoë",
            "description": entry.description,
            "tag_ids": [1 if entry.workspace_id == FIRST else 2],
            "time_entries": [
                {
                    "id": entry.id,
                    "seconds": entry.seconds,
                    "start": start.isoformat(),
                    "stop": (start + dt.timedelta(seconds=entry.seconds)).isoformat(),
                    "at": entry.at.isoformat(),
                }
            ],
        }

    def _track(self, entry: Entry) -> dict[str, Any]:
        return {
            "id": entry.id,
            "workspace_id": entry.workspace_id,
            "start": entry.start.isoformat(),
            "server_deleted_at": entry.at.isoformat() if entry.deleted else None,
        }
