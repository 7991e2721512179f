"""Which function answers which method and path."""

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TypeAlias

import attrs

from toggl_async.sandbox.answers import Reply
from toggl_async.sandbox.call import ApiRequest

__all__ = ["Endpoint", "Handler", "Match", "RouteTable"]

Handler: TypeAlias = Callable[[ApiRequest], Reply | Awaitable[Reply]]


@attrs.frozen(kw_only=True)
class Endpoint:
    """One operation.

    Attributes:
        route: its method and path, with the parameters named.
        handler: what answers it; None for one that has no answer of its own.
        words: the names of the parameters in the path that are no numbers.
    """

    route: str
    handler: Handler | None
    words: frozenset[str] = frozenset()

    @property
    def method(self) -> str:
        """The HTTP method."""
        return self.route.partition(" ")[0]

    @property
    def pattern(self) -> re.Pattern[str]:
        """The path; a parameter is a number, and one that ends in ``_ids`` several, comma-separated."""

        def group(found: re.Match[str]) -> str:
            name = found[1]
            value = "[^/]+" if name in self.words else r"[\d,]+" if name.endswith("_ids") else r"\d+"
            return f"(?P<{name}>{value})"

        return re.compile(re.sub(r"\{(\w+)\}", group, self.route.partition(" ")[2].replace(".", r"\.")))

    @property
    def openness(self) -> tuple[bool, ...]:
        """Which parts of the path are parameters: of two paths that fit, the one with fewer is meant."""
        return tuple("{" in part for part in self.route.split("/"))


@attrs.frozen(kw_only=True)
class Match:
    """What a path was found to be.

    Attributes:
        route: method and path with the parameters named; ``"GET (unknown)"`` for an unknown one.
        handler: what answers; None if nothing does.
        path: the numbers in the path.
        ids: the comma-separated numbers in the path.
        words: the rest of what is in the path.
        allowed: the methods that the path has, if not this one.
    """

    route: str
    handler: Handler | None = None
    path: Mapping[str, int] = attrs.field(factory=dict)
    ids: tuple[int, ...] = ()
    words: Mapping[str, str] = attrs.field(factory=dict)
    allowed: tuple[str, ...] = ()


class RouteTable:
    """All operations, to be found by method and path."""

    def __init__(self, endpoints: Iterable[Endpoint]) -> None:
        self._endpoints = tuple(endpoints)
        self._by_depth: dict[int, list[tuple[re.Pattern[str], Endpoint]]] = {}
        for endpoint in sorted(self._endpoints, key=lambda one: one.openness):
            self._by_depth.setdefault(endpoint.route.count("/"), []).append((endpoint.pattern, endpoint))

    @property
    def routes(self) -> list[str]:
        """The routes of all operations."""
        return [endpoint.route for endpoint in self._endpoints]

    def including(self, routes: Iterable[str]) -> "RouteTable":
        """Return a table that knows these routes too, though nothing answers them."""
        more = sorted(set(routes).difference(self.routes))
        return RouteTable([*self._endpoints, *(Endpoint(route=route, handler=None) for route in more)])

    def find(self, method: str, path: str) -> Match:
        """Find the operation for a method and a path."""
        allowed: list[str] = []
        for pattern, endpoint in self._by_depth.get(path.count("/"), ()):
            found = pattern.fullmatch(path)
            if found is None:
                continue
            if endpoint.method != method:
                allowed.append(endpoint.method)
                continue
            return _match(endpoint, found.groupdict())
        return Match(route=f"{method} (unknown)", allowed=tuple(allowed))


def _match(endpoint: Endpoint, values: Mapping[str, str]) -> Match:
    """Sort the values in a path into numbers, lists of numbers and words."""
    numbers = {name: value for name, value in values.items() if name not in endpoint.words}
    several = ",".join(value for name, value in numbers.items() if name.endswith("_ids"))
    return Match(
        route=endpoint.route,
        handler=endpoint.handler,
        path={name: int(value) for name, value in numbers.items() if not name.endswith("_ids")},
        ids=tuple(int(part) for part in several.split(",") if part),
        words={name: value for name, value in values.items() if name in endpoint.words},
    )
