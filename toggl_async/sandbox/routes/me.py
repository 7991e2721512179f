"""``/me``: the user, and what belongs to the user in all workspaces."""

import secrets
import zoneinfo
from collections.abc import Mapping
from functools import partial
from typing import Final

from starlette.responses import Response

from toggl_async.sandbox import account_shapes, answers, shapes
from toggl_async.sandbox.answers import ApiError
from toggl_async.sandbox.call import ApiRequest, Handler
from toggl_async.sandbox.routes import time_entries
from toggl_async.sandbox.shapes import JsonObject

__all__ = ["HANDLERS"]

_SATURDAY: Final = 6
_PAGE: Final = 201


def get(call: ApiRequest) -> Response:
    """Return the user; with the related data of all workspaces if asked for, null where there is none."""
    shape = account_shapes.me(call.person)
    if call.flag("with_related_data"):
        company = call.company
        spaces = company.workspaces_of(call.person)
        shape |= {
            "workspaces": [account_shapes.workspace(company, space, call.person) for space in spaces],
            **{kind: _rows(call, kind) or None for kind in ("clients", "projects", "tags")},
            "time_entries": time_entries.recent(call) or None,
        }
        if company.paid:
            shape["tasks"] = _rows(call, "tasks") or None
    return answers.json(shape)


def update(call: ApiRequest) -> Response:
    """Change the user's profile: the fields that are given."""
    body, person = call.body(), call.person
    name = body.text("fullname")
    if body.given("fullname") and not name:
        raise ApiError(400, "Name can't be blank")
    zone = body.text("timezone")
    if zone is not None and zone not in zoneinfo.available_timezones():
        raise ApiError(400, "Invalid timezone")
    week = body.number("beginning_of_week")
    if week is not None and not 0 <= week <= _SATURDAY:
        raise ApiError(400, "Invalid beginning of week")
    workspace_id = body.number("default_workspace_id")
    known = {space.id for space in call.company.workspaces_of(person)}
    if workspace_id is not None and workspace_id not in known:
        raise ApiError(400, "Invalid default workspace")
    person.name = name or person.name
    body.write(person, "timezone", "beginning_of_week", "default_workspace_id", "email", "country_id")
    person.modified = int(call.now)
    return answers.json(account_shapes.me(person))


def reset_token(call: ApiRequest) -> Response:
    """Make a new API token; the old one is worth nothing from now on."""
    call.person.api_token = secrets.token_hex(16)
    return answers.json(call.person.api_token)


def logged(_: ApiRequest) -> Response:
    """Tell, by an empty answer, that the credentials are right."""
    return answers.empty()


def quota(call: ApiRequest) -> Response:
    """Return what is left of the user's own quota and of those of the organizations."""
    shapes_: list[JsonObject] = []
    for organization_id in (None, *call.company.organizations):
        state = call.limits.window(call.person.id, organization_id).state(call.now)
        if state is not None:
            shapes_.append(
                {
                    "organization_id": organization_id,
                    "remaining": state.remaining,
                    "resets_in_secs": state.resets_in,
                    "total": state.total,
                }
            )
    return answers.json(shapes_)


def organizations(call: ApiRequest) -> Response:
    """List the organizations that the user is in."""
    rows = call.company.organizations.values()
    return answers.json(
        [account_shapes.organization(call.company, row, call.person, listed=True) for row in rows]
    )


def workspaces(call: ApiRequest) -> Response:
    """List the workspaces that the user is in, each with its number of active projects."""
    company, since = call.company, call.since()
    return answers.json(
        [
            account_shapes.workspace(company, space, call.person)
            | {"active_project_count": sum(project.active for project in company.projects_of(space.id))}
            for space in company.workspaces_of(call.person)
            if since is None or space.modified >= since
        ]
    )


def everywhere(kind: str, call: ApiRequest) -> Response:
    """List the clients or tags of all workspaces."""
    return answers.json(_rows(call, kind, call.since()))


def projects(call: ApiRequest) -> Response:
    """List the projects of all workspaces: active ones, unless archived ones are asked for too."""
    rows, archived = _rows(call, "projects", call.since()), call.flag("include_archived")
    return answers.json([row for row in rows if archived or row["active"]])


def tasks(call: ApiRequest) -> Response:
    """List the tasks of all workspaces: active ones, unless others are asked for too."""
    rows, inactive = _rows(call, "tasks", call.since()), call.flag("include_not_active")
    found = [row for row in rows if inactive or row["active"]]
    offset = call.number("offset", 1) if call.query.get("offset", "0") != "0" else 0
    size = call.number("per_page", len(found) or 1)
    return answers.json(found[offset : offset + size])


def _rows(call: ApiRequest, kind: str, since: int | None = None) -> list[JsonObject]:
    """Return what all workspaces have of a kind, or what was changed of it since a moment."""
    return [
        row
        for space in call.company.workspaces_of(call.person)
        for row in shapes.rows(call.company, kind, space.id)
        if since is None or getattr(call.company, kind)[row["id"]].at >= since
    ]


def web_timer(call: ApiRequest) -> Response:
    """Return what the timer of the web page starts with, null where there is none."""
    made = {kind: _rows(call, kind) for kind in ("clients", "projects", "tags", "tasks")}
    made["time_entries"] = time_entries.recent(call)
    return answers.json({name: rows or None for name, rows in made.items()})


def own_id(call: ApiRequest) -> Response:
    """Return the user's id."""
    return answers.json(call.person.id)


def projects_from(call: ApiRequest) -> Response:
    """List the projects of all workspaces by id, from one on."""
    start, size = call.query.get("start_project_id") or "0", call.number("per_page", _PAGE)
    rows = sorted(_rows(call, "projects", call.since()), key=lambda row: int(row["id"]))
    return answers.json([row for row in rows if row["id"] >= int(start)][:size])


HANDLERS: Final[Mapping[str, Handler]] = {
    "GET /api/v9/me": get,
    "PUT /api/v9/me": update,
    "POST /api/v9/me/reset_token": reset_token,
    "GET /api/v9/me/logged": logged,
    "GET /api/v9/me/quota": quota,
    "GET /api/v9/me/organizations": organizations,
    "GET /api/v9/me/workspaces": workspaces,
    "GET /api/v9/me/clients": partial(everywhere, "clients"),
    "GET /api/v9/me/projects": projects,
    "GET /api/v9/me/tags": partial(everywhere, "tags"),
    "GET /api/v9/me/tasks": tasks,
    "GET /api/v9/me/id": own_id,
    "GET /api/v9/me/web-timer": web_timer,
    "GET /api/v9/me/projects/paginated": projects_from,
}
