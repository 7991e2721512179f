"""Timesheets: the weeks of each setup, from its first day on, with the time that was tracked in them."""

import datetime as dt
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, Final

from starlette.responses import Response

from toggl_async.sandbox import answers, shapes
from toggl_async.sandbox.answers import ApiError
from toggl_async.sandbox.call import ApiRequest, Handler
from toggl_async.sandbox.documents import operations
from toggl_async.sandbox.entities import TimeEntryRow
from toggl_async.sandbox.routes.kept import BY_NAME, asked, page, passes, rows_of, sent, told
from toggl_async.sandbox.shapes import JsonObject
from toggl_async.sandbox.timestamps import offset_utc

__all__ = ["HANDLERS"]

_WEEK: Final = dt.timedelta(days=7)
_FIELDS: Final = {"member_ids": "member_id", "approver_ids": "approver_id", "statuses": "status"}
"""What a filter looks at, where its name does not say."""


def _sheets(call: ApiRequest, workspace_id: int) -> Iterable[JsonObject]:
    """Make the timesheets of a workspace: what each setup says, a week, and what was done with it."""
    company, today = call.company, call.company.zone(call.person).day(int(call.now)).isoformat()
    for setup in rows_of(BY_NAME["timesheet_setups"], call, workspace_id).values():
        first, until = dt.date.fromisoformat(setup["start_date"]), min(today, setup.get("end_date") or today)
        for number in range((dt.date.fromisoformat(until) - first).days // _WEEK.days + 1):
            start = (first + number * _WEEK).isoformat()
            end = (first + (number + 1) * _WEEK - dt.timedelta(days=1)).isoformat()
            member = company.people[setup["member_id"]]
            yield {
                **setup,
                "timesheet_setup_id": setup["id"],
                "timesheet_id": setup["id"] * 1000 + number,
                **dict.fromkeys(("start_date", "period_start"), start),
                **dict.fromkeys(("end_date", "period_end"), end),
                "period_editable": True,
                "status": "open",
                "timezone": member.timezone,
                "working_hours_in_minutes": member.working_hours_in_minutes,
                **company.settings.get(("timesheet", setup["id"], start), {}),
            }


def _sheet(call: ApiRequest, key: Mapping[str, Any]) -> JsonObject:
    """Return the timesheet of a setup that begins on a day."""
    for sheet in _sheets(call, call.path["workspace_id"]):
        if (sheet["timesheet_setup_id"], sheet["start_date"]) == (
            key["timesheet_setup_id"],
            key["start_date"],
        ):
            return sheet
    raise ApiError(404, "Timesheet not found")


def listing(route: str, call: ApiRequest) -> Response:
    """List the timesheets that the query asks for, page by page; the user's own without a workspace."""
    wanted, mine = asked(route, call), "workspace_id" not in call.path
    spaces = (
        [one.id for one in call.company.workspaces_of(call.person)] if mine else [call.path["workspace_id"]]
    )
    rows = [
        row
        for space_id in spaces
        for row in _sheets(call, space_id)
        if not (mine and row["member_id"] != call.person.id)
        and all(
            passes(row.get(_FIELDS.get(name, name.removesuffix("s"))), one) for name, one in wanted.items()
        )
        and wanted.get("after", "") <= row["start_date"] <= wanted.get("before", "9999")
    ]
    rows.sort(key=lambda row: row["start_date"], reverse=wanted.get("sort_order") == "DESC")
    return told(call, operations()[route], *page(call, operations()[route], rows))


def update(route: str, call: ApiRequest) -> Response:
    """Submit, approve or reject a timesheet, or several; all are found, or none is changed."""
    changes = sent(route, call)
    alone = "setup_id" in call.path
    if alone:
        key = {"timesheet_setup_id": call.path["setup_id"], "start_date": call.path["start_date"]}
        changes = [{**changes, **key}]
    for sheet, change in [(_sheet(call, change), change) for change in changes]:
        moment, decided = offset_utc(int(call.now)), change["status"] in {"approved", "rejected"}
        who = ("submitted_at", "approved_or_rejected_at")[decided]
        held = call.company.settings.setdefault(("timesheet", sheet["id"], sheet["start_date"]), {})
        held |= {**change, who: moment, **({"approved_or_rejected_id": call.person.id} if decided else {})}
    return told(call, operations()[route], [_sheet(call, change) for change in changes])


def hours(route: str, call: ApiRequest) -> Response:
    """Add up the time of timesheets."""
    sheets = [_sheet(call, key) for key in sent(route, call)]
    return told(
        call,
        operations()[route],
        [
            {**sheet, "total_seconds": sum(one.seconds or 0 for one in _entries(call, sheet))}
            for sheet in sheets
        ],
    )


def time_entries(route: str, call: ApiRequest) -> Response:
    """List the time entries of a timesheet."""
    sent(route, call)
    key = {"timesheet_setup_id": call.path["setup_id"], "start_date": call.path["start_date"]}
    return answers.json([shapes.entry(call.company, one) for one in _entries(call, _sheet(call, key))])


def _entries(call: ApiRequest, sheet: JsonObject) -> list[TimeEntryRow]:
    zone = call.company.zone(call.company.people[sheet["member_id"]])
    return [
        entry
        for entry in call.company.reported_to(call.person, sheet["workspace_id"])
        if entry.user_id == sheet["member_id"]
        and sheet["start_date"] <= zone.day(entry.start).isoformat() <= sheet["end_date"]
    ]


_WORKSPACE: Final = "/api/v9/workspaces/{workspace_id}/timesheets"

HANDLERS: Final[Mapping[str, Handler]] = {
    route: partial(handler, route)
    for route, handler in (
        ("GET /api/v9/me/timesheets", listing),
        (f"GET {_WORKSPACE}", listing),
        (f"PUT {_WORKSPACE}", update),
        (f"POST {_WORKSPACE}/hours", hours),
        (f"PUT {_WORKSPACE}/{{setup_id}}/{{start_date}}", update),
        (f"GET {_WORKSPACE}/{{setup_id}}/{{start_date}}/time_entries", time_entries),
    )
}
