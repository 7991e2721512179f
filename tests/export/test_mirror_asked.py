"""What `Mirror` refuses before it does anything: statements that do more than read, senseless values."""

import datetime as dt
import re
from pathlib import Path
from typing import Any

import pytest

from support.stores import TAGS, commit
from toggl_async import ApiToken, InvalidInput, TogglClient
from toggl_async.export import ExportPlan, Mirror
from toggl_async.export.mirror.urls import store_of
from toggl_async.export.rows import Line

pytestmark = [pytest.mark.anyio, pytest.mark.jump]


@pytest.fixture
def url(mirror_url: str) -> str:
    store = store_of(mirror_url)
    store.open()
    store.commit(commit(TAGS, [Line(number, b'{"id":%d,"name":"a"}' % number) for number in (1, 2)]))
    store.close()
    return mirror_url


async def refused(mirror: Mirror, statement: Any, *parameters: Any) -> str:
    with pytest.raises(InvalidInput) as caught:
        await mirror.sql(statement, *parameters)
    assert await mirror.sql("SELECT COUNT(*) AS found FROM tags") == [{"found": 2}]
    return str(caught.value)


@pytest.mark.parametrize(
    "statement",
    [
        "ATTACH '{file}' AS other",
        "VACUUM INTO '{file}'",
        "CREATE TEMP TABLE t (a)",
        "CREATE TABLE t (a)",
        "PRAGMA journal_mode = DELETE",
        "PRAGMA user_version = 7",
        "PRAGMA query_only = OFF",
        "INSERT INTO tags (id) VALUES (9)",
        "DELETE FROM tags",
        "UPDATE sqlite_master SET sql = ''",
        "DROP TABLE tags",
        "COMMIT",
        "SELECT load_extension('{file}')",
    ],
)
async def test_sqlite_does_no_more_than_read(tmp_path: Path, statement: str) -> None:
    path = tmp_path / "mirror.sqlite"
    async with Mirror(path) as mirror:
        store = store_of(path)
        store.open()
        store.commit(commit(TAGS, [Line(number, b"{}") for number in (1, 2)]))
        store.close()
        said = await refused(mirror, statement.format(file=tmp_path / "other"))
        assert re.search(
            "the statement: (it would do more than read|table sqlite_master may not be|cannot VACUUM)", said
        )
        assert not (tmp_path / "other").exists()
        columns = await mirror.sql("SELECT name FROM pragma_table_info('tags')")
        assert {"name": "raw"} in columns
        assert await mirror.sql("PRAGMA table_info(tags)")
        assert await mirror.sql("SELECT value FROM json_each('[1]')") == [{"value": 1}]


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TEMP TABLE t (a int)",
        "CREATE TABLE t (a int)",
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
        "SELECT set_config('transaction_read_only', 'off', false)",
        "SELECT nextval('s')",
        "INSERT INTO tags (id) VALUES (9) RETURNING id",
        "DELETE FROM tags",
        "DROP TABLE tags",
        "COMMIT",
        "SELECT 1 INTO other",
        "COPY tags TO PROGRAM 'true'",
    ],
)
@pytest.mark.parametrize("mirror_url", ["postgres"], indirect=True)
async def test_postgresql_does_no_more_than_read(url: str, statement: str) -> None:
    async with Mirror(url) as mirror:
        assert "the mirror refuses the statement" in await refused(mirror, statement)


async def test_rows_that_cannot_be_told_are_refused(url: str) -> None:
    async with Mirror(url) as mirror:
        for nothing in ("", "  ", "-- only a remark"):
            assert "refuses the statement" in (said := await refused(mirror, nothing)) or "no rows" in said
        said = await refused(mirror, "SELECT 1 AS a, 2 AS b, 3 AS a")
        assert said == "the statement returns several columns named a: rename them with AS"
        assert "several columns named id" in await refused(
            mirror, "SELECT t.id, o.id FROM tags AS t, tags AS o"
        )
        assert "statement must be text, not NoneType" in await refused(mirror, None)
        assert "statement must be text, not bytes" in await refused(mirror, b"SELECT 1 AS one")
        for two in ("SELECT 1 AS one; SELECT 2 AS two", "SELECT 1 AS one; DROP TABLE tags"):
            assert "refuses the statement" in await refused(mirror, two)
        assert "refuses the statement" in await refused(mirror, "SELECT 1 AS one", [object()])


@pytest.mark.parametrize("mirror_url", ["sqlite"], indirect=True)
async def test_cells_that_are_not_text_get_a_typed_error(url: str) -> None:
    async with Mirror(url) as mirror:
        assert "Could not decode to UTF-8" in await refused(mirror, "SELECT CAST(x'ff' AS TEXT) AS a")
        assert "a cell is a blob; wrap the column in hex(" in await refused(
            mirror, "SELECT 1 AS one, x'ff' AS a"
        )


@pytest.mark.parametrize("after", [-1, "x", None, 1.5, True, float("nan")])
async def test_a_feed_begins_after_a_revision(tmp_path: Path, after: Any) -> None:
    async with Mirror(tmp_path / "mirror.sqlite") as mirror:
        with pytest.raises(InvalidInput, match="after must be a revision: a whole number, 0 or more, not "):
            mirror.feed(after=after)


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"user": "x"}, "user must be an id, a whole number from 1 to 9223372036854775807, not 'x'"),
        ({"user": True}, "user must be an id"),
        ({"user": 0}, "user must be an id, a whole number from 1 to 9223372036854775807, not 0"),
        ({"user": -2}, "user must be an id"),
        ({"workspace": 0}, "workspace must be an id"),
        ({"workspace": 1.5}, "workspace must be an id"),
        ({"workspace": 2**63}, "workspace must be an id"),
        ({"before": "2026-01-01"}, "before must be a date, not '2026-01-01'"),
        ({"before": dt.datetime(2026, 1, 1, tzinfo=dt.UTC)}, "before must be a date"),
        ({"user": 1, "workspace": 2}, "forget one thing at a time: workspace and user could mean both or"),
        ({"user": 1, "before": dt.date(2026, 1, 1)}, "forget one thing at a time: user and before"),
        ({}, "choose what to forget"),
    ],
)
async def test_what_is_forgotten_is_one_thing(url: str, chosen: dict[str, Any], message: str) -> None:
    async with Mirror(url) as mirror:
        with pytest.raises(InvalidInput, match=message):
            await mirror.forget(**chosen)
        assert len(await mirror.feed()) == 2


@pytest.mark.parametrize("name", [None, 5, ["tags"], "novelties"])
async def test_records_of_what_is_no_dataset(tmp_path: Path, name: Any) -> None:
    async with Mirror(tmp_path / "mirror.sqlite") as mirror:
        with pytest.raises(InvalidInput, match="unknown dataset"):
            mirror.records(name)


@pytest.mark.parametrize("days", [-1, "31", 1.5, True])
async def test_a_recheck_is_a_number_of_days(tmp_path: Path, days: Any) -> None:
    async with Mirror(tmp_path / "mirror.sqlite") as mirror, TogglClient(ApiToken("made-up")) as client:
        with pytest.raises(InvalidInput, match="recheck must be a number of days, 0 or more, or None, not"):
            await mirror.refresh(client, ExportPlan(), recheck=days)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("sqlite:///nope.sqlite?mode=ro", r"sqlite:///PATH takes no parameters.*\?mode=ro"),
        ("sqlite:///nope.sqlite?", "takes no parameters"),
        ("postgresql://host/toggl?mode=ro", "PostgreSQL cannot read this URL"),
        (5, "a mirror is named by a URL or a path, not by int"),
        (None, "a mirror is named by a URL or a path, not by NoneType"),
        (b"mirror.sqlite", "not by bytes"),
    ],
)
def test_parameters_of_a_url_that_nobody_knows(url: Any, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        Mirror(url)


async def test_a_path_may_have_a_question_mark(tmp_path: Path) -> None:
    async with Mirror(tmp_path / "a?mode=ro") as mirror:
        assert await mirror.feed() == []
    assert (tmp_path / "a?mode=ro").exists()
