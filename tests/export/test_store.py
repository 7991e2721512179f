"""Every store through its protocol: what goes in comes out, and the feed of changes tells all of it."""

import datetime as dt
import errno
import hashlib
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.stores import ENTRIES, TAGS, USERS, NewStore, Place, commit, entry, line
from toggl_async.errors import InvalidInput
from toggl_async.export.mirror import postgres, schema, sql, sqlite
from toggl_async.export.mirror.pieces import Progress
from toggl_async.export.mirror.sql import SqlStore
from toggl_async.export.mirror.sqlite import SqliteStore
from toggl_async.export.mirror.storage import MirrorDamaged
from toggl_async.export.mirror.store import SCHEMA, Change, Commit, Forget, RowStore, Scope, Standing
from toggl_async.export.mirror.tables import table
from toggl_async.export.plan.datasets import DATASETS, Dataset, dataset
from toggl_async.export.plan.plan import DateRange
from toggl_async.export.rows import Line, stand_in

JANUARY = DateRange(dt.date(2026, 1, 1), dt.date(2026, 1, 31))


@pytest.fixture
def place(new_store: NewStore) -> Place:
    """The place of `store`, of which there may be other stores."""
    return new_store()


@pytest.fixture
def store(place: Place) -> Iterator[RowStore]:
    made = place()
    made.open()
    made.begin(b'{"run":1}')
    yield made
    made.close()


def rows(store: RowStore, declared: Dataset = ENTRIES) -> list[bytes]:
    with store.snapshot() as snapshot:
        found = list(snapshot.rows(declared))
        assert snapshot.count(declared) == len(found)
        return found


def changes(store: RowStore, after: int = 0) -> list[Change]:
    with store.snapshot() as snapshot:
        return list(snapshot.changes(after))


def query(store: RowStore, statement: str, *values: Any) -> list[tuple[Any, ...]]:
    with store.snapshot() as snapshot:
        return list(snapshot.query(statement, values)[1])


def test_rows_are_written_once_and_an_unchanged_one_keeps_its_revision(store: RowStore) -> None:
    store.commit(commit(ENTRIES, [entry(1), entry(2), entry(3, None)]))
    store.commit(commit(ENTRIES, [entry(1), entry(2, 90), entry(4)]))
    assert rows(store) == [one.data for one in (entry(1), entry(2, 90), entry(3, None), entry(4))]
    assert [(row.key, row.revision) for row in changes(store)] == [((1,), 1), ((3,), 3), ((2,), 5), ((4,), 6)]
    assert store.sums() == [(10, dt.date(2026, 1, 2), 3, 60 + 90 + 60)]


def test_a_deleted_row_is_told_of_and_comes_back(store: RowStore) -> None:
    store.commit(commit(ENTRIES, [entry(1), entry(2)]))
    store.commit(commit(ENTRIES, deleted=[1, 99]))
    store.commit(commit(ENTRIES, deleted=[1]))
    assert rows(store) == [entry(2).data]
    told = changes(store, 2)
    assert told == [Change("time_entries", (1,), 3, deleted=True, row=None)]
    store.commit(commit(ENTRIES, [entry(1)]))
    (back,) = changes(store, 3)
    assert (back.deleted, back.row) == (False, entry(1).data)
    assert query(store, "SELECT deleted_at FROM time_entries WHERE id = 1") == [(None,)]


def test_the_same_id_in_two_workspaces(store: RowStore) -> None:
    user = Line(1, b'{"id":1}')
    store.commit(commit(USERS, [user], workspace_id=10))
    store.commit(commit(USERS, [Line(1, b'{"id":1,"workspace_id":20}')], workspace_id=20))
    store.commit(commit(USERS, deleted=[1], workspace_id=10))
    assert [(row.key, row.deleted) for row in changes(store)] == [((20, 1), False), ((10, 1), True)]
    assert store.known(Scope(dataset=USERS, workspace_id=10)) == set()
    assert store.known(Scope(dataset=USERS, workspace_id=20)) == {1}


def test_what_is_missing_is_deleted_only_where_nobody_met_it(store: RowStore) -> None:
    store.commit(commit(ENTRIES, [entry(number) for number in range(1, 6)]))
    january = Scope(dataset=ENTRIES, workspace_id=10, days=JANUARY)
    for piece in ("one", "other"):
        store.commit(
            commit(ENTRIES, piece=piece, progress=Progress(begun=True), expected=january, spared=[5])
        )
    assert store.unmet("one") == store.unmet("other") == {1, 2, 3, 4}
    store.commit(commit(ENTRIES, [entry(1)], piece="one"))
    store.commit(commit(ENTRIES, met=[2], piece="other"))
    assert store.unmet("one") == store.unmet("other") == {3, 4}
    store.commit(commit(ENTRIES, missing=[1, 2, 3], piece="one", progress=Progress(done=True)))
    assert (store.unmet("one"), store.unmet("other")) == (set(), {3, 4})
    store.commit(commit(ENTRIES, piece="third", awaited=[99]))
    assert store.unmet("third") == {99}
    store.commit(commit(ENTRIES, [entry(99)]))
    assert store.unmet("third") == set()
    assert store.known(january) == {1, 2, 4, 5, 99}


def test_a_user_who_was_met_in_one_workspace_is_missing_in_another(store: RowStore) -> None:
    for space in (10, 20):
        store.commit(commit(USERS, [Line(1, b'{"id":1,"workspace_id":%d}' % space)], workspace_id=space))
        scope = Scope(dataset=USERS, workspace_id=space)
        store.commit(commit(USERS, piece=f"users/{space}", workspace_id=space, expected=scope))
    store.commit(commit(USERS, [Line(1, b'{"id":1,"workspace_id":10}')], workspace_id=10))
    assert (store.unmet("users/10"), store.unmet("users/20")) == (set(), {1})


def test_rows_are_found_by_workspace_and_day(store: RowStore) -> None:
    store.commit(commit(ENTRIES, [entry(1), entry(2, day="2026-02-01"), line(b'{"seconds":5}')]))
    store.commit(commit(dataset("workspaces"), [Line(7, b'{"id":7}')], workspace_id=None))
    assert store.known(Scope(dataset=ENTRIES, days=JANUARY)) == {1}
    assert len(store.known(Scope(dataset=ENTRIES, workspace_id=10))) == 3
    assert store.known(Scope(dataset=dataset("workspaces"), workspace_id=10)) == {7}
    assert store.stand_ins(TAGS) == set()
    assert store.stand_ins(ENTRIES) == {stand_in(b'{"seconds":5,"workspace_id":10}')}


def test_sums_do_not_leave_what_a_database_can_count(store: RowStore) -> None:
    largest = 2**63 - 1
    store.commit(commit(ENTRIES, [entry(1, largest), entry(2, largest), entry(3, 5)]))
    assert store.sums() == [(10, dt.date(2026, 1, 2), 3, 2 * largest + 5)]


def test_sums_leave_out_what_pieces_have_not_met(store: RowStore) -> None:
    store.commit(commit(ENTRIES, [entry(1), entry(2, 90), entry(3, 7)]))
    scope = Scope(dataset=ENTRIES)
    for name, met in (("one", entry(1)), ("other", entry(2, 90))):
        store.commit(commit(ENTRIES, piece=name, expected=scope))
        store.commit(commit(ENTRIES, [met], piece=name, progress=Progress(done=True, deletes=True)))
    day = dt.date(2026, 1, 2)
    assert store.sums() == [(10, day, 3, 157)]
    assert store.sums(["one"]) == [(10, day, 2, 150)]
    assert store.sums(["one", "other"]) == [(10, day, 1, 90)]  # the other had to meet the first, too
    store.commit(commit(ENTRIES, piece="one", missing=sorted(store.unmet("one"))))
    assert store.known(scope) == {1, 2}


def test_odd_rows_are_kept_as_they_came(store: RowStore) -> None:
    odd = [b'"odd"', b'{"id":"x"}', b"[1]", b'{"id":1e999}', rb'{"id":5,"name":"\u0000"}']
    lines = [Line(5 if b":5" in row else stand_in(row), row) for row in odd]
    for declared in (TAGS, USERS, ENTRIES):
        store.commit(commit(declared, lines))
        assert sorted(rows(store, declared)) == sorted(odd)


def test_the_columns_of_a_time_entry(store: RowStore) -> None:
    data = (
        b'{"user_id":7,"project_id":3,"task_id":null,"billable":true,"description":"caf\xc3\xa9",'
        b'"tag_ids":[1,2],"billable_amount_in_cents":5,"currency":"EUR","row_number":1,"time_entries":[{"id":1,'
        b'"seconds":60,"start":"2026-01-02T00:30:00+01:00","stop":"2026-01-02T00:31:00+01:00",'
        b'"at":"2026-01-02T00:00:00Z"}]}'
    )
    odd = data.replace(b'"id":1', b'"id":2,"novelty":1').replace(b'"seconds":60', b'"seconds":"sixty"')
    store.commit(commit(ENTRIES, [line(data), line(odd)]))
    names = [column.name for column in table("time_entries").stored]
    typed, tolerant = query(store, f"SELECT {', '.join(names)} FROM time_entries ORDER BY id")
    assert dict(zip(names, typed, strict=True)) == {
        "id": 1, "workspace_id": 10, "user_id": 7, "project_id": 3, "task_id": None, "billable": 1,
        "description": "café", "tag_ids": "[1,2]", "billable_amount_in_cents": 5, "currency": "EUR",
        "seconds": 60, "start": "2026-01-02T00:30:00+01:00", "stop": "2026-01-02T00:31:00+01:00",
        "at": "2026-01-02T00:00:00Z", "day": "2026-01-02", "local_start": "2026-01-02T00:30:00",
    }  # fmt: skip
    assert tolerant == (
        *(2, 10, 7, 3, None, 1, "café", "[1,2]", 5, "EUR", None),
        *("2026-01-02T00:30:00+01:00", "2026-01-02T00:31:00+01:00", "2026-01-02T00:00:00+00:00"),
        *("2026-01-02", "2026-01-02T00:30:00"),
    )


def test_the_view_has_the_names_of_now(store: RowStore) -> None:
    named = (
        b'{"id":1,"workspace_id":10,"user_id":7,"project_id":3,"tag_ids":[1],"start":"2026-01-02T00:30:00Z",'
        b'"username":"Then","project_name":"Then","client_name":"Then","task_name":"Then"}'
    )
    store.commit(commit(ENTRIES, [line(named), line(named.replace(b'"id":1', b'"id":2'))]))
    store.commit(commit(ENTRIES, deleted=[2]))
    columns = "user_name, project_name, client_name, task_name, tag_names, workspace_name"
    seen = query(store, f"SELECT {columns} FROM time_entries_named")
    assert seen == [("Then", "Then", "Then", "Then", "[]", None)]
    for name, data in (
        ("users", b'{"id":7,"workspace_id":10,"fullname":"Now"}'),
        ("projects", b'{"id":3,"workspace_id":10,"name":"Now","client_id":null}'),
        ("tags", b'{"id":1,"workspace_id":10,"name":"Now"}'),
        ("workspaces", b'{"id":10,"name":"Now"}'),
    ):
        number = 10 if name == "workspaces" else int(data[6:7])
        store.commit(commit(dataset(name), [Line(number, data)]))
    seen = query(store, f"SELECT {columns} FROM time_entries_named")
    # The project has no client any more, and says so.
    assert seen == [("Now", "Now", None, "Then", '["Now"]', "Now")]


def test_the_books_say_what_the_run_is_and_how_far_it_is(store: RowStore) -> None:
    store.commit(commit(TAGS, [Line(1, b"{}")], requests=9, progress=Progress(rows=1)))
    store.commit(Commit(piece="totals", progress=Progress(done=True), requests=12))
    store.close()
    standing = store.open()
    assert (standing.run, standing.finished, standing.requests, standing.revision) == (
        b'{"run":1}',
        None,
        12,
        1,
    )
    assert standing.progress == {"tags": Progress(rows=1), "totals": Progress(done=True)}
    store.finish(b'{"done":1}')
    standing = store.open()
    assert (standing.run, standing.finished, standing.requests) == (None, b'{"done":1}', 0)
    assert standing.progress == {}
    store.begin(b'{"run":2}')
    assert (store.open().run, store.open().finished) == (b'{"run":2}', b'{"done":1}')


def test_a_snapshot_shows_one_moment(store: RowStore) -> None:
    store.commit(commit(ENTRIES, [entry(number) for number in range(1, 3000)]))
    with store.snapshot() as snapshot:
        seen = snapshot.rows(ENTRIES)
        first = next(seen)
        store.commit(commit(ENTRIES, [entry(1, 99), entry(5000)], deleted=[2999]))
        assert [first, *seen] == [entry(number).data for number in range(1, 3000)]
        assert max(row.revision for row in snapshot.changes(0)) == 2999
    assert len(rows(store)) == 2999


def test_statements_of_ones_own_read_and_do_not_write(store: RowStore) -> None:
    store.commit(commit(ENTRIES, [entry(1), entry(2, 90)]))
    with store.snapshot() as snapshot:
        least = ":least" if isinstance(store, SqliteStore) else "%(least)s"
        names, found = snapshot.query(
            f"SELECT id, seconds FROM time_entries WHERE seconds > {least}", {"least": 60}
        )
        assert (list(names), list(found)) == (["id", "seconds"], [(2, 90)])
        for statement in ("DELETE FROM time_entries", "SELECT novelty FROM time_entries", "SELECT ?"):
            with pytest.raises(InvalidInput, match="the mirror refuses the statement"):
                snapshot.query(statement, ())
    assert len(rows(store)) == 2


@pytest.mark.parametrize(
    ("chosen", "left"),
    [
        (Forget(workspace_id=10), {("users", (20, 7)), ("tags", (2,)), ("time_entries", (3,))}),
        (Forget(user_id=7), {("workspaces", (10,)), ("tags", (1,)), ("tags", (2,)), ("time_entries", (2,))}),
        (
            Forget(before=dt.date(2026, 1, 3)),
            {("workspaces", (10,)), ("users", (10, 7)), ("users", (20, 7)), ("tags", (1,)), ("tags", (2,))},
        ),
    ],
)
def test_what_is_forgotten_leaves_its_key_alone(
    store: RowStore, chosen: Forget, left: set[tuple[str, tuple[int, ...]]]
) -> None:
    store.commit(commit(dataset("workspaces"), [Line(10, b'{"id":10,"name":"secret"}')]))
    for space in (10, 20):
        user = Line(7, b'{"id":7,"workspace_id":%d,"fullname":"secret"}' % space)
        store.commit(commit(USERS, [user], workspace_id=space))
        tag = Line(space // 10, b'{"id":%d,"workspace_id":%d,"name":"secret"}' % (space // 10, space))
        store.commit(commit(TAGS, [tag], workspace_id=space))
    for number, user_id, space in ((1, 7, 10), (2, 8, 10), (3, 7, 20)):
        data = (
            b'{"id":%d,"user_id":%d,"workspace_id":%d,"start":"2026-01-02T00:30:00Z","description":"secret"}'
        )
        store.commit(commit(ENTRIES, [line(data % (number, user_id, space))]))
    store.commit(commit(ENTRIES, deleted=[1]))
    before = changes(store)
    last = before[-1].revision
    forgotten = store.forget(chosen)
    assert {(row.dataset, row.key) for row in changes(store) if not row.deleted} == left
    told = changes(store, last)
    assert len(told) == forgotten > 0
    assert all(row.deleted and row.row is None for row in told)
    for row in told:
        declared = table(row.dataset)
        condition = " AND ".join(
            f"{name} = {value}" for name, value in zip(declared.dataset.key, row.key, strict=True)
        )
        (found,) = query(store, f"SELECT * FROM {row.dataset} WHERE {condition}")
        assert "secret" not in str(found)
    assert store.forget(chosen) == 0


def standing_of(store: RowStore) -> Standing:
    standing = store.hold()
    store.release()
    return standing


def test_a_store_tells_what_was_forgotten(store: RowStore) -> None:
    rows = [
        line(
            b'{"id":%d,"user_id":%d,"workspace_id":%d,"start":"2026-01-0%dT00:30:00Z"}'
            % (number, user, space, number)
        )
        for number, user, space in ((1, 7, 10), (2, 7, 20), (3, 8, 30), (4, 7, 10))
    ]
    store.commit(commit(ENTRIES, [*rows, line(b'{"id":5,"user_id":7}')], progress=Progress(done=True)))
    standing = standing_of(store)
    assert standing.progress
    assert (standing.kept_from, standing.unread) == (None, frozenset())
    assert store.forget(Forget(before=dt.date(2026, 1, 2))) == 1
    assert store.forget(Forget(before=dt.date(2026, 1, 1))) == 0
    standing = standing_of(store)
    assert not standing.progress
    assert (standing.kept_from, standing.unread) == (dt.date(2026, 1, 2), frozenset())
    assert store.forget(Forget(user_id=7)) == 3
    entries = {("time_entries", 10), ("time_entries", 20)}
    assert standing_of(store).unread == entries
    assert store.forget(Forget(workspace_id=30)) == 1
    assert standing_of(store).unread == entries | {(name, 30) for name in DATASETS}
    store.close()
    assert store.open().kept_from == dt.date(2026, 1, 2)
    store.finish(b"{}")
    standing = standing_of(store)
    assert (standing.kept_from, standing.unread) == (dt.date(2026, 1, 2), frozenset())


@pytest.fixture(scope="module")
def fed(new_store: NewStore) -> Iterator[RowStore]:
    """A store for all examples of a property, each of which goes on where the last one has left it."""
    made = new_store()()
    made.open()
    yield made
    made.close()


Step = tuple[str, int, int | None]


STEPS = st.lists(
    st.lists(
        st.tuples(
            st.sampled_from(["tags", "users", "time_entries"]),
            st.integers(1, 4),
            st.none() | st.integers(1, 3),
        ),
        max_size=4,
    ),
    max_size=8,
)


@pytest.mark.slow
@pytest.mark.parametrize("new_store", ["sqlite"], indirect=True)
@given(steps=STEPS, data=st.data())
def test_whoever_replays_the_feed_from_any_revision_ends_with_the_rows(
    fed: RowStore, steps: list[list[Step]], data: st.DataObject
) -> None:
    replay(fed, steps, data)


@pytest.mark.slow
@pytest.mark.parametrize("new_store", ["postgres"], indirect=True)
@settings(max_examples=max(settings().max_examples // 10, 10))
@given(steps=STEPS, data=st.data())
def test_whoever_replays_the_feed_of_a_server_ends_with_the_rows(
    fed: RowStore, steps: list[list[Step]], data: st.DataObject
) -> None:
    replay(fed, steps, data)


def replay(fed: RowStore, steps: list[list[Step]], data: st.DataObject) -> None:
    before, held = standing_rows(fed)
    states: list[tuple[int, dict[Any, Any]]] = [(before, held)]
    for step in steps:
        for name, number, value in step:
            if value is None:
                fed.commit(commit(dataset(name), deleted=[number]))
            else:
                row = Line(number, b'{"id":%d,"workspace_id":10,"value":%d}' % (number, value))
                fed.commit(commit(dataset(name), [row]))
        states.append(standing_rows(fed))
    revision, copy = data.draw(st.sampled_from(states))
    copy = dict(copy)
    for change in changes(fed, revision):
        if change.deleted:
            copy.pop((change.dataset, change.key), None)
        else:
            copy[change.dataset, change.key] = change.row
    assert copy == states[-1][1]


def standing_rows(store: RowStore) -> tuple[int, dict[Any, Any]]:
    """The latest revision that a feed tells, and the rows that Toggl has; the feed and the rows agree."""
    with store.snapshot() as snapshot:
        told = list(snapshot.changes(0))
        assert [row.revision for row in told] == sorted({row.revision for row in told})
        held = {(row.dataset, row.key): row.row for row in told if not row.deleted}
        found = Counter(row for name in DATASETS for row in snapshot.rows(dataset(name)))
    assert Counter(held.values()) == found
    return max((row.revision for row in told), default=0), held


@pytest.mark.linux
def test_a_second_run_is_kept_out(store: RowStore, place: Place) -> None:
    other = place()
    other.open()
    store.hold()
    for one in (store, other):
        with pytest.raises(InvalidInput, match="another run is writing to"):
            one.hold()
    other.close()
    store.release()
    store.release()
    assert other.open().run == b'{"run":1}'
    assert other.hold().run == b'{"run":1}'
    other.close()


def test_a_store_of_a_newer_version_is_left_alone(store: RowStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.close()
    monkeypatch.setattr(sql, "SCHEMA", 0)
    with pytest.raises(InvalidInput, match=r"is a mirror of schema 1, made by a newer version"):
        store.open()


def test_a_store_of_an_older_version_is_migrated(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """An older version had fewer columns and tables: these are made, and filled from the rows."""
    old = place()
    assert isinstance(old, SqlStore)
    old.open()
    old.commit(commit(ENTRIES, [entry(1), entry(2)], deleted=[2]))
    old.commit(commit(TAGS, [Line(1, b'{"id":1,"workspace_id":10,"name":"one"}')]))
    revisions = [row.revision for row in changes(old)]
    for statement in (
        "DROP VIEW time_entries_named",
        "DROP TABLE groups",
        "ALTER TABLE time_entries DROP COLUMN local_start",
        "ALTER TABLE tags DROP COLUMN name",
    ):
        old.execute(statement)
    old.close()
    monkeypatch.setattr(sql, "SCHEMA", SCHEMA + 1)
    assert old.open().revision == 4
    assert query(old, "SELECT local_start FROM time_entries") == [("2026-01-02T00:30:00",)] * 2
    assert query(old, "SELECT name FROM tags") == [("one",)]
    assert query(old, "SELECT COUNT(*) FROM groups") == [(0,)]
    assert query(old, "SELECT id FROM time_entries_named") == [(1,)]
    assert [row.revision for row in changes(old)] == revisions
    assert old.open().revision == 4
    old.close()


def test_the_columns_of_this_schema() -> None:
    """Whoever changes a table has to raise `SCHEMA`, so that stores are migrated."""
    shape = {name: [column.name for column in table(name).stored] for name in DATASETS}
    digest = hashlib.sha256(repr((schema.MARKS, shape)).encode()).hexdigest()[:12]
    assert (SCHEMA, digest) == (1, "daf4bdb7b6c3")


def test_a_commit_is_there_whole_or_not_at_all(store: RowStore, monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(store, SqlStore)
    kind = type(store)

    class Killed(BaseException):
        pass

    def count(calls: int) -> Callable[..., Any]:
        left = [calls]
        really = kind.execute

        def execute(self: SqlStore, *args: Any) -> Any:
            left[0] -= 1
            if left[0] < 0:
                raise Killed
            return really(self, *args)

        return execute

    whole = commit(ENTRIES, [entry(1)], deleted=[1], requests=3, progress=Progress(rows=1))
    calls = 0
    while True:
        with monkeypatch.context() as patch:
            patch.setattr(kind, "execute", count(calls))
            try:
                store.commit(whole)
                break
            except Killed:
                pass
        assert changes(store) == []
        calls += 1
    assert calls > 3
    assert len(changes(store)) == 1


def test_readers_are_consistent_while_rows_are_written(store: RowStore) -> None:
    """Each commit writes two rows alike; a reader never sees them differ."""
    seen: list[set[bytes]] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set() or not seen:
            seen.append({row.split(b'"seconds":')[1] for row in rows(store)})

    store.commit(commit(ENTRIES, [entry(1, 0), entry(2, 0)]))
    reader = threading.Thread(target=read)
    reader.start()
    for seconds in range(1, 60):
        store.commit(commit(ENTRIES, [entry(1, seconds), entry(2, seconds)]))
    done.set()
    reader.join()
    assert {len(one) for one in seen} == {1}


def test_where_no_mirror_is_none_is_read_or_made(place: Place) -> None:
    for _ in range(2):
        with pytest.raises(InvalidInput, match="there is no mirror at"), place().snapshot():
            pass


def test_what_another_program_has_locked_is_waited_for_and_then_named(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "_PATIENCE", 0.01)
    monkeypatch.setattr(postgres, "_LOCK_TIMEOUT", "10ms")
    store, other = place(), place()
    other.open()
    store.open()
    assert isinstance(other, SqlStore)
    with other.transaction(), pytest.raises(OSError, match="another program") as caught:
        store.commit(commit(TAGS, [Line(1, b"{}")]))
    assert caught.value.errno == errno.EBUSY
    assert caught.value.filename == store.name
    assert str(caught.value.strerror).endswith("; stop it, then try again")
    store.commit(commit(TAGS, [Line(1, b"{}")]))
    assert rows(store, TAGS) == [b"{}"]
    store.close()
    other.close()


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        (
            "INSERT INTO mirror_progress VALUES ('tags/10', '{')",
            "cannot read .*; it is damaged: restore a copy",
        ),
        ("UPDATE mirror_state SET value = 'x' WHERE name = 'schema'", "its schema is 'x'; it is damaged"),
    ],
)
def test_books_that_cannot_be_read_are_refused(place: Place, statement: str, message: str) -> None:
    store = place()
    store.open()
    assert isinstance(store, SqlStore)
    with store.transaction():
        store.execute(statement)
    store.close()
    with pytest.raises(InvalidInput, match=message):
        place().open()


@pytest.mark.parametrize("statement", ["DROP TABLE groups", "ALTER TABLE groups DROP COLUMN raw"])
def test_a_mirror_that_lacks_what_it_was_made_with_is_damaged(
    store: RowStore, place: Place, statement: str
) -> None:
    other = place()
    other.open()
    assert isinstance(other, SqlStore)
    with other.transaction():
        other.execute(statement)
    other.close()
    groups = dataset("groups")
    for use in (lambda: rows(store, groups), lambda: store.commit(commit(groups, [Line(1, b"{}")]))):
        with pytest.raises(MirrorDamaged, match=r"; it is damaged: restore a copy, or remove it") as caught:
            use()
        assert caught.value.filename == store.name
    assert rows(store, TAGS) == []
