"""Where a name is that somebody looked for in the wrong place: ``workspace.time_entries.list``.

Made when an error is read. It loads every scope, so nothing on the path of a call imports it.
"""

import functools
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Final, cast

from toggl_async import scopes
from toggl_async._operations.operation import Caller, Resource

__all__ = ["hint_for_client", "hint_for_resource"]

_SCOPES: Final[Mapping[str, tuple[str, str]]] = {
    "calendar": ("CalendarScope", "toggl.calendar"),
    "me": ("MeScope", "toggl.me"),
    "organization": ("OrganizationScope", "toggl.organization(id)"),
    "organizations": ("OrganizationsScope", "toggl.organizations"),
    "service": ("ServiceScope", "toggl.service"),
    "shared_report": ("SharedReportScope", "toggl.shared_report(token)"),
    "workspace": ("WorkspaceScope", "toggl.workspace(id)"),
}
"""Scope to its class, and to how a program comes by it."""

_MEANT: Final[Mapping[str, str]] = {
    "add": "create", "all": "iter", "edit": "update", "fetch": "get", "find": "list", "new": "create",
    "remove": "delete", "retrieve": "get", "save": "update", "search": "list",
}  # fmt: skip
"""What other libraries call it to what Toggl's resources do."""

_FEW: Final = 4
"""Places that are worth naming; where there are more, as of ``list``, none says which was meant."""


def hint_for_client(own: Sequence[str], name: str) -> str:
    """Say where a program finds what it looked for in the client.

    Args:
        own: what the client has.
        name: what was looked for.
    """
    wanted = _numbers(name)
    scope = [shown for scope, (_, shown) in _SCOPES.items() if scope in wanted]
    return _hint([*scope, *_places(wanted)], own, name)


def hint_for_resource(resource: Resource, name: str) -> str:
    """Say where a program finds what it looked for in a scope or a resource."""
    place, own = next(
        ((place, own) for place, (kind, own) in _everything().items() if kind is type(resource)), ("", ())
    )
    if near := [f"{place}.{one}" for one in own if one in _numbers(name)]:
        return _hint(near, own, name)
    leaf = place.rpartition(".")[2]
    namesakes = [
        f"{other}.{name}"
        for other, (_, names) in _everything().items()
        if name in names and other != place and other.rpartition(".")[2] == leaf
    ]
    return _hint(namesakes or _places(_numbers(name)), own, name)


def _hint(places: Sequence[str], own: Sequence[str], name: str) -> str:
    """Put a hint together: where it is, else what was meant, else what there is."""
    if len(places) > _FEW:
        places = [place for place in places if place.count(".") == places[0].count(".")]
    if 0 < len(places) <= _FEW:
        return f": look at {', '.join(places)}"
    if _MEANT.get(name) in own:
        return f": did you mean {_MEANT[name]!r}?"
    if meant := get_close_matches(name, own, n=1):
        return f": did you mean {meant[0]!r}?"
    return f"; it has {', '.join(own)}" if own else ""


def _places(wanted: set[str]) -> list[str]:
    """Name what has one of some names, wherever it is, the shortest ways first."""
    everything = _everything().items()
    found = [f"{place}.{one}" for place, (_, names) in everything for one in names if one in wanted]
    return sorted(found, key=lambda path: (path.count("."), path))


def _numbers(name: str) -> set[str]:
    """Guess a word's singular and plural."""
    return {name, f"{name}s", name.removesuffix("s"), f"{name.removesuffix('y')}ies"}


@functools.cache
def _everything() -> Mapping[str, tuple[type[Resource], Sequence[str]]]:
    """Map every scope and resource, as a program writes it, to its class and to what it has."""
    nobody = cast(Caller, None)
    tops: Iterator[tuple[str, Resource]] = (
        (shown, getattr(scopes, kind)(nobody, {})) for kind, shown in _SCOPES.values()
    )
    return {path: (type(one), names) for top in tops for path, one, names in _within(*top)}


def _within(path: str, resource: Resource) -> Iterator[tuple[str, Resource, Sequence[str]]]:
    members = {name: one for name, one in vars(type(resource)).items() if not name.startswith("_")}
    yield path, resource, sorted(members)
    for name, member in members.items():
        if isinstance(member, functools.cached_property):
            yield from _within(f"{path}.{name}", getattr(resource, name))
