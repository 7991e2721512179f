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
from hypothesis import example, given, settings
from hypothesis import strategies as st

from support.clock import JumpLoop
from support.model import FAULTS, Arrival, Model
from toggl_async.errors import (
    ConnectionFailed,
    EndpointGone,
    FeatureUnavailable,
    RequestTimeout,
    TogglError,
)
from toggl_async.options import ClientOptions, Priority
from toggl_async.scheduler import Attempted, Lane, RequestFacts, ScheduledTransport, Scheduler
from toggl_async.scheduler.core.limits import SECOND
from toggl_async.scheduler.core.waiters import PATIENCE

RUNS = settings(max_examples=settings().max_examples // 2)  # of what the profile says
THROTTLED = frozenset({400, 429})
"""A 400 of the model's is nginx's."""
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
        if refused.status not in THROTTLED:
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
        assert all(arrival.status in {402, *THROTTLED} for arrival in arrivals[:-1])
        outcome = run.outcomes[plan.name]
        unconfirmed = bool(arrivals) and (arrivals[-1].status is None or arrivals[-1].status >= 500)
        if isinstance(outcome, ConnectionFailed | RequestTimeout):
            assert outcome.maybe_applied or not arrivals or arrivals[-1].status in {402, *THROTTLED}
        elif isinstance(outcome, httpx.Response):
            attempted = outcome.extensions["toggl_async"]
            assert isinstance(attempted, Attempted)
            assert attempted.attempts >= len(arrivals)
            assert attempted.maybe_applied is unconfirmed


@RUNS
@given(models, plans(give_up=False, waits=(math.inf, 600.0)), st.sampled_from([3, 8, 30]))
@example(
    # Answers come while nobody waits, and the last one to leave is still connecting.
    Model(latency=varied(0, 12.0), connecting=varied(1, 4.0)),
    [
        Plan(
            name=str(number),
            after=0.0,
            priority=Priority.INTERACTIVE,
            writes=False,
            max_wait=math.inf,
            gives_up=None,
            resource="alpha",
            lane=Lane.USER,
        )
        for number in range(7)
    ],
    3,
)
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
        return attrs.evolve(model, faults=dict(faults), arrivals=[], windows={}, buckets={})

    cancelled = [attrs.evolve(plan, gives_up=after) if plan is left else plan for plan in planned]
    assert statuses(play(fresh(), cancelled)) == statuses(play(fresh(), planned))


class Crowd:
    """Calls that share their answers: many ask for few things, which Toggl answers the same each time."""

    answers = (200, 200, 403, 404, 410)
    options = attrs.evolve(OPTIONS, coalesce=True, max_wait=math.inf)

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.sent: list[tuple[float, str]] = []
        self.failed: set[str] = set()

    async def answer(self, request: httpx.Request) -> httpx.Response:
        """Fail each thing once, so that it is asked for again; then give it its own answer."""
        loop, thing = asyncio.get_running_loop(), request.url.path
        self.sent.append((loop.time(), thing))
        chance = random.Random(f"{self.seed} {thing}")
        await asyncio.sleep(chance.choice([0.0, 0.2, 3.0, 12.0]))
        fault = chance.choice([None, "502", "lost", "429"])
        if fault is not None and thing not in self.failed:
            self.failed.add(thing)
            if fault == "lost":
                raise httpx.ReadError(fault)
            return httpx.Response(int(fault), html="<html>nginx</html>")
        return httpx.Response(chance.choice(self.answers), json=thing)

    def ask(
        self, asked: list[tuple[float, int]], *, left: int | None, gives_up: float | None
    ) -> list[object]:
        """Ask for things at times; `left` gives up, or never asks. Return what all others got."""
        scheduler = Scheduler(self.options, random=random.Random(self.seed))
        transport = ScheduledTransport(httpx.MockTransport(self.answer), scheduler=scheduler)

        async def one(number: int, at: float, thing: int) -> object:
            await asyncio.sleep(at)
            if number == left and gives_up is None:
                return None
            try:
                async with asyncio.timeout(gives_up if number == left else None):
                    response = await client.get(f"https://toggl.test/api/v9/me/alpha/{thing}x")
            except (TimeoutError, TogglError) as error:
                return type(error), getattr(error, "status", None)
            return response.status_code, response.content

        async def everybody() -> list[object]:
            outcomes = await asyncio.gather(*(one(n, at, thing) for n, (at, thing) in enumerate(asked)))
            await client.aclose()
            await scheduler.aclose()
            assert not asyncio.all_tasks() - {asyncio.current_task()}
            assert all(account.in_flight == 0 for account in scheduler.stats().accounts)
            return [outcome for number, outcome in enumerate(outcomes) if number != left]

        client = httpx.AsyncClient(transport=transport)
        with asyncio.Runner(loop_factory=JumpLoop) as runner:
            return runner.run(everybody())


@RUNS
@given(
    st.lists(st.tuples(st.sampled_from([0.0, 0.0, 0.01, 0.5, 2.0, 9.0]), st.integers(0, 3)), min_size=2),
    st.integers(0, 30),
    st.integers(0, 99),
    st.sampled_from([None, 0.0, 0.01, 0.5, 1.5, 4.0, 10.0, 150.0]),
)
def test_a_cancelled_call_changes_nobodys_shared_answer(
    asked: list[tuple[float, int]], seed: int, which: int, gives_up: float | None
) -> None:
    """Also where it is the one whose request is on the wire; whether made and cancelled, or never made."""
    left = which % len(asked)

    def told(outcomes: list[object]) -> list[object]:
        """A refusal is the same whether it is the answer or remembered."""
        gone = EndpointGone, 410
        return [gone if isinstance(got, tuple) and 410 in got else got for got in outcomes]

    undisturbed = Crowd(seed).ask(asked, left=left, gives_up=math.inf)
    assert told(Crowd(seed).ask(asked, left=left, gives_up=gives_up)) == told(undisturbed)


@settings(max_examples=settings().max_examples // 50)
@given(
    st.sampled_from([Priority.NORMAL, Priority.BULK]),
    st.lists(st.sampled_from([Priority.INTERACTIVE, Priority.NORMAL]), min_size=1, max_size=3),
    st.sampled_from([0.9, 1.0]),
    st.integers(0, 9),
)
def test_nobody_starves(waiting: Priority, flood: list[Priority], every: float, seed: int) -> None:
    """However many urgent calls come in, a priority that waits gets a turn every few minutes."""
    model = Model(burst=5, latency=lambda _call, _attempt: 0.05)
    crowd = [
        Plan(f"flood {number}", every, flood[number % len(flood)], True, 60.0, None, "beta", Lane.USER)
        for number in range(400)
    ]
    patient = [Plan(f"{n}", 0.0, waiting, True, math.inf, None, "alpha", Lane.USER) for n in range(2)]
    run = play(model, [*crowd[:5], *patient, *crowd[5:]], seed)
    times = [arrival.at for arrival in run.model.arrivals if arrival.route.endswith("alpha")]
    start = 1000.0 + 5 * every
    assert len(times) == 2
    for before, after in itertools.pairwise([start, *times]):
        assert after - before <= PATIENCE / SECOND + len(Priority) * INTERVAL


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
