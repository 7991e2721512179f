"""Arguments of other types than their own: an InvalidInput before anything is sent."""

import math
from typing import Any

import pytest

from support.answers import Answers
from toggl_async import InvalidInput, Tag

pytestmark = pytest.mark.anyio

NAN = float("nan")


class Opaque:
    def __repr__(self) -> str:
        raise RuntimeError("a broken repr")


@pytest.mark.parametrize(
    "returns",
    ["Tag", "list[Tag]", 5, Tag(id=1), [], [Tag], {}, ...],
    ids=lambda one: type(one).__name__,
)
async def test_what_is_no_type_is_refused_before_a_write_is_sent(returns: Any) -> None:
    answers = Answers({})
    async with answers.client() as toggl:
        with pytest.raises(InvalidInput, match="returns: pass a type"):
            await toggl.request("POST", "/api/v9/new", json={}, returns=returns)
    assert not answers.asked


@pytest.mark.parametrize(
    ("method", "path", "params", "said"),
    [
        (None, "/api/v9/me", {}, "method"),
        (5, "/api/v9/me", {}, "method"),
        (b"GET", "/api/v9/me", {}, "method"),
        ("G T", "/api/v9/me", {}, "method"),
        ("GET", None, {}, "path"),
        ("GET", b"/api/v9/me", {}, "path"),
        ("GET", 5, {}, "path"),
        ("GET", "/api/v9/me", "a=b", "params"),
        ("GET", "/api/v9/me", None, "params"),
        ("GET", "/api/v9/me", [("a", "b")], "params"),
        ("GET", "/api/v9/me", {1: "b"}, "params"),
        ("GET", "/api/v9/me", {Opaque(): "b"}, "params"),
        ("GET", "/api/v9/me", {"a": "\ud800"}, "a"),
        ("GET", "/api/v9/me\ud800", {}, "path"),
    ],
)
async def test_what_makes_no_request_is_refused(method: Any, path: Any, params: Any, said: str) -> None:
    answers = Answers({})
    async with answers.client() as toggl:
        with pytest.raises(InvalidInput, match=said):
            await toggl.request(method, path, params=params)
    assert not answers.asked


@pytest.mark.parametrize(
    "limit", [1.5, "3", NAN, True, -1, -(10**5000), math.inf, [3]], ids=lambda one: type(one).__name__
)
async def test_a_limit_is_a_count_before_a_page_is_asked_for(limit: Any) -> None:
    answers = Answers([])
    async with answers.client() as toggl:
        with pytest.raises(InvalidInput, match="limit"):
            await toggl.workspace(3).projects.iter().collect(limit=limit)
    assert not answers.asked
