"""Runs exports for the command: one, or one for each account, under one scheduler."""

import asyncio
import datetime as dt
from collections.abc import Awaitable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import attrs
import click

from toggl_async.auth import Auth
from toggl_async.cli.connect import Server, first_contact, reach, run_on_sandbox, run_on_server
from toggl_async.cli.display import Display, PlainDisplay, Watch, display
from toggl_async.cli.exits import Exit, complain
from toggl_async.cli.machine import MachineDisplay, emit
from toggl_async.cli.report import estimate_lines, left_behind, summary, verdict
from toggl_async.errors import InvalidInput, TogglError
from toggl_async.export import Estimate, ExportEvent, ExportPlan, ExportStarted, Manifest, estimate
from toggl_async.export import export as run_export

__all__ = ["Job", "run_jobs"]

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
        format: the format of the files.
        update: whether a finished export is brought up to date.
    """

    name: str | None
    auth: Auth | None
    plan: ExportPlan
    destination: Path
    format: str
    update: bool

    def credentials(self, sandbox: Auth | None) -> Auth:
        """Its own credentials, or those of the sandbox."""
        chosen = self.auth or sandbox
        assert chosen is not None  # noqa: S101 - without either there is no job
        return chosen

    def complain(self, message: str, *, machine: bool) -> None:
        """Say what went wrong, to people and to machines."""
        complain(message if self.name is None else f"{self.name}: {message}")
        if machine:
            emit("failed", {"message": message}, account=self.name)


def run_jobs(jobs: Sequence[Job], url: str, *, speed: float | None, dry_run: bool, machine: bool) -> int:
    """Run exports, or estimates, and return the exit code.

    Args:
        jobs: one for each account.
        url: the server.
        speed: how many times faster time runs in a sandbox; None for a server.
        dry_run: whether only the cost is estimated.
        machine: whether events go to stdout, as JSON.
    """
    with _shown(jobs, speed or 1.0, machine=machine) as displays:

        async def work(server: Server, sandbox: Auth | None) -> int:
            one = _estimate if dry_run else _export
            running = [
                _ended(job, one(job, server, sandbox, shown, machine=machine), machine=machine)
                for job, shown in zip(jobs, displays, strict=True)
            ]
            try:
                codes = await asyncio.gather(*running)
            except asyncio.CancelledError:  # Ctrl-C: each job has said so
                return Exit.INTERRUPTED
            return next(code for code in _WORST_FIRST if code in codes)

        if speed is not None:
            return run_on_sandbox(work, speed, displays[0].on_scheduler)
        return run_on_server(work, url, displays[0].on_scheduler)


@contextmanager
def _shown(jobs: Sequence[Job], speed: float, *, machine: bool) -> Iterator[Sequence[Display]]:
    """A display for each job; the first one is told of the scheduler's events."""
    watches = [Watch(clock=lambda: asyncio.get_running_loop().time(), speed=speed) for _ in jobs]
    if machine:
        yield [MachineDisplay(account=job.name) for job in jobs]
    elif len(jobs) > 1:
        yield [PlainDisplay(watch, prefix=f"{job.name}: ") for job, watch in zip(jobs, watches, strict=True)]
    else:
        with display(watches[0]) as shown:
            yield [shown]


async def _export(job: Job, server: Server, sandbox: Auth | None, shown: Display, *, machine: bool) -> Exit:
    """Export an account and say what came of it."""
    started = False

    def on_event(event: ExportEvent) -> None:
        nonlocal started
        started = started or isinstance(event, ExportStarted)
        shown.on_export(event)

    async with server.client(job.credentials(sandbox)) as client:
        await reach(server)
        exporting = run_export(
            client, job.plan, job.destination, format=job.format, update=job.update, on_event=on_event
        )
        manifest = await first_contact(exporting, server, made=lambda: started)
    return _told(job, manifest, machine=machine)


def _told(job: Job, manifest: Manifest, *, machine: bool) -> Exit:
    """Say what came of an export that is finished."""
    code, lines = verdict(manifest)
    if machine:
        emit("finished", {"exit": int(code), "manifest": attrs.asdict(manifest)}, account=job.name)
    else:
        click.echo(summary(job.destination, manifest))
    for line in lines:
        complain(line if job.name is None else f"{job.name}: {line}")
    return code


async def _estimate(job: Job, server: Server, sandbox: Auth | None, shown: Display, *, machine: bool) -> Exit:  # noqa: ARG001
    """Say what an export will cost."""
    async with server.client(job.credentials(sandbox)) as client:
        await reach(server)
        found: Estimate = await first_contact(estimate(client, job.plan), server, made=lambda: False)
    if machine:
        emit("estimate", attrs.asdict(found), account=job.name)
    else:
        lines = estimate_lines(found, dt.datetime.now().astimezone())
        click.echo("\n".join(lines if job.name is None else [f"{job.name}:", *lines]))
    return Exit.DONE


async def _ended(job: Job, work: Awaitable[Exit], *, machine: bool) -> Exit:
    """Wait for a job, say what ended it early, and return the exit code."""
    try:
        return await work
    except asyncio.CancelledError:  # Ctrl-C: the runner cancels
        job.complain(f"interrupted; {left_behind(job.destination)}", machine=machine)
        return Exit.INTERRUPTED
    except InvalidInput as error:
        job.complain(str(error), machine=machine)
        return Exit.REFUSED
    except (TogglError, OSError) as error:
        job.complain(f"{error}; {left_behind(job.destination)}", machine=machine)
        return Exit.FAILED
