"""Users whom Toggl's list omits although they have time entries: they have left, or the list is cut short."""

import datetime as dt
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.export_company import FIRST, NOW, SECOND, USER, Company, Entry
from support.export_updates import run
from support.export_written import ids, rows
from toggl_async.export import Manifest, Mirror

pytestmark = [pytest.mark.anyio, pytest.mark.jump]

DAY = dt.timedelta(days=1)
ANN = 99
WARNING = "Toggl doesn't list these users of workspace 20, who have probably left: 99; their time entries "


class Firm(Company):
    """Some time entries are Ann's, of the second workspace."""

    def __init__(self) -> None:
        super().__init__(12, days=2)
        self.asked_users = 0

    def _row(self, entry: Entry) -> dict[str, Any]:
        anns = {"user_id": ANN, "username": "Ann"} if entry.workspace_id == SECOND else {}
        return super()._row(entry) | anns

    def list_ann(self) -> None:
        self.lists["users"] += [{"id": ANN, "workspace_id": SECOND, "name": "Ann"}]

    def cut_users(self, first: Any, *others: Any) -> None:
        """Answer the list of the second workspace's users so, the last answer from then on."""
        answers = [first, *others]

        def answer(path: str, body: Any) -> httpx.Response | None:
            if not path.endswith(f"{SECOND}/users"):
                return None
            self.asked_users += 1
            reply = answers.pop(0) if len(answers) > 1 else answers[0]
            return reply if isinstance(reply, httpx.Response) else httpx.Response(200, json=reply)

        self.before = answer

    @property
    def listed(self) -> list[dict[str, Any]]:
        return [row for row in self.lists["users"] if row["workspace_id"] == SECOND]


def failed(manifest: Manifest) -> set[tuple[str, int]]:
    return {(one.dataset, one.workspace_id) for one in manifest.failed}


async def test_people_who_have_left_make_no_export_incomplete(tmp_path: Path) -> None:
    firm = Firm()
    for update in (False, True):
        manifest = await run(firm, tmp_path)
        assert (manifest.finished, manifest.complete, manifest.update) == (True, True, update)
        (warning,) = manifest.warnings
        assert warning.startswith(WARNING)
        entries = [row for row in rows(tmp_path, "jsonl", "time_entries") if row["workspace_id"] == SECOND]
        assert {(row["user_id"], row["username"]) for row in entries} == {(ANN, "Ann")}
        assert len(entries) == 4
        assert ANN not in ids(tmp_path, "jsonl", "users")
        firm.now += DAY
    async with Mirror(tmp_path / "mirror.sqlite") as mirror:
        names = await mirror.sql(
            "SELECT DISTINCT user_id, user_name FROM time_entries_named WHERE workspace_id = ?", [SECOND]
        )
    assert [tuple(row.values()) for row in names] == [(ANN, "Ann")]


async def test_whoever_leaves_stays_in_the_mirror_as_long_as_a_run_reads_their_time_entries(
    tmp_path: Path,
) -> None:
    firm = Firm()
    firm.list_ann()
    assert (await run(firm, tmp_path)).warnings == ()
    firm.lists["users"].pop()
    firm.now = NOW + DAY
    manifest = await run(firm, tmp_path)
    assert manifest.complete
    assert manifest.warnings[0].startswith(WARNING)
    assert ANN in ids(tmp_path, "jsonl", "users")
    for days in (90, 91):  # an update reads a month before the last run again
        firm.now = NOW + days * DAY
        manifest = await run(firm, tmp_path)
    assert (manifest.complete, manifest.warnings) == (True, ())
    assert ANN not in ids(tmp_path, "jsonl", "users")


@pytest.mark.parametrize("update", [False, True])
@pytest.mark.parametrize("second", ["whole", "refused", "odd", "shorter"])
async def test_a_list_that_the_second_answer_contradicts_has_failed(
    tmp_path: Path, second: str, update: bool
) -> None:
    firm = Firm()
    firm.list_ann()
    if update:
        assert (await run(firm, tmp_path)).complete
    firm.now = NOW + DAY
    short = [row for row in firm.listed if row["id"] != ANN]
    then = {
        "whole": firm.listed,
        "refused": httpx.Response(403, json="no"),
        "odd": {"error": "oops"},
        "shorter": short[:-1],
    }[second]
    firm.cut_users(short, then)
    manifest = await run(firm, tmp_path)
    assert not manifest.complete
    assert failed(manifest) == {("users", SECOND)}
    assert (ANN in ids(tmp_path, "jsonl", "users")) is update
    firm.before = lambda path, body: None
    firm.now = NOW + 2 * DAY
    assert (await run(firm, tmp_path)).complete
    assert ANN in ids(tmp_path, "jsonl", "users")


async def test_a_list_without_the_tokens_own_user_is_not_believed(tmp_path: Path) -> None:
    firm = Firm()
    firm.cut_users([row for row in firm.listed if row["id"] != USER])
    manifest = await run(firm, tmp_path)
    assert failed(manifest) == {("users", SECOND)}
    assert not manifest.complete


async def test_one_request_more_is_spent_and_only_where_somebody_is_missing(tmp_path: Path) -> None:
    firm = Firm()
    firm.cut_users(firm.listed)
    manifest = await run(firm, tmp_path)
    assert firm.asked_users == 2
    assert len(firm.asked(f"{FIRST}/users")) == 1
    assert manifest.requests == len(firm.log)
