"""Which operations are answered from state, and which by samples."""

from collections.abc import Mapping
from typing import Literal

from toggl_async.sandbox.documents import operations
from toggl_async.sandbox.routes import HANDLERS

__all__ = ["origins"]


def origins() -> Mapping[str, Literal["state", "sample"]]:
    """Say of each operation, such as ``"GET /api/v9/me"``, where its answers are from."""
    return {
        route: "state" if route in HANDLERS else "sample"
        for route in sorted(operations(), key=lambda route: (route.partition(" ")[2], route))
    }
