"""A small part of what `nox -s explore` walks: every promise in every state."""

import collections

import pytest

from core.explore import RULES, SCENES, Explorer
from toggl_async.options import Priority
from toggl_async.scheduler.core import waiters
from toggl_async.scheduler.core.waiters import PATIENCE


@pytest.mark.parametrize("scene", SCENES)
def test_promises_hold_in_every_state(scene: str) -> None:
    callers, limits = SCENES[scene]
    explorer = Explorer(callers, **limits)
    explorer.walk(depth=4, settle_every=5)
    assert explorer.depth == 4
    assert explorer.transitions > explorer.states > 100
    assert waiters.PATIENCE == PATIENCE, "what was shortened is as it was"


@pytest.mark.slow
def test_every_rule_fires() -> None:
    fired: collections.Counter[str] = collections.Counter()
    for name in ("faults", "three levels"):
        callers, limits = SCENES[name]
        explorer = Explorer(callers, **limits)
        explorer.walk(depth=5, settle_every=2)
        fired += explorer.fired
    assert {rule for *_, rule in RULES} <= set(fired)
    assert Priority.BULK


def test_a_broken_promise_tells_its_story(monkeypatch: pytest.MonkeyPatch) -> None:
    from toggl_async.scheduler.core import ask  # noqa: PLC0415 - only this test breaks it

    monkeypatch.setattr(ask, "near_enough", lambda *_: True)
    monkeypatch.setattr(ask, "opening", lambda _limits, now, *_: now)
    callers, limits = SCENES["three levels"]
    with pytest.raises(AssertionError, match=r"(?s)after the one before.*submit"):
        Explorer(callers, **limits).walk(depth=6)
