"""What the type checkers refuse. Read by them, never run.

Each line with a mistake is marked with the name that mypy has for it. A line that mypy accepts, or
refuses for another reason, fails the check; so does one that pyright accepts: to both of them a
superfluous mark is an error as well. The test that runs them is tests/test_typing.py.
"""

# pyright: reportUnnecessaryTypeIgnoreComment=true
# ruff: noqa: T201

import datetime as dt

from toggl_async import UNSET, ApiToken, ClientOptions, ReportFilters, TogglClient, changes, timer, webhooks
from toggl_async.records import Project, Tag, TimeEntry

TOGGL = TogglClient(ApiToken("x"))
WORKSPACE = TOGGL.workspace(3)


async def of_arguments() -> None:
    await WORKSPACE.projects.create()  # type: ignore[call-arg]
    await WORKSPACE.projects.create(label="Apollo")  # type: ignore[call-arg]
    await WORKSPACE.projects.create("Apollo")  # type: ignore[call-arg]
    await WORKSPACE.projects.create(name=5)  # type: ignore[arg-type]
    await WORKSPACE.projects.create(name=None)  # type: ignore[arg-type]
    await WORKSPACE.projects.get()  # type: ignore[call-arg]
    await WORKSPACE.projects.get("5")  # type: ignore[arg-type]
    await WORKSPACE.projects.list(active="all")  # type: ignore[arg-type]
    await WORKSPACE.projects.list(statuses="ended")  # type: ignore[arg-type]
    await WORKSPACE.time_entries.create(start="now")  # type: ignore[arg-type]
    await WORKSPACE.time_entries.create(duration=-1)  # type: ignore[call-arg]
    await WORKSPACE.time_entries.bulk_edit(1, patches=[])  # type: ignore[arg-type]
    await WORKSPACE.time_entries.bulk_edit("123", patches=[])  # type: ignore[arg-type]
    await WORKSPACE.projects.delete([1, 2])  # type: ignore[arg-type]
    await WORKSPACE.tags.bulk_delete(5)  # type: ignore[arg-type]
    WORKSPACE.reports.detailed.iter(start_date=20260301)  # type: ignore[arg-type]
    filters: ReportFilters = {"project_ids": [5], "project": 5}  # type: ignore[typeddict-unknown-key]
    WORKSPACE.reports.weekly.csv(**filters)


async def of_names(project: Project, entry: TimeEntry) -> None:
    print(project.colour)  # type: ignore[attr-defined]
    print(entry.pid)  # type: ignore[attr-defined]
    print((await TOGGL.me.get()).token)  # type: ignore[attr-defined]
    print(WORKSPACE.project)  # type: ignore[attr-defined]
    await WORKSPACE.projects.remove(5)  # type: ignore[attr-defined]
    await WORKSPACE.time_entries.list()  # type: ignore[attr-defined]
    print(TOGGL.workspaces)  # type: ignore[attr-defined]


async def of_values(project: Project, entry: TimeEntry) -> None:
    print(project.name.upper())  # type: ignore[union-attr]
    print((await TOGGL.me.time_entries.current()).id)  # type: ignore[union-attr]
    project.name = "Apollo"  # type: ignore[misc]
    Project(name="Apollo")  # type: ignore[call-arg]
    Tag(1)  # type: ignore[call-arg]
    for row in WORKSPACE.projects.iter():  # type: ignore[attr-defined]
        print(row)
    print(UNSET + 1)  # type: ignore[operator]


async def of_helpers(project: Project, entry: TimeEntry) -> None:
    ClientOptions(plan_check="maybe")  # type: ignore[arg-type]
    ClientOptions(priority=1)  # type: ignore[call-arg]
    TogglClient(api_token="token")  # type: ignore[call-arg]
    TogglClient("token")  # type: ignore[arg-type]
    timer.elapsed(project)  # type: ignore[arg-type]
    await timer.start(3)  # type: ignore[arg-type]
    changes(5, 6)  # type: ignore[type-var]
    webhooks.verify("sha256=…", "body", "secret")  # type: ignore[arg-type]
    webhooks.receive(None, b"", "secret", now=dt.date(2026, 3, 1))  # type: ignore[arg-type]
