"""What only a store in PostgreSQL does; what all stores do stands in test_store.py."""

import errno
import logging
import threading
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from support.postgres_server import PASSWORD, PostgresServer, postgres_server
from support.stores import ENTRIES, TAGS, commit, entry, line
from toggl_async.errors import ClientClosed, InvalidInput
from toggl_async.export.mirror import postgres_connection
from toggl_async.export.mirror.pieces import Progress
from toggl_async.export.mirror.postgres import PostgresStore
from toggl_async.export.mirror.urls import refuse_password, store_of
from toggl_async.export.rows import Line


@pytest.fixture
def store(postgres: PostgresServer) -> Iterator[PostgresStore]:
    made = PostgresStore(postgres.new_url())
    made.open()
    yield made
    made.close()


def query(store: PostgresStore, statement: str, *values: Any) -> list[tuple[Any, ...]]:
    with store.snapshot() as snapshot:
        return list(snapshot.query(statement, values)[1])


def test_a_cell_with_a_nul_is_null_and_the_row_has_it(store: PostgresStore) -> None:
    odd = rb'{"id":1,"workspace_id":10,"description":"a\u0000b","currency":"EUR","username":"Ann"}'
    half = odd.replace(rb"\u0000", rb"\ud800").replace(b'"id":1', b'"id":2')
    whole = odd.replace(rb"\u0000", b"").replace(b'"id":1', b'"id":3')
    store.commit(commit(ENTRIES, [line(odd), Line(2, half), line(whole)]))
    store.commit(commit(TAGS, [Line(1, rb'{"id":1,"workspace_id":10,"name":"\u0000"}')]))
    with store.snapshot() as snapshot:
        assert list(snapshot.rows(ENTRIES)) == [odd, half, whole]
    assert query(store, "SELECT description, currency FROM time_entries WHERE id IN (1, 3) ORDER BY id") == [
        (None, "EUR"),
        ("ab", "EUR"),
    ]
    assert query(store, "SELECT name FROM tags") == [(None,)]
    # No name can be read from such a row, and the view shows all of them.
    named = query(store, "SELECT id, user_name FROM time_entries_named ORDER BY id")
    assert named == [(1, None), (2, None), (3, "Ann")]


def test_the_schema_is_that_of_the_url_or_of_the_search_path(postgres: PostgresServer) -> None:
    with postgres.connect() as other:
        other.execute("CREATE DATABASE accounts")
    url = postgres.url("accounts")
    places = {
        url: "public",
        f"{url}?schema=an%20account": "an account",
        f"{url}?options=-csearch_path%3Dold,public&connect_timeout=9": "old",
    }
    with postgres.connect("accounts") as other:
        other.execute("CREATE SCHEMA old")
        for number, (one, schema) in enumerate(places.items()):
            store = PostgresStore(one)
            store.open()
            store.commit(commit(TAGS, [Line(number, b"{}")]))
            store.close()
            assert other.execute(f'SELECT id FROM "{schema}".tags'.encode()).fetchall() == [(number,)]
        other.execute("CREATE SCHEMA app; CREATE TABLE app.users (id int)")
        with pytest.raises(
            InvalidInput, match="is not a mirror of toggl_async: its schema app already has users"
        ):
            PostgresStore(f"{url}?schema=app").open()
        with pytest.raises(InvalidInput, match=r"has no schema for tables; name one in the URL: \?schema="):
            PostgresStore(f"{url}?options=-csearch_path%3Dnowhere").open()
        other.execute("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    with pytest.raises(InvalidInput, match="is encoded in LATIN1; a mirror needs a database in UTF8"):
        PostgresStore(postgres.url("latin")).open()


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ann:se%zzcret@host/toggl",
        "postgresql://ann:secret/1@host/toggl",
        "postgresql://ann:123/secret@host/toggl",
        "postgresql://ann@host/toggl?novelty=secret",
        "postgresql://ann@host/toggl?schema=%ff",
        "postgresql://[::1/toggl",
        "postgresql:/secret",
    ],
)
def test_a_url_that_cannot_be_read_is_not_repeated(url: str) -> None:
    with pytest.raises(InvalidInput, match="URL") as caught:
        PostgresStore(url)
    assert "secret" not in str(caught.value)
    assert caught.value.__context__ is None or caught.value.__suppress_context__
    for name in ("", "x" * 64, "a%00b"):
        with pytest.raises(InvalidInput, match="schema must be a name of 1 to 63 bytes"):
            PostgresStore(f"postgresql://host/toggl?schema={name}")


def test_a_password_is_never_shown(postgres: PostgresServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    url = postgres.url(schema="hidden").replace("toggl@", "toggl:not%20this@")
    store = store_of(url)
    assert store.name == postgres.url(schema="hidden")
    with pytest.raises(InvalidInput, match=r"as a mirror: .*password authentication failed") as caught:
        store.open()
    with pytest.raises(OSError, match="password authentication failed") as later, store.snapshot():
        pass
    for said in (
        str(caught.value),
        repr(caught.value),
        str(later.value),
        repr(store),
        vars(store),
        caplog.text,
    ):
        assert "not%20this" not in str(said)
        assert "not this" not in str(said)
        assert PASSWORD not in str(said)
    shown = "postgresql://ann@one:1,two:2/toggl?service=acme&schema=a%20b"
    assert store_of(shown.replace("ann@", "ann:secret@") + "&sslpassword=secret").name == shown


def test_a_password_is_refused_on_the_command_line() -> None:
    for url in ("postgresql://ann:secret@host/toggl", "postgres://host/toggl?password=secret"):
        with pytest.raises(InvalidInput, match="set PGPASSWORD, or write it to") as caught:
            refuse_password(url)
        assert "secret" not in str(caught.value)
    refuse_password("postgresql://ann@host/toggl")
    refuse_password("mirror.sqlite")


def test_the_url_of_no_store_names_both_kinds() -> None:
    with pytest.raises(InvalidInput, match=r"cannot keep a mirror in mysql://…; .*sqlite:///.*postgresql://"):
        store_of("mysql://ann:secret@host/toggl")


def test_a_statement_of_ones_own_is_one_and_its_cells_are_plain(store: PostgresStore) -> None:
    store.commit(commit(ENTRIES, [entry(1), entry(2, 90)]))
    with store.snapshot() as snapshot:
        names, found = snapshot.query(
            "SELECT SUM(seconds) AS total, AVG(seconds)::numeric(9, 1) AS mean, MIN(start)::timestamptz "
            "AT TIME ZONE 'UTC' AS first, true AS yes, ARRAY[1, 2] AS some FROM time_entries WHERE "
            "start LIKE '2026%'",
            (),
        )
        assert list(names) == ["total", "mean", "first", "yes", "some"]
        assert list(found) == [(150, 75.0, "2026-01-01 23:30:00", True, "{1,2}")]
        for statement, values in (
            ("SELECT 1; COMMIT; DELETE FROM time_entries", ()),
            ("WITH gone AS (DELETE FROM time_entries RETURNING 1) SELECT * FROM gone", ()),
            ("SELECT '\ud800'", ()),
            ("SELECT %s", ()),
            ("SELECT %s", (1, 2)),
            ("SELECT %(a)s", {"b": 1}),
        ):
            with pytest.raises(InvalidInput, match="the mirror refuses the statement"):
                snapshot.query(statement, values)
        _, found = snapshot.query("SELECT 1 / (seconds - 90) FROM time_entries", ())
        with pytest.raises(InvalidInput, match="the mirror refuses the statement: division by zero"):
            list(found)
        # What is refused leaves the snapshot as it was.
        assert snapshot.count(ENTRIES) == 2


def test_many_may_open_it_at_once(postgres: PostgresServer) -> None:
    url = postgres.new_url()
    stores = [PostgresStore(url) for _ in range(4)]
    failures: list[Exception] = []

    def opened(store: PostgresStore) -> None:
        try:
            store.open()
        except (InvalidInput, OSError) as failure:
            failures.append(failure)

    threads = [threading.Thread(target=opened, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    for number, store in enumerate(stores):
        store.commit(commit(TAGS, [Line(number, b"{}")]))
    with stores[0].snapshot() as snapshot:
        assert [row.revision for row in snapshot.changes(0)] == [1, 2, 3, 4]
    for store in stores:
        store.close()


@pytest.mark.slow
def test_a_server_that_is_started_anew_in_the_middle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    with postgres_server() as server:
        store = PostgresStore(server.new_url())
        store.open()
        store.hold()
        store.begin(b'{"run":1}')
        store.commit(commit(ENTRIES, [entry(1)], requests=5, progress=Progress(rows=1)))
        with store.snapshot() as snapshot:
            seen = snapshot.rows(ENTRIES)
            _, found = snapshot.query("SELECT 1", ())
            server.stop()
            with pytest.raises(ConnectionResetError):
                list(seen)
            with pytest.raises(ConnectionResetError):
                list(found)
        for _ in range(2):
            with pytest.raises(ConnectionResetError) as caught:
                store.commit(commit(ENTRIES, [entry(2)]))
            assert caught.value.filename == store.name
        with pytest.raises(ConnectionResetError, match="Connection refused"), store.snapshot():
            pass
        store.release()
        with pytest.raises(InvalidInput, match=r"cannot open .* as a mirror: .*Connection refused"):
            store.open()
        with pytest.raises(ClientClosed, match="is not open"):
            store.standing()
        server.start()
        standing = store.open()
        assert (standing.run, standing.requests, standing.revision) == (b'{"run":1}', 5, 1)
        store.hold()
        store.commit(commit(ENTRIES, [entry(2)]))
        store.close()


@pytest.mark.parametrize(
    ("error", "number"),
    [(psycopg.errors.DiskFull("x"), errno.ENOSPC), (psycopg.errors.DataError("x"), errno.EIO)],
)
def test_what_the_database_cannot_do_is_an_error_of_the_system(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch, error: psycopg.Error, number: int
) -> None:
    def fails(*_: Any) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(store, "_merge", fails)
        with pytest.raises(OSError, match="x") as caught:
            store.commit(commit(ENTRIES, [entry(1)]))
    assert caught.value.errno == number
    # The table for what comes in was made in the transaction, and is made anew.
    store.commit(commit(ENTRIES, [entry(1)]))
    assert query(store, "SELECT id FROM time_entries") == [(1,)]


def test_a_connection_that_is_lost_at_its_beginning_is_closed(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> None:
        raise psycopg.OperationalError("lost")

    monkeypatch.setattr("toggl_async.export.mirror.postgres_connection.one", fails)
    with pytest.raises(InvalidInput, match="as a mirror: lost"):
        PostgresStore(postgres.url()).open()


def test_what_is_committed_is_on_the_disk_whatever_the_role_says(postgres: PostgresServer) -> None:
    store = PostgresStore(postgres.new_url() + "&options=-csynchronous_commit%3Doff")
    store.open()
    assert store.execute("SHOW synchronous_commit").fetchone() == ("on",)
    store.close()


def test_a_statement_of_ones_own_leaves_nothing_and_lets_go_of_no_run(
    store: PostgresStore, postgres: PostgresServer
) -> None:
    """Before version 16, a read-only transaction may make large objects; locks it may let go of in any."""
    store.hold()
    query(store, "SELECT pg_advisory_unlock_all()")
    query(store, "SELECT lo_create(0)")
    with postgres.connect() as other:
        assert other.execute("SELECT COUNT(*) FROM pg_largeobject_metadata").fetchone() == (0,)
    rival = PostgresStore(store.name)
    rival.open()
    with pytest.raises(InvalidInput, match="another run is writing to"):
        rival.hold()
    rival.close()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            (
                "server closed the connection unexpectedly\n\tThis probably means the server terminated "
                "abnormally\n\tbefore or while processing the request.\n"
            ),
            (
                "server closed the connection unexpectedly. This probably means the server terminated "
                "abnormally before or while processing the request"
            ),
        ),
        (
            (
                "connection failed: Connection refused\n\tIs the server running on that host and accepting "
                "TCP/IP connections?"
            ),
            (
                "connection failed: Connection refused. Is the server running on that host and accepting "
                "TCP/IP connections?"
            ),
        ),
        ("FATAL:\n  No such user", "FATAL: No such user"),
    ],
)
def test_sentences_of_libpq_are_told_apart(text: str, message: str) -> None:
    assert postgres_connection.said(psycopg.OperationalError(text)) == message
