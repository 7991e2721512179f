"""The one path that every call takes: coroutine, `Operation`, codec, scheduler, network, and back.

A `Session` is what the coroutines of `toggl_async.scopes` know as their `Caller`. `TogglClient`
builds it; nothing else does.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar, cast

import attrs
import httpx
import msgspec
from msgspec import UNSET

from toggl_async.answer import Answer, record_answer
from toggl_async.codec import Codec, expand_path, query_items
from toggl_async.errors import ClientClosed, DecodeError, InvalidInput, LoginRefused
from toggl_async.files import Download, Form
from toggl_async.login import REFUSAL
from toggl_async.operation import Operation, PathValue, Value
from toggl_async.options import Priority
from toggl_async.pagination import PageAnswer, PageRequest, Pages
from toggl_async.plans import KnownPlans
from toggl_async.transport import RequestFacts, Scheduler, error_of, facts_of
from toggl_async.transport.route import EXTENSION, shown_path

__all__ = ["Session"]

T = TypeVar("T")

_NOTHING: Final[Mapping[str, Value]] = {}


@attrs.frozen(kw_only=True)
class Session:
    """Connections, scheduler and codec, and how its calls are scheduled.

    Attributes:
        http: the client that sends, through the scheduled transport.
        scheduler: whom it tells which organization a workspace belongs to.
        codec: reads answers, writes bodies.
        plans: keeps what the workspace's plan lacks from being sent.
        priority: who goes first when calls wait.
        max_wait: seconds that a call may wait for its turn.
        timeout: seconds for each of connecting, sending and the next byte of an answer.
        coalesce: whether identical GETs under way share one answer.
    """

    http: httpx.AsyncClient
    scheduler: Scheduler
    codec: Codec
    plans: KnownPlans
    priority: Priority
    max_wait: float
    timeout: float
    coalesce: bool

    async def call(
        self,
        operation: Operation[T],
        *,
        path: Mapping[str, PathValue],
        query: Mapping[str, Value],
        body: Value = UNSET,
    ) -> T:
        """Make one call of an operation and return its decoded answer.

        Raises:
            InvalidInput: an argument cannot be sent.
            TogglError: whatever became of the request; see `toggl_async.errors`.
        """
        answer = await self.fetch(operation, path=path, query=query, body=body)
        return cast(T, self._decoded(operation, answer))

    def download(
        self,
        operation: Operation[bytes],
        *,
        path: Mapping[str, PathValue],
        query: Mapping[str, Value],
        body: Value = UNSET,
    ) -> Download:
        """Prepare a download; nothing is sent before it is used."""

        async def whole() -> bytes:
            return (await self.fetch(operation, path=path, query=query, body=body)).body

        @asynccontextmanager
        async def chunks() -> AsyncIterator[AsyncIterator[bytes]]:
            request = await self._prepared(operation, path, query, body, streams=True)
            response = await self.http.send(request, stream=True)
            try:
                self._refuse(request, response)
                yield response.aiter_bytes()
            finally:
                await response.aclose()

        return Download(whole, chunks)

    def pages(
        self,
        operation: Operation[object],
        item: type[T],  # noqa: ARG002 - it types the pages
        *,
        path: Mapping[str, PathValue],
        query: Mapping[str, Value],
        body: Value = UNSET,
    ) -> Pages[T]:
        """Walk the pages of an operation; nothing is sent before the first item is asked for."""
        return self._pages(operation, path, query, body, lambda answer: self._decoded(operation, answer))

    async def fetch(
        self,
        operation: Operation[object],
        *,
        path: Mapping[str, PathValue],
        query: Mapping[str, Value] = _NOTHING,
        body: Value = UNSET,
    ) -> Answer:
        """Make one call of an operation and return its answer as it came.

        Raises:
            InvalidInput: an argument cannot be sent.
            TogglError: whatever became of the request; see `toggl_async.errors`.
        """
        request = await self._prepared(operation, path, query, body)
        return await self._answer(request, redirects=operation.redirects)

    async def walk(
        self,
        operation: Operation[object],
        *,
        path: Mapping[str, PathValue],
        query: Mapping[str, Value] = _NOTHING,
        body: Value = UNSET,
    ) -> AsyncIterator[list[bytes]]:
        """Walk the pages of an operation, each a list of rows as Toggl sent them, as JSON.

        Raises:
            DecodeError: a page is no JSON.
            TogglError: whatever became of a request; see `toggl_async.errors`.
        """
        pages: Pages[msgspec.Raw] = self._pages(
            operation, path, query, body, lambda answer: _undecoded(operation, answer)
        )
        async for rows in pages.pages():
            yield [bytes(row) for row in rows]

    async def request(
        self, method: str, path: str, *, query: Mapping[str, Value], body: Value, returns: object
    ) -> Any:
        """Call what has no coroutine; `TogglClient.request` tells the details."""
        if not path.startswith("/") or path.startswith("//"):
            raise InvalidInput(f"path must start with one slash and name no host: {path!r}")
        facts = facts_of(httpx.Request(method, self.http.base_url.join(path)))
        answer = await self._answer(await self._request(method, path, query, body, facts))
        return self.codec.decode(returns, answer.body, operation=f"{method} {path}")

    async def _prepared(
        self,
        operation: Operation[object],
        path: Mapping[str, PathValue],
        query: Mapping[str, Value],
        body: Value,
        *,
        streams: bool = False,
    ) -> httpx.Request:
        """Build the request of an operation, as far as the workspace's plan allows it."""
        query, body = self.plans.allow(operation, path=path, query=query, body=body)
        facts = attrs.evolve(_facts(operation, path), streams=streams)
        return await self._request(operation.method, expand_path(operation.path, path), query, body, facts)

    async def _request(
        self, method: str, path: str, query: Mapping[str, Value], body: Value, facts: RequestFacts
    ) -> httpx.Request:
        """Build a request; what cannot be sent is refused here, before anything is."""
        if self.http.is_closed:
            raise ClientClosed("the client is closed")
        content: bytes | None = None
        fields: dict[str, str] | None = None
        files: dict[str, tuple[str | None, bytes | str]] = {}
        if isinstance(body, Form):
            values, contents = await body.parts()
            fields = dict(query_items(values))
            if body.multipart:
                # As parts without a file name; httpx would send fields alone urlencoded.
                files.update({name: (None, value) for name, value in fields.items()})
                files.update(contents)
                fields = {}
        elif body is not UNSET:
            content = self.codec.encode(body)
        facts = attrs.evolve(facts, priority=self.priority, max_wait=self.max_wait, coalesce=self.coalesce)
        return self.http.build_request(
            method,
            path,
            params=query_items(query) or None,
            headers=None if fields is not None else {"Content-Type": "application/json"},
            content=content,
            data=fields,
            files=files or None,
            timeout=self.timeout,
            extensions={EXTENSION: facts},
        )

    async def _answer(self, request: httpx.Request, *, redirects: bool = False) -> Answer:
        """Send a request through the scheduler, and raise what is a refusal."""
        response = await self.http.send(request)
        answer = record_answer(response)
        self._refuse(request, response, redirects=redirects)
        return answer

    def _refuse(self, request: httpx.Request, response: httpx.Response, *, redirects: bool = False) -> None:
        """Raise the error of a response that is one; a redirect is one where none is expected."""
        if not response.is_success and not (redirects and response.has_redirect_location):
            refused: LoginRefused | None = response.extensions.get(REFUSAL)
            raise refused or error_of(response, method=request.method, path=shown_path(request))

    def _pages(
        self,
        operation: Operation[object],
        path: Mapping[str, PathValue],
        query: Mapping[str, Value],
        body: Value,
        read: Callable[[Answer], object],
    ) -> Pages[Any]:
        if operation.paging is None:
            raise InvalidInput(f"{operation.name} has no pages")

        async def fetch(request: PageRequest) -> PageAnswer:
            answer = await self.fetch(operation, path=path, query=request.query, body=request.body)
            return PageAnswer(result=read(answer), headers=answer.headers)

        return Pages(fetch, paging=operation.paging, request=PageRequest(query=query, body=body))

    def _decoded(self, operation: Operation[object], answer: Answer) -> object:
        """Decode an answer; workspaces in it tell whose quota they spend, and which plan they have."""
        if operation.redirects:
            return answer.headers["location"]
        result = self.codec.decode(operation.result, answer.body, operation=operation.name)
        self.plans.learn(result)
        if operation.workspaces is not None:
            found = getattr(result, operation.workspaces) if operation.workspaces else result
            for workspace in found if isinstance(found, list) else [found]:
                if workspace is not None:
                    self.scheduler.learn_organization(workspace.id, workspace.organization_id)
            self.plans.learn(found)
        return result


def _facts(operation: Operation[object], path: Mapping[str, PathValue]) -> RequestFacts:
    """Tell the scheduler what a call is."""
    return RequestFacts(
        route=f"{operation.method} {operation.path}",
        lane=operation.lane,
        reads=operation.reads,
        workspace_id=_id(path.get("workspace_id")),
        organization_id=_id(path.get("organization_id")),
    )


def _id(value: PathValue | None) -> int | None:
    return value if isinstance(value, int) else None


def _undecoded(operation: Operation[object], answer: Answer) -> object:
    """Take a page apart no further than into its rows."""
    try:
        return msgspec.json.decode(
            answer.body or b"null", type=list[msgspec.Raw] | dict[str, msgspec.Raw] | None
        )
    except msgspec.DecodeError as error:
        raise DecodeError(
            f"no JSON: {error}", operation=operation.name, field="$", body=answer.body
        ) from None
