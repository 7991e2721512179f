"""The operations that the sandbox knows, by area."""

from typing import Final

from toggl_async.sandbox.routes import (
    clients,
    described,
    detailed,
    downloads,
    exports,
    favorites,
    filters,
    groups,
    me,
    members,
    organizations,
    projects,
    saved_reports,
    summaries,
    tags,
    tasks,
    time_entries,
    webhooks,
    workspaces,
)
from toggl_async.sandbox.routing import Endpoint, RouteTable

__all__ = ["TABLE"]

_OWN: Final[tuple[Endpoint, ...]] = tuple(
    endpoint
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
        filters,
        saved_reports,
        exports,
        webhooks,
    )
    for endpoint in area.ENDPOINTS
)
"""Those with state."""

TABLE: Final = RouteTable([*_OWN, *described.remaining({endpoint.route for endpoint in _OWN})])
"""All operations."""
