"""Every operation against every kind of hostile answer, over a real socket.

What comes of it is a value in which all that was sent can be found again, or a typed error that says
what came; and the next call is none the worse.
"""

from collections import Counter
from collections.abc import Iterator

import pytest

from hostile.arena import Arena
from hostile.explore import SAMPLE, explore, nightly
from hostile.kinds import KINDS, Case, Subject, cases, cases_of, subjects
from hostile.tally import record


@pytest.fixture(scope="module")
def arena() -> Iterator[Arena]:
    with Arena() as arena:
        yield arena


def attempt(arena: Arena, subject: Subject, case: Case) -> tuple[str, tuple[str, ...]]:
    outcome = arena.run(subject, case)
    return outcome.name, outcome.wrong


@pytest.mark.parametrize("kind", KINDS)
def test_an_answer_is_accounted_for_or_a_typed_error(kind: str, arena: Arena) -> None:
    found = explore(cases(kind), lambda one: attempt(arena, *one), within=SAMPLE, outcomes=Counter())
    assert not found, found


@pytest.mark.nightly
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", KINDS)
def test_every_operation_s_answer_is_accounted_for_or_a_typed_error(kind: str, arena: Arena) -> None:
    outcomes: Counter[str] = Counter()
    found = [
        f"{subject!r}: {wrong}"
        for subject in subjects(kind)
        if (
            wrong := explore(
                cases_of(kind, subject),
                lambda case, subject=subject: attempt(arena, subject, case),  # type: ignore[misc]
                within=nightly(),
                outcomes=outcomes,
            )
        )
    ]
    record("operations", kind, outcomes)
    assert not found, "\n".join(found)
