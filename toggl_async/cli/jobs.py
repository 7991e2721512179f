"""Runs exports for the command: one, or one for each account, under one scheduler."""

import asyncio
import contextlib
import datetime as dt
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs

from toggl_async._client.auth import Auth
from toggl_async._client.client import TogglClient
from toggl_async.cli.connect import Server, first_contact, reach, run_on_sandbox, run_on_server
from toggl_async.cli.daemon import RoundsDisplay, keep_fresh, terminable
from toggl_async.cli.display import Display, Watch, display
from toggl_async.cli.exits import Exit
from toggl_async.cli.left import left_behind
from toggl_async.cli.machine import MachineDisplay, emit
from toggl_async.cli.made_up import BEGINNING
from toggl_async.cli.many import Router, belonging_to, display_many
from toggl_async.cli.output import OutputLost, complain, remark, say
from toggl_async.cli.report import (
    changed,
    estimate_lines,
    freshness,
    next_steps,
    summary,
    verdict,
)
from toggl_async.errors import Forbidden, InvalidInput, TogglError, Unauthorized
from toggl_async.export import (
    Estimate,
    ExportEvent,
    ExportPlan,
    ExportStarted,
    Manifest,
    Mirror,
    OnExportEvent,
    RefreshRound,
    estimate,
    export_every,
    refresh_every,
)
from toggl_async.export import export as run_export
from toggl_async.export.mirror.destination import MIRROR
from toggl_async.export.mirror.storage import MirrorDamaged
from toggl_async.export.mirror.urls import store_of

__all__ = ["Job", "MadeUp", "run_jobs"]

_logger = logging.getLogger("toggl_async.cli")

_WORST_FIRST = (Exit.INTERRUPTED, Exit.FAILED, Exit.REFUSED, Exit.DIFFERS, Exit.INCOMPLETE, Exit.DONE)
"""Which exit code the command has when jobs end differently."""


@attrs.frozen(kw_only=True)
class Job:
    """An export of one account.

    Attributes:
        name: the account's name, where there are several.
        auth: its credentials; None for those of a sandbox.
        plan: what is taken.
        destination: where it goes.
        format: the format of the files; None for the one that is there, or the default.
        excel: whether they are CSV for spreadsheets; None where nothing was said of it.
        url: the database that it goes to instead; None where it goes into files.
        update: whether a finished export is brought up to date.
        recheck: days that it reads again as a whole; None for all.
        every: seconds from one round to the next, where it is kept fresh; None where it is made once.
        max_wait: seconds that it may wait at a time for Toggl's limits; None for as long as it takes.
    """

    name: str | None
    auth: Auth | None
    plan: ExportPlan
    destination: Path
    format: str | None
    excel: bool | None
    url: str | None
    update: bool
    recheck: int | None
    every: float | None = None
    max_wait: float | None = None

    def credentials(self, sandbox: Auth | None) -> Auth:
        """Its own credentials, or those of the sandbox."""
        chosen = self.auth or sandbox
        assert chosen is not None  # noqa: S101 - without either there is no job
        return chosen

    @property
    def place(self) -> str:
        """Where it goes, in words."""
        return str(self.destination) if self.url is None else store_of(self.url).name

    @property
    def mirror(self) -> Path:
        """The file of its mirror."""
        return self.destination / MIRROR if self.url is None else Path(self.place)

    def export(self, client: TogglClient, on_event: OnExportEvent) -> Coroutine[Any, Any, Manifest]:
        """Export into files, or bring a database up to date."""
        if self.url is not None:
            return self._refresh(client, self.url, on_event)
        return run_export(
            client,
            self.plan,
            self.destination,
            format=self.format,
            excel=self.excel,
            update=self.update,
            recheck=self.recheck,
            max_wait=self.max_wait,
            on_event=on_event,
        )

    async def _refresh(self, client: TogglClient, url: str, on_event: OnExportEvent) -> Manifest:
        async with Mirror(url) as mirror:
            return await mirror.refresh(
                client, self.plan, recheck=self.recheck, max_wait=self.max_wait, on_event=on_event
            )

    def rounds(
        self, client: TogglClient, every: float, on_event: OnExportEvent
    ) -> AsyncGenerator[RefreshRound, None]:
        """Keep the files, or the database, fresh."""
        if self.url is not None:
            return refresh_every(
                client, self.plan, self.url, every=every, max_wait=self.max_wait, on_event=on_event
            )
        return export_every(
            client,
            self.plan,
            self.destination,
            every=every,
            format=self.format,
            excel=self.excel,
            max_wait=self.max_wait,
            on_event=on_event,
        )

    def labelled(self, line: str) -> str:
        """A line with the account's name, where there are several."""
        return line if self.name is None else f"{self.name}: {line}"


@attrs.frozen
class _Output:
    """Where jobs report their results: to machines at once, to people when the display is gone.

    Attributes:
        machine: whether to report to machines.
        asked: whether the report is the only output: there are no files.
        lines: the lines for people: the text, and whether it is a complaint.
    """

    machine: bool
    asked: bool
    lines: list[tuple[str, bool]] = attrs.field(factory=list)

    def failed(self, job: Job, message: str) -> None:
        """Say why a job has ended early."""
        self.lines.append((job.labelled(message), True))
        if self.machine:
            with contextlib.suppress(OutputLost):
                emit("failed", {"message": message}, account=job.name)

    def flush(self) -> None:
        """Report to people; if stdout fails and the export has its files, the lines go to stderr.

        Raises:
            OutputLost: stdout doesn't accept the output that was asked for.
        """
        write: Callable[[str], None] = say
        for line, wrong in self.lines:
            if wrong:
                complain(line)
                continue
            try:
                write(line)
            except OutputLost as error:
                if self.asked:
                    raise
                if not error.abandoned:
                    complain(str(error))
                write = remark
                write(line)


class _LoopClock:
    """The time of the event loop, for whichever thread: a display is drawn in one of its own."""

    def __init__(self) -> None:
        self._time: Callable[[], float] = float

    def start(self) -> None:
        """Take the running loop's time from now on."""
        self._time = asyncio.get_running_loop().time

    def __call__(self) -> float:
        """The time; 0 before there is a loop."""
        return self._time()


@attrs.frozen(kw_only=True)
class MadeUp:
    """A made-up company, which a sandbox in this process serves.

    Attributes:
        speed: how many times faster time runs.
        days: how many days it has lived.
    """

    speed: float
    days: int


def run_jobs(jobs: Sequence[Job], url: str, *, made_up: MadeUp | None, dry_run: bool, machine: bool) -> int:
    """Run exports, or estimates, and return the exit code.

    Args:
        jobs: one for each account.
        url: the server.
        made_up: the company of a sandbox; None for a server.
        dry_run: whether only the cost is estimated.
        machine: whether events go to stdout, as JSON.
    """
    clock, output = _LoopClock(), _Output(machine, asked=dry_run)
    try:
        with _shown(jobs, clock, made_up.speed if made_up else 1.0, machine=machine) as displays:
            return _run(jobs, url, displays, clock, output, made_up=made_up, dry_run=dry_run)
    finally:
        output.flush()


def _run(
    jobs: Sequence[Job],
    url: str,
    displays: Sequence[Display],
    clock: _LoopClock,
    output: _Output,
    *,
    made_up: MadeUp | None,
    dry_run: bool,
) -> int:
    """Run all jobs at once, and return the exit code."""
    on_event = Router(displays).on_scheduler
    speed = made_up.speed if made_up is not None else 1.0

    async def work(server: Server, sandbox: Auth | None) -> int:
        clock.start()
        running = []
        for number, (job, shown) in enumerate(zip(jobs, displays, strict=True)):
            if dry_run:
                one = _estimate(job, server, sandbox, output)
            elif job.every is not None:
                one = _keep_fresh(job, job.every, server, sandbox, output, shown, speed)
            else:
                one = _export(job, server, sandbox, output, shown)
            running.append(_ended(number, job, one, output))
        rounds = any(job.every is not None for job in jobs)
        with terminable() as was_terminated:
            try:
                codes = await asyncio.gather(*running)
            except asyncio.CancelledError:  # Ctrl-C or SIGTERM: each job has said so
                if not was_terminated():
                    return Exit.INTERRUPTED
                return Exit.DONE if rounds else Exit.TERMINATED
        return next(code for code in _WORST_FIRST if code in codes)

    if made_up is not None:
        return run_on_sandbox(work, made_up.speed, on_event, now=BEGINNING, days=made_up.days)
    return run_on_server(work, url, on_event)


@contextlib.contextmanager
def _shown(
    jobs: Sequence[Job], clock: _LoopClock, speed: float, *, machine: bool
) -> Iterator[Sequence[Display]]:
    """A display for each job; where there are many, they share the terminal."""
    watches = [Watch(clock=clock, speed=speed) for _ in jobs]
    if machine:
        yield [MachineDisplay(account=job.name) for job in jobs]
    elif any(job.every is not None for job in jobs):
        prefixes = ["" if job.name is None else f"{job.name}: " for job in jobs]
        yield [RoundsDisplay(one, prefix=prefix) for one, prefix in zip(watches, prefixes, strict=True)]
    elif len(jobs) > 1:
        with display_many({job.name or "": watch for job, watch in zip(jobs, watches, strict=True)}) as parts:
            yield parts
    else:
        with display(watches[0]) as shown:
            yield [shown]


async def _export(job: Job, server: Server, sandbox: Auth | None, output: _Output, shown: Display) -> Exit:
    """Export an account and say what came of it."""
    started = False

    def on_event(event: ExportEvent) -> None:
        nonlocal started
        started = started or isinstance(event, ExportStarted)
        shown.on_export(event)

    async with server.client(job.credentials(sandbox)) as client:
        await reach(server)
        exporting = job.export(client, on_event)
        try:
            manifest = await first_contact(exporting, server, made=lambda: started)
        except InvalidInput:
            raise
        except TogglError as error:
            if started:
                raise
            output.failed(job, f"{error}; {left_behind(job.place, job.mirror)}")
            return Exit.REFUSED
    return _told(job, manifest, output)


async def _keep_fresh(
    job: Job,
    every: float,
    server: Server,
    sandbox: Auth | None,
    output: _Output,
    shown: Display,
    speed: float,
) -> Exit:
    """Export an account round after round."""
    async with server.client(job.credentials(sandbox)) as client:
        try:
            await keep_fresh(
                job.rounds(client, every, shown.on_export),
                place=job.place,
                account=job.name,
                machine=output.machine,
                speed=speed,
                after_each=server.live_on,
            )
        except (Forbidden, Unauthorized) as error:
            output.failed(job, f"Toggl refused the credentials, so there can be no further rounds: {error}")
            return Exit.FAILED


def _told(job: Job, manifest: Manifest, output: _Output) -> Exit:
    """Say what came of an export that is finished."""
    code, wrong = verdict(manifest)
    if output.machine:
        try:
            emit("finished", {"exit": int(code), "manifest": attrs.asdict(manifest)}, account=job.name)
        except OutputLost as error:
            output.lines.append((f"{job.labelled(str(error))}; {summary(job.place, manifest)}", True))
            code = Exit.FAILED
    else:
        output.lines.extend((job.labelled(line), False) for line in freshness(manifest))
        output.lines.append((summary(job.place, manifest), False))
        if manifest.update:  # a first run adds everything, which its other lines say
            output.lines.extend((job.labelled(line), False) for line in changed(manifest))
        if job.name is None:
            output.lines.extend((line, False) for line in next_steps(job.place, job.mirror, manifest))
    output.lines.extend((job.labelled(line), True) for line in (*manifest.warnings, *wrong))
    return code


async def _estimate(job: Job, server: Server, sandbox: Auth | None, output: _Output) -> Exit:
    """Say what an export will cost."""
    async with server.client(job.credentials(sandbox)) as client:
        await reach(server)
        try:
            found: Estimate = await first_contact(estimate(client, job.plan), server, made=lambda: False)
        except InvalidInput:
            raise
        except TogglError as error:  # nothing but the first requests can end an estimate
            output.failed(job, str(error))
            return Exit.REFUSED
    if output.machine:
        emit("estimate", attrs.asdict(found), account=job.name)
    else:
        lines = estimate_lines(found, dt.datetime.now().astimezone())
        output.lines.append(("\n".join(lines if job.name is None else [f"{job.name}:", *lines]), False))
    return Exit.DONE


async def _ended(number: int, job: Job, work: Awaitable[Exit], output: _Output) -> Exit:
    """Wait for a job, say what ended it early, and return the exit code."""
    belonging_to(number)
    try:
        return await work
    except asyncio.CancelledError:  # Ctrl-C and SIGTERM
        if job.every is not None:
            return Exit.INTERRUPTED
        output.failed(job, f"interrupted; {left_behind(job.place, job.mirror)}")
        return Exit.INTERRUPTED
    except InvalidInput as error:
        output.failed(job, str(error))
        return Exit.REFUSED
    except OutputLost as error:
        if output.asked:
            raise
        output.failed(job, f"{error}; {left_behind(job.place, job.mirror)}")
        return Exit.FAILED
    except MirrorDamaged as error:  # the same command would find it as it is
        output.failed(job, f"cannot read {job.mirror if job.url is None else job.place}: {error.strerror}")
        return Exit.FAILED
    except (TogglError, OSError) as error:
        output.failed(job, f"{error}; {left_behind(job.place, job.mirror)}")
        return Exit.FAILED
    except Exception as error:
        if job.name is None:
            raise
        # A bug of ours, but no reason to end the other accounts.
        _logger.exception("%s: unexpected error", job.name)
        output.failed(
            job,
            f"unexpected {type(error).__name__}: {error}, which is a bug; please report it; "
            f"{left_behind(job.place, job.mirror)}",
        )
        return Exit.FAILED
