"""What the export's functions can't use: refused by name, before anything is sent or written."""

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.export_company import Company
from support.export_updates import OPTIONS
from toggl_async import ApiToken, InvalidInput, TogglClient
from toggl_async.export import (
    ExportPlan,
    Mirror,
    estimate,
    export,
    export_batches,
    export_every,
    refresh_every,
    survey,
)

pytestmark = [pytest.mark.anyio, pytest.mark.jump]

IDS = ("workspaces", "users", "projects", "clients", "tags")
NOT_IDS: list[Any] = [
    ["1"],
    [1.5],
    [None],
    [True],
    [0],
    [-2],
    [2**70],
    [10**5000],
    "12",
    b"1",
    5,
    None,
    {1: 2},
]


@pytest.mark.parametrize("name", IDS)
@pytest.mark.parametrize("value", NOT_IDS)
def test_a_plan_takes_ids_alone(name: str, value: Any) -> None:
    with pytest.raises(InvalidInput, match=rf"^{name}(\[0\])? must be (ids|an id)\b.*, not "):
        ExportPlan(**{name: value})


def test_a_plan_takes_ids_from_whatever_can_be_read() -> None:
    assert ExportPlan(users=(number for number in (2, 1))).users == (2, 1)
    assert ExportPlan(tags=[1]).tags == (1,)


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"everything": 1}, "everything must be True or False, not 1"),
        ({"everything": None}, "everything must be True or False, not None"),
        ({"billable": "yes"}, "billable must be True or False, not 'yes'"),
        ({"billable": 0}, "billable must be True or False, not 0"),
        ({"since": "2026-01-01"}, "since must be a date, not '2026-01-01'"),
        ({"since": dt.datetime.fromisoformat("2026-01-01")}, r"since must be a date, not datetime\.datetime"),
        ({"until": dt.datetime(2026, 1, 1, tzinfo=dt.UTC)}, r"until must be a date, not datetime\.datetime"),
        ({"until": 20260101}, "until must be a date, not 20260101"),
        ({"datasets": "tags"}, "datasets must be names of datasets in a list or a tuple, not 'tags'"),
        ({"datasets": None}, "datasets must be names of datasets in a list or a tuple, not None"),
        ({"datasets": [5]}, "unknown dataset 5"),
    ],
)
def test_a_plan_takes_what_it_can_use(choice: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=f"^{message}"):
        ExportPlan(**choice)


async def hear(_event: object) -> None:
    raise AssertionError("never called")


COMMON: list[tuple[dict[str, Any], str]] = [
    ({"client": None}, "client must be a TogglClient, not None"),
    ({"client": "token"}, "client must be a TogglClient, not 'token'"),
    ({"plan": None}, "plan must be an ExportPlan, not None"),
    ({"plan": {"since": 1}}, "plan must be an ExportPlan, not a value of type dict"),
]
RUN: list[tuple[dict[str, Any], str]] = [
    *COMMON,
    ({"max_wait": "5"}, "max_wait must be at least 0 seconds, not '5'"),
    ({"max_wait": True}, "max_wait must be at least 0 seconds, not True"),
    ({"max_wait": float("nan")}, "max_wait must be at least 0 seconds, not nan"),
    ({"on_event": "print"}, "on_event must be a function that takes an event, or None, not 'print'"),
    ({"on_event": hear}, "on_event must be a plain function, without await or yield"),
]
ONCE: list[tuple[dict[str, Any], str]] = [
    *RUN,
    ({"update": "yes"}, "update must be True or False, not 'yes'"),
    ({"older": 1}, "older must be True or False, not 1"),
    ({"recheck": 1.5}, "recheck must be a number of days, 0 or more, or None, not 1.5"),
    ({"recheck": "all"}, "recheck must be a number of days, 0 or more, or None, not 'all'"),
    ({"datasets": "tags"}, "datasets must be names of datasets in a list or a tuple, not 'tags'"),
    ({"datasets": ["nope"]}, "unknown dataset 'nope'"),
    ({"account": 7}, "account must be the result of survey, or None, not 7"),
]
FILES: list[tuple[dict[str, Any], str]] = [
    ({"destination": None}, "destination must be a path, a str or an os.PathLike"),
    ({"destination": b"out"}, "destination must be a path, a str or an os.PathLike"),
    ({"format": ["csv"]}, "format must be the name of a format, or None, not a value of type list"),
    ({"excel": 1}, "excel must be True or False, not 1"),
]
EVERY: list[tuple[dict[str, Any], str]] = [
    ({"every": "10m"}, "every must be more than 0 seconds, not '10m'"),
    ({"every": None}, "every must be more than 0 seconds, not None"),
    ({"every": 0}, "every must be more than 0 seconds, not 0"),
]


async def _export(out: Path, client: Any, plan: Any, **given: Any) -> None:
    await export(client, plan, given.pop("destination", out), **given)


async def _export_every(out: Path, client: Any, plan: Any, **given: Any) -> None:
    await anext(export_every(client, plan, given.pop("destination", out), **{"every": 60, **given}))


async def _refresh(out: Path, client: Any, plan: Any, **given: Any) -> None:
    async with Mirror(out.with_suffix(".sqlite")) as mirror:
        await mirror.refresh(client, plan, **given)


async def _refresh_every(out: Path, client: Any, plan: Any, **given: Any) -> None:
    await anext(refresh_every(client, plan, out.with_suffix(".sqlite"), **{"every": 60, **given}))


async def _estimate(_: Path, client: Any, plan: Any, **given: Any) -> None:
    await estimate(client, plan, **given)


async def _survey(_: Path, client: Any, plan: Any) -> None:
    await survey(client, plan)


async def _batches(_: Path, client: Any, plan: Any, **given: Any) -> None:
    async for _batch in export_batches(client, plan, **given):
        raise AssertionError


@pytest.mark.parametrize(
    ("run", "given", "message"),
    [
        *((_export, *one) for one in [*ONCE, *FILES]),
        *((_export_every, *one) for one in [*RUN, *FILES, *EVERY]),
        *((_refresh, *one) for one in ONCE),
        *((_refresh_every, *one) for one in [*RUN, *EVERY]),
        *((_estimate, *one) for one in [*COMMON, ({"account": 7}, "account must be the result of survey")]),
        *((_survey, *one) for one in COMMON),
        *((_batches, *one) for one in [*COMMON, ({"compare": 1}, "compare must be True or False, not 1")]),
    ],
)
async def test_what_cannot_be_used_is_refused_by_name(
    tmp_path: Path, run: Callable[..., Any], given: dict[str, Any], message: str
) -> None:
    company, out = Company(3), tmp_path / "out"
    async with TogglClient(ApiToken("made-up"), transport=company, options=OPTIONS) as client:
        with pytest.raises(InvalidInput, match=f"^{message}"):
            await run(out, **{"client": client, "plan": ExportPlan(), **given})
    assert not company.log
    assert not out.exists()


async def test_a_listener_that_returns_a_coroutine_ends_an_export(tmp_path: Path) -> None:
    async with TogglClient(ApiToken("made-up"), transport=Company(3), options=OPTIONS) as client:
        with pytest.raises(InvalidInput, match="on_event returned a coroutine, which is never awaited"):
            await export(client, ExportPlan(), tmp_path, on_event=lambda event: hear(event))  # type: ignore[arg-type]  # noqa: PLW0108


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda mirror: mirror.sql("SELECT ?", "a"), "parameters must be values in a list or a tuple, or by"),
        (lambda mirror: mirror.sql("SELECT ?", 5), "parameters must be values in a list or a tuple, or by"),
        (lambda mirror: mirror.records("tags", 5), "kind must be a type of records, not 5"),
        (lambda mirror: mirror.records("tags", str), "kind must be a type of records"),
        (lambda mirror: mirror.records("tags", keep_unknown=1), "keep_unknown must be True or False, not 1"),
        (lambda mirror: mirror.records(["tags"]), r"unknown dataset \['tags'\]"),
        (lambda mirror: mirror.feed("x"), "after must be a revision"),
        (lambda mirror: mirror.feed(None), "after must be a revision"),
    ],
)
async def test_a_mirror_takes_what_it_can_use(
    tmp_path: Path, ask: Callable[[Any], Any], message: str
) -> None:
    async with Mirror(tmp_path / "m.sqlite") as mirror:
        with pytest.raises(InvalidInput, match=f"^{message}"):
            await ask(mirror)


class _BytesPath:
    def __fspath__(self) -> bytes:
        return b"m.sqlite"


@pytest.mark.parametrize("url", [None, 5, b"m.sqlite", _BytesPath()])
def test_a_mirror_is_named_by_a_url_or_a_path(url: Any) -> None:
    with pytest.raises(InvalidInput, match="a mirror is named by a URL or a path"):
        Mirror(url)
