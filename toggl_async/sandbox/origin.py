"""Which routes there are, and which of them are answered from state, which by samples."""

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Literal

from toggl_async.sandbox.accounts import LOGIN, LOGOUT
from toggl_async.sandbox.documents import operations
from toggl_async.sandbox.routes import HANDLERS

__all__ = ["insist", "origins", "routes"]


def routes() -> frozenset[str]:
    """Return all routes, such as ``"GET /api/v9/me"``."""
    return frozenset({*operations(), *HANDLERS, LOGIN, LOGOUT})


def insist(wanted: Iterable[str]) -> None:
    """Insist that these are routes.

    Raises:
        ValueError: one is not; the message names those that look like it.
    """
    for route in wanted:
        if route not in routes():
            named = re.sub(r"/\d+\b", "/{workspace_id}", route)
            close = difflib.get_close_matches(named, routes(), 3, cutoff=0.3)
            raise ValueError(
                f"there is no route {route!r}; routes name their parameters, such as {', '.join(close)}"
            )


def origins() -> Mapping[str, Literal["state", "sample"]]:
    """Return, for each operation, such as ``"GET /api/v9/me"``, where its answers come from."""
    return {
        route: "state" if route in HANDLERS else "sample"
        for route in sorted(operations(), key=lambda route: (route.partition(" ")[2], route))
    }
