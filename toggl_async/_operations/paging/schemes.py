"""Paging schemes: how Toggl's lists ask for their next page, and where each differs from the others.

A scheme is a frozen declaration with pure logic: which parameters the first page has, where the items of an
answer are, and which parameters the following page has.
"""

import re
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import ClassVar, Final, cast

import attrs
import msgspec

from toggl_async._operations.paging.paging import (
    Page,
    PageAnswer,
    Paging,
    Place,
    Position,
    may_be_full,
)
from toggl_async._operations.paging.reading import Misshapen, bare, field, identity, listed, parsed, wrapped
from toggl_async.errors import InvalidInput, PagingError

__all__ = [
    "HeaderPages",
    "Keyset",
    "MappedPages",
    "Offset",
    "PageNumber",
    "ReportCursor",
    "Token",
    "WrappedPages",
]


_LARGEST_ID: Final = 2**63 - 1
"""Toggl's servers read ids into 64 bits."""


@attrs.frozen(kw_only=True)
class PageNumber(Paging):
    """Numbered pages from 1 on, a plain list each: projects, tags, goals, invoices, audit logs.

    Nothing says which page is the last, so a short page is. With `short_is_last` off, for lists
    whose largest page is not known and may be under what is asked for, an empty page is.
    """

    page: str = "page"
    short_is_last: bool = True

    def start(self) -> Position:
        """Say where the first page stands."""
        return {self.page: 1}

    def following(self, page: Page) -> Position | None:
        """Say where the page after this one stands."""
        more = page.is_full if self.short_is_last else bool(page.items)
        return {self.page: _whole(page.position[self.page]) + 1} if more else None

    def requests(self, count: int) -> int:
        """How many requests a list of so many items takes; the last one may find that there are no more."""
        if self.largest is None:
            return 1
        full, rest = divmod(count, self.largest)
        last_tells = rest and self.short_is_last and not may_be_full(rest, self.largest)
        return full + bool(rest) + (not last_tells)


@attrs.frozen(kw_only=True)
class WrappedPages(PageNumber):
    """Numbered pages, each in an object with its list and its size: tasks, timesheets.

    The largest page is not documented: the size that an answer names may be under what was asked
    for, and a page is short by that. Where it names none, by what was asked for, unless it names a
    length of the whole list that is not reached.

    Attributes:
        data: the field of the list; null when empty.
    """

    data: str = "data"

    notices_shifts: ClassVar[bool] = True

    def items(self, result: object) -> Sequence[object]:
        """Pick the list out of the wrapper; timesheets wrap the wrapper in a list of one.

        A compatible server sends tasks without the wrapper.
        """
        rows = bare(result, self.data, self.identity)
        if rows is not None:
            return rows
        held = wrapped(result, self.data)
        return [item for one in held for item in listed(field(one, self.data))]

    def following(self, page: Page) -> Position | None:
        """Say where the page after this one stands."""
        if bare(page.answer.result, self.data, self.identity) is not None:
            # Nothing tells how large its pages can be: only an empty one, or none that is new, is the last.
            return PageNumber.following(attrs.evolve(self, short_is_last=False), page)
        sizes = [parsed(field(one, "per_page")) for one in wrapped(page.answer.result, self.data)]
        told = [size for size in (page.size, *sizes) if isinstance(size, int) and size > 0]
        after = PageNumber.following(self, attrs.evolve(page, size=min(told, default=None)))
        total = self.total(page.answer)
        if after is None and page.items and page.met is not None and total is not None and page.met < total:
            return {self.page: _whole(page.position[self.page]) + 1}
        return after

    def total(self, answer: PageAnswer) -> int | None:
        """Read the length of the list off the wrapper."""
        if bare(answer.result, self.data, self.identity) is not None:
            return None
        totals = [parsed(field(one, "total_count")) for one in wrapped(answer.result, self.data)]
        return max((total for total in totals if type(total) is int), default=None)


@attrs.frozen(kw_only=True)
class MappedPages(PageNumber):
    """Numbered pages, each an object of lists: tasks by the ids of their projects."""

    def items(self, result: object) -> Sequence[object]:
        """Put the lists one behind the other; until March 2026 they came as one."""
        if not isinstance(result, Mapping):
            return listed(result)
        if not all(str(name).isdecimal() for name in result):
            raise Misshapen("got an object whose keys are not ids")
        return [item for rows in result.values() for item in listed(rows)]


@attrs.frozen(kw_only=True)
class HeaderPages(PageNumber):
    """Numbered pages whose number the header X-Pages tells: users of an organization.

    Without that header the walk ends with the short page.
    """

    pages: str = "x-pages"
    records: str = "x-records"

    notices_shifts: ClassVar[bool] = True

    def following(self, page: Page) -> Position | None:
        """Say where the page after this one stands."""
        last = _count(page.answer, self.pages)
        if last is None:
            return PageNumber.following(self, page)
        number = _whole(page.position[self.page])
        return {self.page: number + 1} if number < last else None

    def total(self, answer: PageAnswer) -> int | None:
        """Read the length of the list off its header."""
        return _count(answer, self.records)


def _two_at_least(_: object, attribute: "attrs.Attribute[int | None]", value: int | None) -> None:
    """Refuse pages of one, which hold nothing but the item that they start at."""
    if value is not None and value < 2:  # noqa: PLR2004 - it says so above
        raise InvalidInput(f"Keyset.{attribute.name} must be at least 2, not {value}")


@attrs.frozen(kw_only=True)
class Keyset(Paging):
    """Pages that start at an id: ``/me/projects/paginated``, and the report filters (in the body).

    Toggl takes the id as "this one or later" in some places and is silent in others. The walk asks
    from the greatest id that it has seen, so that it loses nothing either way, and leaves that one
    item out when it comes again.
    """

    largest: int | None = attrs.field(default=None, validator=_two_at_least)
    parameter: str = "start"

    def start(self) -> Position:
        """Say where the first page stands."""
        return {}

    def following(self, page: Page) -> Position | None:
        """Say where the page after this one stands."""
        ids = [key for item in page.items if isinstance(key := identity(item, self.identity), int)]
        if ids and max(ids) > _LARGEST_ID:
            raise PagingError("got an id that is out of range")
        return {self.parameter: max(ids)} if ids and page.is_full else None


@attrs.frozen(kw_only=True)
class Offset(Paging):
    """Pages that start after so many items: ``/me/tasks``, all of which come where no size is asked for."""

    offset: str = "offset"

    def start(self) -> Position:
        """Say where the first page stands."""
        return {self.offset: 0}

    def following(self, page: Page) -> Position | None:
        """Say where the page after this one stands."""
        if page.size is None or not page.is_full:
            return None
        return {self.offset: _whole(page.position[self.offset]) + len(page.items)}


@attrs.frozen(kw_only=True)
class Token(Paging):
    """Pages that name the next one in the answer: calendars, their events, invoices that were paid.

    An empty page may be followed by others, since filters apply after the page was cut.

    Attributes:
        data: the field of the list.
        parameter: the parameter that takes the token.
        next: the field of the next page's token; missing, null or empty on the last page.
        last: the parameter that takes the id of the last item seen, where the token alone won't do.
    """

    size: str | None = "limit"
    data: str
    parameter: str = "page_token"
    next: str = "next_page_token"
    last: str | None = None

    def start(self) -> Position:
        """Say where the first page stands."""
        return {}

    def items(self, result: object) -> Sequence[object]:
        """Pick the list out of the wrapper; paid invoices wrap the wrapper in a list."""
        return [item for one in self._wrappers(result) for item in listed(field(one, self.data))]

    def following(self, page: Page) -> Position | None:
        """Say where the page after this one stands."""
        tokens = [parsed(field(one, self.next)) for one in self._wrappers(page.answer.result)]
        token = tokens[-1] if tokens else None
        if not isinstance(token, str) or not token:
            return None
        if self.last is None:
            return {self.parameter: token}
        last = identity(page.items[-1], self.identity) if page.items else page.position.get(self.last)
        return {self.parameter: token, **({} if last is None else {self.last: last})}

    def _wrappers(self, result: object) -> Sequence[object]:
        """Take the wrappers; one that names the next page can do without a list."""
        return wrapped(result, self.data, self.next)


@attrs.frozen(kw_only=True)
class ReportCursor(Paging):
    """Detailed reports: three headers name the next page, and none of them comes with the last.

    No largest page is documented, but requests are scarce (30 an hour on a free plan), so the
    walk asks for big ones and takes a smaller size when the first page is refused for its size.
    """

    largest: int | None = 1000
    size: str | None = "page_size"
    fallbacks: tuple[int, ...] = (500, 200, 50, 20, 10, 1)
    identity: str | None = None
    place: Place = "body"

    notices_shifts: ClassVar[bool] = True
    headers: ClassVar[Mapping[str, str]] = {
        "x-next-id": "first_id",
        "x-next-row-number": "first_row_number",
        "x-next-timestamp": "first_timestamp",
    }

    def start(self) -> Position:
        """Say where the first page stands."""
        return {}

    def following(self, page: Page) -> Position | None:
        """Read the cursor off the headers.

        Raises:
            PagingError: the page is empty and has a cursor, or the cursor isn't a number.
        """
        cursor = {
            parameter: _number(header, page.answer.headers[header])
            for header, parameter in self.headers.items()
            if header in page.answer.headers
        }
        if cursor and not page.items:
            raise PagingError("an empty page of the report announces more pages")
        return cursor or None

    def has_shifted(self, position: Position, items: Sequence[object]) -> bool:
        """Whether a page lacks the time entry that X-Next-ID announced: it went, or others before it did.

        Servers that find their way by row numbers give the place of a row that is gone to the next one.
        """
        announced = position.get("first_id")
        if announced is None:
            return False
        met = False
        for item in items:  # it is the first, unless something is wrong
            for number in _entry_ids(item):
                if number == announced:
                    return False
                met = True
        return met or not items

    def keys(self, item: object) -> Sequence[Hashable]:
        """The ids of the time entries of a row."""
        ids = [number for number in _entry_ids(item) if isinstance(number, int)]
        return ids or Paging.keys(self, item)


def _entry_ids(row: object) -> Iterator[object]:
    """The ids of the time entries of a report's row, which may still be JSON."""
    try:
        opened = msgspec.json.decode(row, type=_Row) if isinstance(row, msgspec.Raw) else row
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return
    for entry in cast("Iterable[object]", field(opened, "time_entries") or ()):
        yield field(entry, "id")


class _Entry(msgspec.Struct):
    id: int | None = None


class _Row(msgspec.Struct):
    time_entries: list[_Entry] | None = None


def _count(answer: PageAnswer, header: str) -> int | None:
    """Read a header that counts; None where there is none that can be read."""
    value = answer.headers.get(header)
    return int(value) if value is not None and re.fullmatch("[0-9]{1,9}", value) else None


def _whole(value: int | str) -> int:
    """Read a number that this module wrote into a position itself."""
    return int(value)


def _number(header: str, value: str) -> int:
    """Read a number of a cursor.

    Raises:
        PagingError: it isn't one.
    """
    if re.fullmatch("-?[0-9]{1,19}", value.strip()) and abs(number := int(value)) <= _LARGEST_ID:
        return number
    raise PagingError(f"the header {header} of the report is not a usable number")
