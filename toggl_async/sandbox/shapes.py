"""Clients, projects, tags, tasks and time entries as the JSON objects that the Track API sends.

Field names are Toggl's, the ones that its documents leave out but its answers hold included
(`server_deleted_at`, `tasks_count`, the old short twins `wid`, `pid`, `uid`…).
"""

from collections.abc import Callable
from typing import Any, TypeAlias

from toggl_async.sandbox.entities import (
    ClientRow,
    FavoriteRow,
    PersonRow,
    ProjectRow,
    TagRow,
    TaskRow,
    TimeEntryRow,
)
from toggl_async.sandbox.state import State
from toggl_async.sandbox.timestamps import at_fraction, day_of, offset_utc, zulu

__all__ = [
    "JsonObject",
    "client",
    "entry",
    "entry_meta",
    "favorite",
    "person_facts",
    "project",
    "project_facts",
    "rows",
    "same",
    "tag",
    "task",
]

JsonObject: TypeAlias = dict[str, Any]
"""A JSON object."""


def same(row: object, *names: str) -> JsonObject:
    """The fields of an object that go by the same names in a row."""
    return {name: getattr(row, name) for name in names}


def client(row: ClientRow) -> JsonObject:
    """A client."""
    return {
        **same(row, "id", "archived", "name", "creator_id"),
        "wid": row.workspace_id,
        "at": offset_utc(row.at),
        **({} if row.notes is None else {"notes": row.notes}),
    }


def project(state: State, row: ProjectRow) -> JsonObject:
    """A project. What the plan lacks is null."""
    return {
        **same(
            row,
            "id",
            "workspace_id",
            "client_id",
            "name",
            "is_private",
            "active",
            "color",
            "estimated_seconds",
        ),
        "at": offset_utc(row.at),
        "created_at": offset_utc(row.created),
        "server_deleted_at": None,
        "billable": row.billable if state.paid else None,
        "template": False if state.paid else None,
        "auto_estimates": False if state.paid else None,
        "estimated_hours": None if row.estimated_seconds is None else row.estimated_seconds // 3600,
        "rate": row.rate if state.paid else None,
        "rate_last_updated": None,
        "currency": "EUR" if state.paid else None,
        "recurring": False,
        "template_id": None,
        "recurring_parameters": None,
        "fixed_fee": None,
        "actual_hours": None,
        "actual_seconds": None,
        "tasks_count": sum(1 for known in state.tasks_of(row.workspace_id) if known.project_id == row.id),
        "is_shared": False,
        "can_track_time": row.active,
        "start_date": day_of(row.created).isoformat(),
        "status": "active" if row.active else "archived",
        "wid": row.workspace_id,
        "cid": row.client_id,
        "pinned": False,
    }


def tag(row: TagRow) -> JsonObject:
    """A tag."""
    return {
        **same(row, "id", "workspace_id", "name", "creator_id"),
        "at": at_fraction(row.at * 1_000_000 + row.id % 1_000_000),
    }


def task(state: State, row: TaskRow) -> JsonObject:
    """A task, with what is known of its project."""
    owner = state.projects[row.project_id]
    known = state.clients.get(owner.client_id or 0)
    person = state.people.get(row.user_id or 0)
    return {
        **same(row, "id", "name", "workspace_id", "project_id", "user_id", "active", "estimated_seconds"),
        "recurring": False,
        "at": offset_utc(row.at),
        "server_deleted_at": None,
        "tracked_seconds": state.tracked_seconds(row),
        "project_name": owner.name,
        "project_color": owner.color,
        "project_is_private": owner.is_private,
        "project_billable": owner.billable,
        "client_id": owner.client_id,
        "client_name": None if known is None else known.name,
        "user_name": None if person is None else person.name,
        "avatar_url": None,
        "rate": None,
        "rate_last_updated": None,
        "toggl_accounts_id": None if person is None else f"ta{person.id:x}",
    }


def entry(state: State, row: TimeEntryRow, *, written: bool = False) -> JsonObject:
    """A time entry, as lists have it, or as the answer to a write has it.

    A running one has the negative of its start as duration, off by the second that Toggl is off.
    """
    moment = zulu if written else offset_utc
    bare = row.bare or written
    shape: JsonObject = {
        **same(row, "id", "workspace_id", "project_id", "task_id", "billable", "description", "user_id"),
        "start": moment(row.start),
        "stop": None if row.stop is None else moment(row.stop),
        "duration": -(row.start + 1) if row.seconds is None else row.seconds,
        "tags": [state.tags[tag_id].name for tag_id in row.tag_ids] or (None if bare else []),
        "tag_ids": list(row.tag_ids) or (None if bare else []),
        "duronly": True,
        "at": at_fraction(row.changed),
        "server_deleted_at": None if row.deleted is None else offset_utc(row.deleted),
        "uid": row.user_id,
        "wid": row.workspace_id,
    }
    if row.project_id is not None:
        shape["pid"] = row.project_id
    if row.task_id is not None:
        shape["tid"] = row.task_id
    return shape


def entry_meta(state: State, row: TimeEntryRow) -> JsonObject:
    """What ``meta=true`` adds to a time entry."""
    person = state.people[row.user_id]
    shape: JsonObject = {"user_name": person.name, "user_avatar_url": ""}
    owner = state.projects.get(row.project_id or 0)
    if owner is not None:
        shape |= {
            "project_name": owner.name,
            "project_color": owner.color,
            "project_active": owner.active,
            "project_billable": owner.billable,
        }
        known = state.clients.get(owner.client_id or 0)
        if known is not None:
            shape |= {"client_id": known.id, "client_name": known.name}
    return shape


def favorite(state: State, row: FavoriteRow) -> JsonObject:
    """A favorite, with what is known of its project, task and tags."""
    owner, work = state.projects.get(row.project_id or 0), state.tasks.get(row.task_id or 0)
    known = None if owner is None else state.clients.get(owner.client_id or 0)
    return {
        "favorite_id": row.id,
        **same(
            row,
            "workspace_id",
            "user_id",
            "description",
            "project_id",
            "task_id",
            "billable",
            "rank",
            "public",
        ),
        "tag_ids": row.tag_ids or None,
        "was_public_at": None,
        "tags": [state.tags[tag_id].name for tag_id in row.tag_ids if tag_id in state.tags] or None,
        "client_name": None if known is None else known.name,
        "project_name": None if owner is None else owner.name,
        "project_color": None if owner is None else owner.color,
        "project_active": None if owner is None else owner.active,
        "project_billable": None if owner is None else owner.billable,
        "project_private": None if owner is None else owner.is_private,
        "task_name": None if work is None else work.name,
        "permissions": None,
        "created_at": offset_utc(row.created),
        "deleted_at": None,
    }


def rows(state: State, kind: str, workspace_id: int) -> list[JsonObject]:
    """All clients, projects, tags or tasks of a workspace."""
    made: dict[str, Callable[[], list[JsonObject]]] = {
        "clients": lambda: [client(row) for row in state.clients_of(workspace_id)],
        "projects": lambda: [project(state, row) for row in state.projects_of(workspace_id)],
        "tags": lambda: [tag(row) for row in state.tags_of(workspace_id)],
        "tasks": lambda: [task(state, row) for row in state.tasks_of(workspace_id)],
    }
    return made[kind]()


def project_facts(state: State, row: ProjectRow | None) -> JsonObject:
    """What is true of a project, its client and a task of it, by the names that fields of others have."""
    if row is None:
        return {}
    client, task = (
        state.clients.get(row.client_id or 0),
        next((one for one in state.tasks_of(row.workspace_id) if one.project_id == row.id), None),
    )
    return {
        "project_id": row.id,
        "pid": row.id,
        "project_ids": [row.id],
        "project_name": row.name,
        "project_color": row.color,
        "project_hex": row.color,
        "project_hex_color": row.color,
        "project_active": row.active,
        "project_billable": row.billable,
        "project_is_private": row.is_private,
        "project_private": row.is_private,
        "client_id": row.client_id,
        "cid": row.client_id,
        "client_name": None if client is None else client.name,
        "task_id": None if task is None else task.id,
        "tid": None if task is None else task.id,
        "task_ids": [] if task is None else [task.id],
        "task_name": None if task is None else task.name,
    }


def person_facts(row: PersonRow) -> JsonObject:
    """What is true of a person, by the names that fields of others have."""
    return {
        "uid": row.id,
        **dict.fromkeys(("username", "fullname"), row.name),
        "user_ids": [row.id],
        "pg_time_zone_name": row.timezone,
        "beginning_of_week": row.beginning_of_week,
        "email": row.email,
        "user_email": row.email,
        "toggl_accounts_id": f"ta{row.id:x}",
    }
