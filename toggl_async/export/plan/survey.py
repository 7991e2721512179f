"""The first requests of a run: whose token this is, and which workspaces and organizations it sees.

There are two: ``GET /api/v9/me?with_related_data=true``, which includes the workspaces, and ``GET
/api/v9/me/organizations``, if the plan needs it. If the first lacks a workspace that must exist, ``GET
/api/v9/me/workspaces`` is a third one. Nothing is written.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import TypeVar

import attrs
import msgspec

from toggl_async._client.client import TogglClient
from toggl_async.errors import ConnectionFailed, DecodeError, InvalidInput, ResponseError, TogglError
from toggl_async.export.intake import reading, rows_of
from toggl_async.export.plan.arguments import check_client, check_instance
from toggl_async.export.plan.asking import ME, Asker, Id, decoded, time_of
from toggl_async.export.plan.datasets import DATASETS, REFUSALS, SET_ASIDE, raise_for_account
from toggl_async.export.plan.plan import EARLIEST, ExportPlan
from toggl_async.export.rows import is_deleted, known_of, without_secrets
from toggl_async.scheduler.scheduler import drivers_of

__all__ = ["Survey", "SurveyedWorkspace", "doubts", "related_ids", "survey"]

T = TypeVar("T")

_WORKSPACES = "me.workspaces.list"

_RELATED = ("clients", "projects", "tags", "tasks")
"""Datasets whose rows the first requests return, more or less completely."""

_SIGNS = (*_RELATED, "time_entries")
"""The keys of related data. One of them, whatever its value, shows that the answer has such data at all;
workspaces don't, because some servers send them with every profile."""

_MOVED = "an account that moved to Toggl 2.0 may show only part of its data here"


@attrs.frozen(kw_only=True)
class SurveyedWorkspace:
    """A workspace that is exported.

    Attributes:
        id: its id.
        name: its name.
        organization_id: the organization that it belongs to; None if Toggl doesn't say.
        created: when that organization or the token's user was created, whichever is older; None if both are
            unknown.
        admin: whether Toggl says that the token's user administers it.
        row: the workspace as Toggl sent it, with its secrets blanked.
    """

    id: int
    name: str | None
    organization_id: int | None
    created: dt.date | None
    admin: bool = False
    row: bytes = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class Unread:
    """What kept a list of the account from being read.

    Attributes:
        message: what was wrong, or Toggl's own words.
        status: the HTTP status with which Toggl refused it; None if it failed.
    """

    message: str
    status: int | None = None


@attrs.frozen(kw_only=True)
class Survey:
    """The answers to the first requests of a run.

    Attributes:
        user_id: the id of the token's user.
        username: the user's full name.
        email: the user's address.
        timezone: the IANA name of the time zone in the user's profile; None if Toggl doesn't say.
        asked_at: the server's time, UTC.
        seen: the ids of the clients, projects, tags and tasks that came along, by dataset and workspace;
            there may be more. Without any dataset if the answer had no related data, which says nothing.
        workspaces: the workspaces that the plan includes.
        organizations: the rows of their organizations, as Toggl sent them; empty unless asked for.
        organizations_unread: why they could not be read; None if they were, or weren't asked for.
        requests: how many requests the survey sent.
        warnings: why Toggl may not show the whole account.
    """

    user_id: int
    username: str | None
    email: str | None
    asked_at: dt.datetime
    workspaces: tuple[SurveyedWorkspace, ...]
    organizations: tuple[bytes, ...]
    requests: int
    seen: Mapping[str, Mapping[int, tuple[int, ...]]] = attrs.field(factory=dict, repr=False, hash=False)
    warnings: tuple[str, ...] = ()
    timezone: str | None = None
    organizations_unread: Unread | None = None

    @property
    def counts(self) -> Mapping[str, Mapping[int, int]]:
        """How many clients, projects, tags and tasks came along, by dataset and workspace."""
        return {
            name: {workspace_id: len(ids) for workspace_id, ids in seen.items()}
            for name, seen in self.seen.items()
        }

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
    id: Id
    fullname: str | None = None
    email: str | None = None
    timezone: str | None = None
    default_workspace_id: int | None = None
    created_at: msgspec.Raw = msgspec.Raw(b"null")
    workspaces: list[msgspec.Raw] | None = None


class _Related(msgspec.Struct):
    clients: list[msgspec.Raw] | None = None
    projects: list[msgspec.Raw] | None = None
    tags: list[msgspec.Raw] | None = None
    tasks: list[msgspec.Raw] | None = None


class _Workspace(msgspec.Struct):
    id: Id
    name: str | None = None
    organization_id: int | None = None
    admin: bool | None = None


class _Organization(msgspec.Struct):
    id: Id
    created_at: msgspec.Raw = msgspec.Raw(b"null")


async def survey(client: TogglClient, plan: ExportPlan) -> Survey:
    """Ask whose token it is, and what it sees.

    Args:
        client: whose account it is.
        plan: what to export.

    Raises:
        InvalidInput: an argument can't be used, or the plan names a workspace that the token doesn't see.
        Forbidden: the credentials are wrong.
        DecodeError: an answer isn't an account, or lacks all workspaces although the account has some.
        TogglError: whatever else became of the requests, apart from the list of organizations: if that fails
            or is refused, `Survey.organizations_unread` says why.
    """
    check_client(client)
    check_instance(ExportPlan, plan, "plan", "an ExportPlan")
    spent: list[int] = []
    asker = Asker(client, spent.append)
    answer = await asker.ask(ME, query={"with_related_data": True})
    me = decoded(_Me, answer.body, ME)
    more, seen = await _workspaces(asker, me, answer.body)
    requests = answer.attempts + more
    chosen = _chosen(plan, seen)
    owners = {read.organization_id for read in chosen} - {None}
    organizations: dict[int, tuple[_Organization, bytes]] = {}
    unread: Unread | None = None
    asks = _needs_organizations(plan)
    if asks:
        more, found, unread = await _organizations(asker)
        requests += more
        organizations = {
            read.id: (read, row) for read, row in found if not plan.workspaces or read.id in owners
        }
    for read in chosen:
        if read.organization_id is not None:
            drivers_of(client.scheduler).learn_organization(read.id, read.organization_id)
    missing = owners - organizations.keys() if asks and unread is None else set()
    return Survey(
        user_id=me.id,
        username=me.fullname,
        email=me.email,
        timezone=me.timezone,
        asked_at=time_of(answer),
        workspaces=tuple(
            SurveyedWorkspace(
                id=read.id,
                name=read.name,
                organization_id=read.organization_id,
                created=_created(me, organizations.get(read.organization_id or 0)),
                admin=bool(read.admin),
                row=without_secrets(seen[read.id][1]),
            )
            for read in chosen
        ),
        organizations=tuple(row for _, row in organizations.values()),
        requests=requests + sum(spent),
        seen=related_ids(answer.body),
        warnings=tuple(doubts(me.default_workspace_id, seen, missing)),
        organizations_unread=unread,
    )


async def _workspaces(asker: Asker, me: _Me, body: bytes) -> tuple[int, dict[int, tuple[_Workspace, bytes]]]:
    """The workspaces that came along, listed where they can't be all; and the requests that this took."""
    requests = 0
    seen = {read.id: (read, row) for read, row in _each(_Workspace, me.workspaces or [], ME)}
    if not seen or (me.default_workspace_id or next(iter(seen))) not in seen:
        requests, listed = await _list(asker, _WORKSPACES)
        for read, row in _each(_Workspace, listed, _WORKSPACES):
            seen.setdefault(read.id, (read, row))
    if not seen and me.default_workspace_id:
        message = f"Expected the workspace {me.default_workspace_id}, got none"
        raise DecodeError(message, operation=ME, field="$.workspaces", body=body)
    return requests, seen


async def _organizations(
    asker: Asker,
) -> tuple[int, list[tuple[_Organization, bytes]], Unread | None]:
    """The organizations, the requests that this took, and what kept them from being read, if anything did.

    Raises:
        TogglError: it concerns the whole account, or nobody answers.
    """
    name = DATASETS["organizations"].operation
    try:
        requests, listed = await _list(asker, name)
        return requests, list(_each(_Organization, listed, name)), None
    except ConnectionFailed:
        raise  # nobody is there: the run ends before it begins
    except SET_ASIDE as error:
        raise_for_account(error)
        return _spent(error), [], _unread(error)


def _spent(error: TogglError) -> int:
    """How many requests are counted for one that failed."""
    return 0 if isinstance(error, ResponseError) and error.from_memory else 1


def _unread(error: TogglError) -> Unread:
    """What is said of a list that an error kept from being read."""
    if isinstance(error, REFUSALS):
        return Unread(message=error.message, status=error.status)
    return Unread(message=str(error))


def doubts(
    default: int | None, seen: Collection[int | None], missing: Collection[int | None]
) -> Iterator[str]:
    """Say where what Toggl tells of an account contradicts itself, so that it may not be the whole.

    Args:
        default: the id of the default workspace, as far as Toggl says.
        seen: the ids of the workspaces that it shows.
        missing: the ids of organizations that it doesn't show, although they have workspaces.
    """
    if not seen:
        yield f"Toggl shows no workspace of this account; {_MOVED}"
    elif default and default not in seen:
        yield f"Toggl doesn't show the account's default workspace {default}; {_MOVED}"
    for organization_id in sorted(one for one in missing if one is not None):
        yield f"Toggl doesn't show the organization {organization_id}, which has a workspace here; {_MOVED}"


def related_ids(body: bytes) -> dict[str, dict[int, tuple[int, ...]]]:
    """The ids of the rows that the first request returned, by dataset and workspace.

    Toggl leaves out the keys of kinds without rows, so a missing one means that there are none. But if all
    are missing, the server may have ignored that they were asked for: then no dataset is in the result.

    Raises:
        DecodeError: the body isn't an answer to that request.
    """
    if decoded(dict[str, msgspec.Raw], body, ME).keys().isdisjoint(_SIGNS):
        return {}
    related = decoded(_Related, body, ME)
    found: dict[str, dict[int, tuple[int, ...]]] = {}
    for name in _RELATED:
        ids: defaultdict[int, list[int]] = defaultdict(list)
        for raw in getattr(related, name) or ():
            row = bytes(raw)
            known = known_of(row)
            if known.id > 0 and not is_deleted(row):
                ids[known.workspace_id or 0].append(known.id)
        found[name] = {workspace_id: tuple(listed) for workspace_id, listed in ids.items()}
    return found


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


async def _list(asker: Asker, name: str) -> tuple[int, list[bytes]]:
    """A list of the account, and how many requests that took."""
    answer = await asker.ask(name)
    with reading(name, answer.body):
        return answer.attempts, rows_of(answer.body)


def _created(me: _Me, organization: tuple[_Organization, bytes] | None) -> dt.date | None:
    """The day on which the older of a profile and its organization was created; None when neither says."""
    told = [me.created_at, *(() if organization is None else (organization[0].created_at,))]
    return min((day for day in map(_day_of, told) if day is not None), default=None)


def _day_of(told: msgspec.Raw) -> dt.date | None:
    """The day on which something was created; None when Toggl doesn't say, or says what cannot be."""
    try:
        moment = msgspec.json.decode(told, type=dt.datetime | None)
    except msgspec.ValidationError:
        return None
    return moment.date() if moment is not None and moment.date() >= EARLIEST else None


def _each(kind: type[T], rows: Iterable[bytes | msgspec.Raw], name: str) -> Iterator[tuple[T, bytes]]:
    for row in rows:
        yield decoded(kind, row, name), bytes(row)
