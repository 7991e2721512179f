"""A program of any shape against a model of Toggl: calls, cancellations, faults and other programs.

Hypothesis draws what happens next, and shrinks what breaks a promise (`promises`) to the few steps
that it takes. The clock jumps, so hours of schedule take milliseconds.
"""

import asyncio
import contextvars
import math
import random
from collections.abc import Coroutine
from typing import Any

import httpx
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from support.clock import JumpLoop
from support.model import FAULTS, Model
from support.promises import CALLER, Asked, Promises
from toggl_async import errors
from toggl_async.options import ClientOptions, Priority, QuotaPolicy
from toggl_async.scheduler import EXTENSION, Attempted, RequestFacts, ScheduledTransport, Scheduler
from toggl_async.scheduler.scheduler import drivers_of

ACCOUNTS = ("one", "two")
PATHS = tuple(
    f"/api/v9/{place}" for place in ("me/alpha", "me/beta", "workspaces/7/alpha", "workspaces/8/alpha")
)
ORGANIZATIONS = {"7": "5", "8": "5"}
ENDS = 200 * 3600.0
"""Seconds by which even the smallest quota has let everybody go."""

accounts = st.sampled_from(ACCOUNTS)
clients = st.sampled_from([0, 0, 1])
paths = st.sampled_from(PATHS)
periods = st.sampled_from([0.0, 0.0, 0.2, 1.5, 12.0])
calls = st.fixed_dictionaries(
    {
        "account": accounts,
        "client": clients,
        "path": paths,
        "writes": st.booleans(),
        "priority": st.sampled_from(Priority),
        "max_wait": st.sampled_from([math.inf, math.inf, 600.0, 30.0, 3.0, 0.0]),
        "streams": st.sampled_from([False, False, False, True]),
        "same": st.booleans(),
    }
)


@st.composite
def all_options(draw: st.DrawFn) -> ClientOptions:
    return ClientOptions(
        coalesce=draw(st.booleans()),
        max_in_flight=draw(st.sampled_from([8, 1, 2])),
        quota=QuotaPolicy(reserve=draw(st.sampled_from([0, 0, 2]))),
    )


class Program(RuleBasedStateMachine):
    """Two accounts, two clients on one scheduler, and everything that can happen to them."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = JumpLoop()
        self.asked: list[Asked] = []
        self.ended: dict[str, httpx.Response | BaseException] = {}
        self.slow_to_connect = False

    @initialize(
        options=all_options(),
        burst=st.integers(1, 5),
        quota=st.sampled_from([None, None, 3, 3, 8, 30]),
        headers=st.booleans(),
        traces=st.booleans(),
        retry_after=st.sampled_from([None, None, 300]),
        seed=st.integers(0, 9),
    )
    def begin(
        self,
        options: ClientOptions,
        burst: int,
        quota: int | None,
        headers: bool,
        traces: bool,
        retry_after: int | None,
        seed: int,
    ) -> None:
        self.options = options
        self.model = Model(
            burst=burst,
            quota=quota,
            headers=headers,
            traces=traces,
            retry_after=retry_after,
            organizations=ORGANIZATIONS,
        )
        self.promises = Promises(options, self.model)
        self.model.watches = self.promises.arrived, self.promises.answered
        self.scheduler = Scheduler(options, random=random.Random(seed), on_event=self.promises.happened)
        self.clients = [self.client(), self.client()]

    def client(self) -> ScheduledTransport:
        return ScheduledTransport(self.model, scheduler=self.scheduler)

    @rule(what=calls)
    def ask_once(self, what: dict[str, Any]) -> None:
        self.ask(1, **what)

    @rule(count=st.integers(2, 12), what=calls)
    def ask_often(self, count: int, what: dict[str, Any]) -> None:
        self.ask(count, **what)

    def ask(self, count: int, *, same: bool, **what: Any) -> None:
        for _ in range(count):
            number = len(self.asked)
            name = f"{what['account']} {what['path']}" if same and not what["writes"] else str(number)
            asked = Asked(name=name, at=self.loop.time(), **what)
            self.asked.append(asked)
            context = contextvars.copy_context()
            context.run(CALLER.set, asked)
            asked.task = self.loop.create_task(self.call(asked, str(number)), context=context)
        self.run(asyncio.sleep(0))

    @rule(seconds=st.sampled_from([0.001, 0.3, 1.1, 7.0, 150.0, 300.0, 4000.0]))
    def wait(self, seconds: float) -> None:
        self.run(asyncio.sleep(seconds))

    @precondition(lambda self: any(not asked.task.done() for asked in self.asked))
    @rule(which=st.integers(0, 50), count=st.integers(1, 3), iterations=st.integers(0, 3))
    def cancel(self, which: int, count: int, iterations: int) -> None:
        """Cancel neighbours one after the other, so many iterations of the loop apart."""
        waiting = [asked for asked in self.asked if not asked.task.done()]
        for asked in (waiting[which % len(waiting) :] + waiting)[:count]:
            asked.cancelled = True
            asked.task.cancel()
            for _ in range(iterations):
                self.loop.call_soon(self.loop.stop)
                self.loop.run_forever()

    @rule(weather=st.none() | st.sampled_from(FAULTS))
    def change_the_weather(self, weather: str | None) -> None:
        self.model.weather = weather

    @rule(latency=periods, connecting=periods)
    def change_the_network(self, latency: float, connecting: float) -> None:
        self.model.latency = lambda _call, _attempt: latency
        self.model.connecting = lambda call, attempt: random.Random(f"{call} {attempt}").uniform(
            0, connecting
        )
        self.slow_to_connect = self.slow_to_connect or connecting > 0

    @rule(account=accounts, path=paths, count=st.integers(1, 9))
    def let_another_program_spend(self, account: str, path: str, count: int) -> None:
        async def spend() -> None:
            self.model.take(account, path, count)

        self.run(spend())
        self.promises.shared_windows |= {window.number for window in self.model.windows.values()}

    @rule(gone=st.none() | st.tuples(st.sampled_from(["GET", "POST"]), paths))
    def take_an_endpoint_away_or_bring_all_back(self, gone: tuple[str, str] | None) -> None:
        self.model.gone = frozenset() if gone is None else self.model.gone | {" ".join(gone)}

    @rule()
    def forget_refusals(self) -> None:
        self.scheduler.forget_refusals()
        self.promises.gone.clear()

    @rule(workspace=st.sampled_from(sorted(ORGANIZATIONS)))
    def learn_an_organization(self, workspace: str) -> None:
        organization = ORGANIZATIONS[workspace]
        self.promises.learned(workspace, organization)
        drivers_of(self.scheduler).learn_organization(int(workspace), int(organization))
        self.run(asyncio.sleep(0))

    @rule(client=clients)
    def replace_a_client(self, client: int) -> None:
        for asked in self.asked:
            asked.closed = asked.closed or (asked.client == client and not asked.task.done())
        self.run(self.clients[client].aclose())
        self.clients[client] = self.client()

    @invariant()
    def every_promise_is_kept(self) -> None:
        assert not self.broken(), "\n".join(self.broken())

    def broken(self) -> list[str]:
        return self.promises.broken if hasattr(self, "promises") else []

    def teardown(self) -> None:
        try:
            if hasattr(self, "scheduler"):
                self.let_all_end()
        finally:
            for task in asyncio.all_tasks(self.loop):  # only where something went wrong
                task.cancel()
            self.run(asyncio.sleep(0))
            self.loop.close()

    def let_all_end(self) -> None:
        """Let the sun shine; then everybody gets an answer or a typed error, and nothing is left."""
        self.model.weather, self.model.gone = None, frozenset()
        tasks = [asked.task for asked in self.asked]
        if tasks:
            _, hanging = self.run(asyncio.wait(tasks, timeout=ENDS))
            assert not hanging, hanging
        for account in self.scheduler.stats().accounts:
            assert (account.in_flight, account.waiting) == (0, 0)
        self.run(self.scheduler.aclose())
        self.run(asyncio.sleep(0))
        assert not asyncio.all_tasks(self.loop)
        assert not self.promises.left_waiting()
        self.every_promise_is_kept()
        for number, asked in enumerate(self.asked):
            self.look_at(asked, self.ended[str(number)])

    def look_at(self, asked: Asked, outcome: httpx.Response | BaseException) -> None:
        """Check how one call ended against what the server knows of it."""
        arrivals = [arrival for arrival in self.model.arrivals if arrival.call == asked.name]
        applied = sum(arrival.applied for arrival in arrivals)
        if asked.writes:
            assert applied <= 1
        if isinstance(outcome, asyncio.CancelledError):
            assert asked.cancelled
            return
        if isinstance(outcome, httpx.Response):
            attempted = outcome.extensions[EXTENSION]
            assert isinstance(attempted, Attempted)
            assert attempted.waited <= asked.max_wait + self.grace
            maybe = attempted.maybe_applied
            assert maybe is (asked.writes and outcome.status_code >= 500)
            assert applied == 1 or not asked.writes or outcome.status_code != 200
            applied *= outcome.status_code != 200
        else:
            half = asked.streams and isinstance(outcome, httpx.ReadError)
            assert isinstance(outcome, errors.TogglError) or half, repr(outcome)
            maybe = half or (isinstance(outcome, errors.RequestFailed) and outcome.maybe_applied)
            assert asked.closed or not isinstance(outcome, errors.ClientClosed)
            if isinstance(outcome, errors.MaxWaitExceeded) and not arrivals and not self.slow_to_connect:
                assert asked.ended_at - asked.at <= asked.max_wait + self.grace
        if asked.writes and applied:
            assert maybe, f"{asked}: applied, and nobody is told"

    @property
    def grace(self) -> float:
        """What a timer at a deadline leaves to a turn that is about to come, at the widest pace."""
        return 0.05 * self.options.pace.interval * 5 + 1e-3

    async def call(self, asked: Asked, number: str) -> None:
        """Make one call over its client, and write down what came of it."""
        facts = RequestFacts(
            route=asked.route,
            lane=asked.lane,
            reads=not asked.writes,
            workspace_id=asked.workspace_id,
            priority=asked.priority,
            max_wait=asked.max_wait,
            streams=asked.streams,
        )
        request = httpx.Request(
            "POST" if asked.writes else "GET",
            f"https://toggl.test{asked.path}",
            params={"call": asked.name},
            headers={"authorization": asked.account},
            extensions={EXTENSION: facts},
            content=b"{}" if asked.writes else None,
        )
        try:
            response = await self.clients[asked.client].handle_async_request(request)
            if asked.streams:
                try:
                    await asyncio.sleep(3.0)
                    await response.aread()
                finally:
                    await response.aclose()
            self.ended[number] = response
        except BaseException as error:  # noqa: BLE001 - whatever it ends with is looked at
            self.ended[number] = error
        asked.ended_at = self.loop.time()

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(coroutine)


TestProgram = Program.TestCase
TestProgram.settings = settings(stateful_step_count=20)
