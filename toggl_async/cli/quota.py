"""``toggl-async quota``: every hourly quota and who waits, and ``toggl-async whoami``."""

import datetime as dt
from typing import Any

import attrs
import click
import msgspec

from toggl_async._client.auth import auth_from_env
from toggl_async._client.client import TogglClient
from toggl_async.cli.connect import ask
from toggl_async.cli.display import spell
from toggl_async.cli.options import base_url_option, machine_option, server_url
from toggl_async.export import ExportPlan, Survey, survey
from toggl_async.export.intake import reading, rows_of
from toggl_async.export.plan.datasets import operation
from toggl_async.scheduler.stats import ProcessStats, SchedulerStats

__all__ = ["quota", "whoami"]

_QUOTA = "me.quota"
_ORGANIZATIONS = "me.organizations.list"


class _Window(msgspec.Struct):
    organization_id: int | None = None
    remaining: int | None = None
    resets_in_secs: int | None = None
    total: int | None = None


class _Organization(msgspec.Struct):
    id: int
    name: str | None = None


@attrs.frozen(kw_only=True)
class _Quotas:
    """The windows, the names of their organizations, and who else waits, as the shared budget tells."""

    windows: list[_Window]
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


@click.command()
@base_url_option
@machine_option
def whoami(base_url: str | None, *, machine: bool) -> int:
    """Show whose token this is and which workspaces it can see. Spends two requests.

    The token is read from TOGGL_API_TOKEN, the server from TOGGL_BASE_URL unless --base-url is given.
    """
    return ask(
        _account, server_url(base_url), auth_from_env(), _account_as_json if machine else _account_as_text
    )


async def _quotas(client: TogglClient) -> _Quotas:
    answer = await client.fetch(operation(_QUOTA), path={})
    with reading(_QUOTA, answer.body):
        windows = msgspec.json.decode(answer.body, type=list[_Window] | None) or []
    answer = await client.fetch(operation(_ORGANIZATIONS), path={})
    with reading(_ORGANIZATIONS, answer.body):
        organizations = [msgspec.json.decode(row, type=_Organization) for row in rows_of(answer.body)]
    return _Quotas(
        windows=windows,
        names={one.id: one.name or str(one.id) for one in organizations},
        stats=client.scheduler.stats(),
    )


def _quotas_as_text(quotas: _Quotas) -> str:
    """A table of the windows."""
    now = dt.datetime.now().astimezone()
    lines = [f"{'quota':<32}{'used':>6}{'left':>6}{'of':>6}  resets"]
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
        lines.append(f"{(whose or str(window.organization_id))[:31]:<32}{figures}  {resets}")
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
        {**msgspec.to_builtins(window), "organization": quotas.names.get(window.organization_id or 0)}
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
    return msgspec.json.encode({"windows": rows, "waiting": waiting}).decode()


async def _account(client: TogglClient) -> Survey:
    return await survey(client, ExportPlan())


def _account_as_text(account: Survey) -> str:
    """The user, and a line for each workspace."""
    lines = [f"{account.username or 'nameless'} <{account.email}>, user {account.user_id}"]
    lines += [
        f"workspace {workspace.id}: {workspace.name} (organization {workspace.organization_id})"
        for workspace in account.workspaces
    ]
    lines += [f"warning: {warning}" for warning in account.warnings]
    return "\n".join(lines)


def _account_as_json(account: Survey) -> str:
    """The same as JSON, without anything secret."""
    return msgspec.json.encode(
        {
            "user_id": account.user_id,
            "name": account.username,
            "email": account.email,
            "workspaces": [
                {"id": one.id, "name": one.name, "organization_id": one.organization_id}
                for one in account.workspaces
            ],
            "warnings": account.warnings,
        }
    ).decode()
