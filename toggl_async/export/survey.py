"""The first contact: whose token this is, and which workspaces and organizations it sees.

Two requests at most: ``GET /api/v9/me?with_related_data=true``, which brings the workspaces along,
and ``GET /api/v9/me/organizations`` where the plan needs it. Nothing is written.
"""

import datetime as dt
import email.utils
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

import attrs
import msgspec

from toggl_async.answer import Answer
from toggl_async.client import TogglClient
from toggl_async.errors import InvalidInput
from toggl_async.export.datasets import DATASETS, operation
from toggl_async.export.plan import ExportPlan
from toggl_async.export.rows import known_of, reading, rows_of, without_secrets

__all__ = ["Account", "Workspace", "identify", "survey"]

T = TypeVar("T")

_ME = DATASETS["workspaces"].operation


@attrs.frozen(kw_only=True)
class Workspace:
    """A workspace that is exported.

    Attributes:
        id: its id.
        name: its name.
        organization_id: the organization that it belongs to; None when Toggl doesn't say.
        created: when that organization was created; None when unknown.
        admin: whether the token's user administers it, as far as Toggl says.
        row: the workspace as Toggl sent it, its secrets blanked.
    """

    id: int
    name: str | None
    organization_id: int | None
    created: dt.date | None
    admin: bool = False
    row: bytes = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class Account:
    """What the first contact brought.

    Attributes:
        user_id: the id of the token's user.
        username: the user's full name.
        email: the user's address.
        asked_at: the server's time, UTC.
        counts: how many clients, projects, tags and tasks came along; as far as it goes, how many
            there are in each workspace.
        workspaces: the workspaces that the plan takes.
        organizations: the rows of their organizations, as Toggl sent them; none unless asked for.
        requests: what the survey has spent.
    """

    user_id: int
    username: str | None
    email: str | None
    asked_at: dt.datetime
    workspaces: tuple[Workspace, ...]
    organizations: tuple[bytes, ...]
    requests: int
    counts: Mapping[str, Mapping[int, int]] = attrs.field(factory=dict)

    @property
    def today(self) -> dt.date:
        """The server's date, UTC."""
        return self.asked_at.date()

    def rows(self, dataset: str) -> tuple[bytes, ...]:
        """The rows of a dataset that came along: organizations or workspaces."""
        if dataset == "organizations":
            return self.organizations
        return tuple(workspace.row for workspace in self.workspaces)


class _Me(msgspec.Struct):
    id: int
    fullname: str | None = None
    email: str | None = None
    workspaces: list[msgspec.Raw] | None = None
    clients: list[msgspec.Raw] | None = None
    projects: list[msgspec.Raw] | None = None
    tags: list[msgspec.Raw] | None = None
    tasks: list[msgspec.Raw] | None = None


class _Identity(msgspec.Struct):
    id: int


class _Workspace(msgspec.Struct):
    id: int
    name: str | None = None
    organization_id: int | None = None
    admin: bool | None = None


class _Organization(msgspec.Struct):
    id: int
    created_at: dt.datetime | None = None


async def survey(client: TogglClient, plan: ExportPlan) -> Account:
    """Ask who the token belongs to and what it sees.

    Raises:
        InvalidInput: the plan names a workspace that the token doesn't see.
        Forbidden: the credentials are wrong.
        DecodeError: an answer is no account.
        TogglError: whatever else became of the requests.
    """
    answer = await client.fetch(operation(_ME), path={}, query={"with_related_data": True})
    me = _read(_Me, answer.body, _ME)
    seen = {read.id: (read, row) for read, row in _each(_Workspace, me.workspaces or [], _ME)}
    chosen = _chosen(plan, seen)
    owners = {read.organization_id for read in chosen}
    asked, listed = await _organizations(client) if _needs_organizations(plan) else (0, [])
    organizations = {read.id: (read, row) for read, row in listed if not plan.workspaces or read.id in owners}
    for read in chosen:
        if read.organization_id is not None:
            client.scheduler.learn_organization(read.id, read.organization_id)
    return Account(
        user_id=me.id,
        username=me.fullname,
        email=me.email,
        asked_at=_time_of(answer),
        workspaces=tuple(
            Workspace(
                id=read.id,
                name=read.name,
                organization_id=read.organization_id,
                created=_created(organizations.get(read.organization_id or 0)),
                admin=bool(read.admin),
                row=without_secrets(seen[read.id][1]),
            )
            for read in chosen
        ),
        organizations=tuple(row for _, row in organizations.values()),
        requests=answer.attempts + asked,
        counts={name: _count(getattr(me, name)) for name in ("clients", "projects", "tags", "tasks")},
    )


async def identify(client: TogglClient) -> tuple[int, dt.datetime]:
    """Ask only who the token belongs to; return the user's id and the server's time.

    Raises:
        Forbidden: the credentials are wrong.
        DecodeError: the answer is no account.
        TogglError: whatever else became of the request.
    """
    answer = await client.fetch(operation(_ME), path={})
    return _read(_Identity, answer.body, _ME).id, _time_of(answer)


def _count(rows: Iterable[msgspec.Raw] | None) -> dict[int, int]:
    """How many rows there are of each workspace."""
    return dict(Counter(known_of(bytes(row)).workspace_id or 0 for row in rows or ()))


def _chosen(plan: ExportPlan, seen: Mapping[int, tuple[_Workspace, bytes]]) -> list[_Workspace]:
    """The workspaces that the plan takes, or a refusal that names those which there are."""
    unknown = sorted(set(plan.workspaces) - set(seen))
    if unknown:
        raise InvalidInput(
            f"unknown workspace {unknown[0]}; the token sees {', '.join(map(str, seen)) or 'none'}"
        )
    return [read for read, _ in seen.values() if not plan.workspaces or read.id in plan.workspaces]


def _needs_organizations(plan: ExportPlan) -> bool:
    """Whether their list is worth its request: as a dataset, or for where the history begins."""
    return "organizations" in plan or ("time_entries" in plan and plan.open_ended)


async def _organizations(client: TogglClient) -> tuple[int, list[tuple[_Organization, bytes]]]:
    """The organizations, and how many requests that took."""
    name = DATASETS["organizations"].operation
    answer = await client.fetch(operation(name), path={})
    with reading(name, answer.body):
        rows = rows_of(answer.body)
    return answer.attempts, list(_each(_Organization, rows, name))


def _created(organization: tuple[_Organization, bytes] | None) -> dt.date | None:
    if organization is None or organization[0].created_at is None:
        return None
    return organization[0].created_at.date()


def _time_of(answer: Answer) -> dt.datetime:
    """The server's time: ours may be wrong, and a sandbox has its own."""
    try:
        return email.utils.parsedate_to_datetime(answer.headers["date"]).astimezone(dt.UTC)
    except (KeyError, ValueError):
        return dt.datetime.now(dt.UTC).replace(microsecond=0)


def _each(kind: type[T], rows: Iterable[bytes | msgspec.Raw], name: str) -> Iterator[tuple[T, bytes]]:
    for row in rows:
        yield _read(kind, row, name), bytes(row)


def _read(kind: type[T], body: bytes | msgspec.Raw, name: str) -> T:
    """Decode what the survey must know, or say which field is at fault."""
    with reading(name, bytes(body)):
        return msgspec.json.decode(body, type=kind)
