"""The kinds of hostility: each draws answers to one operation, made from what the operation describes."""

import json
import re
import zlib
from collections.abc import Callable
from typing import Any, Final, Literal, TypeAlias

import attrs
from hypothesis import assume
from hypothesis import strategies as st

from hostile.answers import CODINGS, JSON, Answer
from hostile.documents import Form, Place, Raw, Twice, at, document, places, put, render
from toggl_async._client import catalog
from toggl_async._operations.operation import Operation
from toggl_async._operations.paging import MappedPages

__all__ = ["KINDS", "SUBJECTS", "UNREADABLE", "Case", "Exchange", "Subject", "cases", "cases_of", "subjects"]

UNREADABLE: Final = Raw("nothing that could be read")
"""In place of a document: there is none, and nothing may be made of the answer."""


@attrs.frozen
class Subject:
    """An operation, and a way in which a program gets its answer."""

    operation: Operation[object]
    way: Literal["call", "walk", "save"] = "call"

    @property
    def form(self) -> Form:
        """The type that its answer has."""
        return self.operation.result

    @property
    def is_json(self) -> bool:
        """Whether its answer is a document that is read into something."""
        return self.form not in {None, str, bytes} and not self.operation.redirects

    def __repr__(self) -> str:
        return self.operation.name if self.way == "call" else f"{self.operation.name} ({self.way})"


@attrs.frozen(kw_only=True, repr=False)
class Exchange(Subject):
    """An operation together with what was once an honest answer to it.

    Attributes:
        key: what was asked: path, query and body.
        tree: the document that came.
        headers: what its headers told of the next page.
    """

    key: tuple[str, str, bytes]
    tree: Any
    headers: tuple[tuple[str, str], ...] = ()


SUBJECTS: Final = (
    *map(Subject, catalog.operations()),
    *(Subject(one, "walk") for one in catalog.operations() if one.paging is not None),
    *(Subject(one, "save") for one in catalog.operations() if one.result is bytes),
)


@attrs.frozen(kw_only=True)
class Case:
    """One hostile answer.

    Attributes:
        answer: what is sent.
        tree: the document in it; `UNREADABLE` where there is none.
        honest: whether it is what Toggl describes, so that it has to be read without a word.
        says: what an error, or a warning, has to name.
        suspect: whether somebody has to be told of it, even if nothing of it is lost.
        mended: the document with U+FFFD for what stands for no character; whoever reads it as that has to
            tell of it.
        keep_unknown: whether the client is asked to keep what it doesn't know.
    """

    answer: Answer
    tree: Any
    honest: bool = False
    says: str = ""
    suspect: bool = False
    mended: Any = None
    keep_unknown: bool = True


Draw: TypeAlias = Callable[[st.SearchStrategy[Any]], Any]
Kind: TypeAlias = Callable[[Draw, Subject], Case]

KINDS: Final[dict[str, Kind]] = {}
_ONLY_DOCUMENTS: Final[set[str]] = set()


def _kind(*, of_documents: bool = False) -> Callable[[Kind], Kind]:
    """Register a kind by its name; one of documents is nothing to an answer that is none."""

    def register(kind: Kind) -> Kind:
        name = kind.__name__.removeprefix("_").replace("_", " ")
        KINDS[name] = kind
        if of_documents:
            _ONLY_DOCUMENTS.add(name)
        return kind

    return register


def cases(name: str) -> st.SearchStrategy[tuple[Subject, Case]]:
    """Draw an operation and an answer of a kind."""
    return st.sampled_from(subjects(name)).flatmap(
        lambda subject: st.tuples(st.just(subject), cases_of(name, subject))
    )


def subjects(name: str) -> list[Subject]:
    """The operations and ways that a kind can be tried on."""
    return [one for one in SUBJECTS if one.is_json or name not in _ONLY_DOCUMENTS]


def cases_of(name: str, subject: Subject) -> st.SearchStrategy[Case]:
    """Draw answers of a kind to an operation."""

    @st.composite
    def drawn(draw: Draw) -> Case:
        return attrs.evolve(KINDS[name](draw, subject), keep_unknown=draw(st.booleans()))

    return drawn()


def honest(draw: Draw, subject: Subject) -> tuple[Any, Answer]:
    """Draw what the operation describes: the document and the answer that brings it."""
    if isinstance(subject, Exchange):
        return subject.tree, _bringing(subject.tree)
    if subject.operation.redirects:
        place = draw(st.sampled_from(["https://example.com/a?b=c", "/relative", "toggl://login"]))
        return place, Answer(status=302, headers=(("Location", place),))
    if subject.form is bytes:
        content = draw(st.sampled_from([b"%PDF-1.7 \x00\xff", b"a;b\r\n1;2\r\n", b"x" * 5000]))
        return content, Answer(body=content, headers=(("Content-Type", "application/octet-stream"),))
    if subject.form is None:
        said = draw(st.sampled_from(["", "null", '"OK"']))
        return None, Answer(body=said.encode())
    tree = draw(document(subject.form))
    if isinstance(subject.operation.paging, MappedPages):
        tree = {name: rows for name, rows in tree.items() if name.isdecimal()}
    wrapped = getattr(subject.operation.paging, "data", None)
    if wrapped is not None and isinstance(tree, dict) and wrapped not in tree:
        # A page may lack whatever it wants, but not its rows.
        tree = {**tree, wrapped: draw(st.sampled_from([None, []]))}
    return tree, _bringing(tree)


def _bringing(tree: Any, **facts: Any) -> Answer:
    return Answer(body=render(tree).encode(), **facts)


def _some_place(draw: Draw, tree: Any) -> Place:
    """Draw a place, later ones first when it is shrunk away."""
    found: Place = draw(st.sampled_from(list(places(tree))))
    return found


def _with(draw: Draw, subject: Subject, value: Any, *, root: bool = True) -> Case:
    """Draw an honest document with a value at some place of it."""
    tree, _ = honest(draw, subject)
    found = [one for one in places(tree) if one or root]
    assume(found)
    tree = put(tree, draw(st.sampled_from(found)), value)
    return Case(answer=_bringing(tree), tree=tree)


@_kind()
def _honest(draw: Draw, subject: Subject) -> Case:
    tree, answer = honest(draw, subject)
    if not subject.operation.redirects:
        answer = attrs.evolve(
            answer,
            coding=draw(st.sampled_from(list(CODINGS))),
            framing=draw(st.sampled_from(["length", "chunked", "close"])),
        )
    return Case(answer=answer, tree=tree, honest=True)


@_kind(of_documents=True)
def _wrong_outer_shape(draw: Draw, subject: Subject) -> Case:
    tree, _ = honest(draw, subject)
    shapes: list[Any] = [
        *({}, [], "text", 5, True, [[]], [None], {"data": None}),
        *({"items": tree}, {"data": tree}, {"data": tree, "total_count": 1}, [[tree]], {"7": tree}),
    ]
    if isinstance(tree, list):
        shapes += [tree[0] if tree else {}, dict(enumerate(tree)) and {str(i): v for i, v in enumerate(tree)}]
    else:
        shapes += [[tree, tree]]
    shape = draw(st.sampled_from(shapes))
    return Case(answer=_bringing(shape), tree=shape)


@_kind()
def _error_with_200(draw: Draw, subject: Subject) -> Case:
    tree = draw(
        st.sampled_from(
            [
                {"error": "internal"},
                {"error": {"code": 500, "message": "internal"}},
                {"error_message": "Something went wrong", "code": 7},
                {"message": "internal", "status": 500},
            ]
        )
    )
    return Case(answer=_bringing(tree), tree=tree, suspect=True)


_PAGE = "<!DOCTYPE html>\n<html><head><title>Sign in to Café Wi-Fi</title></head><body>Hello</body></html>"


@_kind()
def _html_with_200(draw: Draw, subject: Subject) -> Case:
    page = draw(st.sampled_from([_PAGE, _PAGE.upper(), f"\n  {_PAGE}", _PAGE.partition("\n")[2]]))
    content = draw(st.sampled_from(["text/html", "text/html; charset=utf-8", "application/json"]))
    return Case(
        answer=Answer(body=page.encode(), headers=(("Content-Type", content),)), tree=UNREADABLE, says="html"
    )


@_kind()
def _empty_body(draw: Draw, subject: Subject) -> Case:
    body = draw(st.sampled_from([b"", b" ", b"\r\n", b"\xef\xbb\xbf"]))
    answer = Answer(body=body, status=draw(st.sampled_from([200, 201, 204])))
    if answer.status == 204:
        answer, body = attrs.evolve(answer, body=b""), b""
    return Case(answer=answer, tree=body if subject.form is bytes else None)


@_kind()
def _truncated(draw: Draw, subject: Subject) -> Case:
    _, answer = honest(draw, subject)
    if not answer.body:
        answer = attrs.evolve(answer, body=b'"OK"')
    coding, framing = (
        draw(st.sampled_from(list(CODINGS))),
        draw(st.sampled_from(["length", "chunked", "close"])),
    )
    cut_before_framing = draw(st.booleans())
    answer = attrs.evolve(
        answer,
        coding=coding,
        framing=framing,
        cut=draw(st.sampled_from([0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 0.999])),
        cut_before_framing=cut_before_framing,
    )
    # A body without coding whose framing is right, or that has none, is a shorter body; only a
    # document tells that something lacks. Nothing at all is one, too.
    if coding == "identity" and (cut_before_framing or framing == "close"):
        assume(answer.body[:1] in b"[{" and answer.cut and int(len(answer.body) * answer.cut))
    whole = CODINGS[coding][1](answer.body)
    # Of several members the first ones are a whole, too.
    assume(coding != "gzip members" or int(len(whole) * (answer.cut or 0)) != len(_first_member(whole)))
    if int(len(whole) * (answer.cut or 0)) == 0:
        assume(not cut_before_framing and framing != "close")
    return Case(answer=answer, tree=UNREADABLE)


def _first_member(content: bytes) -> bytes:
    """The first of several gzip members."""
    member = zlib.decompressobj(zlib.MAX_WBITS | 16)
    member.decompress(content)
    return content[: len(content) - len(member.unused_data)]


_ABSURD: Final = st.sampled_from(
    [
        *("", "-1", "0", "nan", "inf", "1e999", "9" * 320, "99999999", "0x10", "1_000", "٣", "1.5", "½"),
        *("Mon, 01 Jan 10000000000 00:00:00 GMT", "Thu, 01 Jan 0001 00:00:00 GMT", "a, b", "\x7f", "é" * 40),
    ]
).map(lambda text: text.encode("utf-8").decode("latin-1"))
_COUNTERS: Final = (
    *("X-Toggl-Quota-Remaining", "X-Toggl-Quota-Resets-In", "Retry-After", "Date", "X-Pages", "Location"),
    *("X-Next-ID", "X-Next-Row-Number", "X-Next-Timestamp", "X-Request-Id", "Set-Cookie", "X-Range-Start"),
    *("Age", "Expires", "Link", "Vary", "ETag", "Warning", "Content-Language", "Content-Range"),
)


@_kind()
def _absurd_headers(draw: Draw, subject: Subject) -> Case:
    tree, answer = honest(draw, subject)
    names = draw(st.lists(st.sampled_from(_COUNTERS), min_size=1, max_size=4))
    if subject.operation.redirects:
        names = [name for name in names if name != "Location"]
    extra = tuple((name, draw(_ABSURD)) for name in names)
    # A quota that is used up is nothing absurd: the next call has to wait.
    assume(not any(name == "X-Toggl-Quota-Remaining" and value == "0" for name, value in extra))
    return Case(answer=attrs.evolve(answer, headers=(*answer.headers, *extra)), tree=tree)


@_kind()
def _absurd_type_or_coding(draw: Draw, subject: Subject) -> Case:
    tree, answer = honest(draw, subject)
    name, value = draw(
        st.sampled_from(
            [
                *(
                    ("Content-Type", value)
                    for value in ("", "nonsense", "image/png", "text/plain; charset=x")
                ),
                *(
                    ("Content-Type", value)
                    for value in ("application/json; charset=utf-16", ";;;", "text/csv")
                ),
                *(
                    ("Content-Encoding", value)
                    for value in ("br", "zstd", "x-nonsense", "gzip", "gzip, gzip")
                ),
                *(("Content-Encoding", value) for value in ("identity", "", "deflate", "GZIP, identity")),
            ]
        )
    )
    headers = [one for one in answer.headers if one[0] != name]
    return Case(answer=attrs.evolve(answer, headers=(*headers, (name, value))), tree=tree)


@_kind()
def _refusal(draw: Draw, subject: Subject) -> Case:
    status = draw(
        st.sampled_from([300, 301, 307, 400, 401, 402, 403, 404, 409, 410, 413, 418, 429, 451, 500])
    )
    status = draw(st.sampled_from([status, 501, 502, 503, 504, 507, 599, 600, 999]))
    body = draw(
        st.sampled_from(
            [
                *(
                    b"",
                    b"null",
                    b"5",
                    b'"Text"',
                    b"{",
                    b'{"error": {"a": 1}}',
                    b'{"error_message": null}',
                    b"[[]]",
                ),
                *(b"\xff\xfe", _PAGE.encode(), b"[" * 5000, b'"\\ud800"', b"1e999", b"x" * 100_000),
            ]
        )
    )
    extra = tuple((name, draw(_ABSURD)) for name in draw(st.lists(st.sampled_from(_COUNTERS), max_size=3)))
    return Case(answer=Answer(status=status, body=body, headers=(JSON, *extra)), tree=UNREADABLE)


@_kind(of_documents=True)
def _null(draw: Draw, subject: Subject) -> Case:
    return _with(draw, subject, None)


@_kind(of_documents=True)
def _list_of_one(draw: Draw, subject: Subject) -> Case:
    tree, _ = honest(draw, subject)
    place = _some_place(draw, tree)
    tree = put(tree, place, [at(tree, place)])
    return Case(answer=_bringing(tree), tree=tree)


@_kind(of_documents=True)
def _other_type(draw: Draw, subject: Subject) -> Case:
    values: list[Any] = [True, False, 0, -1, 1.5, "", "text", "12", [], {}, [1, "x"], {"a": {"b": None}}]
    return _with(draw, subject, draw(st.sampled_from(values)))


@_kind(of_documents=True)
def _five_thousand_levels(draw: Draw, subject: Subject) -> Case:
    deep = draw(
        st.sampled_from(
            ["[" * 5000 + "]" * 5000, '{"a":' * 5000 + "1" + "}" * 5000, '[{"a":' * 5000 + "1" + "}]" * 5000]
        )
    )
    if draw(st.booleans()):
        return _unknown_field(draw, subject, Raw(deep))
    return _with(draw, subject, Raw(deep))


def _unknown_field(draw: Draw, subject: Subject, value: Any, name: str = "brand_new") -> Case:
    """Draw an honest document with a field more in one of its objects."""
    tree, _ = honest(draw, subject)
    found = [place for place in places(tree) if isinstance(at(tree, place), dict)]
    assume(found)
    place = draw(st.sampled_from(found))
    tree = put(tree, place, {**at(tree, place), name: value})
    return Case(answer=_bringing(tree), tree=tree)


@_kind(of_documents=True)
def _unknown_fields(draw: Draw, subject: Subject) -> Case:
    name = draw(st.sampled_from(["brand_new", "", "a b", "__class__", "_unknown", "unknown", "naïve"]))
    return _unknown_field(draw, subject, draw(document(Any, 1)), name)


_NUMBERS: Final = st.sampled_from(
    [
        *("1e999", "-1e999", "1e-999", "-0", "-0.0", "1E2", "0.1000000000000000055511151231257827"),
        *(str(2**63 - 1), str(2**63), str(2**64), str(-(2**63) - 1)),
        *("9" * 400, "9" * 5000, f"1{'0' * 30}.5"),
    ]
).map(Raw)


@_kind(of_documents=True)
def _odd_number(draw: Draw, subject: Subject) -> Case:
    number = draw(_NUMBERS)
    if draw(st.booleans()):
        return _unknown_field(draw, subject, number)
    tree, _ = honest(draw, subject)
    found = [one for one in places(tree) if isinstance(at(tree, one), int | float)] or list(places(tree))
    tree = put(tree, draw(st.sampled_from(found)), number)
    return Case(answer=_bringing(tree), tree=tree)


_TIMES: Final = (
    *("0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59.999999-12:00", "0000-01-01"),
    *("10000-01-01T00:00:00Z", "+10000-01-01T00:00:00Z", "-0001-01-01T00:00:00Z", "0001-01-01", "9999-12-31"),
    *(
        "2026-03-04T24:00:00Z",
        "2026-03-04T23:59:60Z",
        "2026-02-30",
        "2026-03-04T10:00:00+24:00",
        "2026-03-04",
    ),
    *("2026-03-04T10:00:00", "2026-03-04 10:00:00Z", "2026-03-04T10:00:00.123456789Z", "2026-W10-3", "10:00"),
    *("2026-03-04T10:00:00,5Z", "2026-03-04t10:00:00z", "20260304T100000Z", "1772600767", 1772600767, 1e300),
)


def _looks_like_a_time(value: object) -> bool:
    return isinstance(value, str) and value[:2] == "20" and value[4:5] == "-"


@_kind(of_documents=True)
def _odd_time(draw: Draw, subject: Subject) -> Case:
    time = draw(st.sampled_from(_TIMES))
    tree, _ = honest(draw, subject)
    found = [one for one in places(tree) if _looks_like_a_time(at(tree, one))]
    tree = put(tree, draw(st.sampled_from(found or list(places(tree)))), time)
    return Case(answer=_bringing(tree), tree=tree)


@_kind(of_documents=True)
def _lone_surrogate(draw: Draw, subject: Subject) -> Case:
    text = draw(st.sampled_from(["\ud800", "a\udfffb", "\udc00\ud800", "Zoë \ud83d"]))
    if draw(st.booleans()):
        case = _unknown_field(draw, subject, 1, text)
        return attrs.evolve(case, mended=_replaced(case.tree, r"[\ud800-\udfff]"))
    tree, _ = honest(draw, subject)
    found = [one for one in places(tree) if isinstance(at(tree, one), str)] or list(places(tree))
    tree = put(tree, draw(st.sampled_from(found)), text)
    return Case(answer=_bringing(tree), tree=tree, mended=_replaced(tree, r"[\ud800-\udfff]"))


def _replaced(tree: Any, broken: str) -> Any:
    """The document with U+FFFD for all that a pattern finds in its texts and names."""
    if isinstance(tree, str):
        return re.sub(broken, "\ufffd", tree)
    if isinstance(tree, dict):
        return {_replaced(name, broken): _replaced(value, broken) for name, value in tree.items()}
    return [_replaced(one, broken) for one in tree] if isinstance(tree, list) else tree


@_kind(of_documents=True)
def _duplicate_fields(draw: Draw, subject: Subject) -> Case:
    tree, _ = honest(draw, subject)
    found = [place for place in places(tree) if isinstance(at(tree, place), dict) and at(tree, place)]
    assume(found)
    place = draw(st.sampled_from(found))
    values = at(tree, place)
    name = draw(st.sampled_from(list(values)))
    before = draw(st.sampled_from([None, 0, "", [], {}, values[name]]))
    tree = put(tree, place, Twice(values, name, before))
    return Case(answer=_bringing(tree), tree=tree)


@_kind(of_documents=True)
def _byte_order_mark(draw: Draw, subject: Subject) -> Case:
    tree, answer = honest(draw, subject)
    return Case(answer=attrs.evolve(answer, body=b"\xef\xbb\xbf" + answer.body), tree=tree)


@_kind(of_documents=True)
def _wrong_charset(draw: Draw, subject: Subject) -> Case:
    tree, _ = honest(draw, subject)
    charset = draw(st.sampled_from(["latin-1", "utf-16", "utf-16-le", "utf-32", "cp1252"]))
    named = draw(st.sampled_from([charset, "utf-8", "nonsense"]))
    try:
        body = render(tree).encode(charset)
    except UnicodeEncodeError:
        body = json.dumps({"name": "Zoë"}).encode() + b"\xe9"
        return Case(answer=Answer(body=body), tree=UNREADABLE)
    return Case(
        answer=Answer(body=body, headers=(("Content-Type", f"application/json; charset={named}"),)),
        tree=tree,
        mended=_replaced(tree, r"[^\x00-\x7f]"),
    )


@_kind(of_documents=True)
def _trailing_bytes(draw: Draw, subject: Subject) -> Case:
    _, answer = honest(draw, subject)
    rest = draw(st.sampled_from([b"}", b"]", b",", b"null", b"\x00", b"// end", b"<html>"]))
    # A number in front of more digits would be another number.
    assume(answer.body[:1] in b'[{"')
    return Case(answer=attrs.evolve(answer, body=answer.body + rest), tree=UNREADABLE)


@_kind(of_documents=True)
def _not_quite_json(draw: Draw, subject: Subject) -> Case:
    text = draw(
        st.sampled_from(
            ["NaN", "Infinity", "-Infinity", "undefined", "'a'", "01", "+1", ".5", "1.", "tru", '"\t"']
        )
    )
    tree, _ = honest(draw, subject)
    return Case(answer=_bringing(put(tree, _some_place(draw, tree), Raw(text))), tree=UNREADABLE)


@_kind()
def _silence(draw: Draw, subject: Subject) -> Case:
    _, answer = honest(draw, subject)
    body = answer.body or b'"OK"'
    cut = draw(st.sampled_from([0.0, 0.5, 0.9]))
    return Case(answer=attrs.evolve(answer, status=200, body=body, cut=cut, then="silence"), tree=UNREADABLE)


@_kind()
def _broken_framing(draw: Draw, subject: Subject) -> Case:
    """An answer that breaks off or contradicts itself below its content."""
    _, answer = honest(draw, subject)
    answer = attrs.evolve(answer, status=200, body=answer.body or b'"OK"', then="close")
    flaw = draw(
        st.sampled_from(["reset", "two lengths", "no number", "negative", "longer", "huge header", "lone LF"])
    )
    if flaw == "reset":
        return Case(answer=attrs.evolve(answer, cut=0.5, then="reset"), tree=UNREADABLE)
    length = {
        "two lengths": "1\r\nContent-Length: 2",
        "no number": "many",
        "negative": "-5",
        "longer": str(len(answer.body) + 7),
        "huge header": "1\r\nX-Huge: " + "x" * 200_000,
        "lone LF": "1\nX",
    }[flaw]
    headers = (*answer.headers, ("Content-Length", length))
    return Case(answer=attrs.evolve(answer, framing="close", headers=headers), tree=UNREADABLE)
