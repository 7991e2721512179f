"""`toggl-async feed`: the changes of a mirror as JSON lines, and where to go on."""

import contextlib
import datetime as dt
import io
import json
import re
import sqlite3
import stat
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.clock import JUMP
from support.export_company import FIRST, NOW, Company, Entry
from support.stores import TAGS, commit
from toggl_async import ApiToken, ClientOptions, Pace, TogglClient
from toggl_async.cli import main
from toggl_async.export import ExportPlan, Mirror
from toggl_async.export.mirror.sqlite import SqliteStore
from toggl_async.export.rows import Line

DAY = dt.timedelta(days=1)


def feed(*arguments: object) -> list[dict[str, Any]]:
    """The lines of a run that succeeds."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert main(["feed", *map(str, arguments)]) == 0
    return [json.loads(line) for line in out.getvalue().splitlines()]


def apply(copy: dict[str, Any], lines: list[dict[str, Any]]) -> int:
    """Apply lines to a copy, and return the revision to go on from."""
    *changes, end = lines
    for change in changes:
        place = f"{change['dataset']} {change['key']}"
        if change["deleted"]:
            copy.pop(place, None)
        else:
            copy[place] = change["row"]
    revision: int = end["revision"]
    return revision


@pytest.fixture
def store(tmp_path: Path) -> SqliteStore:
    made = SqliteStore(tmp_path / "mirror.sqlite")
    made.open()
    made.commit(commit(TAGS, [Line(number, b'{"id":%d, "a":1e2}' % number) for number in (1, 2, 3)]))
    made.commit(commit(TAGS, deleted=[2]))
    made.close()
    return made


def test_a_line_is_a_row_or_its_deletion(
    store: SqliteStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["feed", str(tmp_path)]) == 0
    *lines, last = capsys.readouterr().out.splitlines()
    assert lines == [
        '{"dataset":"tags","key":{"id":1},"revision":1,"deleted":false,"row":{"id":1, "a":1e2}}',
        '{"dataset":"tags","key":{"id":3},"revision":3,"deleted":false,"row":{"id":3, "a":1e2}}',
        '{"dataset":"tags","key":{"id":2},"revision":4,"deleted":true}',
    ]
    end = json.loads(last)
    assert end == {"mirror": store.open().id, "revision": 4}
    assert feed(f"sqlite:///{store.path}", "--after", 3) == [json.loads(lines[2]), end]
    assert feed(store.path, "--after", 4) == [end]
    store.close()


def test_a_feed_of_many_rows_is_whole(store: SqliteStore) -> None:
    store.open()
    store.commit(commit(TAGS, [Line(number, b'{"id":%d}' % number) for number in range(10, 1210)]))
    store.close()
    *lines, end = feed(store.path)
    assert len(lines) == 1203
    assert [line["revision"] for line in lines] == sorted(line["revision"] for line in lines)
    assert end["revision"] == lines[-1]["revision"]


def test_the_state_file_says_where_to_go_on(store: SqliteStore, tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    *lines, end = feed(store.path, "--state", state)
    assert len(lines) == 3
    assert json.loads(state.read_bytes()) == end
    assert stat.S_IMODE(state.stat().st_mode) == 0o600
    assert feed(store.path, "--state", state) == [end]
    store.open()
    store.commit(commit(TAGS, [Line(9, b'{"id":9}')]))
    store.close()
    change, end = feed(store.path, "--state", state)
    assert (change["key"], end["revision"]) == ({"id": 9}, 5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{mirror}", "--after", "1", "--state", "{state}"], "--after and --state cannot be combined"),
        (["{mirror}", "--after", "5"], "the mirror's latest revision is 4, so 5 belongs to another mirror"),
        (["{mirror}", "--after", "-1"], "-1 is not in the range x>=0"),
        (["{state}.none"], "there is no mirror at"),
        (
            ["{mirror}", "--state", "{state}"],
            "state.json is damaged, or not a state file of this command; remove it, or name another",
        ),
        (
            ["{mirror}", "--state", "{empty}"],
            "empty.json is empty, so where the last run ended is not known; .* and apply the whole feed",
        ),
        (
            ["{mirror}", "--state", "{state}/below"],
            "cannot write .*below: there is no directory .*state.json",
        ),
        (["{mirror}", "--state", "{state}" + 300 * "x"], "cannot read .*xxx: File name too long"),
        (["{mirror}", "--state", "{other}"], "the state file belongs to another mirror than"),
        (["postgresql://ann:hunter2@host/toggl"], "the URL contains a password"),
        (["mysql://host"], "cannot keep a mirror in mysql://"),
    ],
)
def test_what_is_refused(
    store: SqliteStore, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    state, other = tmp_path / "state.json", tmp_path / "other.json"
    state.write_text("[1")
    other.write_text('{"mirror":"0011","revision":1}')
    empty = tmp_path / "empty.json"
    empty.touch()
    places = {"mirror": store.path, "state": state, "other": other, "empty": empty}
    assert main(["feed", *(argument.format_map(places) for argument in arguments)]) == 2
    seen = capsys.readouterr()
    assert seen.out == ""
    assert len(seen.err.splitlines()) == 1
    assert "hunter2" not in seen.err
    assert re.search(message, seen.err)


def test_no_command_takes_a_password(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "--to", "postgresql://ann:hunter2@host/toggl"]) == 2
    said = capsys.readouterr().err
    assert "the URL contains a password" in said
    assert "hunter2" not in said


def test_a_mirror_that_cannot_be_read_is_no_end(
    store: SqliteStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged = sqlite3.connect(store.path)
    damaged.execute("DROP TABLE tags")
    damaged.close()
    state = tmp_path / "state.json"
    assert main(["feed", str(store.path), "--state", str(state)]) == 1
    assert "the feed ended early: no such table: tags" in capsys.readouterr().err
    assert not state.exists()


Step = tuple[str, int, int]


@pytest.mark.slow
@settings(max_examples=max(settings().max_examples // 10, 10))
@given(
    steps=st.lists(
        st.lists(
            st.tuples(
                st.sampled_from(["edit", "delete", "move", "add", "tag", "untag"]),
                st.integers(0, 30),
                st.integers(0, 9),
            ),
            max_size=4,
        ),
        min_size=1,
        max_size=4,
    ),
    data=st.data(),
)
def test_whoever_replays_the_lines_from_any_revision_ends_with_the_rows(
    tmp_path_factory: pytest.TempPathFactory, steps: list[list[Step]], data: st.DataObject
) -> None:
    """Refreshes, each after some changes at Toggl; a copy of any of them catches up to a copy made anew."""
    path = tmp_path_factory.mktemp("feed") / "mirror.sqlite"
    company = Company(entries=9)

    async def refresh() -> None:
        options = ClientOptions(pace=Pace(interval=0.001))
        async with (
            TogglClient(ApiToken("made-up"), transport=company, options=options) as client,
            Mirror(path) as mirror,
        ):
            await mirror.refresh(client, ExportPlan())

    copies: list[tuple[int, dict[str, Any]]] = [(0, {})]
    for step in [[], *steps]:
        for change in step:
            happen(company, *change)
        anyio.run(refresh, backend=JUMP[0], backend_options=JUMP[1])
        copy: dict[str, Any] = {}
        copies.append((apply(copy, feed(path)), copy))
        company.now += DAY
    revision, copy = data.draw(st.sampled_from(copies))
    copy = dict(copy)
    assert apply(copy, feed(path, "--after", revision)) == copies[-1][0]
    assert copy == copies[-1][1]
    rows = {json.dumps(row) for row in copy.values()}
    assert {entry.id for entry in company.entries if not entry.deleted} == {
        row["id"] for row in map(json.loads, rows) if "seconds" in row
    }


def happen(company: Company, what: str, number: int, value: int) -> None:
    """Change something at Toggl."""
    tags = company.lists["tags"]
    entry = company.entries[number % len(company.entries)]
    if what == "add":
        begin = NOW - dt.timedelta(days=number)
        company.entries.append(Entry(1000 + len(company.entries), FIRST, begin, at=company.now))
    elif what == "tag":
        tags.append({"id": 100 + number, "workspace_id": FIRST, "name": f"tag {value}"})
        company.lists["tags"] = list({tag["id"]: tag for tag in tags}.values())
    elif what == "untag":
        del tags[value : value + 1]
    else:
        entry.at = company.now
        if what == "edit":
            entry.description = f"edited {value}"
        elif what == "move":
            entry.start -= dt.timedelta(days=value)
        else:
            entry.deleted = True
