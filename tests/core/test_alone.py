"""Life without a store: places that are kept, and what is brought back."""

from toggl_async.scheduler.core.alone import Round, bring_back, draw, go_alone
from toggl_async.scheduler.core.limits import SECOND, Limits

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
