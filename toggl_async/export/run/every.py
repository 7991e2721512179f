"""Keeps a mirror fresh: round after round, for as long as the caller asks for the next one.

Only the last manifest is kept between rounds. What a round commits stays, whatever ends the round, and the
next one resumes from there. All waiting is by the loop's clock, which nobody can set.
"""

import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection
from contextlib import suppress
from pathlib import Path

import anyio
import attrs

from toggl_async._client.client import TogglClient
from toggl_async.errors import (
    DecodeError,
    Forbidden,
    InvalidInput,
    MaxWaitExceeded,
    PagingError,
    RequestFailed,
    ResponseError,
    TogglError,
    Unauthorized,
)
from toggl_async.export.mirror.manifest import Manifest
from toggl_async.export.mirror.progress import OnExportEvent
from toggl_async.export.plan.datasets import operation
from toggl_async.export.plan.estimate import QUOTAS
from toggl_async.export.plan.plan import ExportPlan
from toggl_async.export.plan.survey import Survey, survey
from toggl_async.export.run.arguments import check_arguments
from toggl_async.export.run.bound import waiting_at_most
from toggl_async.export.run.directory import export, plan_files
from toggl_async.export.run.mirror import Mirror
from toggl_async.export.run.refresh import patient
from toggl_async.export.run.rounds import OLDER, Ledger, seconds_to_wait

__all__ = ["QuotaLeft", "RefreshRound", "export_every", "refresh_every"]

_PASSING = (DecodeError, MaxWaitExceeded, OSError, PagingError, RequestFailed, ResponseError)
"""Errors that end a round, but not the following ones."""


@attrs.frozen(kw_only=True)
class QuotaLeft:
    """What is left of an hourly quota.

    Attributes:
        organization_id: whose quota it is; None for the user's own.
        left: requests that may still be sent before the reset, less `QuotaPolicy.reserve`.
        total: requests of a whole window, less the reserve; None if Toggl didn't say.
        resets_in: seconds until the reset.
    """

    organization_id: int | None
    left: int
    total: int | None
    resets_in: float


@attrs.frozen(kw_only=True)
class RefreshRound:
    """A round of a mirror that is kept fresh.

    Attributes:
        manifest: its result; None if something ended it early; the next round then resumes from there.
        error: what ended it early; None if nothing did.
        quotas: what is left of each quota that is known.
        next_in: seconds until the next round begins.
        waits_for_quota: whether it begins later because too little quota is left.
    """

    manifest: Manifest | None
    error: TogglError | OSError | None
    quotas: tuple[QuotaLeft, ...]
    next_in: float
    waits_for_quota: bool


_Read = Callable[[Survey, Collection[str] | None, bool], Awaitable[Manifest]]
"""Called with the survey, the datasets to read, and whether to read changes of older time entries."""


async def export_every(
    client: TogglClient,
    plan: ExportPlan,
    destination: str | os.PathLike[str],
    *,
    every: float,
    format: str | None = None,  # noqa: A002 - as in `export`
    excel: bool | None = None,
    max_wait: float | None = None,
    on_event: OnExportEvent | None = None,
) -> AsyncGenerator[RefreshRound, None]:
    """Export what the plan includes, then bring it up to date again and again; see `refresh_every`.

    Files are written again after each round that changed something in them.

    Args:
        client: whose account is exported.
        plan: what is taken.
        destination: a directory, as for `export`; an export that is already there is brought up to date.
        every: seconds from the beginning of a round to that of the next, more than 0.
        format: see `export`.
        excel: see `export`.
        max_wait: seconds that a round may wait at a time for Toggl's limits before it ends; None for as
            long as it takes.
        on_event: called with each event of each round.

    Yields:
        What came of each round, as soon as it has ended.

    Raises:
        InvalidInput: as for `export`, in the first round.
        Unauthorized, Forbidden: Toggl refuses the credentials.
    """
    check_arguments(destination=destination, format=format, excel=excel, on_event=on_event)

    async def read(account: Survey, datasets: Collection[str] | None, older: bool) -> Manifest:
        return await export(
            client,
            plan,
            destination,
            format=format,
            excel=excel,
            update=True,
            datasets=datasets,
            older=older,
            account=account,
            on_event=on_event,
        )

    async def check() -> None:
        plan_files(client, plan, Path(destination), format, excel, update=True)

    async for one in _rounds(client, plan, check, read, every=every, max_wait=max_wait):
        yield one


async def refresh_every(
    client: TogglClient,
    plan: ExportPlan,
    url: str | os.PathLike[str],
    *,
    every: float,
    max_wait: float | None = None,
    on_event: OnExportEvent | None = None,
) -> AsyncGenerator[RefreshRound, None]:
    """Bring a mirror up to date again and again, until the loop over the rounds ends or is cancelled.

    ::

        async with aclosing(refresh_every(toggl, ExportPlan(), "toggl.sqlite", every=600)) as rounds:
            async for one in rounds:
                print(one.manifest.changes if one.manifest else one.error)

    The first round reads everything. Each later one reads the recent time entries. The rest of its share of
    the hourly quotas goes to lists, the one that has waited longest first, and, about once a day, to changes
    of older time entries. If the quota allows it, each round reads everything. ``manifest.datasets`` says how
    fresh each dataset is.

    If the quota has no room for a round, the round waits for the reset. If a round takes longer than the
    interval, the next one follows at once. If something goes wrong in a round, such as a lost network, a
    failing server or a full disk, only that round ends, and the next one resumes from the last commit. Only
    refused credentials end them all.

    Args:
        client: whose account is read; its scheduler sets the pace, and its options the reserve.
        plan: what is taken.
        url: the mirror, as for `Mirror`. It is opened for each round.
        every: seconds from the beginning of a round to that of the next, more than 0.
        max_wait: seconds that a round may wait at a time for Toggl's limits before it ends; None for as
            long as it takes.
        on_event: called with each event of each round.

    Yields:
        What came of each round, as soon as it has ended.

    Raises:
        InvalidInput: as for `Mirror` and `Mirror.refresh`, in the first round.
        Unauthorized, Forbidden: Toggl refuses the credentials.
    """
    check_arguments(on_event=on_event)

    async def read(account: Survey, datasets: Collection[str] | None, older: bool) -> Manifest:
        async with Mirror(url) as mirror:
            return await mirror.refresh(
                client, plan, datasets=datasets, older=older, account=account, on_event=on_event
            )

    async def check() -> None:
        with suppress(OSError):  # such as a full disk, which ends a round, but not the following ones
            async with Mirror(url):
                pass

    async for one in _rounds(client, plan, check, read, every=every, max_wait=max_wait):
        yield one


async def _rounds(
    client: TogglClient,
    plan: ExportPlan,
    check: Callable[[], Awaitable[None]],
    read: _Read,
    *,
    every: float,
    max_wait: float | None,
) -> AsyncGenerator[RefreshRound, None]:
    """Read round after round, once it is certain that the destination can be written."""
    check_arguments(client=client, plan=plan, every=every, max_wait=max_wait)
    await check()
    scheduler, patiently, ledger = client.scheduler, patient(client), Ledger(every)
    is_first, knows_quotas = True, False
    while True:
        begun = anyio.current_time()
        manifest: Manifest | None = None
        failed: TogglError | OSError | None = None
        try:
            async with waiting_at_most(max_wait, scheduler):
                account = await survey(patiently, plan)
                if not knows_quotas:
                    await _ask_for_quotas(patiently)
                    knows_quotas = True
                rooms = ledger.rooms(scheduler.stats(), scheduler.options.quota.reserve)
                parts = ledger.parts(rooms, anyio.current_time())
                manifest = await read(account, *_reads(plan, parts))
            ledger.note(account, manifest, parts, anyio.current_time())
        except (Unauthorized, Forbidden):
            raise
        except InvalidInput as error:
            if is_first:
                raise
            failed = error  # another run that writes to the mirror, say
        except _PASSING as error:
            failed = error
        is_first = is_first and manifest is None
        now = anyio.current_time()
        rooms = ledger.rooms(scheduler.stats(), scheduler.options.quota.reserve)
        due, room_at = max(now, begun + every), now + seconds_to_wait(rooms, ledger.cost)
        next_at = max(due, room_at)
        yield RefreshRound(
            manifest=manifest,
            error=failed,
            quotas=tuple(
                QuotaLeft(organization_id=lane, left=room.left, total=room.total, resets_in=room.resets_in)
                for lane, room in rooms.items()
            ),
            next_in=next_at - now,
            waits_for_quota=room_at > due,
        )
        await anyio.sleep_until(next_at)


async def _ask_for_quotas(client: TogglClient) -> None:
    """Let the scheduler learn how much each quota allows, which no other answer tells."""
    with suppress(DecodeError, ResponseError):  # without it, the most that was ever left counts as the total
        await client.fetch(operation(QUOTAS), path={}, cooldowns=1)


def _reads(plan: ExportPlan, parts: Collection[str] | None) -> tuple[Collection[str] | None, bool]:
    """The datasets to read in a round, and whether to look for changes of older time entries."""
    if parts is None:
        return None, True
    recent = [name for name in ("time_entries",) if name in plan]
    return [*recent, *(name for name in parts if name != OLDER)], OLDER in parts
