"""``/workspaces/{workspace_id}/reports/shared``: reports that were saved under a name."""

import secrets
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
from starlette.responses import Response

from toggl_async.sandbox import answers
from toggl_async.sandbox.answers import ApiError
from toggl_async.sandbox.call import ApiRequest, Body, Handler
from toggl_async.sandbox.entities import SavedReportRow
from toggl_async.sandbox.shapes import JsonObject, same
from toggl_async.sandbox.timestamps import offset_utc

__all__ = ["HANDLERS"]

_PAGE: Final = 50


def listing(call: ApiRequest) -> Response:
    """List the saved reports that the user may see, by name, page by page."""
    text, rows = call.query.get("name", "").casefold(), _visible(call)
    flags = {"public": "public", "fixed_dates": "fixed_daterange"}
    for parameter, attribute in flags.items():
        if call.query.get(parameter):
            rows = [row for row in rows if getattr(row, attribute) == call.flag(parameter)]
    rows = sorted((row for row in rows if text in row.name.casefold()), key=lambda row: (row.name, row.id))
    if call.query.get("sort_direction") == "DESC":
        rows.reverse()
    return answers.json([_shape(row) for row in call.page(rows, _PAGE)])


def get(call: ApiRequest) -> Response:
    """Return a saved report."""
    return answers.json(_shape(_report(call, call.path["report_id"])))


def create(call: ApiRequest) -> Response:
    """Save a report."""
    _gate(call)
    body = call.body()
    if not body.text("name"):
        raise ApiError(400, "Report name can't be blank")
    row = SavedReportRow(
        id=call.company.new_id("report", 5),
        workspace_id=call.path["workspace_id"],
        user_id=call.person.id,
        changed_by=call.person.id,
        token=secrets.token_hex(16),
        at=int(call.now),
    )
    _apply(call, row, body)
    call.company.saved_reports[row.id] = row
    return answers.json(_shape(row))


def update(call: ApiRequest) -> Response:
    """Change a saved report: the fields that are given."""
    row = _report(call, call.path["report_id"])
    _apply(call, row, call.body())
    return answers.json(_shape(row))


def update_several(call: ApiRequest) -> Response:
    """Change several saved reports; all are found, or none is changed."""
    bodies = [Body(fields=change) for change in call.json()]
    rows = [_report(call, body.number("id") or 0) for body in bodies]
    for row, body in zip(rows, bodies, strict=True):
        _apply(call, row, body)
    return answers.json([_shape(row) for row in rows])


def delete(call: ApiRequest) -> Response:
    """Delete a saved report; the answer is what it was."""
    (shape,) = _delete(call, [call.path["report_id"]])
    return answers.json(shape)


def delete_several(call: ApiRequest) -> Response:
    """Delete several saved reports; all are found, or none is deleted."""
    return answers.json(_delete(call, call.body().numbers("ids") or ()))


def _delete(call: ApiRequest, ids: Sequence[int | None]) -> list[JsonObject]:
    rows = [_report(call, report_id or 0) for report_id in dict.fromkeys(ids)]
    for row in rows:
        del call.company.saved_reports[row.id]
    return [{**_shape(row), "deleted_at": offset_utc(int(call.now))} for row in rows]


def _gate(call: ApiRequest) -> None:
    if not call.company.paid:
        raise ApiError(402, "Available only for premium workspaces.")


def _visible(call: ApiRequest) -> list[SavedReportRow]:
    _gate(call)
    return [
        row
        for row in call.company.saved_reports.values()
        if row.workspace_id == call.path["workspace_id"] and (row.public or row.user_id == call.person.id)
    ]


def _report(call: ApiRequest, report_id: int) -> SavedReportRow:
    for row in _visible(call):
        if row.id == report_id:
            return row
    raise ApiError(404, "Report not found")


def _apply(call: ApiRequest, row: SavedReportRow, body: Body) -> None:
    """Check the fields of a body; then write those that are given into a saved report."""
    if (row.public or body.flag("public")) and not call.person.admin:
        raise ApiError(403, "Only admins can save public reports")
    if body.flag("regenerate_token"):
        row.token = secrets.token_hex(16)
    body.write(row, "name", "params", "public", "fixed_daterange")
    row.changed_by, row.at = call.person.id, int(call.now)


def _shape(row: SavedReportRow) -> JsonObject:
    return {
        **same(row, "id", "name", "token", "public", "fixed_daterange"),
        "params": msgspec.json.encode(row.params).decode(),
        "scheduled_email_uids": None,
        "scheduled_email_gids": None,
        "is_commenting_enabled": False,
        "isNAResource": False,
        "uid": row.user_id,
        "updated_by": row.changed_by,
        "updated_at": offset_utc(row.at),
        "deleted_at": None,
    }


HANDLERS: Final[Mapping[str, Handler]] = {
    "GET /api/v9/workspaces/{workspace_id}/reports/shared": listing,
    "POST /api/v9/workspaces/{workspace_id}/reports/shared": create,
    "PUT /api/v9/workspaces/{workspace_id}/reports/shared": update_several,
    "PATCH /api/v9/workspaces/{workspace_id}/reports/shared/bulk_delete": delete_several,
    "GET /api/v9/workspaces/{workspace_id}/reports/shared/{report_id}": get,
    "PUT /api/v9/workspaces/{workspace_id}/reports/shared/{report_id}": update,
    "DELETE /api/v9/workspaces/{workspace_id}/reports/shared/{report_id}": delete,
}
