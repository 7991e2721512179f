"""Collections and settings that nothing else depends on: state that is kept as the documents describe it.

A row is what was sent. The rest of what its document promises is made when it is read: names follow the
things that they belong to, and what nobody has set is null, false or zero. Each collection of a workspace
has two rows to begin with, which are samples. A row goes when the project that it is about goes.
"""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, Final

import attrs
from starlette.responses import Response

from toggl_async.sandbox import answers
from toggl_async.sandbox.answers import ApiError
from toggl_async.sandbox.call import ApiRequest, Body, Handler
from toggl_async.sandbox.checking import check
from toggl_async.sandbox.documents import DescribedOperation, child, operations, schema_at
from toggl_async.sandbox.routes import bulk
from toggl_async.sandbox.samples import Samples, fields_of
from toggl_async.sandbox.shapes import JsonObject
from toggl_async.sandbox.timestamps import offset_utc

__all__ = ["BY_NAME", "HANDLERS", "asked", "page", "passes", "rows_of", "sent", "told"]

_WORKSPACE: Final = "/api/v9/workspaces/{workspace_id}"
_REPORTS: Final = "/reports/api/v3/workspace/{workspace_id}"
_SAMPLES: Final = 2
_PAGE: Final = 20
_NO_PAGES: Final[Mapping[str, int]] = {}
_TABLES: Final = {
    "group": "groups",
    "member": "people",
    "project": "projects",
    "tag": "tags",
    "task": "tasks",
    "user": "people",
}
"""What ids in a row are about, and the company's table of such things."""


@attrs.frozen
class _Collection:
    """A collection of every workspace.

    Attributes:
        name: the last part of its path.
        parameter: the last part of the path of one row.
        identity: the field that holds a row's id.
        about: what its rows are about beside a person; a row goes when that goes.
        each: a field of which several values may be sent, each for a row of its own.
    """

    name: str
    parameter: str
    identity: str = "id"
    about: tuple[str, ...] = ()
    each: str = ""

    @property
    def path(self) -> str:
        """Its path."""
        return f"{_WORKSPACE}/{self.name}"

    def record(self) -> str:
        """Return where the schema of a row stands."""
        answer = operations()[f"GET {self.path}"].answer
        where, schema = schema_at("" if answer is None else answer.schema)
        return child(where if schema.get("type") == "array" else fields_of(where)["data"], "items")


_COLLECTIONS: Final = (
    _Collection("alerts", "alert_id", about=("project_id",)),
    _Collection("goals", "goal_id", "goal_id"),
    _Collection("invoices", "user_invoice_id", "user_invoice_id"),
    _Collection("project_groups", "project_group_id", about=("project_id", "group_id")),
    _Collection("project_users", "project_user_id", about=("project_id",)),
    _Collection("scheduled_reports", "report_id", "report_id"),
    _Collection("timesheet_setups", "setup_id", about=("member_id", "approver_id"), each="member_id"),
    _Collection("track_reminders", "reminder_id", "reminder_id"),
)


def rows_of(collection: _Collection, call: ApiRequest, workspace_id: int) -> dict[int, JsonObject]:
    """Return the rows of a workspace by id, without what they name that is gone."""
    company, key = call.company, (collection.name, workspace_id)
    if key not in company.kept:
        company.kept[key] = {}
        for number in range(_SAMPLES):
            samples = Samples(_within(call, workspace_id), {})
            made, facts = samples.record(collection.record(), number), samples.facts(number)
            own = {name: value for name, value in made.items() if name not in facts}
            about = {name: facts[name] for name in ("user_id", *collection.about) if name in facts}
            _keep(collection, call, workspace_id, own | about)
    held = company.kept[key]
    for row_id, row in list(held.items()):
        for thing, table in _TABLES.items():
            ids = row.get(f"{thing}_ids")
            if ids:
                row[f"{thing}_ids"] = [one for one in ids if one in getattr(company, table)]
        if not _known(call, row):
            del held[row_id]
    return held


def _within(call: ApiRequest, workspace_id: int) -> ApiRequest:
    """Return the request as far as a row depends on it: who asks, and in which workspace."""
    return attrs.evolve(call, path={"workspace_id": workspace_id}, query={})


def _keep(collection: _Collection, call: ApiRequest, workspace_id: int, fields: JsonObject) -> JsonObject:
    """Add a row."""
    row_id = call.company.new_id("kept")
    row = {
        **dict.fromkeys(("user_id", "creator_id", "creator_user_id"), call.person.id),
        **dict.fromkeys(("at", "created_at"), offset_utc(int(call.now))),
        **fields,
        **dict.fromkeys(("id", collection.identity), row_id),
        "workspace_id": workspace_id,
    }
    call.company.kept[collection.name, workspace_id][row_id] = row
    return row


def _known(call: ApiRequest, fields: Mapping[str, Any]) -> bool:
    """Tell whether the things that these fields name one by one are there."""
    return all(
        fields.get(f"{thing}_id") in {None, *getattr(call.company, table)} for thing, table in _TABLES.items()
    )


def told(
    call: ApiRequest,
    operation: DescribedOperation,
    rows: Iterable[JsonObject],
    paging: Mapping[str, int] = _NO_PAGES,
) -> Response:
    """Answer with rows, in the form that the document has: a list, a list in a wrapper, one, or nothing."""
    if operation.answer is None:
        return answers.empty(status=operation.status)
    where, schema = schema_at(operation.answer.schema)
    wrapper, several = fields_of(where).get("data"), schema.get("type") == "array"
    one = child(wrapper or where, "items") if wrapper or several else where
    made = [Samples(_within(call, row["workspace_id"]), row, kept=True).record(one, 0) for row in rows]
    value = {**paging, "data": made} if wrapper else made if several else made[0]
    return answers.json(value, status=operation.status)


def listing(collection: _Collection, route: str, call: ApiRequest) -> Response:
    """List the rows that the query and the body ask for, page by page where there are pages."""
    wanted, mine = asked(route, call), "workspace_id" not in call.path
    spaces = (
        [one.id for one in call.company.workspaces_of(call.person)] if mine else [call.path["workspace_id"]]
    )
    rows = [
        row
        for space_id in spaces
        for row in rows_of(collection, call, space_id).values()
        if not (mine and row["user_id"] != call.person.id)
        and row["id"] >= int(wanted.get("start_id") or 0)
        and all(passes(row.get(name.removesuffix("s")), one) for name, one in wanted.items())
    ]
    return told(call, operations()[route], *page(call, operations()[route], rows))


def asked(route: str, call: ApiRequest) -> JsonObject:
    """Return what a list is asked for, by query and by body."""
    body = sent(route, call)
    return {**call.query, **(body if isinstance(body, dict) else {"project_ids": body})}


def passes(value: object, wanted: Any) -> bool:
    """Tell whether a field is among the values of a parameter; fields that no row has pass."""
    several = wanted if isinstance(wanted, list) else str(wanted).lower().split(",")
    return value is None or not wanted or str(value).lower() in {str(one).strip() for one in several}


def page(
    call: ApiRequest, operation: DescribedOperation, rows: list[JsonObject]
) -> tuple[list[JsonObject], dict[str, int]]:
    """Return the page that is asked for, where there are pages, and what a wrapper says of it."""
    if "page" not in operation.parameters:
        return rows, {}
    number, size = call.number("page", 1), call.number("per_page", _PAGE)
    told = {"page": number, "per_page": size, "total_count": len(rows)}
    return rows[(number - 1) * size : number * size], told


def create(collection: _Collection, route: str, call: ApiRequest) -> Response:
    """Create a row, or one for each of several people."""
    fields = sent(route, call)
    workspace_id = call.path["workspace_id"]
    rows_of(collection, call, workspace_id)
    several = fields.pop(f"{collection.each}s", None) or [fields.get(collection.each, call.person.id)]
    made = [{**fields, collection.each: one} for one in several] if collection.each else [fields]
    if not all(_known(call, one) for one in made):
        raise ApiError(400, "Project, user or group not found in workspace")
    return told(call, operations()[route], [_keep(collection, call, workspace_id, one) for one in made])


def change(collection: _Collection, route: str, call: ApiRequest) -> Response:
    """Return, change or delete a row."""
    fields = sent(route, call)
    held = rows_of(collection, call, call.path["workspace_id"])
    row = held.get(call.path[collection.parameter])
    if row is None:
        raise ApiError(404, "Not found")
    if not _known(call, fields):
        raise ApiError(400, "Project, user or group not found in workspace")
    if route.startswith("DELETE"):
        del held[row["id"]]
    row |= fields
    return told(call, operations()[route], [row])


def sent(route: str, call: ApiRequest) -> Any:
    """Return what was sent, once it is what the document asks for."""
    check(operations()[route], call, whole=True)
    return call.json() if call.raw else {}


_ONE: Final = f"PUT {_WORKSPACE}/project_users/{{project_user_id}}"


def patch_project_users(collection: _Collection, call: ApiRequest) -> Response:
    """Change several project users by JSON Patch."""
    held = rows_of(collection, call, call.path["workspace_id"])

    def find(row_id: int) -> JsonObject:
        if row_id not in held:
            raise ApiError(404, "Not found")
        return held[row_id]

    def write(row: JsonObject, operation: Body) -> None:
        row |= bulk.replaced(operation, frozenset({"manager", "rate", "labor_cost"}), _ONE).fields

    return bulk.edit(call, "project users", find, write, lambda _: None)


def setting(route: str, call: ApiRequest) -> Response:
    """Return settings, or change those that are sent."""
    operation, changes = operations()[route], sent(route, call)
    held = call.company.settings.setdefault((route.partition(" ")[2], *call.path.values()), {})
    held |= changes
    if operation.answer is None:
        return answers.empty(status=operation.status)
    made = Samples(call, held, kept=True).record(operation.answer.schema, 0)
    # What the documents don't name is kept as well: flags are nothing else.
    return answers.json({**held, **made})


_SETTINGS: Final = (
    "/api/v9/me/flags",
    "/api/v9/me/preferences",
    "/api/v9/me/preferences/{client}",
    f"{_WORKSPACE}/preferences",
    f"{_WORKSPACE}/time_entry_constraints",
)

BY_NAME: Final = {one.name: one for one in _COLLECTIONS}


def _handlers() -> Iterable[tuple[str, Handler]]:
    lists = [(f"GET {one.path}", one) for one in _COLLECTIONS]
    more = {
        "GET /api/v9/me/track_reminders": "track_reminders",
        "GET /api/v9/sync-server/me/goals": "goals",
        f"POST {_WORKSPACE}/project_users/paginated": "project_users",
        f"POST {_REPORTS}/filters/project_users": "project_users",
        f"POST {_REPORTS}/filters/project_groups": "project_groups",
    }
    for route, one in (*lists, *((route, BY_NAME[name]) for route, name in more.items())):
        yield route, partial(listing, one, route)
    for one in _COLLECTIONS:
        yield f"POST {one.path}", partial(create, one, f"POST {one.path}")
        for method in ("GET", "PUT", "POST", "DELETE"):
            route = f"{method} {one.path}/{{{one.parameter}}}"
            if route in operations():
                yield route, partial(change, one, route)
    users = BY_NAME["project_users"]
    yield f"PATCH {users.path}/{{project_user_ids}}", partial(patch_project_users, users)
    for path in _SETTINGS:
        for method in ("GET", "POST"):
            yield f"{method} {path}", partial(setting, f"{method} {path}")


HANDLERS: Final[Mapping[str, Handler]] = dict(_handlers())
