"""Starlette's routes for all operations: those with state, and those that only the documents know."""

import functools
import re
from collections.abc import Callable
from typing import Final

from starlette.convertors import Convertor, register_url_convertor
from starlette.routing import Route, Router
from starlette.types import ASGIApp

from toggl_async.sandbox.documents import operations, schema_at

__all__ = ["UNKNOWN", "router"]

UNKNOWN: Final = "(unknown)"
"""What stands for the path of a route that does not exist."""


_ID: Final = "[0-9]{1,19}"
"""A number of 64 bits has no more digits, and Python refuses to read thousands of them."""


class _IdConvertor(Convertor[int]):
    """Reads an id."""

    regex = _ID

    def convert(self, value: str) -> int:
        return int(value)


class _IdsConvertor(Convertor[tuple[int, ...]]):
    """Reads comma-separated ids."""

    regex = rf"{_ID}(?:,[0-9]{{0,19}})*"

    def convert(self, value: str) -> tuple[int, ...]:
        return tuple(int(part) for part in value.split(",") if part)


register_url_convertor("toggl_id", _IdConvertor())
register_url_convertor("toggl_ids", _IdsConvertor())


@functools.cache
def router(routes: frozenset[str], endpoint: Callable[[str, tuple[str, ...]], ASGIApp]) -> Router:
    """Make the router of the operations, once: compiling its paths takes as long as all else.

    Args:
        routes: their methods and paths, such as ``"GET /api/v9/me"``.
        endpoint: makes what answers a route. That of a path with another method gets `UNKNOWN` and the
            methods that the path has, that of any other path `UNKNOWN` alone.
    """
    # Of two paths that fit, the one with fewer parameters is meant.
    known = sorted(routes, key=lambda route: ["{" in part for part in route.split("/")])
    methods: dict[str, list[str]] = {}
    made = []
    for route in known:
        method, pattern = route.partition(" ")[0], _pattern(route)
        methods.setdefault(pattern, []).append(method)
        made.append(Route(pattern, endpoint(route, ()), methods=[method]))
    # Starlette's own answer to a wrong method would get past the limits.
    made += [Route(pattern, endpoint(UNKNOWN, tuple(sorted(some)))) for pattern, some in methods.items()]
    return Router(made, redirect_slashes=False, default=endpoint(UNKNOWN, ()))


def _pattern(route: str) -> str:
    """Say of each parameter of a path what it holds: a number, several of them, or a word."""
    described = operations().get(route)

    def typed(found: re.Match[str]) -> str:
        schema = schema_at(described.parameters[found[1]].schema)[1] if described else {"type": "integer"}
        kind = {"integer": "toggl_id", "array": "toggl_ids"}.get(schema.get("type", ""), "str")
        return f"{{{found[1]}:{kind}}}"

    return re.sub(r"\{(\w+)\}", typed, route.partition(" ")[2])
