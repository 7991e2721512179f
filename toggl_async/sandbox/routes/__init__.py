"""The operations that the sandbox knows, by area."""

from typing import Final

from toggl_async.sandbox.routes import (
    clients,
    described,
    detailed,
    filters,
    me,
    organizations,
    projects,
    summaries,
    tags,
    tasks,
    time_entries,
    workspaces,
)
from toggl_async.sandbox.routing import Endpoint, Table

__all__ = ["TABLE"]

_OWN: Final[tuple[Endpoint, ...]] = tuple(
    endpoint
    for area in (
        me,
        organizations,
        workspaces,
        clients,
        projects,
        tags,
        tasks,
        time_entries,
        detailed,
        summaries,
        filters,
    )
    for endpoint in area.ENDPOINTS
)
"""Those with state."""

TABLE: Final = Table([*_OWN, *described.remaining({endpoint.route for endpoint in _OWN})])
"""All operations."""
