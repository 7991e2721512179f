"""Hints at where a name is that was looked for in the wrong place: ``workspace.time_entries.list``.

They are made when an error is read. This loads every scope, so nothing on the path of a call imports it.
"""

import functools
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Final, cast

import attrs

from toggl_async import scopes
from toggl_async._client.catalog import operations
from toggl_async._operations.operation import Caller, Resource

__all__ = ["hint_for_client", "hint_for_operation", "hint_for_resource"]

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

_MEANT: Final[Mapping[str, Sequence[str]]] = {
    "add": ("create",), "all": ("iter", "list"), "edit": ("update",),
    "fetch": ("get", "list", "iter", "search"), "find": ("list", "iter", "search"),
    "get": ("list", "iter", "search"), "iter": ("list", "search"), "list": ("iter", "search", "get"),
    "new": ("create",), "remove": ("delete",), "retrieve": ("get", "list", "iter"), "save": ("update",),
    "search": ("list", "iter"), "start": ("create",),
}  # fmt: skip
"""What other libraries call it to what Toggl's resources do, the likeliest first."""

_TIMER: Final[Mapping[str, str]] = {
    "start": "toggl_async.timer.start(toggl.workspace(id))",
    "stop": "toggl_async.timer.stop(toggl)",
    "current": "toggl_async.timer.current(toggl)",
}
"""Functions of the timer that a program looks for in the client, or in a workspace's time entries."""

_OF_CLIENT: Final[Mapping[str, str]] = {
    **_TIMER,
    **{
        method: f'toggl.request("{method.upper()}", path)'
        for method in ("get", "post", "put", "patch", "delete", "head")
    },
    "timer": "toggl_async.timer",
    **dict.fromkeys(("current_user", "get_me", "user", "whoami"), "toggl.me.get()"),
}
"""What a program looks for in the client and finds under another name."""

_RESETS: Final = frozenset({"bulk_delete", "close_account", "reset", "reset_token"})
"""Operations that can't be undone although their method isn't DELETE."""

_FEW: Final = 4
"""Places that are worth naming; where there are more, as of ``list``, none says which was meant."""


def hint_for_client(own: Sequence[str], name: str) -> str:
    """Say where a program finds what it looked for in the client.

    Args:
        own: what the client has.
        name: what was looked for.
    """
    if name in _OF_CLIENT:
        return f": look at {_OF_CLIENT[name]}"
    wanted = _numbers(name)
    scope = [shown for scope, (_, shown) in _SCOPES.items() if scope in wanted]
    places = [*scope, *_places(wanted, name)]
    if not scope and not _places({name}, name) and (field := _field("toggl.me", name)):
        places = [field]
    return _hint(places, own, name)


def hint_for_resource(resource: Resource, name: str) -> str:
    """Say where a program finds what it looked for in a scope or a resource."""
    place, own = next(
        ((place, own) for place, (kind, own) in _everything().items() if kind is type(resource)), ("", ())
    )
    if field := _field(place, name):
        return f": look at {field}"
    if near := [f"{place}.{one}" for one in own if one in _numbers(name) and one not in _irrevocable()]:
        return _hint(near, own, name)
    leaf = place.rpartition(".")[2]
    namesakes = [
        f"{other}.{name}"
        for other, (_, names) in _everything().items()
        if name in names and other != place and other.rpartition(".")[2] == leaf
    ]
    if not namesakes and leaf == "time_entries" and name in _TIMER:
        return f": look at {_TIMER[name]}"
    # What has a name of its own, such as a report, can be looked for in the wrong scope. A verb that
    # one resource lacks means nothing in another.
    elsewhere = [] if namesakes or name in _MEANT else _places(_numbers(name), name)
    return _hint(namesakes or elsewhere, own, name)


def hint_for_operation(name: str) -> str:
    """Say where an operation is that somebody named ``workspace.time_entries.list``.

    Returns:
        Nothing where its resource isn't there either.
    """
    path, _, last = name.rpartition(".")
    scope, _, inner = path.partition(".")
    _, shown = _SCOPES.get(scope, ("", ""))
    kind, _ = _everything().get(f"{shown}.{inner}" if inner else shown, (None, ()))
    return "" if kind is None else hint_for_resource(kind(cast(Caller, None), {}), last)


def _hint(places: Sequence[str], own: Sequence[str], name: str) -> str:
    """Put a hint together: where it is, else what was meant, else what there is."""
    if len(places) > _FEW:
        places = [place for place in places if place.count(".") == places[0].count(".")]
    if 0 < len(places) <= _FEW:
        return f": look at {', '.join(places)}"
    if meant := [one for one in _MEANT.get(name, ()) if one in own]:
        return f": did you mean {meant[0]!r}?"
    if close := get_close_matches(name, [one for one in own if one not in _irrevocable()], n=1):
        return f": did you mean {close[0]!r}?"
    return f"; it has {', '.join(own)}" if own else ""


def _field(place: str, name: str) -> str | None:
    """Say how a program reads a field of the record that a scope's ``get`` returns; None if it has none."""
    read = next((f"{scope}.get" for scope, (_, shown) in _SCOPES.items() if shown == place), "")
    for one in operations():
        if one.name == read and name in attrs.fields_dict(cast("type[attrs.AttrsInstance]", one.result)):
            return f"(await {place}.get()).{name}"
    return None


def _places(wanted: set[str], name: str) -> list[str]:
    """Name what has one of some names, wherever it is, the shortest ways first."""
    everything = _everything().items()
    found = [
        f"{place}.{one}"
        for place, (_, names) in everything
        for one in names
        if one in wanted and (one == name or one not in _irrevocable())
    ]
    return sorted(found, key=lambda path: (path.count("."), path))


def _numbers(name: str) -> set[str]:
    """Guess a word's singular and plural."""
    return {name, f"{name}s", name.removesuffix("s"), f"{name.removesuffix('y')}ies"}


@functools.cache
def _irrevocable() -> frozenset[str]:
    """Name what destroys or resets something: no wrong name leads there, unless it says the same."""
    return _RESETS | {one.name.rpartition(".")[2] for one in operations() if one.method == "DELETE"}


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
