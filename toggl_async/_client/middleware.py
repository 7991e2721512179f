"""Middleware: a user's own code around each call, and around each attempt at it.

::

    coroutine ─▶ Middleware.call ─▶ login ─▶ scheduler ─▶ Middleware.attempt ─▶ network
                 once a call                  once a turn, with credentials

Both get a request and a function that sends it on, and return an answer. The scheduler counts a call by its
account, method and path, and gives one turn for one request; middleware that would bypass this is refused.

If no middleware overrides a method, that method costs a request nothing.
"""

import contextlib
import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Final

import anyio

from toggl_async._client.allowance import Allowance, Unhurried
from toggl_async.errors import InvalidInput, RequestFailed
from toggl_async.scheduler.adapter import facts_of, shown_path
from toggl_async.scheduler.transport import Around, Send, httpx

__all__ = ["AttemptChain", "Middleware", "Send", "attempts_of", "calls_of"]

_CREDENTIALS: Final = ("authorization", "cookie")

_COUNTED: Final = (
    "a request: the scheduler counts it by account, method and path; call `client.request(…)`, or another "
    "client, instead"
)
_SHARED: Final = (
    "an attempt: identical calls may wait for its answer, and it may have to be sent again as it was; "
    "change it in `call` instead"
)
_WHY_FIXED: Final = {"query": _SHARED, "body": _SHARED}

_FAREWELL: Final = 5.0
"""Seconds that closing an answer may take, whatever happens to the task that closes."""


class Middleware:
    """Sees and changes requests and answers; override one method or both.

    The first middleware of a client is the outermost one. To read the body of an answer, use ``await
    response.aread()``: it is then passed on whole.
    """

    async def call(self, request: httpx.Request, send: Send) -> httpx.Response:
        """Handle a call, once, however often it has to be sent.

        It may answer by itself, as a cache does, or send more than once: each send is a call of its own, with
        turns of its own. Whatever it raises reaches the caller unchanged. If it does what it must not, such
        as returning anything but an answer, the caller gets an `InvalidInput`, or once the request may have
        been sent a `RequestFailed`, which says whether it may have been applied.

        Args:
            request: the request, without credentials. Its headers, query and body may be changed, but not its
                method, host and path, because the scheduler counts by them.
            send: sends it through the scheduler, and returns the final answer, of any status. The body of a
                streamed download is still on the wire.

        Returns:
            The answer, or another in its place.
        """
        return await send(request)

    async def attempt(self, request: httpx.Request, send: Send) -> httpx.Response:
        """Handle an attempt, each time that a call gets its turn; a login counts as one, too.

        If it raises, that counts as a lost connection, after which the call ends or is sent again as usual;
        if it raises before it sends, it counts as a connection that was never made. If it does what it must
        not, the call ends as one of `call` does. If it answers by itself,
        the turn is spent nevertheless.

        Apart from sending and reading, it may take up to the client's `timeout` before and after, and is
        ended when the client is closed. It must not make calls with the same client, because they may wait
        for this one to end.

        Args:
            request: the request as it goes over the wire, **credentials included**. Its other headers may be
                changed.
            send: sends it, once; sending it again is up to the scheduler. It returns an answer whose body has
                not been read.

        Returns:
            The answer, or another in its place; the scheduler judges it as if Toggl had sent it.
        """
        return await send(request)


class _MisuseError(InvalidInput):
    """Middleware did what it must not. Whether the request has left by then, it doesn't know."""


class _Chain:
    """The steps around a request, the first of them outermost."""

    __slots__ = ("_steps",)

    def __init__(self, steps: Sequence[Around]) -> None:
        self._steps = steps

    async def __call__(self, request: httpx.Request, send: Send) -> httpx.Response:
        """Take a copy of a request through the steps, and send it.

        Raises:
            InvalidInput: a step did what it must not, before anything was sent.
            RequestFailed: it did so afterwards.
        """
        passed = _Passed(request, send)
        try:
            return await self._through(passed, request)
        except _MisuseError as error:
            if not passed.may_have_left:
                raise
            raise RequestFailed(
                str(error),
                method=request.method,
                path=shown_path(request),
                maybe_applied=not facts_of(request).reads,
            ) from error

    async def _through(self, passed: "_Passed", request: httpx.Request) -> httpx.Response:
        """Take a copy of a request through the steps, to where it is passed on."""
        link: Send = passed.send
        for step in reversed(self._steps):
            link = functools.partial(_answer_of, step, link)
        try:
            answer = await link(_copied(request))
            answer.extensions = {**passed.extensions, **answer.extensions}
            if not isinstance(answer.stream, httpx.ByteStream):
                _make_readable(answer)
                return answer
        except BaseException:
            await passed.close()
            raise
        await passed.close(but=answer)
        return answer


class AttemptChain(_Chain):
    """The steps around an attempt, which end in time, and when their client is closed."""

    __slots__ = ("_under_way",)

    def __init__(self, steps: Sequence[Around]) -> None:
        super().__init__(steps)
        self._under_way: set[Allowance] = set()

    async def __call__(self, request: httpx.Request, send: Send) -> httpx.Response:
        """Take a copy of a request through the steps, and send it.

        Raises:
            InvalidInput: a step did what it must not; the exchange knows whether the request had left.
            TimeoutError: the steps took too long.
            ConnectionAbortedError: the client was closed.
        """
        seconds: float | None = request.extensions.get("timeout", {}).get("read")
        allowance = Allowance(seconds)
        self._under_way.add(allowance)
        try:
            with allowance.scope:
                return await self._through(_PassedOnce(request, send, allowance), request)
        finally:
            self._under_way.discard(allowance)
        raise allowance.error

    def close(self) -> None:
        """End the attempts that are under way; those that are being sent, once they are back from that."""
        for allowance in self._under_way:
            allowance.end()


class _Passed:
    """The end of a chain: a request on its way out of it, and the answers that came."""

    def __init__(self, request: httpx.Request, send: Send) -> None:
        self._request = request
        self._send = send
        self._answers: list[httpx.Response] = []
        self.may_have_left: bool = False
        """Whether Toggl may have got the request."""

    @property
    def extensions(self) -> dict[str, object]:
        """What the latest answer says about how it was obtained."""
        return self._answers[-1].extensions if self._answers else {}

    async def send(self, request: httpx.Request) -> httpx.Response:
        """Send a request, if it is still the one that the scheduler knows."""
        self._refuse_changes(request, _fixed_in_call)
        request = _copied(request)  # the credentials of this one are not for middleware
        request.extensions = {**request.extensions, **self._request.extensions}
        return await self._pass_on(request)

    async def _pass_on(self, request: httpx.Request) -> httpx.Response:
        """Send a request, and keep its answer in mind."""
        try:
            answer = await self._send(request)
        except Exception as error:
            self.may_have_left |= isinstance(error, RequestFailed) and error.maybe_applied
            # An error leads to its request, and there are tools that print all they can reach.
            for name in _CREDENTIALS:
                request.headers.pop(name, None)
            raise
        returned: object = answer
        if not isinstance(returned, httpx.Response):
            raise TypeError(f"the transport returned {type(returned).__name__}, not a Response")
        self.may_have_left = True
        self._answers.append(returned)
        return returned

    async def close(self, *, but: httpx.Response | None = None) -> None:
        """Close the answers that nobody will read."""
        for answer in self._answers:
            if answer is not but and not answer.is_closed:
                # In a scope that was cancelled every wait is cut short.
                with anyio.move_on_after(_FAREWELL, shield=True), contextlib.suppress(Exception):
                    await answer.aclose()

    def _refuse_changes(
        self, request: httpx.Request, fixed: Callable[[httpx.Request], dict[str, object]]
    ) -> None:
        """Refuse what the scheduler has counted on.

        Raises:
            InvalidInput: something was changed; the values are not quoted, they may be secret.
        """
        if not isinstance(request, httpx.Request):
            raise _MisuseError(f"middleware sent on a {type(request).__name__}, not an httpx.Request")
        known = fixed(self._request)
        request.headers.setdefault("Host", self._request.headers.get("Host", ""))
        for name, value in fixed(request).items():
            if value != known[name]:
                raise _MisuseError(f"middleware changed the {name} of {_WHY_FIXED.get(name, _COUNTED)}")


class _PassedOnce(_Passed):
    """The end of a chain around an attempt."""

    def __init__(self, request: httpx.Request, send: Send, allowance: Allowance) -> None:
        super().__init__(request, send)
        self._allowance = allowance
        self._left = False

    async def send(self, request: httpx.Request) -> httpx.Response:
        """Send a request, if it is still the one that the scheduler knows, and was not sent before."""
        if self._left:
            raise _MisuseError(
                "middleware sent one attempt twice: return the answer and let the scheduler decide whether "
                "to send the call again; or send it again in `call`, where each send waits for its own turn"
            )
        self._left = True
        self._refuse_changes(request, _fixed_in_attempt)
        # The same dict as before: through it the scheduler follows the request to the wire.
        given = {name: value for name, value in request.extensions.items() if name != "trace"}
        self._request.extensions.update(given)
        request.extensions = self._request.extensions
        self._allowance.pause()
        try:
            answer = await self._pass_on(request)
        finally:
            self._allowance.begin()
        stream = answer.stream
        if isinstance(stream, httpx.AsyncByteStream) and not isinstance(stream, httpx.ByteStream):
            answer.stream = Unhurried(stream, self._allowance)
        return answer


async def _answer_of(step: Around, send: Send, request: httpx.Request) -> httpx.Response:
    """Take one step.

    Raises:
        InvalidInput: it is not asynchronous, or returned anything but an answer.
    """
    pending: object = step(request, send)
    name = getattr(step, "__qualname__", repr(step))
    if not inspect.isawaitable(pending):
        raise _MisuseError(f"{name} is not a coroutine function: write `async def`")
    answer: object = await pending
    if not isinstance(answer, httpx.Response):
        raise _MisuseError(
            f"{name} returned {type(answer).__name__}, not an httpx.Response: end with "
            "`return await send(request)`"
        )
    return answer


def calls_of(middleware: Sequence[Middleware]) -> Around | None:
    """Return what goes around each call; None where no middleware wants to see it.

    Raises:
        InvalidInput: one of them isn't a `Middleware`.
    """
    steps = [one.call for one in _checked(middleware) if type(one).call is not Middleware.call]
    return _Chain(steps) if steps else None


def attempts_of(middleware: Sequence[Middleware]) -> AttemptChain | None:
    """Return what goes around each attempt; None where no middleware wants to see it.

    Raises:
        InvalidInput: one of them isn't a `Middleware`.
    """
    steps = [one.attempt for one in _checked(middleware) if type(one).attempt is not Middleware.attempt]
    return AttemptChain(steps) if steps else None


def _checked(middleware: Sequence[Middleware]) -> Sequence[Middleware]:
    given: object = middleware
    if not isinstance(given, Sequence) or isinstance(given, str | bytes):
        kind = f"the class {given.__name__}" if isinstance(given, type) else type(given).__name__
        raise InvalidInput(f"middleware must be a list of instances of Middleware, not {kind}")
    for one in given:
        if not isinstance(one, Middleware):
            kind = f"the class {one.__name__}" if isinstance(one, type) else type(one).__name__
            raise InvalidInput(
                f"middleware must be instances of Middleware, not {kind}: subclass it, and override "
                "`call` or `attempt`"
            )
    return middleware


def _fixed_in_call(request: httpx.Request) -> dict[str, object]:
    """Return what a call must keep."""
    url = request.url
    return {
        "method": request.method,
        "host": (url.scheme, url.netloc),
        "Host header": request.headers.get("Host"),
        "path": url.raw_path.partition(b"?")[0],
        "credentials": [request.headers.get(name) for name in _CREDENTIALS],
    }


def _fixed_in_attempt(request: httpx.Request) -> dict[str, object]:
    """Return what an attempt must keep: others may share its answer."""
    return {**_fixed_in_call(request), "query": request.url.query, "body": request.stream}


def _copied(request: httpx.Request) -> httpx.Request:
    """Copy a request, so that what is done to it ends with the chain."""
    copied = httpx.Request(
        request.method,
        request.url,
        headers=request.headers,
        stream=request.stream,
        extensions=request.extensions,
    )
    if isinstance(request.stream, httpx.ByteStream):
        copied.read()
    return copied


def _make_readable(answer: httpx.Response) -> None:
    """Let the next reader read a body.

    Raises:
        InvalidInput: middleware took it off the wire and did not keep it.
    """
    if isinstance(answer.stream, Unhurried) and not answer.is_stream_consumed:
        answer.stream = answer.stream.stream
    if isinstance(answer.stream, httpx.AsyncByteStream) and not answer.is_stream_consumed:
        return
    try:
        content = answer.content if answer.is_stream_consumed else answer.read()
    except httpx.ResponseNotRead:
        raise _MisuseError(
            "middleware consumed the body of an answer and did not keep it: use `await response.aread()`"
        ) from None
    answer.stream = httpx.ByteStream(content)
    answer.headers.pop("content-encoding", None)
    if "content-length" in answer.headers:
        answer.headers["content-length"] = str(len(content))
