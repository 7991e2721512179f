"""``export --every``: prints a line for each round, and stops at SIGTERM."""

import asyncio
import contextlib
import datetime as dt
import signal
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from typing import NoReturn

from toggl_async.cli.display import PlainDisplay, clock_time, count
from toggl_async.cli.exits import Exit
from toggl_async.cli.machine import emit
from toggl_async.cli.output import complain, remark
from toggl_async.cli.report import changed, verdict
from toggl_async.export import DatasetFinished, ExportEvent, Manifest, QuotaLeft, RefreshRound, RowsWritten

__all__ = ["RoundsDisplay", "keep_fresh", "terminable"]


class RoundsDisplay(PlainDisplay):
    """Trouble and long waits; what came is said once a round."""

    def on_export(self, event: ExportEvent) -> None:
        """Say what goes wrong."""
        if not isinstance(event, DatasetFinished | RowsWritten):
            super().on_export(event)


async def keep_fresh(
    rounds: AsyncGenerator[RefreshRound, None],
    *,
    place: str,
    account: str | None,
    machine: bool,
    speed: float,
    after_each: Callable[[], object] | None,
) -> NoReturn:
    """Let round follow round, and say what came of each, until SIGTERM or Ctrl-C.

    Args:
        rounds: the rounds.
        place: where they go, in words.
        account: the name of the account, where there are several.
        machine: whether to report to machines, too.
        speed: how many times faster than real time the loop's runs.
        after_each: what is done between two rounds.
    """
    prefix = "" if account is None else f"{account}: "
    try:
        async with aclosing(rounds):
            while True:  # there always is another one
                one = await anext(rounds)
                seconds = one.next_in / speed
                if machine:
                    emit("round_finished", _facts(one, seconds), account=account)
                else:
                    remark(f"{clock_time(0)} {prefix}{_line(one, seconds)}")
                if after_each is not None:
                    after_each()
    except asyncio.CancelledError:
        if machine:
            emit("stopped", {"place": place}, account=account)
        complain(f"{prefix}stopped; {place} keeps all that was committed; run the same command to resume")
        raise


@contextlib.contextmanager
def terminable() -> Iterator[Callable[[], bool]]:
    """Let SIGTERM cancel the running task, once; what is yielded tells whether it has.

    Where there is no such signal, as on Windows and outside the main thread, nothing changes.
    """
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None  # noqa: S101 - whoever runs here is one
    ended = False

    def end() -> None:
        nonlocal ended
        if not ended:
            ended = task.cancel()

    try:
        loop.add_signal_handler(signal.SIGTERM, end)
    except (NotImplementedError, RuntimeError, ValueError):
        yield lambda: False
        return
    try:
        yield lambda: ended
    finally:
        loop.remove_signal_handler(signal.SIGTERM)


def _line(one: RefreshRound, seconds: float) -> str:
    """A round, what is left of the quotas and when the next one begins, in a line."""
    parts = [f"the round ended early: {one.error}"] if one.manifest is None else [_what_came(one.manifest)]
    parts += [f"requests left: {', '.join(map(_left, one.quotas))}"] if one.quotas else []
    why = ", when the quota resets" if one.waits_for_quota else ""
    parts.append(f"next round at {clock_time(seconds)}{why}")
    return "; ".join(parts)


def _what_came(manifest: Manifest) -> str:
    came = ", ".join(changed(manifest)) or "nothing has changed"
    code, _ = verdict(manifest)
    doubt = {Exit.DIFFERS: ", totals differ from Toggl's", Exit.INCOMPLETE: ", incomplete"}.get(code, "")
    return f"{came}{doubt}; {count(manifest.requests, 'request')}"


def _left(quota: QuotaLeft) -> str:
    whose = "user" if quota.organization_id is None else f"organization {quota.organization_id}"
    return f"{whose} {quota.left}{'' if quota.total is None else f' of {quota.total}'}"


def _facts(one: RefreshRound, seconds: float) -> dict[str, object]:
    """A round for machines."""
    manifest = one.manifest
    return {
        "exit": None if manifest is None else int(verdict(manifest)[0]),
        "error": None if one.error is None else str(one.error),
        "requests": None if manifest is None else manifest.requests,
        "changes": {} if manifest is None else manifest.changes,
        "as_of": {} if manifest is None else {name: of.as_of for name, of in manifest.datasets.items()},
        "quotas": one.quotas,
        "next_in": round(seconds, 3),
        "next_at": dt.datetime.now(dt.UTC) + dt.timedelta(seconds=seconds),
        "waits_for_quota": one.waits_for_quota,
    }
