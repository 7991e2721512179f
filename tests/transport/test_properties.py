"""The promises of the scheduler, each a property, against a strict model of the server."""

import asyncio
import itertools
import math
import random
from collections import Counter
from collections.abc import Callable

import attrs
import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clock import JumpLoop
from toggl_async.errors import (
    ConnectionFailed,
    EndpointGone,
    FeatureUnavailable,
    RequestTimeout,
    TogglError,
)
from toggl_async.options import ClientOptions, Priority
from toggl_async.transport import Attempted, Lane, RequestFacts, ScheduledTransport, Scheduler
from transport.model import FAULTS, Arrival, Model

RUNS = settings(deadline=None, max_examples=150)
OPTIONS = ClientOptions(coalesce=False)
INTERVAL = OPTIONS.pace.interval * (1 + OPTIONS.pace.margin)


@attrs.frozen
class Plan:
    """One call to be made."""

    name: str
    after: float
    priority: Priority
    writes: bool
    max_wait: float
    gives_up: float | None
    resource: str
    lane: Lane


@attrs.frozen
class Run:
    """What came of all calls."""

    model: Model
    plans: list[Plan]
    outcomes: dict[str, httpx.Response | BaseException]
    scheduler: Scheduler


def plans(
    *, give_up: bool = True, waits: tuple[float, ...] = (math.inf, 600.0, 30.0, 3.0)
) -> st.SearchStrategy[list[Plan]]:
    plan = st.builds(
        Plan,
        name=st.just(""),
        after=st.sampled_from([0.0, 0.0, 0.0, 0.3, 1.0, 5.0, 200.0, 4000.0]),
        priority=st.sampled_from(list(Priority)),
        writes=st.booleans(),
        max_wait=st.sampled_from(waits),
        gives_up=st.sampled_from([None, None, None, 0.0, 0.05, 0.5, 2.0, 130.0]) if give_up else st.none(),
        resource=st.sampled_from(["alpha", "alpha", "beta"]),
        lane=st.sampled_from([Lane.USER, Lane.ORGANIZATION]),
    )
    return st.lists(plan, min_size=3, max_size=25).map(
        lambda made: [attrs.evolve(plan, name=str(number)) for number, plan in enumerate(made)]
    )


faults = st.dictionaries(
    st.tuples(st.integers(0, 6).map(str), st.sampled_from([0, 0, 1])), st.sampled_from(FAULTS), max_size=8
) | st.lists(st.sampled_from([None, "429", "502 after", "lost after"]), min_size=8, max_size=8).map(
    lambda drawn: {(str(call), 0): fault for call, fault in enumerate(drawn) if fault is not None}
)


def varied(seed: int, largest: float) -> Callable[[str, int], float]:
    """Return times that depend on nothing but seed, call and attempt."""
    return lambda call, attempt: random.Random(f"{seed} {call} {attempt}").uniform(0, largest)


models = st.builds(
    Model,
    burst=st.integers(1, 5),
    quota=st.sampled_from([None, None, 3, 8, 30]),
    headers=st.booleans(),
    latency=st.builds(varied, st.integers(0, 9), st.sampled_from([0.0, 0.2, 3.0, 12.0])),
    connecting=st.builds(varied, st.integers(0, 9), st.sampled_from([0.0, 0.0, 0.3, 4.0])),
    faults=faults,
    traces=st.booleans(),
)


def play(model: Model, planned: list[Plan], seed: int = 0) -> Run:
    """Make all calls, and wait until the last has ended."""
    outcomes: dict[str, httpx.Response | BaseException] = {}
    scheduler = Scheduler(OPTIONS, random=random.Random(seed))

    async def one(client: httpx.AsyncClient, plan: Plan) -> None:
        workspaces = plan.lane is Lane.ORGANIZATION
        path = f"/api/v9/{'workspaces/7' if workspaces else 'me'}/{plan.resource}"
        facts = RequestFacts(
            route=f"{'POST' if plan.writes else 'GET'} {path}",
            lane=plan.lane,
            reads=not plan.writes,
            workspace_id=7 if workspaces else None,
            priority=plan.priority,
            max_wait=plan.max_wait,
        )
        try:
            async with asyncio.timeout(plan.gives_up):
                outcomes[plan.name] = await client.request(
                    "POST" if plan.writes else "GET",
                    f"https://toggl.test{path}?call={plan.name}",
                    extensions={"toggl_async": facts},
                    content=b"{}" if plan.writes else None,
                )
        except BaseException as error:  # noqa: BLE001 - whatever it ends with is looked at
            outcomes[plan.name] = error

    async def everybody() -> None:
        transport = ScheduledTransport(model, scheduler=scheduler)
        async with httpx.AsyncClient(transport=transport, auth=("made-up", "api_token")) as client:
            tasks = []
            for plan in planned:
                await asyncio.sleep(plan.after)
                tasks.append(asyncio.ensure_future(one(client, plan)))
            await asyncio.gather(*tasks)
        await scheduler.aclose()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        assert not others, others

    with asyncio.Runner(loop_factory=JumpLoop) as runner:
        runner.run(everybody())
    return Run(model, planned, outcomes, scheduler)


def by_call(run: Run) -> dict[str, list[Arrival]]:
    grouped: dict[str, list[Arrival]] = {plan.name: [] for plan in run.plans}
    for arrival in run.model.arrivals:
        grouped[arrival.call].append(arrival)
    return grouped


@RUNS
@given(models, plans())
def test_every_call_ends_with_an_answer_or_a_typed_error(model: Model, planned: list[Plan]) -> None:
    run = play(model, planned)
    assert set(run.outcomes) == {plan.name for plan in planned}
    for plan in planned:
        outcome = run.outcomes[plan.name]
        gave_up = plan.gives_up is not None and isinstance(outcome, TimeoutError)
        assert isinstance(outcome, httpx.Response | TogglError) or gave_up, repr(outcome)
    for account in run.scheduler.stats().accounts:
        assert (account.in_flight, account.waiting) == (0, 0)


@RUNS
@given(models, plans())
def test_never_faster_than_the_pace(model: Model, planned: list[Plan]) -> None:
    arrivals = play(model, planned).model.arrivals
    for before, after in itertools.pairwise(arrivals):
        assert after.at - before.at >= INTERVAL * (1 - 1e-5)


@RUNS
@given(models, plans())
def test_nothing_but_one_probe_while_cooling_down(model: Model, planned: list[Plan]) -> None:
    arrivals = play(model, planned).model.arrivals
    for refused in arrivals:
        if refused.status != 429:
            continue
        end = refused.answered_at + OPTIONS.cooldown.minimum
        assert not [other for other in arrivals if refused.answered_at < other.at < end]
        later = [other for other in arrivals if other.at >= end]
        if later:
            probe = later[0]
            assert not [other for other in later[1:] if other.at < probe.answered_at]


@RUNS
@given(models, plans(), st.sampled_from(["502 after", "lost after", "half", "lost before"]))
def test_a_write_that_may_have_been_applied_is_never_sent_again(
    model: Model, planned: list[Plan], fault: str
) -> None:
    model.faults = {(str(number), 0): fault for number in range(0, 25, 2)} | model.faults
    run = play(model, planned)
    for plan in planned:
        arrivals = by_call(run)[plan.name]
        if not plan.writes:
            continue
        assert sum(arrival.applied for arrival in arrivals) <= 1
        assert all(arrival.status in {402, 429} for arrival in arrivals[:-1])
        outcome = run.outcomes[plan.name]
        unconfirmed = bool(arrivals) and (arrivals[-1].status is None or arrivals[-1].status >= 500)
        if isinstance(outcome, ConnectionFailed | RequestTimeout):
            assert outcome.maybe_applied or not arrivals or arrivals[-1].status in {402, 429}
        elif isinstance(outcome, httpx.Response):
            attempted = outcome.extensions["toggl_async"]
            assert isinstance(attempted, Attempted)
            assert attempted.attempts >= len(arrivals)
            assert attempted.maybe_applied is unconfirmed


@RUNS
@given(models, plans(give_up=False, waits=(math.inf, 600.0)), st.sampled_from([3, 8, 30]))
def test_never_more_than_the_window_allows(model: Model, planned: list[Plan], quota: int) -> None:
    model.quota, model.headers = quota, True
    arrivals = play(model, planned).model.arrivals
    spent = Counter(arrival.window for arrival in arrivals)
    for refused in (arrival for arrival in arrivals if arrival.status == 402 and arrival.window > 0):
        if spent[refused.window] <= quota:
            continue  # a feature refusal
        # Only who was sent before the first word on this window can have been one too many.
        words = [
            other.answered_at
            for other in arrivals
            if other.window == refused.window and other.status is not None and other.status < 500
        ]
        over = [other for other in arrivals if other.window == refused.window][quota:]
        assert all(other.at <= min(words) for other in over)


@RUNS
@given(models, plans(give_up=False, waits=(math.inf,)))
def test_first_come_first_served_within_a_priority(model: Model, planned: list[Plan]) -> None:
    model.faults, model.quota, model.connecting = {}, None, lambda _call, _attempt: 0.0
    model.gone = frozenset()
    run = play(model, planned)
    for priority in Priority:
        order = [
            int(arrival.call)
            for arrival in run.model.arrivals
            if planned[int(arrival.call)].priority is priority
        ]
        assert order == sorted(order)
    assert {arrival.call for arrival in run.model.arrivals} == {plan.name for plan in planned}


@RUNS
@given(models, plans(give_up=False, waits=(math.inf,)), st.data())
def test_a_cancelled_call_changes_nobodys_outcome(
    model: Model, planned: list[Plan], data: st.DataObject
) -> None:
    model.burst, model.quota = 5, None
    left = data.draw(st.sampled_from(planned))
    after = data.draw(st.sampled_from([0.0, 0.01, 0.5, 1.5, 10.0, 150.0, 2000.0]))
    faults = {key: fault for key, fault in model.faults.items() if fault != "feature" and key[0] != left.name}

    def statuses(run: Run) -> dict[str, object]:
        return {
            name: outcome.status_code if isinstance(outcome, httpx.Response) else type(outcome)
            for name, outcome in run.outcomes.items()
            if name != left.name
        }

    def fresh() -> Model:
        return attrs.evolve(model, faults=dict(faults), arrivals=[], windows={})

    cancelled = [attrs.evolve(plan, gives_up=after) if plan is left else plan for plan in planned]
    assert statuses(play(fresh(), cancelled)) == statuses(play(fresh(), planned))


@RUNS
@given(models, plans())
def test_nothing_is_sent_after_a_remembered_410(model: Model, planned: list[Plan]) -> None:
    model.gone = frozenset({"GET /api/v9/me/alpha", "POST /api/v9/workspaces/7/alpha"})
    model.faults = {}
    run = play(model, planned)
    for route in model.gone:
        arrivals = [arrival for arrival in run.model.arrivals if arrival.route == route]
        known = min((arrival.answered_at for arrival in arrivals if arrival.status == 410), default=math.inf)
        assert all(arrival.at <= known for arrival in arrivals)


@RUNS
@given(plans(give_up=False, waits=(math.inf,)))
def test_a_feature_refusal_is_remembered_for_the_same_request(planned: list[Plan]) -> None:
    model = Model(faults={("0", 0): "feature"})
    same = [
        attrs.evolve(plan, name="0", writes=False, lane=Lane.ORGANIZATION, resource="alpha")
        for plan in planned
    ]
    run = play(model, [*same, attrs.evolve(same[0], after=30.0)])
    assert isinstance(run.outcomes["0"], FeatureUnavailable)
    assert run.outcomes["0"].from_memory
    assert [arrival.status for arrival in run.model.arrivals].count(402) == 1


def test_the_model_refuses_who_is_too_fast() -> None:
    model = Model(burst=2)

    async def rush() -> list[int]:
        async with httpx.AsyncClient(transport=model) as client:
            return [(await client.get("https://toggl.test/api/v9/me")).status_code for _ in range(3)]

    model.latency = lambda _call, _attempt: 0.0
    with asyncio.Runner(loop_factory=JumpLoop) as runner:
        assert runner.run(rush()) == [200, 200, 429]


def test_a_gone_endpoint_is_known_by_its_error() -> None:
    model = Model(gone=frozenset({"GET /api/v9/me/alpha"}))
    planned = [
        Plan(str(number), 10.0, Priority.NORMAL, False, 600.0, None, "alpha", Lane.USER)
        for number in range(3)
    ]
    run = play(model, planned)
    with pytest.raises(EndpointGone, match="from memory"):
        raise run.outcomes["2"] if isinstance(run.outcomes["2"], BaseException) else AssertionError
    assert len(run.model.arrivals) == 1
