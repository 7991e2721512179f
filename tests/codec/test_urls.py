import datetime as dt
import enum
from urllib.parse import unquote, urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from toggl_async.codec import expand_path, path_value, query_items, query_value
from toggl_async.errors import InvalidInput

NOON = dt.datetime(2024, 3, 12, 12, tzinfo=dt.timezone(dt.timedelta(hours=3)))
NAIVE = dt.datetime(2024, 3, 12, 12)  # noqa: DTZ001 - that is the point


class Status(enum.StrEnum):
    ACTIVE = "active"


def test_paths_take_their_values_by_name() -> None:
    path = expand_path(
        "/api/v9/workspaces/{workspace_id}/time_entries/{ids}",
        {"workspace_id": 7, "ids": [1, 2], "spare": None},
    )
    assert path == "/api/v9/workspaces/7/time_entries/1,2"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (-5, "-5"),
        ("a/b?c#d%e f", "a%2Fb%3Fc%23d%25e%20f"),
        ("../x", "..%2Fx"),
        ("%2e%2e", "%252e%252e"),
        ("...", "..."),
        ("Zoë", "Zo%C3%AB"),
        (dt.date(2024, 3, 12), "2024-03-12"),
        (NOON, "2024-03-12T12%3A00%3A00%2B03%3A00"),
        (Status.ACTIVE, "active"),
        ((3,), "3"),
    ],
)
def test_path_values(value: object, expected: str) -> None:
    assert path_value(value, "id") == expected


@pytest.mark.parametrize(
    "value",
    [
        "",
        ".",
        "..",
        [],
        (),
        [""],
        ["a,b"],
        None,
        UNSET,
        True,
        1.5,
        [None],
        NAIVE,
        b"x",
        {"a": 1},
        "\ud800",
        [[1]],
    ],
)
def test_what_cannot_stand_in_a_path_is_refused_by_name(value: object) -> None:
    with pytest.raises(InvalidInput, match=r"^client_id: "):
        path_value(value, "client_id")


def test_a_missing_path_value_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"^project_id: "):
        expand_path("/projects/{project_id}", {})


@given(value=st.text() | st.integers() | st.lists(st.integers()) | st.datetimes() | st.dates())
def test_no_value_leaves_its_segment(value: object) -> None:
    try:
        path = expand_path("/api/v9/workspaces/{id}/tags", {"id": value})
    except InvalidInput:
        return
    seen = urlsplit(str(httpx.URL("https://api.track.toggl.com" + path)))
    assert (seen.scheme, seen.netloc, seen.query, seen.fragment) == ("https", "api.track.toggl.com", "", "")
    before, middle, after = seen.path.removeprefix("/api/v9/").split("/")
    assert (before, after) == ("workspaces", "tags")
    assert middle not in {"", ".", ".."}
    assert not isinstance(value, str) or unquote(middle) == value


def test_queries() -> None:
    items = query_items(
        {
            "active": True,
            "archived": False,
            "user_ids": [1, 2],
            "tags": {"a"},
            "name": "Zoë & co",
            "empty": "",
            "page": 3,
            "rate": 1.5,
            "status": Status.ACTIVE,
            "since": NOON,
            "day": dt.date(2024, 3, 12),
            "left_out": UNSET,
        }
    )
    assert items == (
        ("active", "true"),
        ("archived", "false"),
        ("user_ids", "1,2"),
        ("tags", "a"),
        ("name", "Zoë & co"),
        ("empty", ""),
        ("page", "3"),
        ("rate", "1.5"),
        ("status", "active"),
        ("since", "2024-03-12T12:00:00+03:00"),
        ("day", "2024-03-12"),
    )
    assert httpx.QueryParams(items)["since"] == "2024-03-12T12:00:00+03:00"
    assert "%2B03" in str(httpx.URL("https://x", params=items))


def test_unset_alone_is_left_out() -> None:
    assert query_value(UNSET, "page") is None
    assert query_items({"page": UNSET}) == ()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "since: None cannot be sent here"),
        ([], "since: an empty sequence"),
        (["a,b"], "since: items must not be empty or contain a comma"),
        (NAIVE, "since: the datetime 2024-03-12 12:00:00 needs a time zone"),
        (float("nan"), "since: nan cannot be sent here"),
        ({"a": 1}, "since: a value of type dict cannot be sent here"),
        (b"secret", "since: a value of type bytes cannot be sent here"),
    ],
)
def test_what_cannot_stand_in_a_query_is_refused_by_name(value: object, message: str) -> None:
    with pytest.raises(InvalidInput, match=f"^{message}"):
        query_items({"since": value})
