"""Bodies that are no JSON, or JSON beyond what Python holds: read with all they say, or a typed error."""

import json
import warnings
from pathlib import Path
from typing import Any

import msgspec
import pytest

from support.answers import Answers
from toggl_async import BadRequest, DecodeError, TogglClient
from toggl_async._client.catalog import operation
from toggl_async.codec import DriftWarning

pytestmark = pytest.mark.anyio

HTML = b"<!DOCTYPE html>\n<html><head><title>\n Sign in &amp; go\x1b[31m </title></head></html>"
ERROR = b'{"error":"internal","code":7}'

CALLS: dict[str, Any] = {
    "nothing": lambda toggl: toggl.workspace(3).tags.delete(1),
    "text": lambda toggl: toggl.me.reset_token(),
    "file": lambda toggl: toggl.workspace(3).reports.weekly.csv(),
    "record": lambda toggl: toggl.me.get(),
    "list": lambda toggl: toggl.workspace(3).tags.list(),
    "number": lambda toggl: toggl.me.id(),
    "map": lambda toggl: toggl.workspace(3).tasks.list_by_ids(task_ids=[1]),
}


@pytest.mark.parametrize("body", [HTML, b"\xef\xbb\xbf " + HTML, HTML.lower()], ids=["plain", "BOM", "lower"])
@pytest.mark.parametrize("call", CALLS)
async def test_html_is_never_an_answer(call: str, body: bytes) -> None:
    async with Answers(body, content_type="text/html").client() as toggl:
        with pytest.raises(DecodeError) as caught:
            await CALLS[call](toggl)
    assert 'got HTML from api.track.toggl.com, titled "sign in & go[31m"' in str(caught.value).replace(
        "S", "s"
    )
    assert caught.value.body == body


@pytest.mark.parametrize("call", ["nothing", "text", "file", "record", "list", "number"])
async def test_an_error_with_status_200_is_never_an_answer(call: str) -> None:
    async with Answers(ERROR).client() as toggl:
        with pytest.raises(DecodeError, match='got an error, although the status says success: "internal"'):
            await CALLS[call](toggl)


@pytest.mark.parametrize("body", [HTML, ERROR])
async def test_a_page_in_place_of_a_file_is_not_saved(body: bytes, tmp_path: Path) -> None:
    async with Answers(body).client() as toggl:
        with pytest.raises(DecodeError):
            await toggl.workspace(3).reports.weekly.csv().save(tmp_path / "report.csv")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.jump
async def test_what_only_looks_like_it_is_passed_on() -> None:
    for body in (
        b"<ical>",
        b'{"error":null}',
        b'{"error":"x","rows":[]}',
        b"name,<html>\n",
        b"\xff\xfe<",
        b"{",
    ):
        async with Answers(body).client() as toggl:
            assert await toggl.workspace(3).reports.weekly.csv() == body
            await toggl.workspace(3).tags.delete(1)


ROW = b'{"id":1,"workspace_id":3,"name":%s}'
TEXTS = {
    rb'"a\ud800b"': "a\N{REPLACEMENT CHARACTER}b",
    rb'"\udc00"': "\N{REPLACEMENT CHARACTER}",
    rb'"\ud800\ud83d\ude00"': "\N{REPLACEMENT CHARACTER}\N{GRINNING FACE}",
    rb'"\\ud800"': r"\ud800",
    b'"a\xffb"': "a\N{REPLACEMENT CHARACTER}b",
}


@pytest.mark.jump
@pytest.mark.parametrize(("sent", "read"), TEXTS.items(), ids=map(repr, TEXTS))
async def test_one_broken_character_costs_itself_alone(sent: bytes, read: str) -> None:
    body = b"[%s,%s]" % (ROW % b'"whole"', ROW % sent)
    async with Answers(body).client() as toggl:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            tags = await toggl.workspace(3).tags.list()
            pages = toggl.walk(operation("workspace.tags.list"), path={"workspace_id": 3})
            rows = [json.loads(row) async for page in pages for row in page]
    assert [tag.name for tag in tags] == [row["name"] for row in rows] == ["whole", read]
    assert any("not valid UTF-8" in str(one.message) for one in told) == (read != r"\ud800")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
async def test_other_encodings_of_unicode_are_read(encoding: str) -> None:
    body = '[{"id":1,"workspace_id":3,"name":"Łukasz"}]'.encode(encoding)
    async with Answers(body).client() as toggl:
        with pytest.warns(DriftWarning, match="not valid UTF-8"):
            (tag,) = await toggl.workspace(3).tags.list()
    assert tag.name == "Łukasz"


DEEP = b"[" * 5_000 + b"]" * 5_000
NUMBERS = [
    b"1e999",
    b"-1e999",
    b"9" * 400,
    b"9" * 5_000,
    b"1" + b"0" * 30,
    b"1e308",
    b"1.5",
    b"-0",
    b"NaN",
    b"Infinity",
    DEEP,
]


@pytest.mark.parametrize("number", NUMBERS, ids=lambda sent: sent[:12].decode())
@pytest.mark.parametrize(
    "field", ["id", "duration", "start", "description", "billable", "tag_ids", "tags", "new"]
)
@pytest.mark.parametrize("keep_unknown", [False, True])
@pytest.mark.sampled(24)
async def test_any_number_anywhere_is_told_or_typed(field: str, number: bytes, keep_unknown: bool) -> None:
    odd = b'{"id":2,"workspace_id":3,"%s":%s}' % (field.encode(), number)
    body = b'[{"id":1,"workspace_id":3},%s]' % odd
    async with Answers(body).client(keep_unknown=keep_unknown) as toggl:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            try:
                entries = await toggl.me.time_entries.list()
            except DecodeError as error:
                assert number in {b"NaN", b"Infinity", DEEP}, error  # noqa: PT017
                return
    assert len(entries) == 2
    value = getattr(entries[1], field, None)
    assert value is not None or told or field == "new"
    if keep_unknown and value is None:
        assert field in entries[1].unknown


@pytest.mark.parametrize(
    ("sent", "year"),
    [
        ("0001-01-01T00:00:00Z", 1), ("0001-01-01T00:00:00+14:00", 1), ("9999-12-31T23:59:59-12:00", 9999),
        ("10000-01-01T00:00:00Z", None), ("2026-01-01T24:00:01Z", None), ("2026-02-30T00:00:00Z", None),
        ("2026-01-01T00:00:00+99:00", None), ("", None), ("-0001-01-01T00:00:00Z", None),
    ],
)  # fmt: skip
async def test_any_time_is_read_or_told(sent: str, year: int | None) -> None:
    async with Answers([{"id": 1, "workspace_id": 3, "start": sent}]).client() as toggl:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            (entry,) = await toggl.me.time_entries.list()
    assert (entry.start.year if entry.start else None) == year
    assert bool(told) == (year is None)


NESTED = {
    "lists": lambda levels: b"[" * levels + b"]" * levels,
    "objects": lambda levels: b'{"a":' * levels + b"1" + b"}" * levels,
    "both": lambda levels: b'{"a":[' * (levels // 2) + b"]}" * (levels // 2),
}


def depth(value: object) -> int:
    """Count levels one by one: what calls itself for each can't."""
    levels = 0
    while isinstance(value, dict | list):
        levels += 1
        value = next(iter(value.values() if isinstance(value, dict) else value), None)
    return levels


@pytest.mark.parametrize("deep", NESTED.values(), ids=NESTED)
@pytest.mark.parametrize("levels", [5_000, 200_000])
@pytest.mark.parametrize("wrapped", [b"%s", b'{"error":%s}', b'{"1":%s}'])
@pytest.mark.parametrize("call", ["record", "list", "map", "walk"])
async def test_depth_is_a_typed_error(call: str, wrapped: bytes, levels: int, deep: Any) -> None:
    async with Answers(wrapped % deep(levels)).client() as toggl:
        with pytest.raises(DecodeError):
            await (walked(toggl) if call == "walk" else CALLS[call](toggl))


async def walked(toggl: TogglClient) -> list[bytes]:
    pages = toggl.walk(operation("workspace.tags.list"), path={"workspace_id": 3})
    return [row async for page in pages for row in page]


@pytest.mark.jump
@pytest.mark.parametrize("deep", NESTED.values(), ids=NESTED)
@pytest.mark.parametrize("levels", [500, 5_000, 200_000])
@pytest.mark.parametrize("keep_unknown", [False, True])
async def test_a_deep_field_that_nobody_knows_is_kept_whole_or_a_typed_error(
    levels: int, keep_unknown: bool, deep: Any
) -> None:
    # Pythons differ in how many levels they can read: 3.11 in about 1,000, 3.13 in about 10,000.
    body = b'[{"id":1,"workspace_id":3,"name":"a","x":%s}]' % deep(levels)
    async with Answers(body).client(keep_unknown=keep_unknown) as toggl:
        try:
            (tag,) = await toggl.workspace(3).tags.list()
        except DecodeError as error:
            assert levels > 500, error  # noqa: PT017
            assert "nested too deeply" in str(error)  # noqa: PT017
        else:
            assert levels < 200_000
            assert (tag.id, tag.name) == (1, "a")
            assert "'a'" in repr(tag)
            if keep_unknown:
                assert depth(tag.unknown["x"]) == deep(levels).count(b"[") + deep(levels).count(b"{")
                assert msgspec.json.encode(tag.unknown) == b'{"x":%s}' % deep(levels)
        try:
            (row,) = await walked(toggl)
        except DecodeError:
            assert levels > 500
        else:
            assert row == body[1:-1]


async def test_a_name_that_comes_twice_is_told() -> None:
    async with Answers(b'[{"id":1,"workspace_id":3,"name":"a","name":"b"}]').client() as toggl:
        with pytest.warns(DriftWarning, match=r"\$\.name: occurs twice; the last one counts"):
            (tag,) = await toggl.workspace(3).tags.list()
    assert tag.name == "b"


@pytest.mark.parametrize("body", [b"{", b"[1,", b'"abc', b"\x00", b"}{"])
async def test_what_is_no_json_is_said_as_such(body: bytes) -> None:
    async with Answers(body).client() as toggl:
        with pytest.raises(DecodeError, match="not JSON") as caught:
            await toggl.me.get()
    assert caught.value.body == body


@pytest.mark.parametrize("body", ["1e999", '{"n":1e999}', '[{"a":{"n":-1e999}}]'])
async def test_free_json_with_a_number_that_is_out_of_range_is_kept_as_text(body: str) -> None:
    async with Answers(body.encode()).client() as toggl:
        with pytest.warns(DriftWarning, match=r"\$: a number that is out of range; kept as text"):
            assert await toggl.request("GET", "/api/v9/new") == body


async def test_the_words_of_a_refusal_can_be_written_down() -> None:
    async with Answers(b'"no \\ud800 right"', status=400).client() as toggl:
        with pytest.raises(BadRequest) as caught:
            await toggl.workspace(3).tags.list()
    assert "no \ufffd right" in str(caught.value)
    assert str(caught.value).encode()
