"""``toggl-async quota``: every hourly quota of the account, and ``toggl-async whoami``."""

import datetime as dt
import os
from typing import Any

import attrs
import click
import msgspec

from toggl_async._client.auth import auth_from_env
from toggl_async._client.client import BASE_URL, TogglClient
from toggl_async.cli.connect import ask
from toggl_async.cli.display import spell
from toggl_async.export import ExportPlan, Survey, survey
from toggl_async.export.intake import reading, rows_of
from toggl_async.export.plan.datasets import operation
from toggl_async.scheduler.stats import SchedulerStats

__all__ = ["quota", "whoami"]

_QUOTA = "me.quota"
_ORGANIZATIONS = "me.organizations.list"

_base_url = click.option("--base-url", metavar="URL", help="Another server that speaks Toggl's API.")
_machine = click.option("--json", "machine", is_flag=True, help="Write JSON.")


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
    """The windows, the names of their organizations, and what of this program waits."""

    windows: list[_Window]
    names: dict[int, str]
    stats: SchedulerStats

    @property
    def waiting(self) -> int:
        """Calls of this program that wait for their turn."""
        return sum(account.waiting for account in self.stats.accounts)


@click.command()
@_base_url
@_machine
def quota(base_url: str | None, *, machine: bool) -> int:
    """Show every hourly quota: used, left, and when it resets. Takes two requests of the user's own.

    Used is what all programs of this user have spent. Who waits is known of this process alone: an
    export says what it waits for itself, a program by `client.scheduler.stats()`.

    The token is read from TOGGL_API_TOKEN, the server from TOGGL_BASE_URL unless --base-url is given.
    """
    return ask(_quotas, _url(base_url), auth_from_env(), _quotas_as_json if machine else _quotas_as_text)


@click.command()
@_base_url
@_machine
def whoami(base_url: str | None, *, machine: bool) -> int:
    """Show whose token it is, and which workspaces it sees. Takes two requests.

    The token is read from TOGGL_API_TOKEN, the server from TOGGL_BASE_URL unless --base-url is given.
    """
    return ask(_account, _url(base_url), auth_from_env(), _account_as_json if machine else _account_as_text)


def _url(base_url: str | None) -> str:
    return base_url or os.environ.get("TOGGL_BASE_URL") or BASE_URL


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
    waiting = f"waiting in this process: {quotas.waiting}; other programs do not tell what they wait for"
    return "\n".join([*lines, waiting])


def _quotas_as_json(quotas: _Quotas) -> str:
    """The windows as Toggl has them, with the names of their organizations."""
    rows: list[dict[str, Any]] = [
        {**msgspec.to_builtins(window), "organization": quotas.names.get(window.organization_id or 0)}
        for window in quotas.windows
    ]
    return msgspec.json.encode({"windows": rows, "waiting": quotas.waiting}).decode()


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
