"""What all paging schemes have in common: a page, the parameters that request it, and its answer."""

import abc
from collections.abc import Hashable, Mapping, Sequence
from typing import ClassVar, Final, Literal, TypeAlias

import attrs
import msgspec

from toggl_async._operations.paging.reading import comparable, identity, listed

__all__ = ["Page", "PageAnswer", "PageRequest", "Paging", "Place", "Position"]

Position: TypeAlias = Mapping[str, int | str]
"""The parameters that say which page is meant, by their names on the wire."""

Place: TypeAlias = Literal["query", "body"]
"""Where the parameters of a scheme travel."""

_USUAL_CUT: Final = 50
"""The most that a server allows on a page is a multiple of this: 50, 100, 150, 200."""


@attrs.frozen(kw_only=True)
class PageRequest:
    """What is asked for: the query and the body of one call.

    Attributes:
        query: parameters of the query, not yet encoded.
        body: the body, not yet encoded; a mapping or a record where the scheme pages in the body.
    """

    query: Mapping[str, object] = attrs.field(factory=dict)
    body: object = msgspec.UNSET


@attrs.frozen(kw_only=True)
class PageAnswer:
    """What came back: the decoded answer, its headers, names in lower case, and its body."""

    result: object
    headers: Mapping[str, str] = attrs.field(factory=dict)
    body: bytes = attrs.field(default=b"", repr=False)


@attrs.frozen(kw_only=True)
class Paging(abc.ABC):
    """How an operation asks for its next page; the base of all schemes.

    Attributes:
        largest: items on a page that are asked for; None leaves it to Toggl.
        size: the name of the parameter that says so; None where there is none.
        fallbacks: smaller sizes, tried in turn when Toggl refuses the first page for its size.
        identity: the field that tells items apart; None where they have none. An item that stood
            on an earlier page already is left out: lists that change while they are walked shift.
        place: where the parameters travel.
    """

    largest: int | None = None
    size: str | None = "per_page"
    fallbacks: tuple[int, ...] = ()
    identity: str | None = "id"
    place: Place = "query"

    notices_shifts: ClassVar[bool] = False
    """Whether something in its answers tells that items moved between its pages."""

    @abc.abstractmethod
    def start(self) -> Position:
        """Say where the first page stands."""

    @abc.abstractmethod
    def following(self, page: "Page") -> Position | None:
        """Say where the page after this one stands; None when this one is the last.

        Raises:
            PagingError: the answer contradicts itself.
        """

    def has_shifted(self, position: Position, items: Sequence[object]) -> bool:  # noqa: ARG002
        """Whether a page lacks the item that was announced as its first, so that others may be missing."""
        return False

    def total(self, answer: "PageAnswer") -> int | None:  # noqa: ARG002
        """How many items the whole list has, where an answer says so."""
        return None

    def keys(self, item: object) -> Sequence[Hashable]:
        """What an item is known by when it comes again."""
        key = identity(item, self.identity)
        return [repr(comparable(item)) if key is None else key]

    def requests(self, count: int) -> int:  # noqa: ARG002
        """How many requests a list of so many items takes, if its pages are as large as asked for."""
        return 1

    def items(self, result: object) -> Sequence[object]:
        """Pick the items out of a decoded answer; null means none.

        Raises:
            Misshapen: the answer isn't a page of this kind.
        """
        return listed(result)


@attrs.frozen(kw_only=True)
class Page:
    """One page as a scheme sees it.

    Attributes:
        position: the parameters that it was asked for with.
        answer: what came back.
        items: the items in it.
        count: how many elements it had, with those that could not be read.
        size: how many were asked for; None when Toggl chose.
        met: how many items the walk has met with this page; None where an earlier walk met some.
    """

    position: Position
    answer: PageAnswer
    items: Sequence[object]
    count: int
    size: int | None
    met: int | None = None

    @property
    def is_full(self) -> bool:
        """Whether more may follow: a page with fewer items than asked for is the last.

        One as long as servers cut pages is not: a server may allow less than it is asked for.
        """
        return may_be_full(self.count, self.size)


def may_be_full(count: int, size: int | None) -> bool:
    """Whether a page of so many items, where so many were asked for, may be followed by another one."""
    return bool(count) and (size is None or count >= size or count % _USUAL_CUT == 0)
