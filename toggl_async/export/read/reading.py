"""Requests of an export: every list and report is read the same way, page by page, counted and resumable."""

import asyncio
import functools
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Iterable, Mapping
from contextlib import AsyncExitStack, aclosing
from http import HTTPStatus
from typing import Any, TypeVar

import attrs
import msgspec

from toggl_async._client.answer import Answer
from toggl_async._client.client import TogglClient
from toggl_async._operations.paging import Bookmark, PageAnswer, PageRequest, Pages, PageStep, Paging
from toggl_async.codec.apart import apart
from toggl_async.errors import (
    DecodeError,
    EndpointGone,
    FeatureUnavailable,
    NotInPlan,
    RequestFailed,
    ResponseError,
    ServerError,
    TogglError,
)
from toggl_async.export.intake import reading, row_of, rows_among, text_of
from toggl_async.export.mirror.books import OF_TIME_ENTRIES, Books
from toggl_async.export.mirror.manifest import Refusal
from toggl_async.export.mirror.pieces import Piece, Progress
from toggl_async.export.mirror.progress import Forecast, OnExportEvent, PieceFailed, PieceRefused, RowsWritten
from toggl_async.export.plan.asking import ME, Asker, Target, identify, target_of
from toggl_async.export.plan.datasets import (
    DATASETS,
    ENTRIES,
    REFUSALS,
    SET_ASIDE,
    Dataset,
    operation,
    raise_for_account,
)
from toggl_async.export.plan.plan import ExportPlan
from toggl_async.export.plan.survey import Survey, related_ids
from toggl_async.export.read.report_rows import report_lines
from toggl_async.export.rows import Line

__all__ = ["OPEN_LISTS", "SET_ASIDE", "Reader", "identified"]

OPEN_LISTS = 8
"""Lists that are read at once: enough to keep the pace while answers are slow."""


_LOST = (RequestFailed, ServerError)
"""Errors of one part, or of the network or Toggl as a whole; see `Reader.fetch`."""

_NOTHING: Mapping[str, Any] = {}

ItemT = TypeVar("ItemT")


class Traffic:
    """What the requests of a run have shown so far.

    Attributes:
        walks: how many walks are under way.
        elapsed: how long the latest answer took, in seconds, not counting the wait for a turn.
        seen: the ids in the repeated answer to the first request, by dataset and workspace; None until it
            has been requested again.
        answers: how many requests brought an answer that isn't a failure of Toggl's own.
        lost: the error that showed that Toggl cannot be reached at all; None while it can.
        refused: the operations that Toggl refused, with what their paths name.
    """

    def __init__(self) -> None:
        self.walks: int = 0
        self.elapsed: float = 0.0
        self.seen: Mapping[str, Mapping[int, tuple[int, ...]]] | None = None
        self.answers = 0
        self.lost: TogglError | None = None
        self.refused: set[Target] = set()
        self.reaching: asyncio.Lock = asyncio.Lock()
        """Held while a request finds out whether Toggl can be reached."""
        self.checking: asyncio.Lock = asyncio.Lock()
        """Held while the first request is sent again."""


@attrs.frozen(kw_only=True)
class Reader:
    """Sends requests, and passes on the answers: rows to the books, events to listeners.

    Attributes:
        client: sends, at its scheduler's pace.
        books: record everything.
        tell: called with each event of the progress.
        forecast: how many requests are left.
        gate: limits how many lists are open at once, because an open list holds a page of rows.
        traffic: tells whether more could be.
        room: awaited before each request, until the caller has taken what was read before.
        sizes: the page size that worked, by operation, so that one that is too large is tried once, and not
            for every range.
        probing: held by the walk that is finding it out.
        compares: whether Toggl's totals are asked for.
        asker: calls the operations.
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
    compares: bool = True
    asker: Asker = attrs.field(
        init=False,
        default=attrs.Factory(lambda reader: Asker(reader.client, reader.books.spend), takes_self=True),
    )

    @property
    def has_room(self) -> bool:
        """Whether answers are so slow that the walks under way leave turns unused."""
        return self.traffic.walks * self.client.scheduler.options.pace.interval * 2 < self.traffic.elapsed

    @property
    def plan(self) -> ExportPlan:
        """What is read."""
        return self.books.run.taken

    @property
    def account(self) -> Survey:
        """Whose it is."""
        return self.books.run.account

    async def fetch(
        self,
        name: str,
        path: Mapping[str, int],
        *,
        query: Mapping[str, Any] = _NOTHING,
        body: Any = msgspec.UNSET,
    ) -> Answer:
        """Call an operation and count the requests that it took.

        If it fails, and nothing else has been answered in the meantime, a request for the profile shows
        whether Toggl can be reached at all. If not, `set_aside` ends the export.
        """
        if self.room is not None:
            await self.room()
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            answer = await self._ask(name, path, query, body)
        except _LOST as error:
            self.books.spend(1)
            await self._reach(error)
            raise
        except ResponseError as error:
            self.traffic.answers += 1
            self.books.spend(0 if error.from_memory else 1)
            self.traffic.refused.add(target_of(name, path))
            raise
        self.traffic.answers += 1
        self.books.spend(answer.attempts)
        self.traffic.elapsed = loop.time() - began - answer.waited
        return answer

    async def _ask(self, name: str, path: Mapping[str, int], query: Mapping[str, Any], body: Any) -> Answer:
        """Call an operation; ask again if it gets a remembered refusal that this mirror never got."""
        ask = functools.partial(self.asker.ask, name, path=path, query=query, body=body)
        try:
            return await ask()
        except (FeatureUnavailable, EndpointGone) as error:
            if not error.from_memory or self._is_known(error, name, path):
                raise
        return await ask(recalls=False)

    def _is_known(self, error: ResponseError, name: str, path: Mapping[str, int]) -> bool:
        """Whether this mirror got a refusal itself, in this run or the one before.

        Another program may have got it up to a day ago, which doesn't prove that nothing is missing now.
        """
        previous = self.books.run.previous
        return target_of(name, path) in self.traffic.refused or (
            previous is not None
            and (
                # If another list takes its place, the refusal is not recorded, but the run before did ask.
                any(dataset.for_admins == name for dataset in DATASETS.values())
                or any(
                    (one.workspace_id, one.status, one.message)
                    == (path.get("workspace_id", 0), error.status, error.message)
                    for one in previous.refused
                )
            )
        )

    async def _reach(self, error: TogglError) -> None:
        """Find out whether Toggl can be reached, and note it if not."""
        before = self.traffic.answers
        async with self.traffic.reaching:
            if self.traffic.answers > before or self.traffic.lost is not None:
                return
            try:
                await identify(self.client)
                self.traffic.answers += 1
            except _LOST:
                self.traffic.lost = error
            except SET_ASIDE as other:
                raise_for_account(other)
                self.traffic.answers += 1  # an unexpected answer is an answer, too
            finally:
                self.books.spend(1)

    def steps(
        self,
        name: str,
        path: Mapping[str, int],
        *,
        query: Mapping[str, Any] = _NOTHING,
        body: Any = msgspec.UNSET,
        start: Bookmark | None = None,
    ) -> AsyncGenerator[PageStep[bytes], None]:
        """Walk the pages of an operation from a bookmark; a list without paging is one page.

        Raises:
            DecodeError: an answer isn't a list, or holds more than its rows.
        """
        paging = operation(name).paging
        if paging is None:
            return self._counted(self._whole(name, path, query, body))
        return self._counted(self._walk(name, path, query, body, start, paging, _rows))

    def report(
        self, workspace_id: int, *, body: Mapping[str, Any], start: Bookmark | None
    ) -> AsyncGenerator[PageStep[Line], None]:
        """Walk the pages of a workspace's detailed report, as lines, from a bookmark.

        Raises:
            DecodeError: an answer isn't a list.
        """
        name = ENTRIES.operation
        paging, path = operation(name).paging, {"workspace_id": workspace_id}
        assert paging is not None  # noqa: S101 - reports have pages
        taken = functools.partial(report_lines, workspace_id=workspace_id)
        return self._counted(self._walk(name, path, _NOTHING, body, start, paging, taken))

    async def _counted(
        self, walk: AsyncGenerator[PageStep[ItemT], None]
    ) -> AsyncGenerator[PageStep[ItemT], None]:
        """Pass on the steps of a walk, and count it as under way."""
        self.traffic.walks += 1
        try:
            # Close it as soon as the caller stops: left to the garbage collector, it would keep its page.
            async with aclosing(walk):
                async for step in walk:
                    yield step
        finally:
            self.traffic.walks -= 1

    async def _whole(
        self, name: str, path: Mapping[str, int], query: Mapping[str, Any], body: Any
    ) -> AsyncGenerator[PageStep[bytes], None]:
        """Read a list that has no pages."""
        answer = await self.fetch(name, path, query=query, body=body)
        with reading(name, answer.body):
            rows, left_out = rows_among(answer.body)
            text = text_of(answer.body)
        yield PageStep(items=rows, following=None, nulls=left_out, is_blank=not text, is_null=text == b"null")

    async def _walk(
        self,
        name: str,
        path: Mapping[str, int],
        query: Mapping[str, Any],
        body: Any,
        start: Bookmark | None,
        paging: Paging,
        taken: Callable[[Iterable[msgspec.Raw]], list[ItemT]],
    ) -> AsyncGenerator[PageStep[ItemT], None]:
        """Walk the pages of a list, and convert the rows of each with `taken`."""
        latest = b""
        async with AsyncExitStack() as alone:
            if paging.fallbacks and name not in self.sizes:
                await alone.enter_async_context(self.probing)
                if name in self.sizes:
                    await alone.aclose()
            if name in self.sizes:
                body = {**body, paging.size: self.sizes[name]}

            async def fetch(request: PageRequest) -> PageAnswer:
                nonlocal latest
                try:
                    answer = await self.fetch(name, path, query=request.query, body=request.body)
                except ResponseError:
                    self._note_smallest(name, paging, request)
                    raise
                if paging.fallbacks and isinstance(request.body, Mapping):
                    self.sizes[name] = request.body[paging.size]
                    await alone.aclose()
                latest = answer.body
                with reading(name, latest):
                    text = text_of(latest)
                    result = apart(text)
                return PageAnswer(result=result, headers=answer.headers, body=text)

            request = PageRequest(query=query, body=body)
            pages: Pages[msgspec.Raw] = Pages(fetch, paging=paging, request=request, operation=name)
            async with aclosing(pages.steps(start)) as steps:
                async for step in steps:
                    with reading(name, latest):
                        items = taken(step.items)
                    yield step.with_items(items)

    def _note_smallest(self, name: str, paging: Paging, request: PageRequest) -> None:
        """Remember that even the smallest page was refused, so that other ranges try no other size."""
        if paging.fallbacks and isinstance(request.body, Mapping):
            smallest = min(paging.fallbacks)
            if request.body[paging.size] == smallest:
                self.sizes[name] = smallest

    async def write(
        self,
        piece: Piece,
        dataset: Dataset,
        lines: list[Line],
        progress: Progress,
        *,
        met: Collection[int] = (),
        deleted: Collection[int] = (),
    ) -> None:
        """Commit a page and tell of it; see `Commit`."""
        known = self.books.progress(piece).nameless
        total = await self.books.commit(
            piece, progress, dataset=dataset, lines=lines, met=met, deleted=deleted
        )
        if self.books.progress(piece).nameless and not known:
            self._tell_failures(piece)
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

    async def set_aside(self, piece: Piece, error: TogglError) -> None:
        """Note that a part was refused or failed, and go on with the rest.

        Args:
            piece: the part.
            error: one of `SET_ASIDE`.

        Raises:
            TogglError: it concerns the whole account, or Toggl cannot be reached at all.
        """
        if self.traffic.lost is not None:
            raise error
        raise_for_account(error)
        if isinstance(error, NotInPlan):
            await self.refused(piece, HTTPStatus.PAYMENT_REQUIRED, str(error))
        elif isinstance(error, REFUSALS):
            await self.refused(piece, error.status, error.message)
        else:
            await self.failed(piece, str(error))

    async def failed(self, piece: Piece, message: str, *, progress: Progress | None = None) -> None:
        """Note that a part is incomplete, and commit its progress; unless it is done, it is read again."""
        await self.books.commit(piece, attrs.evolve(progress or self.books.progress(piece), failed=message))
        self._tell_failures(piece)

    def _tell_failures(self, piece: Piece) -> None:
        for failure in self.books.failures_of(piece):
            self.tell(PieceFailed(failure=failure))

    async def seen_now(self) -> Mapping[str, Mapping[int, tuple[int, ...]]]:
        """The ids that the first request shows now, as a second source to compare a list with.

        It is sent again at most once per run, if a list lacks a row that its first answer had.
        """
        async with self.traffic.checking:
            if self.traffic.seen is None:
                try:
                    answer = await self.fetch(ME, {}, query={"with_related_data": True})
                    with reading(ME, answer.body):
                        # A dataset of which this answer says nothing is as the first answer showed it.
                        self.traffic.seen = {**self.account.seen, **related_ids(answer.body)}
                except SET_ASIDE as error:
                    raise_for_account(error)
                    self.traffic.seen = self.account.seen
        return self.traffic.seen

    async def refused(self, piece: Piece, status: int, message: str) -> None:
        """Note that Toggl refused a piece, and stop reading it."""
        refusal = Refusal(
            dataset=ENTRIES.name if piece.dataset in OF_TIME_ENTRIES else piece.dataset,
            workspace_id=piece.workspace_id or 0,
            status=status,
            message=message,
        )
        await self.books.commit(piece, attrs.evolve(self.books.progress(piece), done=True, refusal=refusal))
        if self.books.refuse(refusal):
            self.tell(PieceRefused(refusal=refusal))


def identified(lines: list[Line], operation: str) -> list[Line]:
    """Check the lines of a page: some may lack an id, but not all, unless they have a start.

    Raises:
        DecodeError: none has one, so the answer is something else, such as an error in a list.
    """
    if lines and all(line.id < 0 and line.start is None for line in lines):
        body = b"[" + b",".join(line.data for line in lines) + b"]"
        raise DecodeError("got rows without an id", operation=operation, field="$", body=body)
    return lines


def _rows(pieces: Iterable[msgspec.Raw]) -> list[bytes]:
    """Copy rows, once it is certain that they can be stored.

    Raises:
        Misshapen: a row is nested too deeply.
    """
    return list(map(row_of, pieces))
