"""Natural guesses that are wrong: each error says what to write."""

import copy
import functools
import pickle
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from toggl_async import ApiToken, ClientOptions, InvalidInput, TogglClient, operations

TOKEN = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def toggl() -> Any:
    """A client, of no type: a type checker refuses most of what is written here."""
    transport = httpx.MockTransport(lambda request: httpx.Response(200, json=[{"id": 1, "name": "x"}]))
    return TogglClient(ApiToken(TOKEN), transport=transport)


NAMES: list[tuple[Callable[[Any], object], str]] = [
    (lambda toggl: toggl.workspaces, "has no attribute 'workspaces': look at toggl.workspace(id), "),
    (lambda toggl: toggl.workspaces, "toggl.me.workspaces"),
    (lambda toggl: toggl.projects, "toggl.workspace(id).projects"),
    (lambda toggl: toggl.time_entry, "toggl.me.time_entries, toggl.workspace(id).time_entries"),
    (lambda toggl: toggl.reports, ": look at toggl.workspace(id).reports"),
    (lambda toggl: toggl.close, "TogglClient has no attribute 'close': did you mean 'aclose'?"),
    (lambda toggl: toggl.xyzzy, "; it has "),
    (
        lambda toggl: toggl.workspace(3).time_entries.list,
        "TimeEntries has no attribute 'list': look at toggl.me.time_entries.list",
    ),
    (lambda toggl: toggl.me.time_entries.create, "look at toggl.workspace(id).time_entries.create"),
    (lambda toggl: toggl.workspace(3).detailed, ": look at toggl.workspace(id).reports.detailed"),
    (
        lambda toggl: toggl.workspace(3).project,
        "'project': look at toggl.workspace(id).projects",
    ),
    (lambda toggl: toggl.workspace(3).projects.remove, ": did you mean 'delete'?"),
    (lambda toggl: toggl.workspace(3).projects.creat, ": did you mean 'create'?"),
    (lambda toggl: toggl.workspace(3).tags.xyzzy, "; it has bulk_delete, create, delete, "),
    (lambda toggl: toggl.me.api_token, ": look at (await toggl.me.get()).api_token"),
    (lambda toggl: toggl.me.timezone, ": look at (await toggl.me.get()).timezone"),
    (lambda toggl: toggl.email, ": look at (await toggl.me.get()).email"),
    (lambda toggl: toggl.workspace(3).name, ": look at (await toggl.workspace(id).get()).name"),
    (lambda toggl: toggl.workspace(3).tags.get, "Tags has no attribute 'get': did you mean 'list'?"),
    (lambda toggl: toggl.workspace(3).users.get, "'get': did you mean 'list'?"),
    (lambda toggl: toggl.workspace(3).tags.search, "'search': did you mean 'list'?"),
    (lambda toggl: toggl.workspace(3).clients.iter, "'iter': did you mean 'list'?"),
    (lambda toggl: toggl.workspace(3).reports.detailed.list, "'list': did you mean 'iter'?"),
    (lambda toggl: toggl.get, "'get': look at toggl.request(\"GET\", path)"),
    (lambda toggl: toggl.post, "'post': look at toggl.request(\"POST\", path)"),
    (lambda toggl: toggl.start, ": look at toggl_async.timer.start(toggl.workspace(id))"),
    (lambda toggl: toggl.timer, ": look at toggl_async.timer"),
    (lambda toggl: toggl.current_user, ": look at toggl.me.get()"),
    (
        lambda toggl: toggl.workspace(3).time_entries.start,
        ": look at toggl_async.timer.start(toggl.workspace(id))",
    ),
]


@pytest.mark.parametrize(("guess", "said"), NAMES, ids=[said for _, said in NAMES])
def test_a_name_in_the_wrong_place_is_told_where_it_is(
    guess: Callable[[Any], object], said: str, toggl: Any
) -> None:
    with pytest.raises(AttributeError) as caught:
        guess(toggl)
    assert said in str(caught.value)


def test_a_resource_of_ones_own_gets_hints_as_well(toggl: Any) -> None:
    class Moods(type(toggl.me)):  # type: ignore[misc]
        pass

    with pytest.raises(AttributeError, match=r"^Moods has no attribute 'xyzzy'$"):
        _ = Moods(toggl.me._caller, {}).xyzzy


def test_every_place_that_is_named_is_there(toggl: Any) -> None:
    asked = ["workspaces", "projects", "tags", "clients", "goals", "favorites", "invoices", "webhooks"]
    for name in asked:
        with pytest.raises(AttributeError) as caught:
            getattr(toggl, name)
        places = str(caught.value).partition(": look at ")[2].split(", ")
        for place in places:
            assert eval(place, {"toggl": toggl, "id": 3, "token": "x"}) is not None


def resources(place: str, one: Any) -> Iterator[tuple[str, Any]]:
    """A scope or resource, and all that it has."""
    yield place, one
    for name, member in vars(type(one)).items():
        if isinstance(member, functools.cached_property):
            yield from resources(f"{place}.{name}", getattr(one, name))


IRREVOCABLE = {one.name.rpartition(".")[2] for one in operations() if one.method == "DELETE"} | {
    "bulk_delete",
    "close_account",
    "reset",
    "reset_token",
}


def test_no_wrong_name_leads_to_what_destroys_or_resets(toggl: Any) -> None:
    places = [
        ("toggl", toggl),
        *(
            found
            for name in ("me", "service", "calendar", "organizations")
            for found in resources(name, getattr(toggl, name))
        ),
        *(
            found
            for name in ("workspace", "organization")
            for found in resources(name, getattr(toggl, name)(3))
        ),
    ]
    near = [f"{one}{more}" for one in IRREVOCABLE for more in ("d", "_it", "s")]
    near += [one[:-1] for one in IRREVOCABLE]
    guesses = {*near, "api_token", "token", "account", "tokens", "get_token", "end", "set", "closed", "left"}
    for place, one in places:
        for guess in guesses - set(dir(one)) - IRREVOCABLE:
            with pytest.raises(AttributeError) as caught:
                getattr(one, guess)
            found = re.findall(r"(?:look at|did you mean) (.*)", str(caught.value))
            named = {path.rpartition(".")[2].strip("'?") for path in ", ".join(found).split(", ")}
            assert not named & IRREVOCABLE, (place, guess, str(caught.value))


def test_asking_whether_a_name_is_there_stays_cheap_and_plain(toggl: Any) -> None:
    assert not hasattr(toggl, "workspaces")
    assert getattr(toggl.workspace(3).tags, "listing", "none") == "none"
    assert not hasattr(toggl.me, "workspace_id")
    assert not hasattr(toggl, "_repr_html_")
    assert not hasattr(toggl.me, "_repr_html_")
    code = (
        "import sys; from toggl_async import TogglClient, ApiToken; toggl = TogglClient(ApiToken('a' * 32));"
        "assert not hasattr(toggl.me, 'name') and not hasattr(toggl, 'name');"
        "assert 'toggl_async._client.whereabouts' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_such_an_error_can_be_copied_and_sent_on(toggl: Any) -> None:
    with pytest.raises(AttributeError) as caught:
        _ = toggl.workspaces
    for error in (caught.value, copy.copy(caught.value)):
        again = pickle.loads(pickle.dumps(error))
        assert isinstance(again, AttributeError)
        assert str(again) == str(caught.value)


ARGUMENTS: list[tuple[Callable[[Any], object], str]] = [
    (lambda client: client(api_token=TOKEN), "no argument 'api_token': use TogglClient(ApiToken(…))"),
    (
        lambda client: client(email="a@b.c", password="x"),
        "use TogglClient(EmailPassword(email, password))",
    ),
    (lambda client: client(ApiToken(TOKEN), timeout=5), "'timeout': pass options=ClientOptions(timeout=…)"),
    (lambda client: client(ApiToken(TOKEN), priority=1), "client.with_options(priority=…)"),
    (lambda client: client(ApiToken(TOKEN), base_uri="x"), "'base_uri': did you mean 'base_url'?"),
    (lambda client: client(ApiToken(TOKEN), xyzzy=1), "'xyzzy'; the arguments are auth, base_url, "),
    (lambda client: client.from_env(token=TOKEN), "no argument 'token': use TogglClient(ApiToken(…))"),
]


@pytest.mark.parametrize(("guess", "said"), ARGUMENTS, ids=[said for _, said in ARGUMENTS])
def test_an_argument_of_the_client_that_is_none_is_told_what_to_write(
    guess: Callable[[Any], object], said: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        guess(TogglClient)
    assert said in str(caught.value)
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("priority", "there is no argument 'priority': use client.with_options(priority=…)"),
        ("attempts", "'attempts': pass retry=Retry(attempts=…)"),
        ("interval", "'interval': pass pace=Pace(interval=…)"),
        ("base_url", "'base_url': pass it to TogglClient"),
        ("time_out", "'time_out': did you mean 'timeout'?"),
        ("xyzzy", "'xyzzy'; the arguments are pace, retry, "),
    ],
)
def test_an_option_that_is_none_is_told_what_to_write(name: str, said: str) -> None:
    options: Any = ClientOptions
    with pytest.raises(InvalidInput) as caught:
        options(**{name: 1})
    assert said in str(caught.value)


@pytest.mark.anyio
async def test_pages_that_are_awaited_are_collected(toggl: Any) -> None:
    found = await toggl.workspace(3).projects.iter()
    assert [project.id for project in found] == [1]
    assert found == await toggl.workspace(3).projects.iter().collect()
