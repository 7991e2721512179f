"""A small, strict Toggl in a process of its own, which writes down every request with its time.

Run as a script with `ServerOptions` as JSON for its argument. It prints its address, serves until its
standard input ends, and prints its `Record` as JSON. It limits by the sandbox's bucket and windows;
beyond what the sandbox does, requests can be late by chance on the network, and another program can
spend from the same bucket. It answers in few microseconds, so that the clients are what is measured.
"""

import asyncio
import itertools
import json
import random
import re
import sys
import time
from typing import Final

import attrs

from toggl_async.sandbox.fast_loop import FastLoop
from toggl_async.sandbox.limits import ServerLimits

__all__ = ["WORKSPACE", "Record", "Seen", "ServerOptions"]

WORKSPACE: Final = 7_000_000

HTML: Final = "text/html"
JSON: Final = "application/json; charset=utf-8"

_PAGE: Final = "<html><head><title>{0}</title></head><body><center>nginx</center></body></html>"
_QUOTA: Final = "You have hit your hourly limit for API calls. Your quota will reset in {0} seconds."
_LENGTH: Final = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
_DETAIL: Final = re.compile(r"GET /api/v9/me/time_entries/(\d+)")

_PHRASES: Final = {200: "OK", 402: "Payment Required", 403: "Forbidden", 404: "Not Found", 410: "Gone"}


@attrs.frozen(kw_only=True)
class ServerOptions:
    """How strict the server is; times in Toggl's seconds.

    Attributes:
        speed: Toggl's seconds to a real one.
        interval: what the bucket wants between two requests; 0 for no bucket.
        burst: requests that may come at once.
        jitter: how early or late a request may arrive, as a share of the interval.
        other: share of the bucket's rate that another program takes.
        latency: how long an answer takes.
        quota: requests an hour; None for no limit.
        errors: share of the requests answered 502; every second one of them is carried out.
        seed: where chance comes from.
    """

    speed: float = 20.0
    interval: float = 1.0
    burst: int = 5
    jitter: float = 0.0
    other: float = 0.0
    latency: float = 0.0
    quota: int | None = None
    errors: float = 0.0
    seed: int = 1


@attrs.frozen
class Seen:
    """One request: method and path, when it came and was answered (`time.monotonic`), and how."""

    request: str
    at: float
    answered: float
    status: int


@attrs.define
class Record:
    """What the server saw.

    Attributes:
        seen: every request, in the order of their arrival at the bucket.
        applied: the descriptions of the time entries that were created, one for each time.
        failed: descriptions whose creation was answered 502.
    """

    seen: list[Seen] = attrs.Factory(list)
    applied: list[str] = attrs.Factory(list)
    failed: list[str] = attrs.Factory(list)


@attrs.frozen
class Answer:
    """Status, body and content type, and the quota headers where there are some."""

    status: int
    body: str = ""
    media: str = JSON
    headers: str = ""

    def encode(self) -> bytes:
        """Write it as HTTP/1.1."""
        body = self.body.encode()
        phrase = _PHRASES.get(self.status, "Refused")
        head = f"HTTP/1.1 {self.status} {phrase}\r\nContent-Type: {self.media}\r\n{self.headers}"
        return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


class Server:
    """ServerLimits and answers; one for all connections."""

    def __init__(self, options: ServerOptions) -> None:
        self._options = options
        self._random = random.Random(options.seed)
        quota = float("inf") if options.quota is None else options.quota
        self._limits = ServerLimits(
            interval=options.interval, burst=options.burst, user_quota=quota, organization_quota=quota
        )
        self._window = self._limits.window(0, None)
        self._applies = itertools.cycle((True, False))
        self._ids = itertools.count(4_000_000_000)
        self.record = Record()

    async def share_bucket(self) -> None:
        """Be the other program: ask evenly, but for a little chance, and shrug refusals off."""
        while self._options.other:
            await asyncio.sleep(self._options.interval / self._options.other * self._random.uniform(0.9, 1.1))
            await self._limits.admit(0)

    async def respond(self, request: str, body: bytes) -> Answer:
        """Let a request arrive, be admitted or not, and be answered."""
        options, loop = self._options, asyncio.get_running_loop()
        if options.jitter:
            await asyncio.sleep(self._random.uniform(0, 2 * options.jitter) * options.interval)
        at = time.monotonic()
        if not await self._limits.admit(0):
            answer = Answer(429, _PAGE.format("429 Too Many Requests"), HTML)
        else:
            answer = self._within_quota(request, body, loop.time())
            if options.latency:
                await asyncio.sleep(options.latency)
        self.record.seen.append(Seen(request, at, time.monotonic(), answer.status))
        return answer

    def _within_quota(self, request: str, body: bytes, now: float) -> Answer:
        allowed = self._window.spend(now)
        state = self._window.state(now)
        left = f"{state.remaining}\r\nX-Toggl-Quota-Resets-In: {state.resets_in}\r\n" if state else ""
        headers = f"X-Toggl-Quota-Remaining: {left}" if state else ""
        if not allowed:
            return Answer(402, json.dumps(_QUOTA.format(state.resets_in if state else 0)), JSON, headers)
        return attrs.evolve(self._carry_out(request, body), headers=headers)

    def _carry_out(self, request: str, body: bytes) -> Answer:
        fails = self._random.random() < self._options.errors
        description = str(json.loads(body).get("description")) if request.startswith("POST ") else ""
        if fails and description:
            self.record.failed.append(description)
        if not fails or next(self._applies):
            answer = self._route(request, description)
            if not fails:
                return answer
        return Answer(502, _PAGE.format("502 Bad Gateway"), HTML)

    def _route(self, request: str, description: str) -> Answer:
        if detail := _DETAIL.fullmatch(request):
            return Answer(200, json.dumps(entry(int(detail[1]), "read")))
        if request == f"POST /api/v9/workspaces/{WORKSPACE}/time_entries":
            self.record.applied.append(description)
            return Answer(200, json.dumps(entry(next(self._ids), description)))
        return FIXED.get(request, Answer(404, '"not found"'))


class Connection(asyncio.Protocol):
    """One connection: requests come one after the other, each whole before it counts."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._received = b""
        self._task: asyncio.Task[None] | None = None
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember whom to answer."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Take a request apart once it is whole."""
        self._received += data
        head, end, rest = self._received.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        size = int(length[1]) if length else 0
        if not end or len(rest) < size:
            return
        self._received = rest[size:]
        method, target, _ = head.partition(b"\r\n")[0].decode().split(" ")
        self._task = asyncio.create_task(self._answer(f"{method} {target.partition('?')[0]}", rest[:size]))

    async def _answer(self, request: str, body: bytes) -> None:
        answer = await self._server.respond(request, body)
        self._transport.write(answer.encode())


def entry(number: int, description: str) -> dict[str, object]:
    """Make a time entry with all of its fields, since one peer insists on them."""
    return {
        "id": number,
        "workspace_id": WORKSPACE,
        "project_id": None,
        "task_id": None,
        "billable": False,
        "start": "2026-11-02T08:00:00+00:00",
        "stop": "2026-11-02T09:00:00+00:00",
        "duration": 3600,
        "description": description,
        "tags": [],
        "tag_ids": [],
        "duronly": True,
        "at": "2026-11-02T09:00:00+00:00",
        "server_deleted_at": None,
        "user_id": 9_000_000,
        "uid": 9_000_000,
        "wid": WORKSPACE,
    }


FIXED: Final = {
    "GET /api/v9/me": Answer(
        200,
        json.dumps(
            {
                "id": 9_000_000,
                "email": "you@example.com",
                "fullname": "You",
                "timezone": "Etc/UTC",
                "default_workspace_id": WORKSPACE,
                "beginning_of_week": 1,
                "created_at": "2020-01-01T00:00:00.000000Z",
            }
        ),
    ),
    f"GET /api/v9/workspaces/{WORKSPACE}": Answer(
        200,
        json.dumps({"id": WORKSPACE, "organization_id": 5_000_000, "name": "Yours", "premium": True}),
    ),
    "GET /api/v9/me/location": Answer(410, '"This endpoint is gone"'),
    f"GET /api/v9/workspaces/{WORKSPACE}/tasks": Answer(402, '"Tasks are a premium feature"'),
    "GET /api/v9/organizations/5000000": Answer(403, '"User does not have access to this resource."'),
}
"""The refusals and what one peer looks up before it creates."""


async def main() -> None:
    """Serve until standard input ends."""
    options = ServerOptions(**json.loads(sys.argv[1]))
    server = Server(options)
    loop = asyncio.get_running_loop()
    listener = await loop.create_server(lambda: Connection(server), "127.0.0.1", 0, backlog=1024)
    print(f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}", flush=True)
    other = asyncio.create_task(server.share_bucket())
    await asyncio.to_thread(sys.stdin.read)
    other.cancel()
    listener.close()
    server.record.seen.sort(key=lambda seen: seen.at)
    print(json.dumps(attrs.asdict(server.record)), flush=True)


if __name__ == "__main__":
    speed = float(json.loads(sys.argv[1])["speed"])
    with asyncio.Runner(loop_factory=lambda: FastLoop(speed)) as runner:
        runner.run(main())
