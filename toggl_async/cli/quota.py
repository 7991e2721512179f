"""``toggl-async quota``: every hourly quota, and who is waiting."""

import datetime as dt
from collections.abc import Sequence
from typing import Any

import attrs
import click
import msgspec

from toggl_async._client.auth import auth_from_env
from toggl_async._client.client import TogglClient
from toggl_async.cli.connect import ask
from toggl_async.cli.display import spell
from toggl_async.cli.options import base_url_option, machine_option, server_url
from toggl_async.cli.output import json_text, on_one_line
from toggl_async.cli.tolerance import SeenOrganization, listed
from toggl_async.records import Quota
from toggl_async.scheduler.stats import ProcessStats, SchedulerStats

__all__ = ["quota"]


@attrs.frozen(kw_only=True)
class _Quotas:
    """The windows, the names of their organizations, and who else waits, as the shared budget tells."""

    windows: Sequence[Quota]
    names: dict[int, str]
    stats: SchedulerStats

    @property
    def processes(self) -> list[ProcessStats]:
        """Who else waits, the best priority first."""
        found = [process for account in self.stats.accounts for process in account.processes]
        return sorted(found, key=lambda process: (process.priority, -process.waited))


@click.command()
@base_url_option
@click.option(
    "--forget", is_flag=True, help="First forget which endpoints, features and credentials Toggl refused."
)
@machine_option
def quota(base_url: str | None, *, forget: bool, machine: bool) -> int:
    """Show every hourly quota, and who is waiting for a turn. Spends two requests of the user's quota.

    "Used" counts the requests of all of the user's programs. Waiting calls are shown for programs that share
    this command's budget: this machine's file, unless TOGGL_BUDGET names another.

    Refusals are remembered for up to a day. After an upgrade, or once a token is valid again, --forget makes
    everyone who shares the budget ask Toggl again.

    The token is read from TOGGL_API_TOKEN, the server from TOGGL_BASE_URL unless --base-url is given.
    """

    async def quotas(client: TogglClient) -> _Quotas:
        if forget:
            client.scheduler.forget_refusals()
        return await _quotas(client)

    return ask(quotas, server_url(base_url), auth_from_env(), _quotas_as_json if machine else _quotas_as_text)


async def _quotas(client: TogglClient) -> _Quotas:
    windows = await client.me.quota()
    organizations = await listed(client, "/api/v9/me/organizations", SeenOrganization)
    return _Quotas(
        windows=windows,
        names={one.id: one.name for one in organizations if one.id is not None and one.name},
        stats=client.scheduler.stats(),
    )


def _quotas_as_text(quotas: _Quotas) -> str:
    """A table of the windows."""
    now = dt.datetime.now().astimezone()
    lines = [f"{'quota':<32}{'used':>6}{'left':>6}{'of':>6}  resets"]
    if not quotas.windows:
        lines = ["Toggl shows no quotas for this account"]
    for window in quotas.windows:
        whose = "user" if window.organization_id is None else quotas.names.get(window.organization_id)
        used = None
        if window.total is not None and window.remaining is not None:
            used = window.total - window.remaining
        resets = "when first used"
        if window.resets_in_secs is not None:
            end = now + dt.timedelta(seconds=window.resets_in_secs)
            resets = f"in {spell(window.resets_in_secs)}, at {end:%H:%M:%S}"
        figures = "".join(
            f"{'?' if figure is None else figure:>6}" for figure in (used, window.remaining, window.total)
        )
        lines.append(f"{on_one_line(whose or str(window.organization_id))[:31]:<32}{figures}  {resets}")
    return "\n".join([*lines, *_waiting_as_text(quotas.processes)])


def _waiting_as_text(processes: list[ProcessStats]) -> list[str]:
    """A table of who else waits."""
    if not processes:
        return ["no other program that shares the budget is waiting"]
    return [
        f"{'waiting':<32}{'calls':>6}{'priority':>12}  since",
        *(
            f"{_shown(process.process):<32}{process.waiting:>6}{process.priority.name.lower():>12}"
            f"  {spell(process.waited)}"
            for process in processes
        ),
    ]


def _shown(name: str) -> str:
    """What people call a process: by its id and, where machines share a budget, its machine."""
    *machine, process, _ = name.rpartition("@")[0].split(".") if "@" in name else name.split(".")
    return f"process {process}{f' on {machine[0]}' if machine else ''}"[:31]


def _quotas_as_json(quotas: _Quotas) -> str:
    """The windows as Toggl has them, with the names of their organizations, and who waits."""
    rows: list[dict[str, Any]] = [
        {**window.to_dict(), "organization": quotas.names.get(window.organization_id or 0)}
        for window in quotas.windows
    ]
    waiting = [
        {
            "process": process.process,
            "priority": process.priority.name,
            "calls": process.waiting,
            "seconds": round(process.waited, 3),
        }
        for process in quotas.processes
    ]
    return json_text(msgspec.json.encode({"windows": rows, "waiting": waiting}))
