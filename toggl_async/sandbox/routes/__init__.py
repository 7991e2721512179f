"""What answers each operation, by area: from state, where the sandbox keeps one."""

from typing import Final

from toggl_async.sandbox.call import Handler
from toggl_async.sandbox.routes import (
    clients,
    dashboard,
    detailed,
    downloads,
    exports,
    favorites,
    filters,
    groups,
    kept,
    me,
    members,
    organizations,
    projects,
    saved_reports,
    summaries,
    tags,
    tasks,
    time_entries,
    timesheets,
    trends,
    webhooks,
    workspaces,
)

__all__ = ["HANDLERS"]

HANDLERS: Final[dict[str, Handler]] = {
    route: handler
    for area in (
        me,
        organizations,
        members,
        groups,
        workspaces,
        clients,
        projects,
        tags,
        tasks,
        time_entries,
        favorites,
        detailed,
        downloads,
        summaries,
        trends,
        dashboard,
        filters,
        saved_reports,
        exports,
        kept,
        timesheets,
        webhooks,
    )
    for route, handler in area.HANDLERS.items()
}
"""What answers from state, by method and path."""
