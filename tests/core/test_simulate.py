"""A fixed set of the seeds of `nox -s simulate`; a failing one prints its story."""

import pytest

from core.driven import Broken
from core.simulate import Simulation, run
from support.pairs import first_of

SEEDS = [*range(3), *first_of([3, 9, 16, 19, 22])]
"""The first few, and those that found something once."""


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", SEEDS)
def test_an_account_keeps_its_promises(seed: int) -> None:
    simulation = run(seed)
    assert simulation.sent
    assert sum(simulation.server.statuses.values()) <= simulation.sent


def test_a_seed_tells_the_same_story_twice() -> None:
    assert run(3).story == run(3).story


def test_a_failing_seed_tells_its_story(monkeypatch: pytest.MonkeyPatch) -> None:
    simulation = Simulation(3)
    monkeypatch.setattr(simulation, "finished", lambda: 1 / 0)
    with pytest.raises(Broken, match=r"(?s)seed 3: Scene.*leaves, turn.*ZeroDivisionError"):
        simulation.run()
