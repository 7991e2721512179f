"""Life without a store: places that are kept, and what is brought back."""

import pytest

from core.driven import process
from toggl_async.scheduler.core.alone import Round, bring_back, draw, go_alone, make_place
from toggl_async.scheduler.core.ask import ask, leaving
from toggl_async.scheduler.core.limits import SECOND, Limits, Waiter
from toggl_async.scheduler.core.waiters import Want

NOW = 10**9


def test_a_place_that_was_promised_is_not_drawn_anew() -> None:
    limits = Limits.new(NOW)
    promised = Round(NOW + 7, 3)
    draw(promised, limits, NOW, SECOND, 0.5)
    assert promised.anchor == NOW + 7
    unknown = Round(None, 3)
    draw(unknown, limits, NOW, SECOND, 0.5)
    assert unknown.anchor == NOW + 2 * SECOND
    assert limits.slot == NOW + SECOND


def test_a_rest_that_began_meanwhile_holds_for_all() -> None:
    stored, mine = Limits.new(NOW), Limits.new(NOW)
    mine.gate.probing, mine.gate.until = True, NOW + 200 * SECOND
    bring_back(stored, mine, 5 * SECOND)
    assert (stored.gate.probing, stored.gate.until) == (True, NOW + 205 * SECOND)
    assert stored.gate.number == stored.number
    bring_back(stored, Limits.new(NOW), 0)
    assert stored.gate.until == NOW + 205 * SECOND, "none is shortened"


def test_ones_own_probe_stays_out_and_that_of_others_is_forgotten() -> None:
    for prober, probe in (("me", 7), ("other", 0)):
        limits = Limits.new(NOW)
        limits.gate.probe, limits.gate.prober = 7, prober
        assert go_alone(limits, "me", NOW) == Round(NOW, 0)
        assert limits.gate.probe == probe


@pytest.mark.parametrize("late", [0, 3_000, 20_000, 400_000, 900_000])
def test_a_turn_that_is_late_waits_for_the_next_place_of_its_own(late: int) -> None:
    """Leaving as late as it is, it would meet the one whose place comes next."""
    me, limits = process("me"), Limits.new(NOW)
    for number, name in enumerate(("me", "second", "third")):
        limits.waiters[name] = Waiter([], NOW + number * SECOND, NOW + 9 * SECOND)
    places = go_alone(limits, "me", None)
    make_place(places, limits, NOW, SECOND)
    answer, _ = ask(limits, NOW, me, (Want(1, "user"),))
    assert (bool(answer.number), answer.wait) == (True, 0)
    now = NOW + late
    make_place(places, limits, now, SECOND)
    departure, _ = leaving(limits, now, me, answer.number, 1, "user")
    if late <= 5_000:
        assert (departure.number, departure.wait) == (answer.number, 0)
        return
    assert departure.number == 0
    make_place(places, limits, now, SECOND)
    answer, _ = ask(limits, now, me, (Want(1, "user"),))
    assert answer.number == 0
    now = NOW + 3 * SECOND + SECOND // 2  # one's own places are as far apart
    make_place(places, limits, now, SECOND)
    answer, _ = ask(limits, now, me, (Want(1, "user"),))
    assert (bool(answer.number), answer.wait) == (True, 0)
