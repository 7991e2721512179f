"""A strict model of Toggl's server, as an httpx transport on the jumping clock.

It knows nothing of the client: a leaky bucket of a given burst, hourly windows that open with their
first request, and faults that are chosen by call and attempt, so that a run can be repeated.
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
    status: int | None = None
    answered_at: float = math.inf
    applied: bool = False
    window: int = -1


@attrs.define(kw_only=True)
class Window:
    """One hourly window."""

    number: int
    left: int
    until: float


class Broken(httpx.AsyncByteStream):
    """A body that breaks off."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b'{"id"'
        raise httpx.ReadError("broken off")


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
    windows: dict[str, Window] = attrs.Factory(dict)
    opened: int = 0
    _level: float = 0.0
    _last: float = 0.0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        call = request.url.params.get("call", "")
        attempt = sum(arrival.call == call for arrival in self.arrivals)
        fault = self.faults.get((call, attempt))
        loop = asyncio.get_running_loop()
        trace = request.extensions.get("trace") if self.traces else None
        if trace is not None:
            await trace("connection.connect_tcp.started", {"request": request})
        if trace is not None and (connecting := self.connecting(call, attempt)) > 0:
            await asyncio.sleep(connecting)
        if fault == "refused":
            del self.faults[call, attempt]
            raise httpx.ConnectError("refused")
        if trace is not None:
            await trace("http11.send_request_headers.started", {"request": request})
        path = request.url.path
        arrival = Arrival(at=loop.time(), method=request.method, route=f"{request.method} {path}", call=call)
        self.arrivals.append(arrival)
        try:
            response = self._answer(arrival, fault)
            if (latency := self.latency(call, attempt)) > 0:
                await asyncio.sleep(latency)
            if response is None:
                raise httpx.ReadError("lost")
            arrival.status = response.status_code
            return response
        finally:
            arrival.answered_at = loop.time()

    def _answer(self, arrival: Arrival, fault: str | None) -> httpx.Response | None:
        """Decide at the moment of arrival, as Toggl does."""
        if fault == "lost before":
            return None
        if fault == "429" or not self._admits(arrival.at):
            return httpx.Response(429, html=NGINX)
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
        if fault == "half":  # the head comes whole, as from a server that writes it first
            return httpx.Response(200, headers=whole.headers, stream=Broken())
        return whole

    def _admits(self, now: float) -> bool:
        self._level = max(0.0, self._level - (now - self._last) / self.period)
        self._last = now
        if self._level + 1 > self.burst + 1e-6:
            return False
        self._level += 1
        return True

    def _spend(self, arrival: Arrival) -> tuple[int, float]:
        if self.quota is None:
            return 1, math.inf
        key = arrival.route.split("/")[3]
        window = self.windows.get(key)
        if window is None or arrival.at >= window.until:
            self.opened += 1
            window = Window(number=self.opened, left=self.quota, until=arrival.at + 3600)
            self.windows[key] = window
        arrival.window = window.number
        window.left -= 1
        return window.left, window.until - arrival.at

    def _with(self, left: int, resets_in: float, status: int, message: str) -> httpx.Response:
        headers = {}
        if self.quota is not None and self.headers:
            quota = {"Remaining": max(0, left), "Resets-In": int(resets_in)}
            headers = {f"X-Toggl-Quota-{name}": str(value) for name, value in quota.items()}
        return httpx.Response(status, json=message, headers=headers)
