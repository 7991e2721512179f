"""How the commands reach Toggl: server, credentials, first requests; one job for each account."""

import asyncio
import datetime as dt
import warnings
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import TypeVar

import anyio
import attrs

from toggl_async._client.auth import ApiToken, Auth
from toggl_async._client.client import TogglClient
from toggl_async.cli.display import PlainDisplay, Watch
from toggl_async.cli.exits import Exit
from toggl_async.cli.output import complain, say
from toggl_async.cli.sandbox import MISSING
from toggl_async.errors import (
    BudgetError,
    ConnectionFailed,
    InvalidInput,
    LoginRefused,
    RequestTimeout,
    TogglError,
    Unauthorized,
)
from toggl_async.options import ClientOptions, Priority
from toggl_async.scheduler import Budget, Scheduler
from toggl_async.scheduler.budgets.named import budget_from_env
from toggl_async.scheduler.events import Answered, BudgetLost, OnEvent, SchedulerEvent
from toggl_async.scheduler.transport import httpx, proxy_for

__all__ = ["OPTIONS", "Server", "ask", "first_contact", "reach", "run_on_sandbox", "run_on_server"]

T = TypeVar("T")

OPTIONS = ClientOptions()
"""How the commands keep Toggl's limits."""


@attrs.frozen(kw_only=True)
class Server:
    """Where a command works, for as long as it does.

    Attributes:
        url: the server.
        options: pace and the rest.
        scheduler: keeps every account's pace.
        live_on: lets the company of a sandbox live on by a day; None for Toggl itself.
    """

    url: str
    options: ClientOptions
    scheduler: Scheduler
    live_on: Callable[[], object] | None = None

    def client(self, auth: Auth) -> TogglClient:
        """A client for an account, which belongs in an ``async with``.

        Raises:
            InvalidInput: the environment names certificates or a proxy that cannot be used.
        """
        return TogglClient(auth, base_url=self.url, options=self.options, scheduler=self.scheduler)


Action = Callable[[Server, Auth | None], Awaitable[T]]
"""What a command does with a server; the credentials are those of a sandbox, if it is one."""


def run_on_server(work: Action[T], url: str, on_event: OnEvent | None = None) -> T:
    """Run a command's work against a server, by the budget that TOGGL_BUDGET names: this machine's file.

    Raises:
        InvalidInput: it names none.
        BudgetError: what it names needs an extra that is not installed.
    """
    budget = budget_from_env(unset="file")
    with asyncio.Runner() as runner:
        return runner.run(_work(work, url, None, on_event, budget=budget))


def run_on_sandbox(
    work: Action[int], speed: float, on_event: OnEvent | None, *, now: dt.datetime, days: int
) -> int:
    """Run a command's work against a sandbox in this process, on a loop whose time runs faster for both.

    Args:
        work: the work.
        speed: how many times faster.
        on_event: called with everything that the scheduler does.
        now: the moment at which its company's time begins.
        days: how many days the company lives before the work.
    """
    try:
        from toggl_async.sandbox import FastLoop, SandboxOptions, serve  # noqa: PLC0415
    except ModuleNotFoundError as missing:
        complain(MISSING.format(missing.name))
        return Exit.REFUSED

    async def main() -> int:
        async with serve(SandboxOptions(now=now)) as fake:
            for _ in range(days):
                fake.next_day()
            token = ApiToken(fake.api_token)
            return await _work(
                work, fake.base_url, token, on_event, budget=None, speed=speed, live_on=fake.next_day
            )

    with asyncio.Runner(loop_factory=lambda: FastLoop(speed)) as runner:
        return runner.run(main())


async def _work(
    work: Action[T],
    url: str,
    auth: Auth | None,
    on_event: OnEvent | None,
    *,
    budget: Budget | None,
    speed: float = 1.0,
    live_on: Callable[[], object] | None = None,
) -> T:
    # The work on this machine is not sped up: it gets as long as ever.
    timeout = None if OPTIONS.timeout is None else OPTIONS.timeout * speed
    options = attrs.evolve(OPTIONS, timeout=timeout)
    async with aclosing(Scheduler(options, budget=budget, on_event=on_event)) as scheduler:
        if budget is not None:
            scheduler.listen(_warn)
        return await work(Server(url=url, options=options, scheduler=scheduler, live_on=live_on), auth)


def _warn(event: SchedulerEvent) -> None:
    """Tell people that the pace is not shared for a while."""
    if isinstance(event, BudgetLost):
        complain(
            f"warning: the shared budget cannot be used; this command keeps its own pace ({event.reason})"
        )


async def reach(server: Server) -> None:
    """Look whether anybody listens, at once: the client itself would try again for a while.

    Behind a proxy there is nothing to look for: the way leads through it, and this machine may not even
    know the server's name.

    Raises:
        InvalidInput: nobody does.
    """
    url = httpx.URL(server.url)
    if proxy_for(url) is not None:
        return
    try:
        with anyio.fail_after(server.options.timeout):
            stream = await anyio.connect_tcp(url.host, url.port or (443 if url.scheme == "https" else 80))
            await stream.aclose()
    except OSError as error:  # TimeoutError is one
        reason = str(error.__cause__ or error) or "no answer"
        raise InvalidInput(f"cannot reach {server.url}: {reason}") from error


async def first_contact(asking: Awaitable[T], server: Server, *, made: Callable[[], bool]) -> T:
    """Wait for work that begins with the first requests; if those fail, that counts as bad input.

    Args:
        asking: the work.
        server: where it is done.
        made: whether the first requests are over.

    Raises:
        InvalidInput: the credentials are wrong, the server is out of reach, or the budget cannot be used as
            it is configured, before it was over.
        TogglError: whatever else became of the work.
    """
    try:
        return await asking
    except (LoginRefused, Unauthorized) as error:
        if made():
            raise
        raise InvalidInput(f"Toggl refused the credentials: {error}") from error
    except (ConnectionFailed, RequestTimeout) as error:
        if made():
            raise
        raise InvalidInput(f"cannot reach {server.url}: {error}") from error
    except BudgetError as error:
        raise InvalidInput(f"{error} (set TOGGL_BUDGET=none to do without a shared budget)") from error


def ask(
    work: Callable[[TogglClient], Awaitable[T]], url: str, auth: Auth, show: Callable[[T], str | bytes]
) -> int:
    """Run a command that asks a thing and shows the answer; return its exit code."""

    async def asking(server: Server, _: Auth | None) -> Exit:
        answered = False

        def on_event(event: SchedulerEvent) -> None:
            nonlocal answered
            answered = answered or (isinstance(event, Answered) and event.status < httpx.codes.BAD_REQUEST)
            display.on_scheduler(event)

        display = PlainDisplay(Watch(clock=asyncio.get_running_loop().time))
        server.scheduler.listen(on_event)
        try:
            async with server.client(auth) as client:
                await reach(server)
                # A person waits for it, while an export, say, doesn't.
                urgent = client.with_options(priority=Priority.INTERACTIVE)
                say(show(await first_contact(work(urgent), server, made=lambda: answered)))
        except InvalidInput as error:
            complain(str(error))
            return Exit.REFUSED
        except TogglError as error:
            complain(str(error))
            return Exit.FAILED
        return Exit.DONE

    with warnings.catch_warnings():
        warnings.showwarning = _complain_of
        return run_on_server(asking, url)


def _complain_of(message: Warning | str, *_where: object, **_how: object) -> None:
    """Show a warning as people are told of anything else: without a line of our source."""
    complain(f"warning: {message}")
