"""``toggl-async whoami``: whose token it is, and which workspaces it sees."""

from collections.abc import Iterable, Sequence

import attrs
import click
import msgspec

from toggl_async._client.auth import auth_from_env
from toggl_async._client.client import TogglClient
from toggl_async._client.gaps import known_moment
from toggl_async.cli.connect import ask
from toggl_async.cli.options import base_url_option, machine_option, server_url
from toggl_async.cli.output import complain, json_text, on_one_line
from toggl_async.cli.tolerance import SeenMe, SeenOrganization, SeenWorkspace, listed
from toggl_async.export.plan.survey import doubts

__all__ = ["whoami"]


@attrs.frozen(kw_only=True)
class _Account:
    """The user, the workspaces that the token sees, and why they may not be all."""

    me: SeenMe
    workspaces: Sequence[SeenWorkspace]
    warnings: Sequence[str]


@click.command()
@base_url_option
@machine_option
def whoami(base_url: str | None, *, machine: bool) -> int:
    """Show whose token this is and which workspaces it can see. Spends two requests.

    The token is read from TOGGL_API_TOKEN, the server from TOGGL_BASE_URL unless --base-url is given.
    """
    return ask(_account, server_url(base_url), auth_from_env(), _as_json if machine else _as_text)


async def _account(client: TogglClient) -> _Account:
    """Ask for the user, with the workspaces, and for the organizations that should hold them."""
    me = await client.request("GET", "/api/v9/me", params={"with_related_data": True}, returns=SeenMe)
    workspaces = _existing(me.workspaces or [])
    if not workspaces or me.default_workspace_id not in {None, *(one.id for one in workspaces)}:
        more = _existing(await listed(client, "/api/v9/me/workspaces", SeenWorkspace))
        known = {one.id for one in workspaces}
        workspaces = [*workspaces, *(one for one in more if one.id not in known)]
    organizations = await listed(client, "/api/v9/me/organizations", SeenOrganization)
    missing = {one.organization_id for one in workspaces} - {one.id for one in organizations}
    return _Account(
        me=me,
        workspaces=workspaces,
        warnings=tuple(doubts(me.default_workspace_id, {one.id for one in workspaces}, missing)),
    )


def _existing(found: Iterable[SeenWorkspace]) -> list[SeenWorkspace]:
    """Leave out what was deleted."""
    return [one for one in found if not known_moment(one.server_deleted_at)]


def _as_text(account: _Account) -> str:
    """The user, and a line for each workspace; doubts go to stderr."""
    for warning in account.warnings:
        complain(f"warning: {warning}")
    me = account.me
    return "\n".join(
        [
            on_one_line(f"{me.fullname or 'nameless'} <{me.email}>, user {me.id}"),
            *(
                on_one_line(f"workspace {_id(one.id)}: {one.name} (organization {_id(one.organization_id)})")
                for one in account.workspaces
            ),
        ]
    )


def _id(number: int | None) -> str:
    return "?" if number is None else str(number)


def _as_json(account: _Account) -> str:
    """The same as JSON, without anything secret."""
    answer = msgspec.json.encode(
        {
            "user_id": account.me.id,
            "name": account.me.fullname,
            "email": account.me.email,
            "workspaces": [
                {"id": one.id, "name": one.name, "organization_id": one.organization_id}
                for one in account.workspaces
            ],
            "warnings": account.warnings,
        }
    )
    return json_text(answer)
