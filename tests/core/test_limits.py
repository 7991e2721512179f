"""The stored value, its clock, and the short way of `ask`."""

import copy
import random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.driven import process
from toggl_async.options import ClientOptions, Pace
from toggl_async.scheduler.core import ask as asking
from toggl_async.scheduler.core.ask import ask, leaving, view
from toggl_async.scheduler.core.limits import (
    FORMAT,
    SECOND,
    Demand,
    Gate,
    Limits,
    NewerFormat,
    Waiter,
    Window,
)
from toggl_async.scheduler.core.notes import (
    Alive,
    AnswerTold,
    Learned,
    LossTold,
    Note,
    Slept,
    Throttled,
    Unused,
)
from toggl_async.scheduler.core.process import Process
from toggl_async.scheduler.core.waiters import Want

TIME = 1_764_000_000 * SECOND
"""A day in November 2025, as a store would count it."""

near = st.integers(-5 * SECOND, 5 * SECOND)
ahead = st.integers(0, 5 * SECOND)
counts = st.integers(0, 4)
names = st.sampled_from(["a", "b", "c"])
window_names = st.sampled_from(["user", "organization:1"])
levels = st.integers(0, 2)


@st.composite
def windows(draw: st.DrawFn, number: int) -> Window:
    known = draw(st.booleans())
    return Window(
        remaining=draw(counts) if known else None,
        reset_at=TIME + draw(near) if known and draw(st.booleans()) else None,
        word=number - draw(counts),
        total=draw(st.none() | st.integers(1, 5)),
        flying={number - n: TIME + draw(near) for n in range(draw(counts))},
        settled=sorted(draw(st.sets(st.integers(number - 4, number), max_size=2))),
        shut_at=draw(st.sampled_from([0, TIME - SECOND])),
    )


@st.composite
def limits(draw: st.DrawFn, *, lonely: bool = False) -> Limits:
    number = draw(st.integers(10, 20))
    slot = TIME + draw(near)
    value = Limits.new(TIME - 10 * SECOND)
    value.number, value.slot, value.before = number, slot, slot - draw(ahead)
    value.holder = draw(names)
    value.skew = draw(st.sampled_from([0, 0, SECOND]))
    value.added = draw(st.sampled_from([0.0, 0.1, 0.0005]))
    value.calm = draw(st.sampled_from([0, 49, 50]))
    value.served = [TIME - draw(st.integers(0, 400)) * SECOND for _ in range(3)]
    value.closed = draw(st.sampled_from([0, 0, TIME, TIME + SECOND]))
    probing = draw(st.booleans())
    value.gate = Gate(
        until=TIME + draw(near) if probing else 0,
        number=number - draw(counts),
        probing=probing,
        probe=number if probing and draw(st.booleans()) else 0,
        prober=draw(names),
        probe_at=slot,
        probe_until=TIME + draw(near),
    )
    value.windows = {name: draw(windows(number)) for name in draw(st.sets(window_names))}
    if not lonely:
        value.waiters = {
            name: Waiter(
                [
                    Demand(draw(levels), draw(window_names), draw(st.integers(1, 3)), TIME - draw(ahead))
                    for _ in range(draw(st.integers(1, 2)))
                ],
                TIME + draw(near),
                TIME + draw(near),
            )
            for name in draw(st.sets(names))
        }
    return value


@st.composite
def notes(draw: st.DrawFn) -> list[Note]:
    number, window = draw(st.integers(5, 20)), draw(window_names)
    return draw(
        st.lists(
            st.sampled_from(
                [
                    AnswerTold(number, window),
                    AnswerTold(number, window, draw(st.integers(-1, 5)), draw(ahead)),
                    AnswerTold(number, window, exhausted=True, resets_in=draw(st.none() | ahead), calm=False),
                    Throttled(number, window, draw(st.none() | ahead)),
                    LossTold(number, window),
                    Unused(number, window),
                    Alive(),
                    Learned(),
                    Slept(draw(ahead)),
                ]
            ),
            max_size=2,
        )
    )


@st.composite
def wants(draw: st.DrawFn) -> list[Want]:
    found = {
        (want.level, want.window): want
        for want in draw(
            st.lists(
                st.builds(Want, levels, window_names, st.integers(1, 3), st.integers(0, 300 * SECOND)),
                max_size=3,
            )
        )
    }
    return list(found.values())


@st.composite
def processes(draw: st.DrawFn, name: str = "a") -> Process:
    interval = draw(st.sampled_from([0, SECOND // 10, SECOND, 4 * SECOND]))
    return process(
        name,
        base=interval,
        interval=interval,
        reserve=draw(st.integers(0, 1)),
        lag=draw(st.sampled_from([0, 3000])),
        chance=draw(st.floats(0, 1, exclude_max=True)),
        tells=draw(st.booleans()),
        alive=draw(st.sampled_from([lambda _: True, lambda name: name != "b"])),
    )


def test_a_value_of_nobody_is_small() -> None:
    assert len(Limits.new(TIME).to_bytes()) <= 90


@given(limits())
def test_what_is_stored_comes_back(value: Limits) -> None:
    assert Limits.from_bytes(value.to_bytes()) == value


def test_a_newer_format_is_left_alone() -> None:
    stored = msgspec.msgpack.encode([FORMAT + 1, "of another shape"])
    with pytest.raises(NewerFormat, match=f"format {FORMAT + 1}"):
        Limits.from_bytes(stored)
    value = Limits.new(TIME)
    value.format = FORMAT + 1
    with pytest.raises(NewerFormat):
        Limits.from_bytes(value.to_bytes())


@pytest.mark.parametrize("stored", [b"\xc1", b"\x90", msgspec.msgpack.encode([FORMAT, "damaged"]), b"\x01"])
def test_damage_is_told(stored: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        Limits.from_bytes(stored)


@given(st.lists(st.integers(-100, 100), min_size=1))
def test_time_never_goes_back(steps: list[int]) -> None:
    value, clock, before = Limits.new(TIME), TIME, TIME
    for step in steps:
        clock += step
        now = value.advance(clock)
        assert now >= before
        assert step < 0 or now - before == step, "it goes on from where it stood"
        before = now


def test_options_become_microseconds() -> None:
    me = Process.of("a", ClientOptions(pace=Pace(interval=2.0, margin=0.05)))
    assert (me.base, me.interval, me.rest_minimum, me.rest_maximum) == (
        2 * SECOND,
        2_100_000,
        120 * SECOND,
        240 * SECOND,
    )


def same_both_ways(value: Limits, me: Process, want: Want, told: list[Note], late: int) -> None:
    other = Limits.from_bytes(value.to_bytes())
    short = ask(value, TIME + late, me, [want], told)
    short_way = asking._alone
    try:
        asking._alone = lambda *_: None
        long = ask(other, TIME + late, me, [want], told)
    finally:
        asking._alone = short_way
    assert short == long
    assert value == other


one_call = st.builds(Want, levels, window_names, waited=st.integers(0, 300 * SECOND))


@given(limits(lonely=True), processes(), one_call, notes(), ahead)
def test_the_short_way_is_the_long_way(
    value: Limits, me: Process, want: Want, told: list[Note], late: int
) -> None:
    same_both_ways(value, me, want, told, late)


def drawn(chance: random.Random) -> Limits:
    """Draw limits as `limits` does, fifty times as fast."""
    value = Limits.new(TIME - 10 * SECOND)
    value.number = number = chance.randint(10, 20)
    value.slot = TIME + chance.randint(-3 * SECOND, 3 * SECOND)
    value.before = value.slot - chance.randint(0, 3 * SECOND)
    value.added, value.calm = chance.choice([0.0, 0.1, 0.0005]), chance.choice([0, 49, 50])
    value.served = [TIME - chance.randint(0, 400) * SECOND for _ in range(3)]
    value.closed = chance.choice([0, 0, TIME, TIME + SECOND])
    if chance.random() < 0.4:
        probe = chance.choice([0, number, number - 1])
        lease = TIME + chance.randint(-3 * SECOND, 3 * SECOND)
        until = TIME + chance.choice([-SECOND, 0, SECOND // 3, SECOND])
        value.gate = Gate(
            until, number - chance.randint(0, 3), True, probe, "ab"[probe % 2], value.slot, lease
        )
    for name in chance.sample(["user", "organization:1"], chance.randint(0, 2)):
        remaining = chance.choice([None, 0, 1, 3])
        value.windows[name] = Window(
            remaining,
            None if remaining is None else TIME + chance.randint(-SECOND, 3 * SECOND),
            number - chance.randint(0, 3),
            chance.choice([None, 2]),
            {number - n: TIME + chance.choice([-SECOND, SECOND]) for n in range(chance.randint(0, 2))},
            shut_at=chance.choice([0, TIME - SECOND]),
        )
    return value


def test_both_ways_are_the_same_for_thousands_of_values() -> None:
    """As many as 200 times the examples of a property: 20,000, by night a million."""
    chance = random.Random(19)
    for _ in range(200 * settings().max_examples):
        interval = chance.choice([0, SECOND // 10, SECOND])
        me = process(
            "a", base=interval, interval=interval, reserve=chance.randint(0, 1), chance=chance.random()
        )
        want = Want(chance.randint(0, 2), "user", waited=chance.randint(0, 300 * SECOND))
        number, window = chance.randint(5, 20), chance.choice(["user", "organization:1"])
        notes: list[Note] = [
            AnswerTold(number, window),
            AnswerTold(number, window, chance.randint(-1, 3), chance.randint(0, SECOND)),
            Throttled(number, window),
            LossTold(number, window),
            Unused(number, window),
        ]
        told = chance.sample(notes, chance.randint(0, 1))
        same_both_ways(drawn(chance), me, want, told, chance.randint(0, 2 * SECOND))


@given(limits(), processes(), wants(), notes(), ahead)
def test_a_step_can_run_twice(
    value: Limits, me: Process, wanted: list[Want], told: list[Note], late: int
) -> None:
    stored = value.to_bytes()
    first, second = Limits.from_bytes(stored), Limits.from_bytes(stored)
    assert ask(first, TIME + late, me, wanted, told) == ask(second, TIME + late, me, wanted, told)
    assert first.to_bytes() == second.to_bytes()


@given(limits(), processes(), wants(), notes(), ahead)
def test_answers_are_durations(
    value: Limits, me: Process, wanted: list[Want], told: list[Note], late: int
) -> None:
    answer, wakes = ask(value, TIME + late, me, wanted, told)
    hour = 2 * 3600 * SECOND
    assert 0 <= answer.wait <= hour
    assert answer.sleep is None or 0 <= answer.sleep <= hour
    assert all(0 <= wake.after <= hour and wake.name != me.name for wake in wakes)
    left = sum(want.count for want in wanted) - bool(answer.number)
    assert (answer.sleep is not None) == (left > 0) == (me.name in value.waiters) == (answer.view is not None)


@given(limits(), processes(), wants(), notes(), ahead)
def test_a_turn_is_never_nearer_than_the_interval(
    value: Limits, me: Process, wanted: list[Want], told: list[Note], late: int
) -> None:
    ask(value, TIME + late, me, (), told)
    before = copy.deepcopy(value)
    answer, _ = ask(value, TIME + late, me, wanted)
    if answer.number:
        assert value.slot - before.slot >= me.interval
        assert value.slot >= before.gate.until
        assert not before.closed or value.slot - before.closed >= me.interval
        assert value.number == answer.number > before.number
        assert not before.gate.probe or value.gate.probe == answer.number
    else:
        assert value.slot == before.slot


@given(limits(), processes(), levels, window_names, st.integers(8, 20), ahead)
def test_a_last_look_keeps_the_distance(
    value: Limits, me: Process, level: int, window: str, number: int, late: int
) -> None:
    number = min(number, value.number)
    before = copy.deepcopy(value)
    departure, wakes = leaving(value, TIME + late, me, number, level, window)
    now = value.at
    if departure.number:
        assert departure.number in {number, before.number + 1}
        assert now + departure.wait in {value.slot, max(now, before.before)}
        assert now >= before.gate.until
        if departure.number != number:
            assert value.slot - before.slot >= me.interval
            assert departure.wait <= max(me.interval + int(me.base * value.added), me.lag)
    assert all(wake.name != me.name for wake in wakes)


@given(limits(), processes())
def test_a_view_changes_nothing(value: Limits, me: Process) -> None:
    before = copy.deepcopy(value)
    seen = view(value, TIME, me)
    assert value == before
    assert seen.opens_in >= 0
    assert set(seen.windows) == set(value.windows)


def test_the_value_does_not_grow_by_requests_that_died() -> None:
    value, me = Limits.new(TIME), process("a")
    for second in range(1000):
        ask(value, TIME + second * SECOND, me, [Want(1, "user")])
    assert len(value.windows["user"].flying) <= 66
    assert not value.windows["user"].settled or len(value.windows["user"].settled) <= 66
