"""How an export asks Toggl: one way for every list and report, counted, resumable, page by page."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, aclosing
from typing import Any

import attrs
import msgspec

from toggl_async.answer import Answer
from toggl_async.client import TogglClient
from toggl_async.errors import EndpointGone, FeatureUnavailable, Forbidden, NotFound, ResponseError
from toggl_async.export.books import Books
from toggl_async.export.datasets import Dataset, operation
from toggl_async.export.manifest import Refusal
from toggl_async.export.pieces import Piece, Progress
from toggl_async.export.plan import ExportPlan
from toggl_async.export.progress import Forecast, OnExportEvent, PieceRefused, RowsWritten
from toggl_async.export.rows import Line, reading, rows_of
from toggl_async.export.survey import Account
from toggl_async.pagination import Bookmark, PageAnswer, PageRequest, Pages, Step

__all__ = ["OPEN_LISTS", "REFUSALS", "Reader"]

OPEN_LISTS = 8
"""Lists that are read at once: enough to keep the pace while answers are slow."""

REFUSALS = (FeatureUnavailable, Forbidden, NotFound, EndpointGone)
"""What concerns one dataset of one workspace, and no reason to stop the rest."""

_NOTHING: Mapping[str, Any] = {}


class Traffic:
    """How many walks are under way, and how long the latest answer took, its waiting left out."""

    def __init__(self) -> None:
        self.walks = 0
        self.elapsed: float = 0.0


@attrs.frozen(kw_only=True)
class Reader:
    """Asks, and hands over what came: rows to the books, news to whoever listens.

    Attributes:
        client: sends, at its scheduler's pace.
        books: where everything is written down.
        tell: is told of the progress.
        forecast: how many requests are left.
        gate: lets so many lists be open at once, because an open list holds a page of rows.
        traffic: what tells whether more lists could be.
        room: is awaited before each request: until what was read before has been taken.
        sizes: items on a page of each report that was answered, so that one which is too large is tried
            once, and not for every range.
        probing: is held by the walk that tries.
    """

    client: TogglClient
    books: Books
    tell: OnExportEvent
    forecast: Forecast = attrs.field(factory=Forecast)
    gate: asyncio.Semaphore = attrs.field(factory=lambda: asyncio.Semaphore(OPEN_LISTS))
    traffic: Traffic = attrs.field(factory=Traffic)
    room: Callable[[], Awaitable[None]] | None = None
    sizes: dict[str, int] = attrs.field(factory=dict)
    probing: asyncio.Lock = attrs.field(factory=asyncio.Lock)

    @property
    def has_room(self) -> bool:
        """Whether answers are so slow that the walks under way leave turns unused."""
        return self.traffic.walks * self.client.scheduler.options.pace.interval * 2 < self.traffic.elapsed

    @property
    def plan(self) -> ExportPlan:
        """What is exported."""
        return self.books.header.plan

    @property
    def account(self) -> Account:
        """Whose it is."""
        return self.books.header.account

    async def fetch(
        self,
        name: str,
        path: Mapping[str, int],
        *,
        query: Mapping[str, Any] = _NOTHING,
        body: Any = msgspec.UNSET,
    ) -> Answer:
        """Call an operation and count the requests that it took."""
        if self.room is not None:
            await self.room()
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            answer = await self.client.fetch(operation(name), path=path, query=query, body=body)
        except ResponseError as error:
            self.books.spend(0 if error.from_memory else 1)
            raise
        self.books.spend(answer.attempts)
        self.traffic.elapsed = loop.time() - began - answer.waited
        return answer

    async def steps(
        self,
        name: str,
        path: Mapping[str, int],
        *,
        query: Mapping[str, Any] = _NOTHING,
        body: Any = msgspec.UNSET,
        start: Bookmark | None = None,
    ) -> AsyncGenerator[Step[msgspec.Raw], None]:
        """Walk the pages of an operation from a bookmark on; a list without paging is one page."""
        self.traffic.walks += 1
        try:
            # Closed at once when the caller stops: what is left to the collector keeps its page.
            async with aclosing(self._walk(name, path, query, body, start)) as walk:
                async for step in walk:
                    yield step
        finally:
            self.traffic.walks -= 1

    async def _walk(
        self,
        name: str,
        path: Mapping[str, int],
        query: Mapping[str, Any],
        body: Any,
        start: Bookmark | None,
    ) -> AsyncGenerator[Step[msgspec.Raw], None]:
        paging = operation(name).paging
        if paging is None:
            answer = await self.fetch(name, path, query=query, body=body)
            with reading(name, answer.body):
                yield Step(items=list(map(msgspec.Raw, rows_of(answer.body))), following=None)
            return

        async with AsyncExitStack() as alone:
            if paging.fallbacks and name not in self.sizes:
                await alone.enter_async_context(self.probing)
                if name in self.sizes:
                    await alone.aclose()
            if name in self.sizes:
                body = {**body, paging.size: self.sizes[name]}

            async def fetch(request: PageRequest) -> PageAnswer:
                answer = await self.fetch(name, path, query=request.query, body=request.body)
                if paging.fallbacks and isinstance(request.body, Mapping):
                    self.sizes[name] = request.body[paging.size]
                    await alone.aclose()
                with reading(name, answer.body):
                    result = msgspec.json.decode(
                        answer.body or b"null", type=list[msgspec.Raw] | dict[str, msgspec.Raw] | None
                    )
                return PageAnswer(result=result, headers=answer.headers)

            request = PageRequest(query=query, body=body)
            pages: Pages[msgspec.Raw] = Pages(fetch, paging=paging, request=request)
            async with aclosing(pages.steps(start)) as steps:
                async for step in steps:
                    yield step

    def write(
        self,
        piece: Piece,
        dataset: Dataset,
        lines: list[Line],
        progress: Progress,
        *,
        removed: list[int] | None = None,
    ) -> None:
        """Commit a page and tell of it."""
        total = self.books.commit(piece, progress, dataset=dataset, lines=lines, removed=removed or ())
        self.tell(
            RowsWritten(
                dataset=dataset.name,
                workspace_id=piece.workspace_id,
                rows=len(lines),
                total=total,
                requests_left=self.forecast.left(),
                share=self.forecast.share(dataset.name),
            )
        )

    def refused(self, piece: Piece, error: ResponseError) -> None:
        """Note that Toggl refused a piece, which is not read on."""
        refusal = Refusal(
            dataset=piece.dataset,
            workspace_id=piece.workspace_id or 0,
            status=error.status,
            message=error.message,
        )
        self.books.commit(piece, attrs.evolve(self.books.progress(piece), done=True, refusal=refusal))
        if self.books.refuse(refusal):
            self.tell(PieceRefused(refusal=refusal))
