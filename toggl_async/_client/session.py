"""The one path that every call takes: coroutine, `Operation`, codec, scheduler, network, and back.

The coroutines of `toggl_async.scopes` know a `Session` as their `Caller`. Only `TogglClient` builds one.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from typing import Any, TypedDict, TypeVar, cast

import attrs
import msgspec
from msgspec import UNSET

from toggl_async._client.answer import Answer, Received
from toggl_async._client.downloads import after, believe, pieces_of
from toggl_async._client.login import REFUSAL
from toggl_async._client.plans import KnownPlans
from toggl_async._client.wholeness import check_file, check_whole
from toggl_async._client.wire import Wire, check_call, read
from toggl_async._operations.files import Download, Form
from toggl_async._operations.operation import Arguments, Operation, PathValue, Resource, Value
from toggl_async._operations.paging import PageAnswer, PageRequest, Pages
from toggl_async.codec import Codec, expand_path, query_items
from toggl_async.codec.legible import impostor
from toggl_async.errors import DecodeError, InvalidInput, LoginRefused, RequestFailed
from toggl_async.options import Priority
from toggl_async.scheduler import RequestFacts, Scheduler, error_of, facts_of
from toggl_async.scheduler.adapter import EXTENSION, shown_path
from toggl_async.scheduler.scheduler import drivers_of
from toggl_async.scheduler.transport import httpx

__all__ = ["CallOptions", "Session"]

T = TypeVar("T")


class _Declared(TypedDict):
    priority: Priority
    max_wait: float | None
    attempts: int | None
    coalesce: bool


@attrs.frozen(kw_only=True)
class CallOptions:
    """How calls are made; a view of a client has others than the client.

    Attributes:
        priority: who goes first when calls wait.
        max_wait: seconds that a call may wait for its turn; None for ever.
        timeout: seconds for each of connecting, sending and the next byte of an answer; None for no limit.
        attempts: how often a request is sent at most; None for what the scheduler's options say.
        coalesce: whether identical reads under way share one answer.
    """

    priority: Priority
    max_wait: float | None
    timeout: float | None
    attempts: int | None
    coalesce: bool
    declared: _Declared = attrs.field(init=False)
    """The part of it that the scheduler gets with each request."""

    def __attrs_post_init__(self) -> None:
        declared = _Declared(
            priority=self.priority,
            max_wait=self.max_wait,
            attempts=self.attempts,
            coalesce=self.coalesce,
        )
        object.__setattr__(self, "declared", declared)


@attrs.frozen(kw_only=True)
class Session:
    """Connections, scheduler and codec, and how its calls are made.

    Attributes:
        wire: builds the requests, and sends them through login and scheduler.
        scheduler: whom it tells which organization a workspace belongs to.
        codec: reads answers, writes bodies.
        plans: keeps what the workspace's plan lacks from being sent.
        options: how its calls are made.
    """

    wire: Wire
    scheduler: Scheduler
    codec: Codec
    plans: KnownPlans
    options: CallOptions

    async def call(
        self,
        operation: Operation[T],
        arguments: Arguments,
    ) -> T:
        """Make one call of an operation and return its decoded answer.

        Raises:
            InvalidInput: an argument cannot be sent.
            TogglError: whatever became of the request; see `toggl_async.errors`.
        """
        return cast(T, self._decoded(operation, await self._received(operation, arguments)))

    def hint(self, resource: Resource, name: str) -> str:
        """Say where to look for a name that a resource doesn't have."""
        from toggl_async._client.whereabouts import hint_for_resource  # noqa: PLC0415 - loads every scope

        return hint_for_resource(resource, name)

    def download(
        self,
        operation: Operation[bytes],
        arguments: Arguments,
    ) -> Download:
        """Prepare a download; nothing is sent before it is used."""

        async def whole() -> bytes:
            received = await self._received(operation, arguments)
            check_file(received.response, operation=operation.name)
            believe(self.codec, operation, received.response, received.body)
            return received.body

        @asynccontextmanager
        async def chunks() -> AsyncIterator[AsyncIterator[bytes]]:
            left = self.options.attempts or self.scheduler.options.retry.attempts
            while True:
                left -= 1
                async with AsyncExitStack() as opened:
                    pieces = await self._streamed(operation, arguments, opened)
                    try:
                        first = await anext(pieces, b"")
                    except RequestFailed:
                        # Nothing was passed on yet, so that it can be sent again like any other read.
                        if not (operation.reads and left > 0):
                            raise
                        continue
                    yield await opened.enter_async_context(aclosing(after(first, pieces)))
                    return

        return Download(whole, chunks)

    def pages(
        self,
        operation: Operation[object],
        item: type[T],  # noqa: ARG002 - it types the pages
        arguments: Arguments,
    ) -> Pages[T]:
        """Walk the pages of an operation; nothing is sent before the first item is asked for."""
        rows: str | None = getattr(operation.paging, "data", None)
        return self._pages(
            operation, arguments, lambda received: self._decoded(operation, received, rows=rows)
        )

    async def _streamed(
        self, operation: Operation[object], arguments: Arguments, opened: AsyncExitStack
    ) -> AsyncGenerator[bytes, None]:
        """Send the request of a file, and return its pieces; `opened` closes them."""
        request = await self._prepared(operation, arguments, streams=True)
        response = await self.wire.send(request)
        opened.push_async_callback(response.aclose)
        said = b"" if response.is_success else await read(response, operation=operation.name)
        Received(response, request, operation=operation.name, body=said, mask=self.codec.mask)
        self._refuse(request, response)
        check_whole(response, operation=operation.name, reads=operation.reads)
        check_file(response, operation=operation.name)
        return await pieces_of(self.codec, operation, request, response, opened)

    async def fetch(
        self,
        operation: Operation[object],
        arguments: Arguments,
        *,
        recalls: bool = True,
        cooldowns: int | None = None,
    ) -> Answer:
        """Make one call of an operation and return its answer as it came.

        Args:
            operation: what is called.
            arguments: what it is called with.
            recalls: whether a refusal that is remembered may answer it.
            cooldowns: how often it is sent again after a 429; None for as often as `max_wait` allows.

        Raises:
            InvalidInput: an argument cannot be sent.
            TogglError: whatever became of the request; see `toggl_async.errors`.
        """
        request = await self._prepared(operation, arguments, recalls=recalls, cooldowns=cooldowns)
        received = await self._sent(
            request, operation.name, reads=operation.reads, redirects=operation.redirects
        )
        answer = received.answer()
        # Whoever reads it may quote it in an error, where it is of another kind.
        return (
            answer
            if impostor(answer.body) is None
            else attrs.evolve(answer, body=self.codec.mask(answer.body))
        )

    async def walk(
        self,
        operation: Operation[object],
        arguments: Arguments,
    ) -> AsyncGenerator[list[bytes], None]:
        """Walk the pages of an operation, each a list of rows as Toggl sent them, as JSON.

        Raises:
            DecodeError: an answer isn't a page of the operation.
            TogglError: whatever became of a request; see `toggl_async.errors`.
        """

        def read(received: Received) -> object:
            return self.codec.rows(received.body, operation=operation.name)

        pages: Pages[msgspec.Raw] = self._pages(operation, arguments, read)
        async with aclosing(pages.settled()) as steps:
            async for step in steps:
                if step.nulls:
                    self.codec.left_out(operation=operation.name)
                if step.items:
                    yield [bytes(row) for row in step.items]

    async def request(
        self, method: str, path: str, *, query: Mapping[str, Value], body: Value, returns: object
    ) -> Any:
        """Call what has no coroutine; `TogglClient.request` tells the details."""
        if not isinstance(query, Mapping):
            raise InvalidInput(f"params: pass a mapping of names to values, not a {type(query).__name__}")
        check_call(method, path, has_query=any(value is not UNSET for value in query.values()))
        self.codec.check(returns)
        method = method.upper()
        request = await self._request(method, path, query, body)
        derived = facts_of(httpx.Request(method, self.wire.base_url.join(path)))
        request.extensions[EXTENSION] = attrs.evolve(derived, **self.options.declared)
        received = await self._sent(request, derived.route, reads=derived.reads)
        # Named by its route: the path may hold secrets, and there are as many paths as there are ids.
        return self.codec.decode(returns, received.body, operation=derived.route)

    async def _received(self, operation: Operation[object], arguments: Arguments) -> Received:
        """Make one call of an operation."""
        request = await self._prepared(operation, arguments)
        return await self._sent(request, operation.name, reads=operation.reads, redirects=operation.redirects)

    async def _prepared(
        self,
        operation: Operation[object],
        arguments: Arguments,
        *,
        streams: bool = False,
        recalls: bool = True,
        cooldowns: int | None = None,
    ) -> httpx.Request:
        """Build the request of an operation, as far as the workspace's plan allows it."""
        allowed = self.plans.allow(operation, arguments)
        path = arguments.path
        request = await self._request(
            operation.method, expand_path(operation.path, path), allowed.query, allowed.body
        )
        request.extensions[EXTENSION] = RequestFacts(
            route=f"{operation.method} {operation.path}",
            lane=operation.lane,
            reads=operation.reads,
            workspace_id=_id(path.get("workspace_id")),
            organization_id=_id(path.get("organization_id")),
            streams=streams,
            recalls=recalls,
            cooldowns=cooldowns,
            **self.options.declared,
        )
        return request

    async def _request(
        self, method: str, path: str, query: Mapping[str, Value], body: Value
    ) -> httpx.Request:
        """Build a request; what cannot be sent is refused here, before anything is."""
        content = None if body is UNSET else body if isinstance(body, Form) else self.codec.encode(body)
        return await self.wire.request(
            method, path, query=query_items(query), body=content, timeout=self.options.timeout
        )

    async def _sent(
        self, request: httpx.Request, name: str, *, reads: bool, redirects: bool = False
    ) -> Received:
        """Send a request through the scheduler, and raise what is a refusal, or not all of the answer."""
        response = await self.wire.send(request)
        body = await read(response, operation=name)
        received = Received(response, request, operation=name, body=body, mask=self.codec.mask)
        self._refuse(request, response, redirects=redirects)
        check_whole(response, operation=name, reads=reads, body=body)
        return received

    def _refuse(self, request: httpx.Request, response: httpx.Response, *, redirects: bool = False) -> None:
        """Raise the error of a response that is one; a redirect is one where none is expected."""
        if not response.is_success and not (redirects and response.has_redirect_location):
            refused: LoginRefused | None = response.extensions.get(REFUSAL)
            raise refused or error_of(
                response, method=request.method, path=shown_path(request), mask=self.codec.mask
            )

    def _pages(
        self,
        operation: Operation[object],
        arguments: Arguments,
        read: Callable[[Received], object],
    ) -> Pages[Any]:
        if operation.paging is None:
            raise InvalidInput(f"{operation.name} has no pages")

        async def fetch(request: PageRequest) -> PageAnswer:
            page = Arguments(arguments.path, request.query, request.body)
            received = await self._received(operation, page)
            return PageAnswer(result=read(received), headers=received.response.headers, body=received.body)

        request = PageRequest(query=arguments.query, body=arguments.body)
        return Pages(fetch, paging=operation.paging, request=request, operation=operation.name)

    def _decoded(
        self, operation: Operation[object], received: Received, *, rows: str | None = None
    ) -> object:
        """Decode an answer; workspaces in it tell whose quota they spend, and which plan they have."""
        if operation.redirects:
            return self._target(operation, received)
        result = self.codec.decode(
            operation.result,
            received.body,
            operation=operation.name,
            documented=operation.documented,
            secret=operation.secret,
            indispensable=rows,
        )
        self.plans.learn(result)
        if operation.workspaces is not None:
            found = getattr(result, operation.workspaces) if operation.workspaces else result
            for workspace in found if isinstance(found, list) else [found]:
                if workspace is not None and workspace.id is not None:
                    drivers_of(self.scheduler).learn_organization(workspace.id, workspace.organization_id)
            self.plans.learn(found)
        return result

    def _target(self, operation: Operation[object], received: Received) -> str:
        """Return where an answer redirects to."""
        try:
            return received.response.headers["location"]
        except KeyError:
            raise DecodeError(
                impostor(received.body, mask=self.codec.mask)
                or f"expected a redirect, got {received.response.status_code}",
                operation=operation.name,
                field="Location",
                body=self.codec.mask(received.body),
            ) from None


def _id(value: PathValue | None) -> int | None:
    return int.__int__(value) if isinstance(value, int) else None
