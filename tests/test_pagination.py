import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import attrs
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET

from toggl_async._operations.paging import (
    HeaderPages,
    Keyset,
    MappedPages,
    Offset,
    PageAnswer,
    PageNumber,
    PageRequest,
    Pages,
    Paging,
    ReportCursor,
    Token,
    WrappedPages,
)
from toggl_async.errors import BadRequest, InvalidInput, PagingError, ResponseError, ServerError

pytestmark = pytest.mark.anyio


@attrs.frozen
class Item:
    id: int


@attrs.frozen(kw_only=True)
class Wrapper:
    data: list[Item] | None = None
    total_count: int | None = None


@attrs.frozen(kw_only=True)
class Body:
    wire_names: ClassVar[Mapping[str, str]] = {"start_date": "startDate"}

    start_date: str
    page_size: int | msgspec.UnsetType = UNSET


class Server:
    """Answers from a function of the parameters, and remembers what it was asked."""

    def __init__(self, answer: Callable[[Mapping[str, Any]], PageAnswer], place: str = "query") -> None:
        self._answer = answer
        self._place = place
        self.asked: list[Mapping[str, Any]] = []

    async def fetch(self, request: PageRequest) -> PageAnswer:
        parameters: Any = request.query if self._place == "query" else request.body
        self.asked.append(dict(parameters))
        if len(self.asked) > 50:
            raise AssertionError("the walk does not end")
        return self._answer(parameters)

    def walk(self, paging: Paging, **request: Any) -> Pages[Any]:
        return Pages(self.fetch, paging=paging, request=PageRequest(**request))


def answer(result: object, **headers: str) -> PageAnswer:
    return PageAnswer(
        result=result, headers={name.replace("_", "-"): value for name, value in headers.items()}
    )


def items(*ids: int) -> list[Item]:
    return [Item(number) for number in ids]


def numbered(total: int, *, first: str = "page", size: str = "per_page", cap: int = 1000) -> Server:
    """Serve numbered pages of a list of so many items."""

    def serve(asked: Mapping[str, Any]) -> PageAnswer:
        length = min(asked[size], cap)
        start = (asked[first] - 1) * length
        return answer(items(*range(start, min(start + length, total))))

    return Server(serve)


def refusal(message: str, status: int = 400) -> ResponseError:
    kind = BadRequest if status == 400 else ResponseError
    return kind(message, status=status, method="GET", path="/x")


async def ids_of(pages: Pages[Any]) -> list[int]:
    return [item.id async for item in pages]


@pytest.mark.parametrize(("total", "requests"), [(0, 1), (1, 1), (3, 2), (7, 3), (9, 4)])
async def test_numbered_pages_end_with_a_short_one(total: int, requests: int) -> None:
    server = numbered(total)
    assert await ids_of(server.walk(PageNumber(largest=3), query={"name": "a"})) == list(range(total))
    assert server.asked == [{"name": "a", "page": page, "per_page": 3} for page in range(1, requests + 1)]


async def test_other_names_of_the_parameters() -> None:
    server = numbered(5, first="page_number", size="page_size")
    paging = PageNumber(largest=3, page="page_number", size="page_size")
    assert len(await ids_of(server.walk(paging))) == 5
    assert server.asked[-1] == {"page_number": 2, "page_size": 3}


async def test_a_capped_size_loses_no_tail_where_short_pages_are_not_trusted() -> None:
    server = numbered(7, cap=3)
    assert await ids_of(server.walk(PageNumber(largest=5, short_is_last=False))) == list(range(7))
    assert len(server.asked) == 4


async def test_nothing_is_sent_before_it_is_needed() -> None:
    server = numbered(9)
    pages = server.walk(PageNumber(largest=3))
    walk = aiter(pages)
    assert server.asked == []
    assert [(await anext(walk)).id for _ in range(3)] == [0, 1, 2]
    assert len(server.asked) == 1
    assert (await anext(walk)).id == 3
    assert len(server.asked) == 2


async def test_every_walk_starts_anew() -> None:
    pages = numbered(4).walk(PageNumber(largest=3))
    assert await ids_of(pages) == await ids_of(pages) == [0, 1, 2, 3]


async def test_collect_stops_at_its_limit() -> None:
    server = numbered(9)
    pages = server.walk(PageNumber(largest=3))
    assert len(await pages.collect()) == 9
    server.asked.clear()
    assert [item.id for item in await pages.collect(limit=4)] == [0, 1, 2, 3]
    assert len(server.asked) == 2
    assert len(await pages.collect(limit=3)) == 3
    assert len(server.asked) == 3
    assert await pages.collect(limit=0) == []
    assert len(server.asked) == 3
    with pytest.raises(InvalidInput, match="limit"):
        await pages.collect(limit=-1)


async def test_pages_come_as_lists_without_empty_ones() -> None:
    assert [len(page) async for page in numbered(6).walk(PageNumber(largest=3)).pages()] == [3, 3]
    assert [page async for page in numbered(0).walk(PageNumber(largest=3)).pages()] == []


async def test_a_list_that_ignores_the_page_number_ends() -> None:
    server = Server(lambda asked: answer(items(1, 2, 3)))
    assert await ids_of(server.walk(PageNumber(largest=2))) == [1, 2, 3]
    assert len(server.asked) == 2


async def test_a_full_page_that_comes_again_is_not_taken_for_the_whole_list() -> None:
    server = Server(lambda asked: answer(items(1, 2, 3)))
    walk = aiter(server.walk(PageNumber(largest=3)))
    assert [await anext(walk) for _ in range(3)] == items(1, 2, 3)
    with pytest.raises(PagingError, match="the same full page of 3 again"):
        await anext(walk)
    assert len(server.asked) == 2


async def test_rows_without_identity_that_come_again_end_the_walk() -> None:
    server = Server(lambda asked: answer([{"name": "a"}, {"name": "b"}]))
    assert await server.walk(PageNumber(largest=1)).collect() == [{"name": "a"}, {"name": "b"}]
    assert len(server.asked) == 2


async def test_items_that_shift_to_the_next_page_come_once() -> None:
    pages = {1: items(1, 2, 3), 2: items(3, 4, 5), 3: items(5, 6)}
    server = Server(lambda asked: answer(pages[asked["page"]]))
    assert await ids_of(server.walk(PageNumber(largest=3))) == [1, 2, 3, 4, 5, 6]


async def test_equal_items_of_one_page_all_come() -> None:
    assert await ids_of(Server(lambda asked: answer(items(1, 1))).walk(PageNumber(largest=3))) == [1, 1]


async def test_the_callers_own_page_size_wins() -> None:
    server = numbered(5)
    assert len(await ids_of(server.walk(PageNumber(largest=200), query={"per_page": 2}))) == 5
    assert [asked["per_page"] for asked in server.asked] == [2, 2, 2]
    server = numbered(5)
    assert len(await ids_of(server.walk(PageNumber(largest=200), query={"per_page": UNSET}))) == 5
    assert server.asked[0]["per_page"] == 200


@pytest.mark.parametrize("wrap", [lambda page: page, lambda page: [page]], ids=["object", "list of one"])
async def test_wrapped_pages(wrap: Callable[[Wrapper], object]) -> None:
    pages = {1: Wrapper(data=items(1, 2), total_count=3), 2: Wrapper(data=items(3), total_count=3)}
    server = Server(lambda asked: answer(wrap(pages[asked["page"]])))
    assert await ids_of(server.walk(WrappedPages(largest=2))) == [1, 2, 3]
    assert len(server.asked) == 2


async def test_wrapped_pages_that_are_smaller_than_asked_for_say_so() -> None:
    pages = {
        number: {"data": items(*ids), "per_page": msgspec.Raw(b"2"), "total_count": 5}
        for number, ids in {1: (1, 2), 2: (3, 4), 3: (5,)}.items()
    }
    server = Server(lambda asked: answer(pages[asked["page"]]))
    assert await ids_of(server.walk(WrappedPages(largest=200))) == [1, 2, 3, 4, 5]
    assert len(server.asked) == 3


@pytest.mark.parametrize("told", [None, 0, "many", 500])
async def test_a_size_that_says_nothing_leaves_it_at_what_was_asked_for(told: object) -> None:
    server = Server(lambda asked: answer({"data": items(asked["page"]), "per_page": told}))
    assert await ids_of(server.walk(WrappedPages(largest=2))) == [1]


async def test_pages_that_are_maps_of_lists() -> None:
    pages: dict[int, object] = {
        1: {"7": items(1, 2), "8": None},
        2: {"8": items(3)},
        3: {},
    }
    server = Server(lambda asked: answer(pages[asked["page"]]))
    assert await ids_of(server.walk(MappedPages(largest=200, short_is_last=False))) == [1, 2, 3]
    assert [asked["page"] for asked in server.asked] == [1, 2, 3]
    assert await Server(lambda asked: answer(None)).walk(MappedPages()).collect() == []


@pytest.mark.parametrize("result", [Wrapper(), {"data": None}, None, []])
async def test_wrapped_pages_may_be_empty_in_any_way(result: object) -> None:
    assert await Server(lambda asked: answer(result)).walk(WrappedPages(largest=2)).collect() == []


async def test_header_pages_end_where_the_header_says() -> None:
    server = Server(lambda asked: answer(items(asked["page"]), x_pages="3"))
    assert await ids_of(server.walk(HeaderPages(largest=50))) == [1, 2, 3]


@pytest.mark.parametrize("headers", [{}, {"x_pages": "many"}])
async def test_header_pages_without_the_header_end_with_a_short_page(headers: dict[str, str]) -> None:
    pages = {1: items(1, 2), 2: items(3)}
    server = Server(lambda asked: answer(pages[asked["page"]], **headers))
    assert await ids_of(server.walk(HeaderPages(largest=2))) == [1, 2, 3]


@pytest.mark.parametrize("inclusive", [True, False])
@pytest.mark.parametrize("size", ["per_page", None])
async def test_keyset_pages_lose_and_double_nothing(inclusive: bool, size: str | None) -> None:
    def serve(asked: Mapping[str, Any]) -> PageAnswer:
        start = asked.get("start", 0)
        rest = [number for number in range(1, 12) if number > start or (inclusive and number == start)]
        return answer(items(*rest[: asked.get("per_page", 4)]))

    server = Server(serve)
    paging = Keyset(largest=4 if size else None, size=size)
    assert await ids_of(server.walk(paging)) == list(range(1, 12))
    assert server.asked[1]["start"] == 4


async def test_keyset_pages_in_the_body() -> None:
    server = Server(lambda asked: answer(items(1, 2) if "start" not in asked else items(2)), place="body")
    paging = Keyset(largest=2, size="page_size", place="body")
    assert await ids_of(server.walk(paging, body={"name": "a"})) == [1, 2]
    assert server.asked == [{"name": "a", "page_size": 2}, {"name": "a", "start": 2, "page_size": 2}]


async def test_keyset_pages_of_rows_without_ids_end_at_once() -> None:
    assert await Server(lambda asked: answer([{"a": 1}, {"a": 2}])).walk(Keyset(largest=2)).collect() == [
        {"a": 1},
        {"a": 2},
    ]


def test_keyset_pages_of_one_are_refused() -> None:
    with pytest.raises(InvalidInput, match="at least 2"):
        Keyset(largest=1)


async def test_offset_pages() -> None:
    def serve(asked: Mapping[str, Any]) -> PageAnswer:
        return answer(items(*range(asked["offset"], min(asked["offset"] + asked["per_page"], 5))))

    server = Server(serve)
    assert await ids_of(server.walk(Offset(largest=2))) == [0, 1, 2, 3, 4]
    assert [asked["offset"] for asked in server.asked] == [0, 2, 4]


async def test_token_pages_go_on_past_an_empty_one() -> None:
    pages: dict[str | None, dict[str, object]] = {
        None: {"events": [{"id": 1}], "next_page_token": "a"},
        "a": {"events": None, "next_page_token": msgspec.Raw(b'"b"')},
        "b": {"events": [{"id": 2}], "next_page_token": ""},
    }
    server = Server(lambda asked: answer(pages[asked.get("page_token")]))
    assert await server.walk(Token(data="events", largest=250)).collect() == [{"id": 1}, {"id": 2}]
    assert server.asked[-1] == {"page_token": "b", "limit": 250}


async def test_a_token_that_comes_again_is_an_error() -> None:
    fresh = iter(range(100))
    server = Server(lambda asked: answer({"events": [{"id": next(fresh)}], "next_page_token": "a"}))
    with pytest.raises(PagingError, match=r"already fetched: \{'page_token': 'a'\}"):
        await server.walk(Token(data="events")).collect()
    assert len(server.asked) == 2


async def test_a_token_that_wants_the_last_item_beside_it() -> None:
    pages: dict[str | None, list[object]] = {
        None: [{"items": items(1, 2), "next": "a"}],
        "a": [msgspec.Raw(b'{"items":[],"next":"b"}')],
        "b": [msgspec.Raw(b'{"items":[{"id":3}],"next":null}')],
    }
    server = Server(lambda asked: answer(pages[asked.get("cursor")]))
    paging = Token(data="items", parameter="cursor", next="next", last="last_inv", size=None)
    first, second, third = await server.walk(paging).collect()
    assert [first.id, second.id, bytes(third)] == [1, 2, b'{"id":3}']
    assert server.asked == [{}, {"cursor": "a", "last_inv": 2}, {"cursor": "b", "last_inv": 2}]


async def test_a_token_before_any_item_goes_alone() -> None:
    pages = {None: {"items": None, "next": "a"}, "a": []}
    server = Server(lambda asked: answer(pages[asked.get("cursor")]))
    paging = Token(data="items", parameter="cursor", next="next", last="last_inv", size=None)
    assert await server.walk(paging).collect() == []
    assert server.asked == [{}, {"cursor": "a"}]


async def test_an_answer_without_wrappers_is_the_last_page() -> None:
    server = Server(lambda asked: answer([]))
    assert await server.walk(Token(data="items")).collect() == []
    assert len(server.asked) == 1


def report(
    rows: int, *, largest: int = 10_000, status: int = 400, said: str = "Invalid 'page_size' value"
) -> Server:
    """Serve a detailed report of so many rows, with its cursor in headers."""

    def serve(asked: Mapping[str, Any]) -> PageAnswer:
        if asked["page_size"] > largest:
            raise refusal(said, status)
        start = asked.get("first_row_number", 1)
        stop = min(start + asked["page_size"], rows + 1)
        page = [{"row_number": number} for number in range(start, stop)]
        if stop > rows:
            return answer(page)
        return answer(
            page, x_next_row_number=str(stop), x_next_id=str(900 + stop), x_next_timestamp="1700000000"
        )

    return Server(serve, place="body")


async def test_report_cursors() -> None:
    server = report(2500)
    rows = await server.walk(ReportCursor(), body={"start_date": "2024-01-01"}).collect()
    assert [row["row_number"] for row in rows] == list(range(1, 2501))
    assert server.asked == [
        {"start_date": "2024-01-01", "page_size": 1000},
        {
            "start_date": "2024-01-01",
            "page_size": 1000,
            "first_id": 1901,
            "first_row_number": 1001,
            "first_timestamp": 1_700_000_000,
        },
        {
            "start_date": "2024-01-01",
            "page_size": 1000,
            "first_id": 2901,
            "first_row_number": 2001,
            "first_timestamp": 1_700_000_000,
        },
    ]


async def test_a_report_body_may_be_a_record_or_missing() -> None:
    server = report(3)
    assert len(await server.walk(ReportCursor(largest=2), body=Body(start_date="2024-01-01")).collect()) == 3
    assert server.asked[0] == {"startDate": "2024-01-01", "page_size": 2}
    assert len(await report(3).walk(ReportCursor(largest=2)).collect()) == 3
    own = report(3)
    assert len(await own.walk(ReportCursor(), body=Body(start_date="x", page_size=2)).collect()) == 3
    assert [asked["page_size"] for asked in own.asked] == [2, 2]


async def test_a_refused_page_size_gives_way_to_smaller_ones() -> None:
    server = report(450, largest=200)
    assert len(await server.walk(ReportCursor()).collect()) == 450
    assert [asked["page_size"] for asked in server.asked] == [1000, 500, 200, 200, 200]


async def test_when_every_size_is_refused_the_refusal_comes_out() -> None:
    server = report(450, largest=0)
    with pytest.raises(BadRequest, match="page_size"):
        await server.walk(ReportCursor()).collect()
    assert [asked["page_size"] for asked in server.asked] == [1000, 500, 200, 50, 20, 10, 1]


@pytest.mark.parametrize(
    ("said", "sizes"),
    [
        ("page_size must be at most 20", [1000, 20]),
        ("Invalid 'page_size' value, must be between 1 and 1000", [1000, 500, 200, 50, 20]),
        ("page_size must be less than 200", [1000, 200, 50, 20]),
        ("page_size 1000 is too large, the limit is 15", [1000, 15]),
    ],
)
async def test_a_size_that_the_refusal_names_is_tried_first(said: str, sizes: list[int]) -> None:
    server = report(30, largest=20, said=said)
    assert len(await server.walk(ReportCursor()).collect()) == 30
    assert [asked["page_size"] for asked in server.asked][: len(sizes)] == sizes


@pytest.mark.parametrize("status", [400, 413, 422])
async def test_a_page_size_is_refused_with_one_status_or_another(status: int) -> None:
    server = report(30, largest=20, status=status)
    assert len(await server.walk(ReportCursor()).collect()) == 30


async def test_what_is_too_large_need_not_be_about_pages() -> None:
    server = report(30, largest=20, status=413, said="Request Entity Too Large")
    assert len(await server.walk(ReportCursor()).collect()) == 30


@pytest.mark.parametrize(
    "error",
    [
        refusal("start_date must be set"),
        ServerError("the page failed", maybe_applied=False, status=500, method="POST", path="/x"),
    ],
)
async def test_any_other_refusal_is_not_sent_again(error: Exception) -> None:
    def serve(asked: Mapping[str, Any]) -> PageAnswer:
        raise error

    server = Server(serve, place="body")
    with pytest.raises(type(error)):
        await server.walk(ReportCursor()).collect()
    assert len(server.asked) == 1


async def test_a_page_refused_in_the_middle_is_not_sent_again() -> None:
    def serve(asked: Mapping[str, Any]) -> PageAnswer:
        if "first_row_number" in asked:
            raise refusal("no such page")
        return answer([{"a": 1}], x_next_row_number="2")

    server = Server(serve, place="body")
    with pytest.raises(BadRequest):
        await server.walk(ReportCursor()).collect()
    assert len(server.asked) == 2


async def test_a_size_that_toggl_chooses_has_no_smaller_one() -> None:
    def serve(asked: Mapping[str, Any]) -> PageAnswer:
        raise refusal("no such page")

    with pytest.raises(BadRequest):
        await Server(serve, place="body").walk(ReportCursor(largest=None)).collect()


async def test_an_empty_page_with_a_cursor_is_an_error() -> None:
    server = Server(lambda asked: answer([], x_next_row_number="5"), place="body")
    with pytest.raises(PagingError, match="empty page"):
        await server.walk(ReportCursor()).collect()


async def test_a_cursor_that_comes_again_is_an_error_after_its_rows() -> None:
    fresh = iter(range(100))
    server = Server(lambda asked: answer([{"n": next(fresh)}], x_next_row_number="5"), place="body")
    walk = aiter(server.walk(ReportCursor()))
    assert [await anext(walk), await anext(walk)] == [{"n": 0}, {"n": 1}]
    with pytest.raises(PagingError, match="already fetched"):
        await anext(walk)


async def test_a_cursor_that_is_no_number_is_an_error() -> None:
    server = Server(lambda asked: answer([{"a": 1}], x_next_id="abc"), place="body")
    with pytest.raises(PagingError, match="x-next-id"):
        await server.walk(ReportCursor()).collect()


async def test_rows_that_are_not_read_yet_are_walked_too() -> None:
    def raw(value: object) -> Sequence[msgspec.Raw]:
        return msgspec.json.decode(json.dumps(value), type=list[msgspec.Raw])

    pages = {1: raw([{"id": 1}, {"id": 2}]), 2: raw([{"id": 2}, {"id": 3}]), 3: raw([])}
    rows = await Server(lambda asked: answer(pages[asked["page"]])).walk(PageNumber(largest=2)).collect()
    assert [bytes(row) for row in rows] == [b'{"id": 1}', b'{"id": 2}', b'{"id": 3}']
    same = Server(lambda asked: answer(raw([{"a": 1}, {"b": 5}])))
    assert len(await same.walk(PageNumber(largest=1)).collect()) == 2
    wrapped = Server(lambda asked: answer({"data": msgspec.Raw(b'[{"id":1}]'), "page": msgspec.Raw(b"1")}))
    assert [bytes(row) for row in await wrapped.walk(WrappedPages(largest=2)).collect()] == [b'{"id":1}']
    empty = Server(lambda asked: answer({"data": msgspec.Raw(b"null")}))
    assert await empty.walk(WrappedPages(largest=2)).collect() == []


@settings(max_examples=settings().max_examples * 3 // 5)
@given(
    total=st.integers(0, 40),
    size=st.integers(2, 12),
    scheme=st.sampled_from(["number", "offset", "keyset", "report"]),
)
async def test_every_scheme_gives_every_item_once(total: int, size: int, scheme: str) -> None:
    rows = items(*range(1, total + 1))

    def serve(asked: Mapping[str, Any]) -> PageAnswer:
        starts = {
            "number": (asked.get("page", 1) - 1) * size,
            "offset": asked.get("offset", 0),
            "keyset": max(asked.get("start", 1) - 1, 0),
            "report": asked.get("first_row_number", 0),
        }
        start = starts[scheme]
        more = {"x_next_row_number": str(start + size)} if start + size < total else {}
        return answer(rows[start : start + size], **more)

    paging: dict[str, Paging] = {
        "number": PageNumber(largest=size),
        "offset": Offset(largest=size),
        "keyset": Keyset(largest=size),
        "report": ReportCursor(largest=size),
    }
    server = Server(serve, place="body" if scheme == "report" else "query")
    assert await server.walk(paging[scheme]).collect() == rows


@pytest.mark.parametrize("scheme", [PageNumber(), Keyset(), Offset()])
def test_a_list_whose_pages_toggl_sizes_is_expected_to_be_one(scheme: Paging) -> None:
    assert scheme.requests(5_000) == 1
