"""`--accounts`: what goes wrong with one account is told of it, and never touches another's."""

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from support.export_written import ids
from toggl_async.cli import main
from toggl_async.export import export
from toggl_async.export.mirror.destination import MIRROR
from toggl_async.export.mirror.sqlite import SqliteStore
from toggl_async.sandbox import Sandbox, answers
from toggl_async.sandbox.app import Application

NAMES = ("first", "second", "third")
"""The second is the one with which something goes wrong."""


@attrs.frozen
class Scene:
    """Three accounts of one company, and where they are exported to."""

    server: Sandbox
    out: Path
    file: Path
    patch: pytest.MonkeyPatch

    def export(self, *options: str) -> int:
        return main(["export", "--out", str(self.out), "--accounts", str(self.file), *options])

    @property
    def tokens(self) -> dict[str, str]:
        people = self.server.company.members[: len(NAMES)]
        return {name: person.api_token for name, person in zip(NAMES, people, strict=True)}

    def is_second(self, call: Any) -> bool:
        return bool(call.person.api_token == self.tokens["second"])

    def answer_instead(self, answer: Callable[[], Any]) -> None:
        """Answer the second account's requests for tags in another way."""
        handle = Application._handle

        async def handled(application: Application, endpoint: Any, call: Any) -> Any:
            if self.is_second(call) and endpoint.route.endswith("/tags"):
                return answer()
            return await handle(application, endpoint, call)

        self.patch.setattr(Application, "_handle", handled)


@pytest.fixture
def scene(server: Sandbox, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    file = tmp_path / "accounts"
    file.write_text("".join(f"{name} env:{name.upper()}_TOKEN\n" for name in NAMES))
    scene = Scene(server, out, file, monkeypatch)
    for name, token in scene.tokens.items():
        monkeypatch.setenv(f"{name.upper()}_TOKEN", token)
    return scene


def refused(scene: Scene) -> None:
    scene.answer_instead(lambda: answers.refusal(403, "Incorrect username and/or password"))


def damaged(scene: Scene) -> None:
    (scene.out / "second").mkdir(parents=True)
    (scene.out / "second" / MIRROR).write_bytes(b"no database " * 100)


def full(scene: Scene) -> None:
    upsert = SqliteStore.upsert

    def failing(store: SqliteStore, *args: Any) -> None:
        if "second" in store.name:
            raise sqlite3.OperationalError("database or disk is full")
        upsert(store, *args)

    scene.patch.setattr(SqliteStore, "upsert", failing)


def unparsable(scene: Scene) -> None:
    scene.answer_instead(lambda: answers.json({"error": "internal"}))


def unexpected(scene: Scene) -> None:
    async def failing(client: Any, plan: Any, destination: Path, **options: Any) -> Any:
        if destination.name == "second":
            raise ZeroDivisionError("of nobody's making")
        return await export(client, plan, destination, **options)

    scene.patch.setattr("toggl_async.cli.jobs.run_export", failing)


@pytest.mark.parametrize(
    ("fault", "code", "told"),
    [
        (refused, 1, "Incorrect username and/or password"),
        (damaged, 2, "as a mirror: file is not a database"),
        (full, 1, "disk is full"),
        (unparsable, 4, "tags of workspace"),
        (unexpected, 1, "unexpected ZeroDivisionError: of nobody's making, which is a bug"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
@pytest.mark.sampled(1)
def test_one_accounts_fault_is_its_own(
    scene: Scene,
    capsys: pytest.CaptureFixture[str],
    fault: Callable[[Scene], None],
    code: int,
    told: str,
) -> None:
    with scene.patch.context() as patch:
        fault(attrs.evolve(scene, patch=patch))
        assert scene.export() == code
    printed = capsys.readouterr()
    complaints = [line for line in printed.err.splitlines() if line.startswith("toggl-async: ")]
    assert complaints
    assert all(line.startswith("toggl-async: second: ") for line in complaints), complaints
    assert told in "".join(complaints)
    for name in ("first", "third"):
        assert f"{scene.out / name}: " in printed.out
        manifest = json.loads((scene.out / name / "manifest.json").read_bytes())
        assert (manifest["finished"], manifest["complete"], manifest["totals_agree"]) == (True, True, True)
    # Mended, it goes on; the others only look for what is new.
    if fault is damaged:
        (scene.out / "second" / MIRROR).unlink()
    assert scene.export("--update") == 0
    own = ids(scene.out / "second", "jsonl")
    assert len(own) > 10
    assert {*own} <= {*ids(scene.out / "first", "jsonl")}


def test_machines_are_told_which_account_failed(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    unexpected(scene)
    assert scene.export("--json") == 1
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    ended = {event["account"]: event["event"] for event in events if event["event"] in {"finished", "failed"}}
    assert ended == {"first": "finished", "second": "failed", "third": "finished"}


def test_an_account_that_is_alone_shows_where_a_bug_is(
    server: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def failing(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("toggl_async.cli.jobs.run_export", failing)
    with pytest.raises(ZeroDivisionError):
        main(["export", "--out", str(tmp_path / "out")])
    assert server.counts.requests == 0
