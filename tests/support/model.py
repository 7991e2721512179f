"""A strict model of Toggl's server, as an httpx transport on the jumping clock.

It knows nothing of the client: a leaky bucket of a given burst for each token, hourly windows that
open with their first request, and faults. Those are chosen by call and attempt, so that a run can be
repeated, or hit everybody while they last (`weather`). Other programs can spend from the same bucket
and the same windows (`take`).
"""

import asyncio
import math
from collections.abc import AsyncIterator, Callable

import attrs
import httpx

NGINX = "<html><head><title>429 Too Many Requests</title></head><body><center>nginx</center></body></html>"

FAULTS = (
    "lost before",  # the connection breaks before the request is read
    "lost after",  # it is carried out, and the answer is lost
    "refused",  # no connection comes about
    "half",  # the body of the answer breaks off
    "502 before",
    "502 after",
    "429",
    "400",  # the same by an older balancer
    "feature",
    "403",
)


@attrs.define(kw_only=True)
class Arrival:
    """One request as the server saw it."""

    at: float
    method: str
    route: str
    call: str
    account: str = ""
    status: int | None = None
    answered_at: float = math.inf
    applied: bool = False
    window: int = -1
    spent_too_much: bool = False


@attrs.define(kw_only=True)
class Window:
    """One hourly window."""

    number: int
    left: int
    until: float


@attrs.define
class Bucket:
    """The leaky bucket of one token."""

    level: float = 0.0
    last: float = 0.0

    def admits(self, now: float, burst: float, period: float) -> bool:
        """Let one drop in, unless it would overflow."""
        self.level = max(0.0, self.level - (now - self.last) / period)
        self.last = now
        if self.level + 1 > burst + 1e-6:
            return False
        self.level += 1
        return True


class Body(httpx.AsyncByteStream):
    """The body of an answer, not read yet; it may break off."""

    def __init__(self, content: bytes, *, breaks: bool = False) -> None:
        self._content = content
        self._breaks = breaks

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._content[:3]
        if self._breaks:
            raise httpx.ReadError("broken off")
        yield self._content[3:]


def _ignore(_arrival: Arrival) -> None:
    """Watch nothing."""


@attrs.define(kw_only=True)
class Model(httpx.AsyncBaseTransport):
    """The server; `arrivals` is what it saw."""

    burst: float = 1
    period: float = 1.0
    quota: int | None = None
    headers: bool = True
    latency: Callable[[str, int], float] = lambda _call, _attempt: 0.1
    connecting: Callable[[str, int], float] = lambda _call, _attempt: 0.0
    faults: dict[tuple[str, int], str] = attrs.Factory(dict)
    gone: frozenset[str] = frozenset()
    traces: bool = True
    arrivals: list[Arrival] = attrs.Factory(list)
    windows: dict[tuple[str, str], Window] = attrs.Factory(dict)
    buckets: dict[str, Bucket] = attrs.Factory(dict)
    opened: int = 0
    weather: str | None = None
    retry_after: int | None = None
    organizations: dict[str, str] = attrs.Factory(dict)
    watches: tuple[Callable[[Arrival], None], Callable[[Arrival], None]] = (_ignore, _ignore)
    """Called when a request arrives, and when its answer leaves or is not awaited any more."""

    def take(self, account: str, path: str, count: int) -> None:
        """Let another program of the same user make requests, all at once."""
        now = asyncio.get_running_loop().time()
        for _ in range(count):
            if self._admits(account, now):
                self._spend(Arrival(at=now, method="GET", route=f"GET {path}", call="", account=account))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        call = request.url.params.get("call", "")
        attempt = sum(arrival.call == call for arrival in self.arrivals)
        fault = self.faults.get((call, attempt), self.weather)
        loop = asyncio.get_running_loop()
        trace = request.extensions.get("trace") if self.traces else None
        if trace is not None:
            await trace("connection.connect_tcp.started", {"request": request})
        if trace is not None and (connecting := self.connecting(call, attempt)) > 0:
            await asyncio.sleep(connecting)
        if fault == "refused":
            self.faults.pop((call, attempt), None)
            raise httpx.ConnectError("refused")
        if trace is not None:
            await trace("http11.send_request_headers.started", {"request": request})
        path = request.url.path
        account = request.headers.get("authorization", "")
        route = f"{request.method} {path}"
        arrival = Arrival(at=loop.time(), method=request.method, route=route, call=call, account=account)
        self.arrivals.append(arrival)
        try:
            response = self._answer(arrival, fault)
            self.watches[0](arrival)
            if (latency := self.latency(call, attempt)) > 0:
                await asyncio.sleep(latency)
            if response is None:
                raise httpx.ReadError("lost")
            arrival.status = response.status_code
            return response
        finally:
            arrival.answered_at = loop.time()
            self.watches[1](arrival)

    def _answer(self, arrival: Arrival, fault: str | None) -> httpx.Response | None:
        """Decide at the moment of arrival, as Toggl does."""
        if fault == "lost before":
            return None
        if fault in {"429", "400"} or not self._admits(arrival.account, arrival.at):
            headers = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
            return httpx.Response(400 if fault == "400" else 429, html=NGINX, headers=headers)
        left, resets_in = self._spend(arrival)
        if left < 0:
            return self._with(0, resets_in, 402, f"Your quota will reset in {math.ceil(resets_in)} seconds.")
        if fault == "502 before":
            return httpx.Response(502, html="<html>nginx</html>")
        if fault == "feature":
            return self._with(left, resets_in, 402, "Billable is a premium feature")
        if fault == "403":
            return self._with(left, resets_in, 403, "no")
        if arrival.route in self.gone:
            return self._with(left, resets_in, 410, "gone")
        arrival.applied = True
        if fault == "502 after":
            return httpx.Response(502, html="<html>nginx</html>")
        if fault == "lost after":
            return None
        whole = self._with(left, resets_in, 200, arrival.call)
        # A fault "half" comes after a whole head, as from a server that writes it first.
        body = Body(whole.content, breaks=fault == "half")
        return httpx.Response(200, headers=whole.headers, stream=body)

    def _admits(self, account: str, now: float) -> bool:
        return self.buckets.setdefault(account, Bucket()).admits(now, self.burst, self.period)

    def _spend(self, arrival: Arrival) -> tuple[int, float]:
        if self.quota is None:
            return 1, math.inf
        _, _, _, whose, *which = arrival.route.split("/")
        key = arrival.account, self.organizations.get("".join(which[:1]), whose)
        window = self.windows.get(key)
        if window is None or arrival.at >= window.until:
            self.opened += 1
            window = Window(number=self.opened, left=self.quota, until=arrival.at + 3600)
            self.windows[key] = window
        arrival.window = window.number
        window.left -= 1
        arrival.spent_too_much = window.left < 0
        return window.left, window.until - arrival.at

    def _with(self, left: int, resets_in: float, status: int, message: str) -> httpx.Response:
        headers = {}
        if self.quota is not None and self.headers:
            quota = {"Remaining": max(0, left), "Resets-In": int(resets_in)}
            headers = {f"X-Toggl-Quota-{name}": str(value) for name, value in quota.items()}
        return httpx.Response(status, json=message, headers=headers)
