"""A store in an SQL database, except for connecting and for writing many rows at once."""

# ruff: noqa: S608 - the names in the statements are those of our own tables and columns.

import abc
import datetime as dt
import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, ClassVar

import msgspec

from toggl_async.errors import InvalidInput
from toggl_async.export.mirror.erase import condition_of, parts_to_read
from toggl_async.export.mirror.pieces import Progress
from toggl_async.export.mirror.schema import (
    COUNTER,
    PROGRESS,
    STATE,
    UNMET,
    Dialect,
    Statements,
    create,
    create_view,
    drop_view,
)
from toggl_async.export.mirror.storage import DAMAGED
from toggl_async.export.mirror.store import (
    SCHEMA,
    Commit,
    DaySum,
    Forget,
    Scope,
    Snapshot,
    Standing,
    UnreadPart,
)
from toggl_async.export.mirror.tables import DAY, Table, table
from toggl_async.export.plan.datasets import DATASETS, ENTRIES, Dataset
from toggl_async.export.rows import Line, Stored, day_of

__all__ = ["ID", "Cursor", "SqlStore", "schema_of"]
Cursor = Any
"""A cursor of DB-API 2.0 (PEP 249): `fetchone`, `fetchmany`, `fetchall`, `description`."""

_PART = 1 << 20
"""Seconds are added up in two parts, so that no sum exceeds 64 bits, whatever length Toggl gives an entry."""

_RUN, _FINISHED, _SCHEMA = "run", "finished", "schema"

ID = "id"
"""The name of the store's unique id in the state."""

_KEPT_FROM, _UNREAD = "kept_from", "unread"


class SqlStore(abc.ABC):
    """See `RowStore`; a kind of database derives from it."""

    dialect: ClassVar[Dialect]
    name: str

    def __init__(self) -> None:
        self.statements: Mapping[str, Statements] = {
            name: Statements(self.dialect, table(name)) for name in DATASETS
        }
        """The statements on each table."""

    # Each database implements these.

    @abc.abstractmethod
    def connect(self) -> None:
        """Open the connection for writing, which begins no transaction by itself."""

    @abc.abstractmethod
    def transaction(self) -> AbstractContextManager[None]:
        """Run a block in the one transaction that writes: commit at its end, or leave everything as it was.

        Errors of the database are raised as OSError.
        """

    @abc.abstractmethod
    def execute(self, statement: str, parameters: Sequence[Stored] = ()) -> Cursor:
        """Run a statement on the connection for writing, and return its cursor."""

    @abc.abstractmethod
    def execute_many(self, statement: str, parameters: Sequence[Sequence[Stored]]) -> None:
        """Run a statement that writes for each of many sets of parameters."""

    @abc.abstractmethod
    def upsert(self, declared: Table, statements: Statements, rows: Iterable[Sequence[Stored]]) -> None:
        """Write rows of `Statements.columns`, with unique keys, as `Statements.upsert` does."""

    @abc.abstractmethod
    def failing(self) -> AbstractContextManager[None]:
        """Raise errors of the database as OSError."""

    @abc.abstractmethod
    def has_books(self) -> bool:
        """Whether the books exist."""

    @abc.abstractmethod
    def columns_of(self, declared: Table) -> Collection[str]:
        """The columns of a table; none if it doesn't exist."""

    @abc.abstractmethod
    def close(self) -> None:
        """See `RowStore.close`."""

    @abc.abstractmethod
    def hold(self) -> Standing:
        """See `RowStore.hold`."""

    @abc.abstractmethod
    def release(self) -> None:
        """See `RowStore.release`."""

    @abc.abstractmethod
    def snapshot(self) -> AbstractContextManager[Snapshot]:
        """See `RowStore.snapshot`."""

    # All databases have these in common.

    def open(self) -> Standing:
        """See `RowStore.open`."""
        self.connect()
        try:
            self._bring_up_to_date()
            return self.standing()
        except BaseException:
            self.close()
            raise

    def _bring_up_to_date(self) -> None:
        """Create or migrate the tables, unless they are of this version."""
        with self.failing():
            made = schema_of(self.name, self._state()) if self.has_books() else None
        if made != SCHEMA:
            with self.transaction():
                self._migrate()

    def _migrate(self) -> None:
        """Create missing tables and columns, and fill the columns from `raw`."""
        mark = self.dialect.mark
        self.execute(drop_view())
        added = {}
        for name in DATASETS:
            declared = table(name)
            there = self.columns_of(declared)
            new = [column for column in declared.stored if there and column.name not in there]
            for column in new:
                kind = self.dialect.types[column.kind]
                self.execute(f'ALTER TABLE {name} ADD COLUMN "{column.name}" {kind}')
            if new:
                added[name] = [column.name for column in new]
        for statement in create(self.dialect):
            self.execute(statement)
        for name, columns in added.items():
            self._fill(table(name), columns)
        self.execute(create_view(self.dialect))
        if self.execute(f"SELECT COUNT(*) FROM {COUNTER}").fetchone()[0] == 0:
            self.execute(f"INSERT INTO {COUNTER} VALUES ({mark}, {mark})", (0, 0))
        if ID not in self._state():
            self._set_state(ID, secrets.token_hex(8))
        self._set_state(_SCHEMA, str(SCHEMA))

    def _fill(self, declared: Table, columns: Sequence[str]) -> None:
        """Fill columns of a table from `raw`, without a new revision."""
        place = {column.name: index for index, column in enumerate(declared.stored)}
        settings = ", ".join(f'"{name}" = {self.dialect.mark}' for name in columns)
        update = f"UPDATE {declared.name} SET {settings} WHERE revision = {self.dialect.mark}"
        found = self.execute(f"SELECT revision, id, raw FROM {declared.name} WHERE raw IS NOT NULL")
        for revision, number, raw in found.fetchall():
            cells = declared.stored_cells(Line(number, raw.encode()), None)
            self.execute(update, (*(cells[place[name]] for name in columns), revision))

    def _state(self) -> dict[str, str]:
        return dict(self.execute(f"SELECT name, value FROM {STATE}").fetchall())

    def _set_state(self, name: str, value: str | None) -> None:
        mark = self.dialect.mark
        self.execute(f"DELETE FROM {STATE} WHERE name = {mark}", (name,))
        if value is not None:
            self.execute(f"INSERT INTO {STATE} VALUES ({mark}, {mark})", (name, value))

    def standing(self) -> Standing:
        """The state of the store."""
        with self.failing():
            state = self._state()
            revision, requests = self._counters()
            progress = self.execute(f"SELECT piece, progress FROM {PROGRESS}").fetchall()
        run, finished = state.get(_RUN), state.get(_FINISHED)
        try:
            read = {piece: msgspec.json.decode(saved, type=Progress) for piece, saved in progress}
        except (msgspec.DecodeError, ValueError) as error:
            raise InvalidInput(f"cannot read {self.name}: {error}; {DAMAGED}") from error
        return Standing(
            run=None if run is None else run.encode(),
            finished=None if finished is None else finished.encode(),
            progress=read,
            requests=requests,
            revision=revision,
            id=state.get(ID, ""),
            kept_from=day_of(state.get(_KEPT_FROM)),
            unread=self._unread(state),
        )

    @staticmethod
    def _unread(state: Mapping[str, str]) -> frozenset[UnreadPart]:
        return msgspec.json.decode(state.get(_UNREAD, "[]"), type=frozenset[UnreadPart])

    def _counters(self) -> tuple[int, int]:
        revision, requests = self.execute(f"SELECT revision, requests FROM {COUNTER}").fetchone()
        return revision, requests

    def begin(self, run: bytes) -> None:
        """See `RowStore.begin`."""
        with self.transaction():
            self._clear_progress()
            self._set_state(_RUN, run.decode())

    def finish(self, finished: bytes) -> None:
        """See `RowStore.finish`."""
        with self.transaction():
            self._clear_progress()
            self._set_state(_RUN, None)
            self._set_state(_UNREAD, None)
            self._set_state(_FINISHED, finished.decode())

    def _clear_progress(self) -> None:
        self._clear_pieces()
        self.execute(f"UPDATE {COUNTER} SET requests = 0")

    def _clear_pieces(self) -> None:
        self.execute(f"DELETE FROM {PROGRESS}")
        self.execute(f"DELETE FROM {UNMET}")

    def commit(self, commit: Commit) -> None:
        """See `RowStore.commit`."""
        mark = self.dialect.mark
        with self.transaction():
            revision, _ = self._counters()
            self._expect(commit)
            if commit.dataset is not None:
                revision = self._write(commit, commit.dataset, revision)
            if commit.progress.done and not commit.progress.deletes:
                self.execute(f"DELETE FROM {UNMET} WHERE piece = {mark}", (commit.piece,))
            self.execute(
                f"INSERT INTO {PROGRESS} VALUES ({mark}, {mark}) "
                "ON CONFLICT (piece) DO UPDATE SET progress = excluded.progress",
                (commit.piece, msgspec.json.encode(commit.progress).decode()),
            )
            self.execute(
                f"UPDATE {COUNTER} SET revision = {mark}, requests = {mark}", (revision, commit.requests)
            )

    def _write(self, commit: Commit, dataset: Dataset, revision: int) -> int:
        """Write and delete the rows of a commit, and return the latest revision."""
        declared, statements = table(dataset.name), self.statements[dataset.name]
        workspace_id = commit.workspace_id
        missing = self.unmet(commit.piece).intersection(commit.missing) if commit.missing else set()
        if commit.lines:
            cells_of = declared.stored_cells
            # Made one by one, as they are bound: a page of tuples would keep the garbage collector busy.
            rows = (
                (*cells_of(line, workspace_id), number, line.data.decode())
                for number, line in enumerate(commit.lines, revision + 1)
            )
            self.upsert(declared, statements, rows)
            revision += len(commit.lines)
        self._meet(commit, dataset, statements)
        deleted = (*commit.deleted, *sorted(missing))
        if deleted:
            now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
            self.execute_many(
                statements.delete,
                [
                    (now, number, *dataset.key_of(workspace_id, id_))
                    for number, id_ in enumerate(deleted, revision + 1)
                ],
            )
            revision += len(deleted)
        return revision

    def _meet(self, commit: Commit, dataset: Dataset, statements: Statements) -> None:
        """Remove the rows of a commit from what the pieces have not met."""
        waits = self.execute(
            f"SELECT 1 FROM {UNMET} WHERE dataset = {self.dialect.mark} LIMIT 1", (dataset.name,)
        ).fetchone()
        if waits is None:
            return
        ids = {line.id for line in commit.lines}.union(commit.met)
        scope = (commit.workspace_id or 0,) if dataset.key_has_workspace else ()
        self.execute_many(statements.met, [(number, *scope) for number in ids])

    def _expect(self, commit: Commit) -> None:
        """Note which rows a piece should meet."""
        ids = set() if commit.expected is None else self.known(commit.expected).difference(commit.spared)
        ids.update(commit.awaited)
        dataset = commit.dataset if commit.expected is None else commit.expected.dataset
        if not ids or dataset is None:
            return
        mark = self.dialect.mark
        self.execute_many(
            f"INSERT INTO {UNMET} VALUES ({mark}, {mark}, {mark}, {mark}) ON CONFLICT DO NOTHING",
            [(dataset.name, number, commit.workspace_id or 0, commit.piece) for number in ids],
        )

    def known(self, scope: Scope) -> set[int]:
        """See `RowStore.known`."""
        statements = self.statements[scope.dataset.name]
        statement = statements.all
        values: list[Stored] = []
        if scope.workspace_id is not None and "workspace_id" in table(scope.dataset.name).place:
            statement = statements.of_workspace
            values.append(scope.workspace_id)
        if scope.days is not None:
            statement += f" AND {DAY} BETWEEN {self.dialect.mark} AND {self.dialect.mark}"
            values += [scope.days.first.isoformat(), scope.days.last.isoformat()]
        return self._ids(statement, values)

    def _ids(self, statement: str, parameters: Sequence[Stored]) -> set[int]:
        with self.failing():
            return {number for (number,) in self.execute(statement, parameters).fetchall()}

    def unmet(self, piece: str) -> set[int]:
        """See `RowStore.unmet`."""
        return self._ids(f"SELECT id FROM {UNMET} WHERE piece = {self.dialect.mark}", (piece,))

    def stand_ins(self, dataset: Dataset) -> set[int]:
        """See `RowStore.stand_ins`."""
        return self._ids(f"{self.statements[dataset.name].all} AND id < 0", ())

    def sums(self, without: Sequence[str] = ()) -> list[DaySum]:
        """See `RowStore.sums`."""
        left_out = (
            f" AND id NOT IN (SELECT id FROM {UNMET} WHERE dataset = '{ENTRIES.name}' "
            f"AND piece IN ({', '.join([self.dialect.mark] * len(without))}))"
            if without
            else ""
        )
        with self.failing():
            found = self.execute(
                f"SELECT workspace_id, {DAY}, COUNT(*), SUM(seconds / {_PART}), "
                f"SUM(seconds - seconds / {_PART} * {_PART}) "  # psycopg would take % for a placeholder
                f"FROM {ENTRIES.name} WHERE deleted_at IS NULL AND {DAY} IS NOT NULL "
                f"AND seconds IS NOT NULL{left_out} GROUP BY workspace_id, {DAY}",
                without,
            ).fetchall()
        return [
            DaySum(workspace_id, day, rows, int(parts) * _PART + int(rest))
            for workspace_id, text, rows, parts, rest in found
            if (day := day_of(text)) is not None
        ]

    def forget(self, chosen: Forget) -> int:
        """See `RowStore.forget`."""
        forgotten = 0
        with self.transaction():
            revision, requests = self._counters()
            self._note_forgotten(chosen)
            for name, dataset in DATASETS.items():
                where, values = condition_of(chosen, table(name), self.dialect.mark)
                if not where:
                    continue
                keys = self.execute(
                    f"SELECT {', '.join(dataset.key)} FROM {name} WHERE raw IS NOT NULL AND ({where})", values
                ).fetchall()
                revision = self._erase(table(name), keys, revision)
                forgotten += len(keys)
            mark = self.dialect.mark
            self.execute(f"UPDATE {COUNTER} SET revision = {mark}, requests = {mark}", (revision, requests))
        return forgotten

    def _note_forgotten(self, chosen: Forget) -> None:
        """Note what later runs need to know of what is about to be forgotten."""
        state = self._state()
        self._clear_pieces()
        if chosen.before is not None:
            self._set_state(_KEPT_FROM, max(chosen.before.isoformat(), state.get(_KEPT_FROM, "")))
        found = self.execute(
            f"SELECT DISTINCT workspace_id FROM {ENTRIES.name} "
            f"WHERE user_id = {self.dialect.mark} AND workspace_id IS NOT NULL",
            (chosen.user_id,),
        ).fetchall()
        unread = self._unread(state).union(parts_to_read(chosen, (one for (one,) in found)))
        self._set_state(_UNREAD, msgspec.json.encode(sorted(unread)).decode())

    def _erase(self, declared: Table, keys: Sequence[Sequence[int]], revision: int) -> int:
        """Erase all of the rows but their keys, and return the latest revision."""
        now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        self.execute_many(
            self.statements[declared.name].erase,
            [(now, number, *key) for number, key in enumerate(keys, revision + 1)],
        )
        return revision + len(keys)


def schema_of(name: str, state: Mapping[str, str]) -> int:
    """The number of the schema of a mirror.

    Raises:
        InvalidInput: a newer version made it, or it can't be read.
    """
    told = state.get(_SCHEMA, "0")
    if not told.isdecimal():
        raise InvalidInput(f"cannot read {name}: its schema is {told!r}; {DAMAGED}")
    if int(told) > SCHEMA:
        raise InvalidInput(
            f"{name} is a mirror of schema {told}, made by a newer version of toggl_async; "
            f"this one knows schemas up to {SCHEMA}: update toggl_async"
        )
    return int(told)
