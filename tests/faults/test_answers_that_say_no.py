"""Answers with status 200 that say no, or are of another shape: an error, and never what was asked for."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from support.answers import Answers
from toggl_async import DecodeError, TogglClient

pytestmark = pytest.mark.anyio

TOKEN = "1971800d4d82861d8f2c1651fea4d212"

REFUSALS: list[object] = [
    {"success": False}, {"success": False, "message": "no"},
    {"error": "no"}, "Forbidden", "forbidden", b"Forbidden",
    b"Bad Request\n", {"status": 403},
]  # fmt: skip

CALLS: dict[str, Callable[[TogglClient], Awaitable[object]]] = {
    "nothing": lambda toggl: toggl.workspace(3).tags.delete(1),
    "text": lambda toggl: toggl.workspace(3).ical.reset(),
    "token": lambda toggl: toggl.me.reset_token(),
    "file": lambda toggl: toggl.workspace(3).reports.weekly.csv(),
    "returns=str": lambda toggl: toggl.request("POST", "/api/v9/new", returns=str),
}


@pytest.mark.parametrize("said", REFUSALS, ids=str)
@pytest.mark.parametrize("call", CALLS)
async def test_a_refusal_is_an_error_whatever_its_status(call: str, said: object) -> None:
    async with Answers(said).client() as toggl:
        with pytest.raises(DecodeError, match="although the status says success"):
            await CALLS[call](toggl)


@pytest.mark.parametrize("said", ["OK", b"OK", b"", None, [], {"success": True}, "deleted"], ids=str)
async def test_a_call_without_an_answer_takes_what_toggl_says_then(said: object) -> None:
    async with Answers(said).client() as toggl:
        await CALLS["nothing"](toggl)


@pytest.mark.parametrize(
    "said",
    [[], {}, None, True, 5, "", b"", "OK", "not a token at all", ["x" * 32], {"token": TOKEN}, "ü" * 32],
    ids=str,
)
async def test_only_a_token_is_taken_for_the_new_token(said: object) -> None:
    async with Answers(said).client() as toggl:
        with pytest.raises(DecodeError, match=r"me\.reset_token"):
            await toggl.me.reset_token()


async def test_the_new_token_comes_as_json_or_as_it_is() -> None:
    for said in (TOKEN, TOKEN.encode()):
        async with Answers(said).client() as toggl:
            assert await toggl.me.reset_token() == TOKEN


async def test_what_is_no_token_is_not_quoted() -> None:
    async with Answers("a secret of another kind").client() as toggl:
        with pytest.raises(DecodeError) as error:
            await toggl.me.reset_token()
    assert "secret" not in f"{error.value} {error.value!r}"
    assert not error.value.body


@pytest.mark.parametrize("said", [[], {}, [1], {"a": 1}], ids=str)
async def test_a_list_or_an_object_is_no_text(said: object) -> None:
    async with Answers(said).client() as toggl:
        with pytest.raises(DecodeError, match="expected text, got"):
            await toggl.request("POST", "/api/v9/new", returns=str)


@pytest.mark.parametrize("said", [b"[draft] plan", b"{curly", b"plain", b'"quoted"'])
async def test_text_that_is_not_json_is_taken_as_it_is(said: bytes) -> None:
    async with Answers(said).client() as toggl:
        assert await toggl.request("POST", "/api/v9/new", returns=str) == said.decode().strip('"')


@pytest.mark.parametrize("returns", [dict, dict[str, Any], dict[str, int]], ids=str)
async def test_an_empty_list_is_no_empty_object(returns: Any) -> None:
    async with Answers([]).client() as toggl:
        with pytest.raises(DecodeError, match="expected an object, got a list"):
            await toggl.request("GET", "/api/v9/new", returns=returns)
