import asyncio
import warnings
from collections.abc import Sequence
from typing import Any

import attrs
import pytest

from support.answers import Answers
from toggl_async import (
    UNSET,
    ApiToken,
    BulkEditInterrupted,
    Forbidden,
    InvalidInput,
    Pace,
    Patch,
    TogglClient,
)
from toggl_async._operations.bulk import in_chunks
from toggl_async.codec import DriftWarning
from toggl_async.records import BulkEditFailure, BulkEditResult

pytestmark = [pytest.mark.anyio, pytest.mark.jump]


@attrs.define
class Editor:
    """Edits chunks; fails for some ids, and altogether at one chunk."""

    breaks_at: int = -1
    breaks_with: BaseException = attrs.field(
        factory=lambda: Forbidden("no", status=403, method="PATCH", path="/x")
    )
    chunks: list[list[int]] = attrs.field(factory=list)

    async def __call__(self, ids: Sequence[int]) -> BulkEditResult:
        if len(self.chunks) == self.breaks_at:
            raise self.breaks_with
        self.chunks.append(list(ids))
        odd = [BulkEditFailure(id=number, message="locked") for number in ids if number % 2]
        return BulkEditResult(success=[number for number in ids if not number % 2], failure=odd)


async def test_any_number_of_ids_goes_in_chunks_with_one_result() -> None:
    editor = Editor()
    result = await in_chunks(editor, range(250), size=100)
    assert [len(chunk) for chunk in editor.chunks] == [100, 100, 50]
    assert result.success == list(range(0, 250, 2))
    assert [failure.id for failure in result.failure] == list(range(1, 250, 2))


async def test_an_id_given_twice_is_edited_once() -> None:
    editor = Editor()
    assert (await in_chunks(editor, [4, 2, 4], size=100)).success == [4, 2]
    assert editor.chunks == [[4, 2]]


@pytest.mark.parametrize("count", [1, 101])
async def test_what_failed_can_be_counted_where_nothing_did(count: int) -> None:
    result = await in_chunks(Editor(), range(0, 2 * count, 2), size=100)
    assert result == BulkEditResult(success=list(range(0, 2 * count, 2)), failure=[])


async def test_no_ids_are_refused() -> None:
    with pytest.raises(InvalidInput, match="at least one id"):
        await in_chunks(Editor(), [], size=100)


async def test_a_first_chunk_that_fails_raises_its_own_error() -> None:
    with pytest.raises(Forbidden):
        await in_chunks(Editor(breaks_at=0), range(250), size=100)


async def test_a_later_chunk_that_fails_loses_nothing() -> None:
    with pytest.raises(BulkEditInterrupted) as caught:
        await in_chunks(Editor(breaks_at=1), range(250), size=100)
    error = caught.value
    assert isinstance(error.result, BulkEditResult)
    assert error.result.success == list(range(0, 100, 2))
    assert (error.failed, error.untouched) == (list(range(100, 200)), list(range(200, 250)))
    assert isinstance(error.__cause__, Forbidden)
    assert str(error) == "a bulk edit was interrupted; ids that failed: 100, untouched: 50"


@pytest.mark.parametrize("interruption", [asyncio.CancelledError, KeyError])
async def test_another_interruption_goes_on_with_a_note(interruption: type[BaseException]) -> None:
    with pytest.raises(interruption) as caught:
        await in_chunks(Editor(breaks_at=1, breaks_with=interruption()), range(5), size=2)
    assert caught.value.__notes__ == ["bulk edit: 2 of 5 ids were edited, [2, 3] may have been, [4] were not"]


@pytest.mark.parametrize(
    ("answer", "missing"),
    [
        ({}, [1, 2]),
        ({"success": None, "failure": None}, [1, 2]),
        ({"success": [99]}, [1, 2]),
        ({"success": [1]}, [2]),
        ({"success": [1], "failure": [{"message": "locked"}]}, [2]),
        ({"success": [1], "failure": [{"id": 2, "message": "locked"}]}, []),
        ({"success": [2, 1], "failure": None}, []),
    ],
    ids=str,
)
@pytest.mark.parametrize("resource", ["projects", "time_entries", "project_users", "tasks"])
async def test_an_id_that_the_answer_does_not_account_for_is_a_failure(
    resource: str, answer: object, missing: list[int]
) -> None:
    project = [5] if resource == "tasks" else []
    async with Answers(answer).client() as toggl:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DriftWarning)
            result = await getattr(toggl.workspace(3), resource).bulk_edit(
                *project, [1, 2], patches=[Patch(op="remove", path="/a")]
            )
    unmentioned = [one.id for one in result.failure if "does not mention it" in (one.message or "")]
    assert unmentioned == missing


async def test_each_chunk_is_accounted_for_by_its_own_answer() -> None:
    def answer(number: int, _: object) -> object:
        return {"success": list(range(1, 101)) if number == 1 else [], "failure": [], "more": [number]}

    async with Answers(answer).client(pace=Pace(interval=0), keep_unknown=True) as toggl:
        result = await toggl.workspace(3).projects.bulk_edit(
            range(1, 103), patches=[Patch(op="remove", path="/a")]
        )
    assert result.success == list(range(1, 101))
    assert [one.id for one in result.failure] == [101, 102]
    assert result.unknown == {"more": [1, 2]}


@pytest.mark.parametrize("ids", [None, UNSET, 5, "12", [None], [1, None], [1.5], {1: 2}])
async def test_what_is_no_collection_of_ids_is_refused(ids: Any) -> None:
    async with TogglClient(ApiToken("0" * 32)) as toggl:
        with pytest.raises(InvalidInput, match=r"^time_entry_ids: "):
            await toggl.workspace(7).time_entries.bulk_edit(ids, patches=[Patch(op="remove", path="/tags")])
