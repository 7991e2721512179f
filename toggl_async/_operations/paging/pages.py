"""The walker behind every `iter()`: fetches page by page, and guards against servers that lose count."""

import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Hashable, Sequence
from contextlib import aclosing
from http import HTTPStatus
from typing import Any, Generic, TypeVar, cast

import attrs
import msgspec

from toggl_async._operations.paging.paging import Page, PageAnswer, PageRequest, Paging, Position, may_be_full
from toggl_async._operations.paging.reading import (
    Misshapen,
    field,
    fields,
    has_no_rows,
    identity,
    is_no_row,
    outline,
)
from toggl_async.errors import DecodeError, InvalidInput, PagingError, ResponseError, shown

__all__ = ["Bookmark", "PageStep", "Pages"]

ItemT = TypeVar("ItemT")
OtherT = TypeVar("OtherT")

_WALKS = 2
"""How often a list is walked whose items move meanwhile."""


@attrs.frozen(kw_only=True)
class Bookmark:
    """Where a walk continues, even in another process.

    Attributes:
        position: the parameters of the next page.
        size: items per page, since a page number only makes sense with one size; None if Toggl chooses it.
    """

    position: Position = attrs.field(hash=False)
    size: int | None = None


@attrs.frozen(kw_only=True)
class PageStep(Generic[ItemT]):
    """One page of a walk.

    Attributes:
        items: what the page brought that was not there before; empty only on the last page.
        following: where the walk goes on; None when this was the last page.
        nulls: elements of it that aren't rows, such as null, and are left out.
        is_blank: whether nothing at all came, not even an empty list.
        is_null: whether null came in place of a list.
        has_shifted: whether items moved between pages, so that some may be missing: the item that was
            announced as its first is not there, the list has become shorter, or it is over and had fewer
            items than it says.
    """

    items: list[ItemT]
    following: Bookmark | None
    nulls: int = 0
    is_blank: bool = False
    is_null: bool = False
    has_shifted: bool = False

    def with_items(self, items: list[OtherT]) -> "PageStep[OtherT]":
        """The same page, with what was made of its items."""
        return PageStep(
            items=items,
            following=self.following,
            nulls=self.nulls,
            is_blank=self.is_blank,
            is_null=self.is_null,
            has_shifted=self.has_shifted,
        )


class Pages(Generic[ItemT]):
    """The items of a paged list, fetched page by page as they are needed.

    ``async for`` yields items, `pages()` yields lists of them, and ``await`` or `collect()` returns one list.
    Nothing is sent before the first item is needed, and each page only when its first item is. Every walk
    starts over. To close a walk that you leave early at once, as anyio requires, use ``async with
    contextlib.aclosing(aiter(found)) as items``.

    A walk ends when the paging scheme says so, and also at a page without new items, because some lists
    ignore the page number and return all their items again. If it is exactly as long as was asked for, there
    may be more, and the walk ends with a PagingError.

    Lists change while they are walked. An item that moves to a later page is yielded once. If an item may
    have moved to an earlier page unseen, reports and lists that state their length show it; then the walk is
    repeated, and yields what it had missed. Other lists (projects, tags, goals, invoices) don't show it;
    `toggl_async.export` compares those with a second source.

    Raises (while walking):
        DecodeError: an answer isn't a page of this list; it is never taken for an empty one.
        PagingError: the server's next page was already fetched, a full page came again, an empty page of a
            report announces more pages, or items may be missing from two walks.
        TogglError: whatever became of a request; see `toggl_async.errors`.
    """

    def __init__(
        self,
        fetch: Callable[[PageRequest], Awaitable[PageAnswer]],
        *,
        paging: Paging,
        request: PageRequest,
        operation: str = "pages",
    ) -> None:
        self._fetch = fetch
        self._operation = operation
        self._paging = paging
        self._request = request

    def __aiter__(self) -> AsyncGenerator[ItemT, None]:  # noqa: PYI058 - it can be closed
        return self._items()

    def __await__(self) -> Generator[Any, None, list[ItemT]]:
        return self.collect().__await__()

    async def _items(self) -> AsyncGenerator[ItemT, None]:
        async with aclosing(self.pages()) as pages:
            async for page in pages:
                for item in page:
                    yield item

    async def collect(self, *, limit: int | None = None) -> list[ItemT]:
        """Gather the items into one list.

        Args:
            limit: how many at most; pages beyond it are not fetched.

        Raises:
            InvalidInput: the limit is not an int, or negative.
        """
        if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int)):
            raise InvalidInput(f"limit: pass an int or None, not {shown(limit)}")
        if limit is not None and limit < 0:
            raise InvalidInput(f"limit must not be negative: {shown(limit)}")
        gathered: list[ItemT] = []
        if limit == 0:
            return gathered
        async with aclosing(self.pages()) as pages:
            async for page in pages:
                gathered += page
                if limit is not None and len(gathered) >= limit:
                    break
        return gathered[:limit]

    async def pages(self) -> AsyncGenerator[list[ItemT], None]:
        """Walk page by page; pages without new items are skipped."""
        async with aclosing(self.settled()) as steps:
            async for step in steps:
                if step.items:
                    yield step.items

    async def settled(self) -> AsyncGenerator[PageStep[ItemT], None]:
        """Walk page by page, and once more if items may be missing; yield none twice."""
        given = _Given(self._paging)
        for _ in range(_WALKS):
            shifted = False
            async with aclosing(self.steps()) as steps:
                async for step in steps:
                    shifted = shifted or step.has_shifted
                    yield attrs.evolve(step, items=given.new(step.items))
            if not shifted:
                return
        raise PagingError(
            f"items of {self._operation} moved between pages while they were being read, or the list is "
            "shorter than its total says: some may be missing"
        )

    async def steps(self, start: Bookmark | None = None) -> AsyncGenerator[PageStep[ItemT], None]:
        """Walk page by page once, each with the place of the next one, from where an earlier walk stopped.

        Args:
            start: the `PageStep.following` of an earlier walk with the same request; None begins.
        """
        position: Position | None = self._paging.start() if start is None else start.position
        size = self._asked_size() if start is None else start.size
        asked: set[Hashable] = set()
        seen = _Seen(self._paging.identity)
        tally = _Tally(met=0 if start is None else None)
        while position is not None:
            mark = tuple(sorted(position.items()))
            if mark in asked:
                raise PagingError(
                    f"the next page that the server names was already fetched: {dict(position)}"
                )
            answer, size = await self._fetched(position, size, first=not asked)
            asked.add(mark)
            items = self._picked(answer)
            total = self._paging.total(answer)
            if total and not items and tally.met == 0:
                raise self._misshapen(f"the list's total is {total}, but no items came", answer)
            rows = [item for item in items if not is_no_row(item)] if has_no_rows(items) else items
            new = seen.new(rows)
            if rows and not new and len(items) == size:
                raise PagingError(
                    f"{self._operation} returned the same full page of {size} again: it seems to ignore "
                    "which page is asked for, and may have more items than these"
                )
            shifted = self._paging.has_shifted(position, rows)
            count = self._count(items, size, answer)
            shifted |= tally.has_shrunk(total, len(new) + count - len(rows))
            page = Page(position=position, answer=answer, items=items, count=count, size=size, met=tally.met)
            position = self._paging.following(page) if new or not items else None
            yield PageStep(
                items=cast("list[ItemT]", new),
                following=None if position is None else Bookmark(position=position, size=size),
                nulls=len(items) - len(rows),
                is_blank=not answer.body.strip(),
                is_null=answer.body.strip() == b"null",
                has_shifted=shifted or (position is None and tally.is_short),
            )

    def _picked(self, answer: PageAnswer) -> Sequence[object]:
        """Pick the items out of an answer; one that isn't a page is never taken for an empty one."""
        try:
            return self._paging.items(answer.result)
        except Misshapen as error:
            raise self._misshapen(str(error), answer) from None

    def _count(self, items: Sequence[object], size: int | None, answer: PageAnswer) -> int:
        """Count the elements of a page, including those that are not rows and were left out when it was read.

        A page that seems short for them is not the last. It is counted only then: that costs reading twice.
        """
        if not items or isinstance(items[0], msgspec.Raw) or may_be_full(len(items), size):
            return len(items)
        try:
            return max(len(items), len(self._paging.items(outline(answer.body))))
        except Misshapen:
            return len(items)

    def _misshapen(self, message: str, answer: PageAnswer) -> DecodeError:
        return DecodeError(message, operation=self._operation, field="$", body=answer.body)

    def _asked_size(self) -> int | None:
        """The caller's own page size, if there is one, else the scheme's largest."""
        if self._paging.size is None:
            return None
        own = field(
            self._request.query if self._paging.place == "query" else self._request.body, self._paging.size
        )
        return own if isinstance(own, int) else self._paging.largest

    async def _fetched(
        self, position: Position, size: int | None, *, first: bool
    ) -> tuple[PageAnswer, int | None]:
        """Fetch one page; take smaller sizes when the first page is refused for its size."""
        while True:
            try:
                return await self._fetch(self._placed(position, size)), size
            except ResponseError as refusal:
                size = self._smaller(size, refusal) if first else None
                if size is None:
                    raise

    def _smaller(self, size: int | None, refusal: ResponseError) -> int | None:
        """Name the size to try after a refusal: the one that its message names, else the next one.

        Nothing is tried if the refusal isn't about pages: any other cause remains on a smaller page, and each
        try costs quota.
        """
        if size is None or not _is_about_size(refusal):
            return None
        named = [int(digits) for digits in re.findall("[0-9]{1,6}", refusal.message)]
        # Where a message names a least size, it is 1.
        fitting = [number for number in named if 1 < number < size] if self._paging.fallbacks else []
        smaller = (fallback for fallback in self._paging.fallbacks if fallback < size)
        return max(fitting, default=None) or next(smaller, None)

    def _placed(self, position: Position, size: int | None) -> PageRequest:
        """Merge position and size into the caller's request."""
        parameters: dict[str, object] = dict(position)
        if self._paging.size is not None and size is not None:
            parameters[self._paging.size] = size
        if self._paging.place == "query":
            return attrs.evolve(self._request, query={**self._request.query, **parameters})
        return attrs.evolve(self._request, body={**fields(self._request.body), **parameters})


def _is_about_size(refusal: ResponseError) -> bool:
    """Whether a smaller page may be accepted where this one was refused."""
    if refusal.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return True
    refused = refusal.status in {HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY}
    return refused and "page" in refusal.message.lower()


@attrs.define(kw_only=True)
class _Tally:
    """What a list says of its length, and what came of it.

    Attributes:
        met: items that came; None where an earlier walk met some.
        total: how long the list is by the latest page that said so.
    """

    met: int | None
    total: int | None = None

    def has_shrunk(self, total: int | None, met: int) -> bool:
        """Take in a page; return whether the list has become shorter since the one before."""
        if self.met is not None:
            self.met += met
        before, self.total = self.total, self.total if total is None else total
        return total is not None and before is not None and total < before

    @property
    def is_short(self) -> bool:
        """Whether fewer items came than the list has."""
        return self.met is not None and self.total is not None and self.met < self.total


class _Given:
    """What was given out, in whichever walk; kept only where there may be a second one."""

    def __init__(self, paging: Paging) -> None:
        self._paging = paging
        self._keys: set[Hashable] = set()

    def new(self, items: list[ItemT]) -> list[ItemT]:
        """Pick the items that were not given out.

        Raises:
            PagingError: a part of an item was, so that it can neither be given nor left out.
        """
        if not self._paging.notices_shifts:
            return items
        fresh = []
        for item in items:
            keys = self._paging.keys(item)
            known = sum(key in self._keys for key in keys)
            if 0 < known < len(keys):
                raise PagingError("a group of time entries changed while the report was being read")
            if not known:
                self._keys.update(keys)
                fresh.append(item)
        return fresh


class _Seen:
    """What earlier pages held, by identity; without one, the page before alone."""

    def __init__(self, identity: str | None) -> None:
        self._identity = identity
        self._ids: set[Hashable] = set()
        self._before: Sequence[object] = ()

    def new(self, items: Sequence[object]) -> list[object]:
        """Pick the items that no earlier page held."""
        ids = () if self._identity is None else [identity(item, self._identity) for item in items]
        if self._identity is None or None in ids:
            before, self._before = self._before, list(items)  # JSON as it came is equal where its bytes are
            return [] if before == self._before else list(items)
        fresh = [item for item, key in zip(items, ids, strict=True) if key not in self._ids]
        self._ids.update(ids)
        return fresh
