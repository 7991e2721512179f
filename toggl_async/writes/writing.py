"""Writing rows one after the other.

One after the other, because Toggl takes one request a second: many at once would be no faster, and after
an accident many would be in doubt instead of one.
"""

import asyncio
import inspect
import os
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Iterable,
    Sized,
)
from typing import Final, Generic, TypeVar

import anyio
import attrs

from toggl_async.errors import (
    BulkEditInterrupted,
    ClientClosed,
    DecodeError,
    InvalidInput,
    LoginRefused,
    MaxWaitExceeded,
    QuotaExceeded,
    RateLimited,
    RequestFailed,
    ResponseError,
    ServerError,
    TogglError,
    Unauthorized,
    WrongEventLoop,
    shown,
)
from toggl_async.writes.journal import Keys, RowKey, RowState, WriteJournal
from toggl_async.writes.outcomes import How, Written

__all__ = ["write_all"]

RowT = TypeVar("RowT")
ResultT = TypeVar("ResultT")

_FIRST_REFUSAL: Final = 400

_FOR_ALL: Final = (
    ClientClosed,
    LoginRefused,
    MaxWaitExceeded,
    QuotaExceeded,
    RateLimited,
    Unauthorized,
    WrongEventLoop,
)
"""Errors that say nothing of a row, which was not written, and that the next one would meet as well."""


async def write_all(
    rows: Iterable[RowT] | AsyncIterable[RowT],
    write: Callable[[RowT], Awaitable[ResultT]],
    *,
    find: Callable[[RowT], Awaitable[ResultT | None]] | None = None,
    journal: str | os.PathLike[str] | None = None,
    key: Callable[[RowT], str] | None = None,
    settle: float = 10.0,
) -> AsyncGenerator[Written[RowT, ResultT], None]:
    """Write rows, one after the other, and yield the outcome of each.

    A row that Toggl refuses doesn't stop the others. An error that concerns all of them, such as a used-up
    quota or wrong credentials, is raised. With a journal, the same call resumes from there.

    Args:
        rows: what to write; an iterable, also asynchronous, of any length.
        write: a coroutine function, or another that returns an awaitable, that writes one row, for instance
            ``lambda name: workspace.tags.create(name=name)``. If it raises anything but a TogglError, the run
            ends; the next run looks for that row first.
        find: a function of the same kind that looks for a row in Toggl, and returns what it found, or None.
            One that isn't a coroutine function is called with the first row before anything is written, to
            see whether it returns an awaitable, which isn't awaited. Without `find`, rows in doubt stay in
            doubt. It has to tell rows apart: if it returns something whose id belongs to another row, or
            something without an id while several rows are alike, the row stays in doubt.
        journal: a file that remembers how far the job came; use one for each job. None remembers nothing.
        key: a function that returns a text that identifies a row in all runs; by default, a hash of the row,
            which then has to be JSON-compatible, a dataclass, an attrs class or a named tuple.
        settle: seconds to wait before `find` is called, because Toggl may take some time to show what was
            just written.

    Yields:
        A `Written` for each row, in order.

    Raises:
        InvalidInput: the journal can't be used, no key can be derived from a row, `settle` is negative or not
            a number, or `write` or `find` doesn't return an awaitable.
        TogglError: an error that every remaining row would meet; this row was not written.
    """
    _check_settle(settle)
    _check_job(rows, write, find, key)
    total = len(rows) if isinstance(rows, Sized) else None
    keys: Keys[RowT] = Keys(key)
    done = 0
    async with WriteJournal(journal) as books:
        async for row in _each(rows):
            if not done and find is not None:
                _check_find(find, row)
            done += 1
            name = keys.of(row, needed=journal is not None)
            state = await books.state(name)
            if state is RowState.DONE:
                yield Written(row=row, how=How.EARLIER, done=done, total=total)
                continue
            ending = await _Writing(row, write, find, settle, books, name).kept(state)
            yield Written(
                row=row, how=ending.how, result=ending.result, error=ending.error, done=done, total=total
            )


@attrs.frozen
class _Ending(Generic[ResultT]):
    """How the writing of a row ended."""

    how: How
    result: ResultT | None = None
    error: TogglError | None = None


@attrs.frozen
class _Writing(Generic[RowT, ResultT]):
    """The writing of one row."""

    row: RowT
    write: Callable[[RowT], Awaitable[ResultT]]
    find: Callable[[RowT], Awaitable[ResultT | None]] | None
    settle: float
    books: WriteJournal
    name: RowKey

    async def kept(self, state: RowState) -> _Ending[ResultT]:
        """Write the row, and keep in the journal what became of it; `state` is what stands there."""
        await self.books.begin(self.name)
        try:
            ending = await self.run(in_doubt=state is RowState.BEGUN)
        except _FOR_ALL:
            if state is RowState.NEW:
                await self.books.forget(self.name)
            raise
        if ending.how is How.REFUSED:
            await self.books.forget(self.name)
        elif ending.how is not How.IN_DOUBT:
            await self.books.end(self.name, ending.result)
        return ending

    async def run(self, *, in_doubt: bool) -> _Ending[ResultT]:
        """Write it; where that is in doubt look, and write it once more if it is not there.

        Args:
            in_doubt: whether an earlier run may have written it.
        """
        if not in_doubt:
            ending = await self._send(How.WRITTEN)
            if ending.how is not How.IN_DOUBT:
                return ending
            looked = await self._look(ending.error)
        else:
            looked = await self._look(None)
        if looked is not None:
            return looked
        ending = await self._send(How.WRITTEN_AGAIN)
        if ending.how is not How.IN_DOUBT:
            return ending
        return await self._look(ending.error) or ending

    async def _send(self, how: How) -> _Ending[ResultT]:
        """Send it."""
        try:
            return _Ending(how, await _awaitable(self.write(self.row), "write"))
        except (_NotAwaitableError, *_FOR_ALL):
            raise
        except TogglError as error:
            return _Ending(How.IN_DOUBT if _may_be_there(error) else How.REFUSED, error=error)

    async def _look(self, doubt: TogglError | None) -> _Ending[ResultT] | None:
        """Look whether it is there; None says that it isn't."""
        if self.find is None:
            return _Ending(How.IN_DOUBT, error=doubt)
        await anyio.sleep(self.settle)
        try:
            found = await _awaitable(self.find(self.row), "find")
        except _NotAwaitableError:
            raise
        except TogglError as error:
            return _Ending(How.IN_DOUBT, error=error)
        if found is None:
            return None
        if await self.books.may_be_anothers(self.name, found):
            of_another = TogglError(
                "find returned something that may belong to another row: check in Toggl whether this row has "
                "its own"
            )
            of_another.__cause__ = doubt
            return _Ending(How.IN_DOUBT, error=of_another)
        return _Ending(How.FOUND, found, doubt)


def _check_settle(settle: object) -> None:
    """Refuse what isn't a time to wait.

    Raises:
        InvalidInput: it isn't.
    """
    if isinstance(settle, bool) or not isinstance(settle, int | float) or not settle >= 0:
        raise InvalidInput(f"settle must be 0 or more seconds, not {shown(settle)}")


def _check_job(rows: object, write: object, find: object, key: object) -> None:
    """Refuse what would only come to light with a row, or with one in doubt.

    Raises:
        InvalidInput: one of them has another type.
    """
    if not isinstance(rows, Iterable | AsyncIterable):
        raise InvalidInput(f"rows must be an iterable, not {type(rows).__name__}")
    for name, given in (("write", write), ("find", find), ("key", key)):
        if not (callable(given) or (given is None and name != "write")):
            raise InvalidInput(f"{name} must be a function, not {type(given).__name__}")


def _check_find(find: Callable[[RowT], Awaitable[object]], row: RowT) -> None:
    """Refuse what can't be awaited before the first row is in doubt.

    Raises:
        InvalidInput: it can't be.
    """
    call = getattr(type(find), "__call__", None)  # noqa: B004 - that of the class is the one called
    if inspect.iscoroutinefunction(find) or inspect.iscoroutinefunction(call):
        return
    try:
        returned = find(row)
    except Exception:  # noqa: BLE001 - it counts only where this row is looked for
        return
    _awaitable(returned, "find")
    # Nothing of a coroutine has run; a task would go on, and nobody would wait for it.
    if isinstance(returned, Coroutine):
        returned.close()
    elif isinstance(returned, asyncio.Future):
        returned.cancel()


class _NotAwaitableError(InvalidInput):
    """A mistake of the program, not of a row."""


def _awaitable(given: Awaitable[ResultT], name: str) -> Awaitable[ResultT]:
    """Return what can be awaited.

    Raises:
        InvalidInput: it can't be.
    """
    if not inspect.isawaitable(given):
        raise _NotAwaitableError(
            f"{name} must be a coroutine function, or return an awaitable: it returned "
            f"{type(given).__name__}, which can't be awaited"
        )
    return given


def _may_be_there(error: TogglError) -> bool:
    """Say whether Toggl may have carried out a write that ended with an error."""
    if isinstance(error, RequestFailed | ServerError):
        return error.maybe_applied
    if isinstance(error, ResponseError):
        return error.status < _FIRST_REFUSAL  # a redirect isn't a refusal
    return isinstance(error, BulkEditInterrupted | DecodeError)  # an answer came, or a part of the answers


async def _each(rows: Iterable[RowT] | AsyncIterable[RowT]) -> AsyncIterator[RowT]:
    if isinstance(rows, AsyncIterable):
        async for row in rows:
            yield row
    else:
        for row in rows:
            yield row
