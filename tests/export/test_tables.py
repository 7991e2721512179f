import datetime as dt
import json

import pytest

from toggl_async.export.mirror.cells import ColumnType
from toggl_async.export.mirror.tables import DAY, EXTRA, _kind, table
from toggl_async.export.plan.datasets import DATASETS
from toggl_async.export.rows import SECRET_FIELDS, known_of, stand_in


def cells(name: str, row: object) -> dict[str, object]:
    declared = table(name)
    values = declared.values(json.dumps(row).encode())
    assert len(values) == len(declared.columns)
    return {column.name: value for column, value in zip(declared.columns, values, strict=True)}


@pytest.mark.parametrize("name", DATASETS)
def test_every_dataset_has_its_key_first_extra_last_and_no_secret(name: str) -> None:
    names = [column.name for column in table(name).columns]
    assert tuple(names[: len(DATASETS[name].key)]) == DATASETS[name].key
    assert names[-1] == EXTRA
    assert not {*SECRET_FIELDS} & {*names}
    assert len(names) == len({*names})
    assert table(name).name == name


def test_a_time_entry_in_columns() -> None:
    row = cells(
        "time_entries",
        {
            "id": 3_600_000_001,
            "workspace_id": 10,
            "seconds": 60,
            "start": "2026-01-01T00:30:00+02:00",
            "stop": None,
            "tag_ids": [1, 2],
            "tag_names": ["a", "ü"],
            "billable": True,
        },
    )
    assert row["id"] == 3_600_000_001
    assert row["start"] == dt.datetime(2025, 12, 31, 22, 30, tzinfo=dt.UTC)
    assert row[DAY] == dt.date(2026, 1, 1)  # as the profile's reports count it
    assert (row["tag_ids"], row["tag_names"], row["billable"]) == ([1, 2], ["a", "ü"], True)
    assert row["stop"] is None
    assert row[EXTRA] is None


def test_what_fits_no_column_is_kept_as_json() -> None:
    row = cells(
        "time_entries",
        {
            "id": "12",
            "seconds": 2**63,
            "start": "now",
            "stop": "2026-01-01T00:00:00",
            "billable": "yes",
            "description": 5,
            "tag_ids": [1, None],
            "tag_names": ["a", 1],
            "novelty": {"a": [1]},
        },
    )
    identity = row.pop("id")
    assert isinstance(identity, int)
    assert identity < 0  # it has none that could be used
    assert {value for name, value in row.items() if name != EXTRA} == {None}
    assert json.loads(str(row[EXTRA])) == {
        "id": "12",
        "seconds": 2**63,
        "start": "now",
        "stop": "2026-01-01T00:00:00",
        "billable": "yes",
        "description": 5,
        "tag_ids": [1, None],
        "tag_names": ["a", 1],
        "novelty": {"a": [1]},
    }


def test_a_row_that_is_no_object_is_kept_as_json() -> None:
    row = cells("users", "odd")
    assert row.pop(EXTRA) == '"odd"'
    assert (row.pop("workspace_id"), row.pop("id")) == (0, known_of(b'"odd"').id)
    assert {*row.values()} == {None}


def test_rows_that_are_more_than_one_are_no_row() -> None:
    data = b'{"id":1},{"id":2}'
    row = dict(zip(table("tags").place, table("tags").values(data), strict=True))
    assert row.pop("id") == stand_in(data)
    assert row.pop("extra") == data.decode()
    assert set(row.values()) == {None}


def test_a_report_row_that_could_not_be_split_is_kept_whole() -> None:
    row = cells("time_entries", {"user_id": 7, "time_entries": [7]})
    assert (row["user_id"], json.loads(str(row[EXTRA]))) == (7, {"time_entries": [7]})


def test_a_group_with_its_members() -> None:
    row = cells("groups", {"group_id": 4, "id": 4, "workspace_id": 10, "users": [{"user_id": 1}]})
    assert (row["workspace_id"], row["id"], row[EXTRA]) == (10, 4, None)
    assert json.loads(str(row["users"])) == [{"user_id": 1}]


def test_numbers_days_and_objects() -> None:
    row = cells(
        "projects",
        {"id": 1, "rate": 62, "fixed_fee": True, "start_date": "2026-02-03", "end_date": "soon"},
    )
    assert row["rate"] == 62.0
    assert isinstance(row["rate"], float)
    assert row["start_date"] == dt.date(2026, 2, 3)
    assert json.loads(str(row[EXTRA])) == {"fixed_fee": True, "end_date": "soon"}
    row = cells("projects", {"id": 1, "recurring_parameters": [{"x": 1}], "start_date": 5, "created_at": 5})
    assert json.loads(str(row["recurring_parameters"])) == [{"x": 1}]
    assert json.loads(str(row[EXTRA])) == {"start_date": 5, "created_at": 5}


def test_twins_and_secrets_need_no_column() -> None:
    row = cells("projects", {"id": 1, "workspace_id": 10, "wid": 10, "cid": 5, "client_id": 5})
    assert row[EXTRA] is None
    assert cells("workspaces", {"id": 1, "api_token": "x", "ical_url": "y"})[EXTRA] is None
    both = cells("clients", {"id": 1, "wid": 10, "workspace_id": 10})
    assert (both["workspace_id"], both[EXTRA]) == (10, None)
    assert cells("clients", {"id": 1, "workspace_id": 11})["workspace_id"] == 11


def test_annotations_that_have_no_type_of_their_own_are_json() -> None:
    assert _kind(dict[str, int]) is ColumnType.JSON
    assert _kind([]) is ColumnType.JSON
