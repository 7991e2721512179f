"""Things that are there: what made-up arguments would not find in a sandbox."""

import datetime as dt
import itertools
from typing import Any

from support.samples import MOMENT
from toggl_async.records import (
    Patch,
    SavedReportChange,
    TimesheetChange,
    TimesheetKey,
    WebhookEventFilterInput,
)
from toggl_async.sandbox import Sandbox
from toggl_async.sandbox.account_shapes import workspace_user_id
from toggl_async.sandbox.entities import (
    ClientRow,
    ExportRow,
    FavoriteRow,
    GroupRow,
    PersonRow,
    ProjectRow,
    SavedReportRow,
    SubscriptionRow,
    TagRow,
    TaskRow,
    TimeEntryRow,
)
from toggl_async.sandbox.routes.kept import BY_NAME

_NUMBERS = itertools.count(1)


def real_values(sandbox: Sandbox, *, callback: str) -> dict[str, Any]:
    """Make a new one of everything, and name it by the arguments that want it."""
    number = next(_NUMBERS)
    ids = _work(sandbox, number) | _people(sandbox, number) | _saved(sandbox, number, callback)
    ids |= _kept(sandbox, ids)
    return {
        **{name: found for name, found in ids.items() if not isinstance(found, list)},
        **{f"{name}s": [found] for name, found in ids.items()},
        "name": f"New {number}",
        "description": f"New {number}",
        "email": sandbox.email,
        "timezone": "Europe/Tallinn",
        "beginning_of_week": 1,
        "sort_field": "name",
        "grouping": "projects",
        "sub_grouping": "users",
        "resolution": "day",
        "stop": MOMENT + dt.timedelta(minutes=5),
        "duration": 300,
        "url_callback": callback,
        "event_filters": [WebhookEventFilterInput(entity="*", action="*")],
        "params": {"report_type": "summary"},
        "periodicity": "weekly",
        "timesheet_status": "submitted",
        "changes": [
            TimesheetChange(timesheet_setup_id=ids["setup_id"], start_date=MOMENT.date(), status="submitted")
        ],
        "timesheets": [TimesheetKey(timesheet_setup_id=ids["setup_id"], start_date=MOMENT.date())],
        "role": "user",
        "role_id": 3,
        "uuid": "4b1d",
        "validation_code": "c0de",
        "new_email": f"newer{number}@example.com",
        "report_changes": [SavedReportChange(id=ids["report_id"], name=f"Newer {number}")],
        "operations": [Patch(op="replace", path="/name", value=f"Newer {number}")],
    }


def _work(sandbox: Sandbox, number: int) -> dict[str, Any]:
    """Make a client with a project, a task of it, a tag, and a time entry that runs."""
    company, workspace, now = sandbox.company, min(sandbox.company.workspaces), int(sandbox.clock.now())
    me = company.owner.id
    common: dict[str, Any] = {"workspace_id": workspace, "name": f"Number {number}", "at": now}
    client = ClientRow(id=company.new_id("client"), creator_id=me, **common)
    tag = TagRow(id=company.new_id("tag"), creator_id=me, **common)
    project = ProjectRow(
        id=company.new_id("project"), client_id=client.id, color="#0b83d9", created=now, **common
    )
    task = TaskRow(id=company.new_id("task"), project_id=project.id, **common)
    entry = TimeEntryRow(
        id=company.new_id("entry"),
        workspace_id=workspace,
        user_id=me,
        project_id=project.id,
        task_id=task.id,
        billable=False,
        start=now - 600,
        seconds=None,
        description="",
        tag_ids=(tag.id,),
        changed=now * 1_000_000,
    )
    company.clients[client.id], company.tags[tag.id] = client, tag
    company.projects[project.id], company.tasks[task.id] = project, task
    company.touch(entry, now)
    return {
        "workspace_id": workspace,
        "default_workspace_id": workspace,
        "organization_id": min(company.organizations),
        "project_id": project.id,
        "task_id": task.id,
        "client_id": client.id,
        "tag_id": tag.id,
        "time_entry_id": entry.id,
    }


def _people(sandbox: Sandbox, number: int) -> dict[str, Any]:
    """Make a person who is in the workspace, and a group."""
    company, now = sandbox.company, int(sandbox.clock.now())
    space = company.workspaces[min(company.workspaces)]
    person = PersonRow(
        id=company.new_id("user"),
        membership_id=company.new_id("membership", 11),
        name=f"Person {number}",
        email=f"new{number}@example.com",
        timezone="UTC",
        created=now,
        modified=now,
        default_workspace_id=space.id,
        admin=False,
        owner=False,
        api_token=f"{number:032x}",
        password=f"{number:012x}",
    )
    group = GroupRow(
        id=company.new_id("group"),
        organization_id=space.organization_id,
        name=f"Group {number}",
        members=[person.id],
        workspaces=[space.id],
        at=now,
    )
    company.people[person.id], company.groups[group.id] = person, group
    space.members.append(person.id)
    return {
        "user_id": person.id,
        "group_id": group.id,
        "workspace_user_id": workspace_user_id(person, space),
        "organization_user_id": person.membership_id,
    }


def _saved(sandbox: Sandbox, number: int, callback: str) -> dict[str, Any]:
    """Make a favorite, a saved report, an export of each kind and a webhook; drop those before."""
    company, now = sandbox.company, int(sandbox.clock.now())
    workspace, me = min(company.workspaces), company.owner.id
    favorite = FavoriteRow(id=company.new_id("favorite"), workspace_id=workspace, user_id=me, created=now)
    report = SavedReportRow(
        id=company.new_id("report"),
        workspace_id=workspace,
        user_id=me,
        changed_by=me,
        name=f"Report {number}",
        params={},
        public=False,
        fixed_daterange=False,
        token="7f3a",
        at=now,
    )
    hook = SubscriptionRow(
        id=company.new_id("subscription"),
        workspace_id=workspace,
        user_id=me,
        description=f"Hook {number}",
        url=callback,
        filters=[("*", "*")],
        enabled=True,
        created=now,
        changed=now,
        secret="s3cret",
        code="c0de",
    )
    for table in (company.favorites, company.saved_reports, company.subscriptions, company.exports):
        table.clear()
    company.favorites[favorite.id], company.saved_reports[report.id] = favorite, report
    company.subscriptions[hook.id] = hook
    return {"favorite_id": favorite.id, "report_id": report.id, "subscription_id": hook.id}


def _kept(sandbox: Sandbox, ids: dict[str, Any]) -> dict[str, Any]:
    """Make a row in each collection that is kept, by the id of the saved report; drop the others."""
    company, row_id, workspace = sandbox.company, ids["report_id"], ids["workspace_id"]
    for collection in BY_NAME.values():
        row = {
            **{name: ids[name] for name in ("project_id", "group_id", "user_id")},
            **dict.fromkeys(("id", collection.identity), row_id),
            **dict.fromkeys(("member_id", "approver_id"), company.owner.id),
            "workspace_id": workspace,
            "start_date": MOMENT.date().isoformat(),
        }
        company.kept[collection.name, workspace] = {row_id: row}
    people = dict.fromkeys(("member_id", "approver_id"), company.owner.id)
    return people | {collection.parameter: row_id for collection in BY_NAME.values()}


def ready_export(sandbox: Sandbox, workspace_id: int | None) -> None:
    """Make an export that can be downloaded."""
    company = sandbox.company
    company.exports["4b1d"] = ExportRow(
        token="4b1d",
        user_id=company.owner.id,
        workspace_id=workspace_id,
        tables=("profile", "tags"),
        ready=0.0,
    )
