import datetime as dt
import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toggl_async.export.intake import rows_of
from toggl_async.export.mirror.tables import table
from toggl_async.export.read.report_rows import report_lines
from toggl_async.export.read.running import REPORT_FIELDS, running_line
from toggl_async.export.rows import (
    Line,
    changed_at,
    entry_lines,
    is_deleted,
    known_of,
    list_line,
    stand_in,
    totals_of,
)

GROUP = {
    "user_id": 7,
    "username": "Zoë",
    "project_id": None,
    "tag_ids": [3],
    "row_number": 1,
    "unheard_of": {"a": [1.50]},
    "time_entries": [
        {"id": 11, "seconds": 60, "start": "2026-02-03T23:30:00+03:00", "stop": "2026-02-03T23:31:00+03:00"},
        {"id": 12, "seconds": 5, "start": "2026-02-04T00:00:00+03:00", "stop": "2026-02-04T00:00:05+03:00"},
    ],
}


def test_a_row_with_a_workspace_keeps_its_bytes() -> None:
    row = b'{"name":"\\u00e9","workspace_id":null,"rate":1.50,"id":5000000001,"new":{"x":[]}}'
    line = list_line(row, workspace_id=9)
    assert line.data == row
    assert line.id == 5_000_000_001


@pytest.mark.parametrize(
    ("row", "expected"), [(b'{"id":1}', b'{"id":1,"workspace_id":9}'), (b"{}", b'{"workspace_id":9}')]
)
def test_a_row_without_a_workspace_gets_one(row: bytes, expected: bytes) -> None:
    assert list_line(row, workspace_id=9).data == expected
    assert list_line(row, workspace_id=None).data == row


def test_a_group_that_goes_by_its_other_id_gets_one() -> None:
    line = list_line(b'{"group_id":4}', workspace_id=1)
    assert line == Line(4, b'{"group_id":4,"id":4,"workspace_id":1}')
    assert list_line(b'{"group_id":4,"id":5}', workspace_id=None).id == 5


def test_line_feeds_between_tokens_go_those_in_texts_stay_escaped() -> None:
    line = list_line(b' {\r\n "id": 1,\n "name": "a\\nb", "workspace_id": 2 }\n', workspace_id=2)
    assert line.data == b'{"id":1,"name":"a\\nb","workspace_id":2}'


@pytest.mark.parametrize("row", [b"null", b'"odd"', b"[1]", b'{"id":"not a number","workspace_id":1}'])
def test_an_odd_row_is_kept_as_it_is(row: bytes) -> None:
    line = list_line(row, workspace_id=1)
    assert line.data == row
    assert line.id == stand_in(row) == known_of(row + b"\n").id < 0


def test_what_stands_in_for_an_id_is_made_of_the_content() -> None:
    row = b'{"name":"a","row_number":7,"seconds":5}'
    assert stand_in(row) == stand_in(b'{"row_number":8,"seconds":5,"name":"a"}')
    assert stand_in(row) != stand_in(b'{"name":"b","row_number":7,"seconds":5}')
    assert -(2**63) <= stand_in(row) < 0
    huge = b'{"id":%d}' % 2**63
    assert (known_of(huge).id, known_of(b'{"id":%d}' % (2**63 - 1)).id) == (stand_in(huge), 2**63 - 1)


def test_credentials_of_odd_rows_are_blanked() -> None:
    line = list_line(b'{"id":"x","api_token":"hidden"}', workspace_id=9)
    assert line.data == b'{"id":"x","api_token":null,"workspace_id":9}'


def test_a_report_row_becomes_a_line_for_each_entry() -> None:
    first, second = entry_lines(json.dumps(GROUP).encode(), workspace_id=9)
    assert (first.id, first.seconds, first.start) == (11, 60, dt.date(2026, 2, 3))
    assert (second.id, second.seconds, second.start) == (12, 5, dt.date(2026, 2, 4))
    common = {name: value for name, value in GROUP.items() if name not in {"time_entries", "row_number"}}
    entries = GROUP["time_entries"]
    assert isinstance(entries, list)
    assert json.loads(first.data) == {**common, "workspace_id": 9, **entries[0]}
    assert json.loads(second.data) == {**common, "workspace_id": 9, **entries[1]}


def test_the_values_of_a_report_row_keep_their_bytes() -> None:
    row = b'{"new":{ "a":[1.50]},"description":"\\u00e9","time_entries":[{"id":1,"seconds":60,"x":1e2}]}'
    (line,) = entry_lines(row, workspace_id=9)
    assert line.data == (
        b'{"new":{ "a":[1.50]},"description":"\\u00e9","workspace_id":9,"id":1,"seconds":60,"x":1e2}'
    )


@pytest.mark.parametrize("row", [b"null", b'{"time_entries":7}', b'{"time_entries":[7]}', b"[1]"])
def test_an_odd_report_row_is_kept_as_it_is(row: bytes) -> None:
    assert entry_lines(row, workspace_id=9) == [Line(stand_in(row), row)]


def test_an_entry_with_fields_of_odd_types_has_a_line_of_its_own() -> None:
    row = b'{"user_id":1,"time_entries":[{"id":"x","seconds":5},{"id":2,"seconds":"y","start":7}]}'
    first, second = entry_lines(row, workspace_id=9)
    assert first.data == b'{"user_id":1,"workspace_id":9,"id":"x","seconds":5}'
    assert (first.id, first.seconds) == (stand_in(first.data), 5)
    assert (second.id, second.seconds, second.start) == (2, 0, None)


@pytest.mark.parametrize(
    ("at", "moment"),
    [
        ('"2026-01-02T03:04:05+00:00"', dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)),
        ('"2026-01-02T03:04:05"', None),
        ("5", None),
        ("null", None),
    ],
)
def test_when_an_entry_last_changed(at: str, moment: dt.datetime | None) -> None:
    assert changed_at(b'{"at":%b}' % at.encode()) == moment


def test_credentials_are_blanked() -> None:
    row = b'{"id":1,"api_token":"abc","rate":1.50,"workspace_id":2}'
    assert list_line(row, workspace_id=2).data == b'{"id":1,"api_token":null,"rate":1.50,"workspace_id":2}'
    row = b'{"id":1,"ical_url":"/ical/abc","name":"\\"api_token\\"","workspace_id":2}'
    assert b"abc" not in list_line(row, workspace_id=2).data


def test_a_report_row_that_names_its_workspace_keeps_it() -> None:
    (line,) = entry_lines(b'{"workspace_id":1,"time_entries":[{"id":2}]}', workspace_id=9)
    assert json.loads(line.data) == {"workspace_id": 1, "id": 2}


@pytest.mark.parametrize("row", [b'{"user_id":1}', b'{"user_id":1,"time_entries":null}'])
def test_a_report_row_without_entries_is_not_lost(row: bytes) -> None:
    (line,) = entry_lines(row, workspace_id=9)
    assert json.loads(line.data) == {"user_id": 1, "workspace_id": 9}
    assert (line.id, line.seconds, line.start) == (stand_in(line.data), 0, None)


@pytest.mark.parametrize("start", ["soon", ""])
def test_a_start_that_is_no_date_does_no_harm(start: str) -> None:
    row = {"time_entries": [{"id": 1, "start": start, "seconds": None}]}
    (line,) = entry_lines(json.dumps(row).encode(), workspace_id=9)
    assert (line.start, line.seconds) == (None, 0)


def test_a_running_entry_has_the_shape_of_a_report_row() -> None:
    entry = {
        "id": 21, "workspace_id": 9, "user_id": 7, "description": "now", "duration": -1_780_000_000,
        "start": "2026-06-01T08:00:00+00:00", "stop": None, "tags": ["späť"], "tag_ids": [3],
        "billable": True,
    }  # fmt: skip
    running = running_line(json.dumps(entry).encode(), username="Zoë", email="zoe@example.com", timezone=None)
    assert running is not None
    assert running.workspace_id == 9
    assert (running.line.id, running.line.seconds) == (21, 0)
    assert running.line.start == dt.date(2026, 6, 1)
    row = json.loads(running.line.data)
    assert tuple(row) == REPORT_FIELDS
    assert row["stop"] is None
    assert row["seconds"] is None
    assert row["project_name"] is None
    assert (row["username"], row["email"], row["tag_names"]) == ("Zoë", "zoe@example.com", ["späť"])
    assert (row["id"], row["description"], row["billable"]) == (21, "now", True)


@pytest.mark.parametrize(
    ("start", "timezone", "shown"),
    [
        ("2026-06-01T22:30:00+00:00", "Asia/Tokyo", "2026-06-02T07:30:00+09:00"),
        ("2026-06-01T22:30:00Z", "Nowhere/Else", "2026-06-01T22:30:00Z"),
        ("2026-06-01T22:30:00Z", None, "2026-06-01T22:30:00Z"),
        ("0001-01-01T00:00:00Z", "America/New_York", "0001-01-01T00:00:00Z"),
        ("soon", "Asia/Tokyo", "soon"),
        (None, "Asia/Tokyo", None),
    ],
)
def test_a_running_entry_begins_in_the_time_zone_of_the_profile(
    start: str | None, timezone: str | None, shown: str | None
) -> None:
    entry = {"id": 5, **({} if start is None else {"start": start})}
    running = running_line(json.dumps(entry).encode(), username=None, email=None, timezone=timezone)
    assert running is not None
    assert json.loads(running.line.data)["start"] == shown


def test_nothing_runs() -> None:
    assert running_line(b"null", username=None, email=None, timezone=None) is None


def test_plain_lists_and_totals() -> None:
    assert rows_of(b'[{"id":1}, {"id":2}]') == [b'{"id":1}', b'{"id":2}']
    assert rows_of(b"null") == []
    assert totals_of(b'{"seconds":3600,"graph":[]}') == (3600, ())
    assert totals_of(b'{"seconds":3,"resolution":"month","graph":[{"seconds":3},{}]}') == (3, (3, 0))
    assert totals_of(b'{"seconds":3,"resolution":"week","graph":[{"seconds":3}]}') == (3, ())
    for odd in (b"{}", b"null", b"", b"[]", b'{"error":"internal"}'):
        with pytest.raises(msgspec.ValidationError):
            totals_of(odd)


def test_odd_rows_are_no_obstacle() -> None:
    assert known_of(b'"odd"') == (None, stand_in(b'"odd"'), None, None)
    assert known_of(b'{"group_id":5,"wid":7,"start":"odd"}') == (7, 5, None, None)
    assert not is_deleted(b'"odd"')
    assert not is_deleted(b'{"server_deleted_at":null}')
    assert is_deleted(b'{"deleted_at":"2026-01-01T00:00:00Z"}')


FIELDS: dict[str, st.SearchStrategy[object]] = {
    "user_id": st.integers(0, 2**63 - 1),
    "username": st.text(),
    "description": st.none() | st.text() | st.just('"row_number":5,"time_entries":[{"id":1}]'),
    "tag_ids": st.lists(st.integers(0, 99), max_size=3),
    "tag_names": st.lists(st.text(), max_size=3),
    "billable": st.booleans(),
    "row_number": st.integers(0, 99),
    "hourly_rate_in_cents": st.none() | st.integers(0, 99),
    "novelty": st.integers(0, 9) | st.fixed_dictionaries({"row_number": st.integers(0, 9)}),
    "workspace_id": st.integers(0, 9),
}
ENTRY_FIELDS: dict[str, st.SearchStrategy[object]] = {
    "seconds": st.none() | st.integers(-9, 2**63 - 1) | st.just("sixty"),
    "start": st.text() | st.just("2026-02-03T23:30:00+03:00"),
    "at": st.none() | st.just("}]"),
    "novelty": st.integers(0, 9),
}


def pieces_of(rows: list[bytes]) -> list[msgspec.Raw]:
    """Rows as they stand in a page."""
    return msgspec.json.decode(b"[" + b",".join(rows) + b"]", type=list[msgspec.Raw])


@given(data=st.data())
def test_a_documented_row_is_cut_together_as_the_tolerant_way_puts_it_together(data: st.DataObject) -> None:
    """Whatever fields there are, in whatever order, and whatever texts hold that looks like a field."""

    def drawn(fields: dict[str, st.SearchStrategy[object]], *more: tuple[str, object]) -> dict[str, object]:
        names = data.draw(st.lists(st.sampled_from(sorted(fields)), unique=True))
        pairs = [*((name, data.draw(fields[name])) for name in names), *more]
        return dict(data.draw(st.permutations(pairs)))

    def row() -> bytes:
        count = data.draw(st.integers(1, 2))
        entries = [drawn(ENTRY_FIELDS, ("id", number)) for number in range(1, count + 1)]
        return msgspec.json.encode(drawn(FIELDS, ("time_entries", entries)))

    rows = [row() for _ in range(data.draw(st.integers(1, 3)))]
    tolerant = [line for row in rows for line in entry_lines(row, workspace_id=10)]
    assert [
        (line.id, line.data, line.seconds, line.start)
        for line in report_lines(pieces_of(rows), workspace_id=10)
    ] == [(line.id, line.data, line.seconds, line.start) for line in tolerant]


@given(
    group=st.fixed_dictionaries(
        {}, optional=FIELDS | {"novelty": st.nothing(), "workspace_id": st.nothing()}
    ),
    number=st.sampled_from([b"", b'"row_number":12', b'"row_number":-0', b'"row_number":12.0']),
    gaps=st.lists(st.sampled_from([b"", b" ", b"\n", b"\r\n\t"]), min_size=9, max_size=9),
    at=st.sampled_from(["2026-02-03T23:30:00+03:00", "}]", "a]", '"}],', "\\"]),
    places=st.permutations(range(3)),
)
def test_spaces_between_tokens_are_no_obstacle(
    group: dict[str, object], number: bytes, gaps: list[bytes], at: str, places: list[int]
) -> None:
    """JSON may have them anywhere, and what is cut out must be JSON again."""
    group.pop("row_number", None)
    entry = b'{%b"id":5,"at":%b%b}' % (gaps[0], json.dumps(at).encode(), gaps[1])
    entries = b'%b"time_entries"%b:%b[%b%b]' % (gaps[2], gaps[3], gaps[4], entry, gaps[5])
    parts = [msgspec.json.encode(group)[1:-1], entries, number and gaps[6] + number + gaps[7]]
    row = b"{" + (gaps[8] + b",").join(part for part in (parts[place] for place in places) if part) + b"}"
    (line,) = report_lines(pieces_of([row]), workspace_id=10)
    assert msgspec.json.decode(line.data) == group | {"workspace_id": 10, "id": 5, "at": at}
    assert b"\n" not in line.data


@pytest.mark.parametrize(
    "row",
    [
        b'{"user_id":1,"time_entries":[{"id":5}]}',
        b'{"user_id":1,"time_entries":[{"id":5}],"row_number":12}',
        b'{"time_entries":[{"id":5}],"row_number":12,"user_id":1}',
        b'{"row_number":12,"time_entries":[{"id":5}],"user_id":1}',
        b'{"user_id":1,"row_number":12,"time_entries":[{"id":5}]}',
        b'{"user_id":1,"row_number": 12,"time_entries":[{"id":5}]}',
        b'{"user_id":1,"time_entries":[{"id":5}],"row_number":-0}',
        b'{"user_id":1,"time_entries":[{"id":5}],"row_number":12.0}',
        b'{"user_id":1,"time_entries":[{"id":5} ]}',
        b'{"user_id":1,"time_entries":[{"id":5}] }',
        b'{"user_id":1, "time_entries":[{"id":5}]}',
    ],
)
def test_the_number_of_a_row_goes_wherever_it_stands(row: bytes) -> None:
    (line,) = report_lines(pieces_of([row]), workspace_id=10)
    assert line.data == b'{"user_id":1,"workspace_id":10,"id":5}'


@pytest.mark.parametrize("at", ["]", '"]', "}]", '}],"row_number":12}', "\\", '\\"}]'])
def test_what_looks_like_the_end_of_an_entry_is_a_part_of_its_text(at: str) -> None:
    row = b'{"time_entries":[{"id":5,"at":%b}],"row_number":12}' % json.dumps(at).encode()
    (line,) = report_lines(pieces_of([row]), workspace_id=10)
    assert json.loads(line.data) == {"workspace_id": 10, "id": 5, "at": at}


def test_a_list_of_entries_that_comes_twice_leaves_nothing_behind() -> None:
    row = b'{"user_id":1,"time_entries":[{"id":2}],"time_entries":[{"id":2}]}'
    (line,) = report_lines(pieces_of([row]), workspace_id=9)
    assert line.data == b'{"user_id":1,"workspace_id":9,"id":2}'


@given(
    rows=st.lists(
        st.fixed_dictionaries(
            {
                "time_entries": st.lists(
                    st.fixed_dictionaries(
                        {"id": st.integers(1, 2**63 - 1)},
                        optional={
                            "seconds": st.none() | st.integers(0, 99),
                            "start": st.none() | st.just("2026-02-03T23:30:00+03:00"),
                            "stop": st.none() | st.just("2026-02-04T23:30:00+03:00"),
                            "at": st.just("2026-02-03T20:30:00+00:00"),
                        },
                    ),
                    min_size=1,
                    max_size=1,
                )
            },
            optional=FIELDS | {"workspace_id": st.nothing()},
        ),
        min_size=1,
        max_size=3,
    )
)
def test_what_a_mirror_stores_of_a_documented_row_is_what_it_stores_of_any(
    rows: list[dict[str, object]],
) -> None:
    lines = report_lines(pieces_of([msgspec.json.encode(row) for row in rows]), workspace_id=10)
    for line in lines:
        plain = Line(line.id, line.data, line.seconds, line.start)
        assert table("time_entries").stored_cells(line, 10) == table("time_entries").stored_cells(plain, 10)
