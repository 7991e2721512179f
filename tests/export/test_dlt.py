"""The datasets of a mirror loaded by dlt: no row doubled, none lost, after edits and deletions as well."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dlt
import pytest
from dlt.pipeline.exceptions import PipelineStepFailed

from support.postgres_server import PASSWORD, PostgresServer
from support.stores import ENTRIES, TAGS, USERS, commit, entry, line
from toggl_async.errors import InvalidInput
from toggl_async.export.dlt import toggl_source
from toggl_async.export.mirror.sqlite import SqliteStore
from toggl_async.export.rows import Line


@pytest.fixture(autouse=True)
def a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DLT_DATA_DIR", str(tmp_path / "dlt"))
    monkeypatch.setenv("RUNTIME__DLTHUB_TELEMETRY", "false")
    monkeypatch.setenv("RUNTIME__LOG_LEVEL", "CRITICAL")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    made = SqliteStore(tmp_path / "mirror.sqlite")
    made.open()
    yield made
    made.close()


def pipeline_to(destination: Any) -> dlt.Pipeline:
    return dlt.pipeline("toggl", destination=destination, dataset_name="toggl")


def rows_of(pipeline: dlt.Pipeline, statement: str) -> list[tuple[Any, ...]]:
    with pipeline.sql_client() as client, client.execute_query(statement) as cursor:
        return [tuple(row) for row in cursor.fetchall()]


def follow(store: SqliteStore, pipeline: dlt.Pipeline) -> None:
    """Load, edit, delete, forget and load, and compare with the mirror each time."""
    url = f"sqlite:///{store.path}"
    names = ["tags", "users", "time_entries", "groups"]

    def load() -> None:
        pipeline.run(toggl_source(url, datasets=names)).raise_on_failed_jobs()
        for name in names:
            with store.snapshot() as snapshot:
                expected = [row.key for row in snapshot.changes(0) if row.dataset == name and not row.deleted]
                revisions = [
                    row.revision for row in snapshot.changes(0) if row.dataset == name and not row.deleted
                ]
            key = "workspace_id, id" if name == "users" else "id"
            found = rows_of(pipeline, f"SELECT {key}, revision, deleted FROM {name}")
            assert sorted(found) == sorted(
                (*one, revision, False) for one, revision in zip(expected, revisions, strict=True)
            )

    load()
    store.commit(commit(ENTRIES, [entry(number, 60 + number) for number in range(1, 30)]))
    store.commit(
        commit(TAGS, [Line(1, rb'{"id":1,"workspace_id":10,"name":"a\u0000b"}'), Line(2, b'{"id":2}')])
    )
    for space in (10, 20):
        user = Line(7, b'{"id":7,"workspace_id":%d,"fullname":"Zo\xc3\xab"}' % space)
        store.commit(commit(USERS, [user], workspace_id=space))
    tagged = b'{"id":99,"workspace_id":10,"start":"2026-01-02T00:30:00+01:00","seconds":5,"tag_ids":[1,2]}'
    store.commit(commit(ENTRIES, [line(tagged), line(b'{"seconds":"odd"}')]))
    load()
    select = "SELECT start, day, seconds, tag_ids FROM time_entries WHERE id = 99"
    ((start, day, seconds, tags),) = rows_of(pipeline, select)
    assert (start.isoformat()[:19], str(day)) == ("2026-01-01T23:30:00", "2026-01-02")
    assert (seconds, tags) == (5, "[1,2]")
    assert rows_of(pipeline, "SELECT name FROM tags WHERE id = 1") == [(None,)]
    load()
    store.commit(commit(ENTRIES, [entry(1, 1), entry(2, 62), entry(50)], deleted=[3, 4]))
    store.commit(commit(ENTRIES, [entry(60)]))
    store.commit(commit(ENTRIES, deleted=[60]))  # of which no load has heard
    store.commit(commit(USERS, deleted=[7], workspace_id=10))
    load()
    assert rows_of(pipeline, "SELECT seconds FROM time_entries WHERE id = 1") == [(1,)]
    store.commit(commit(ENTRIES, [entry(3, 33)]))
    load()


@pytest.mark.slow
def test_every_load_ends_with_the_rows_of_the_mirror(store: SqliteStore, tmp_path: Path) -> None:
    follow(store, pipeline_to(dlt.destinations.duckdb(str(tmp_path / "loaded.duckdb"))))


@pytest.mark.nightly
def test_every_load_into_a_server_ends_with_the_rows_of_the_mirror(
    store: SqliteStore, postgres: PostgresServer
) -> None:
    with postgres.connect() as other:
        other.execute("CREATE DATABASE loaded")
    url = postgres.url("loaded").replace("toggl@", f"toggl:{PASSWORD.replace(' ', '%20')}@")
    follow(store, pipeline_to(dlt.destinations.postgres(url)))


@pytest.mark.slow
def test_a_mirror_that_was_made_anew_is_loaded_anew(store: SqliteStore, tmp_path: Path) -> None:
    pipeline = pipeline_to(dlt.destinations.duckdb(str(tmp_path / "loaded.duckdb")))
    store.commit(commit(TAGS, [Line(number, b"{}") for number in (1, 2)]))
    pipeline.run(toggl_source(str(store.path), datasets=["tags"]))
    anew = SqliteStore(tmp_path / "anew.sqlite")
    anew.open()
    anew.commit(commit(TAGS, [Line(number, b"{}") for number in (2, 3, 4)]))
    anew.close()
    with pytest.raises(PipelineStepFailed, match="is not the mirror that was loaded before"):
        pipeline.run(toggl_source(str(anew.path), datasets=["tags"]))
    assert rows_of(pipeline, "SELECT id FROM tags ORDER BY id") == [(1,), (2,)]
    pipeline.run(toggl_source(str(anew.path), datasets=["tags"]), refresh="drop_sources")
    assert rows_of(pipeline, "SELECT id FROM tags ORDER BY id") == [(2,), (3,), (4,)]


def test_resources_say_what_their_columns_are(store: SqliteStore) -> None:
    source = toggl_source(str(store.path))
    assert len(source.resources) == 9
    entries: dict[str, Any] = {**source.resources["time_entries"].compute_table_schema()}
    columns = entries["columns"]
    assert columns["id"]["primary_key"]
    assert columns["deleted"]["hard_delete"]
    assert [columns[name]["data_type"] for name in ("start", "day", "seconds", "billable", "tag_ids")] == [
        "timestamp", "date", "bigint", "bool", "text",
    ]  # fmt: skip
    with pytest.raises(InvalidInput, match="novelty"):
        toggl_source(str(store.path), datasets=["novelty"])
    with pytest.raises(InvalidInput, match="datasets must be names of datasets in a list or a tuple"):
        toggl_source(str(store.path), datasets="tags")
    with pytest.raises(InvalidInput, match="cannot keep a mirror in mysql://"):
        toggl_source("mysql://host")


def test_where_no_mirror_is_none_is_made(tmp_path: Path) -> None:
    with pytest.raises(PipelineStepFailed, match="there is no mirror at"):
        pipeline_to("duckdb").run(toggl_source(str(tmp_path / "none" / "mirror.sqlite")))
    assert not (tmp_path / "none").exists()
