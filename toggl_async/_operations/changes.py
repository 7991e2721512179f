"""The smallest update: what differs between two records, as the arguments of an update coroutine.

Toggl's updates are partial, and a field that is sent counts as changed, even if its value stays the same: it
uses up a rate change, moves `at`, or is refused because of the plan. So send only what differs::

    before = await workspace.projects.get(project_id)
    after = attrs.evolve(before, name="Apollo", client_id=None)
    if changed := changes(before, after):
        await workspace.projects.update(project_id, **changed)

An update that changes nothing still spends a request of the quota: hence the `if`.

Imports only `errors` and `record`.
"""

from collections.abc import Mapping
from typing import TypeVar, cast

import attrs
from msgspec import UNSET

from toggl_async._operations.record import Json, Record
from toggl_async.errors import InvalidInput

__all__ = ["changes"]

StateT = TypeVar("StateT", bound=Record | Mapping[str, object])


def changes(before: StateT, after: StateT) -> dict[str, Json]:
    """Return the fields of `after` that differ from `before`, by the names of attributes.

    Lists and nested records are compared and returned as a whole, because Toggl replaces them as a whole.
    None means null. With mappings, names that `after` lacks are left as they are, and so are UNSET values.

    Change only fields for which the update has arguments. Fields that Toggl computes itself (``at``,
    ``actual_hours``) are arguments of no update, and raise a TypeError there. To bring an entity to a state
    that was read at another time, compare mappings with just the fields that you mean.

    Args:
        before: a record, or a mapping of names to values.
        after: another of the same class, as it should be.

    Returns:
        The values of `after`, to be passed on with ``**``; empty if there is nothing to do.

    Raises:
        InvalidInput: they are of different classes, or neither records nor mappings.
    """
    old, new = _fields(before), _fields(after)
    both_mappings = isinstance(before, Mapping) and isinstance(after, Mapping)
    if type(before) is not type(after) and not both_mappings:
        raise InvalidInput(f"{type(before).__name__} and {type(after).__name__} cannot be compared")
    return {
        name: value
        for name, value in new.items()
        if value is not UNSET and (name not in old or _differ(old[name], value))
    }


def _fields(state: Record | Mapping[str, object]) -> Mapping[str, object]:
    """Name the fields of a record or a mapping."""
    if isinstance(state, Mapping):
        return state
    if isinstance(state, Record):
        kind = cast("type[attrs.AttrsInstance]", type(state))
        return {field.name: getattr(state, field.name) for field in attrs.fields(kind)}
    raise InvalidInput(f"{type(state).__name__} is neither a record nor a mapping")


def _differ(old: object, new: object) -> bool:
    """Whether two values differ; to Toggl, 0 and 1 are not false and true."""
    return old != new or isinstance(old, bool) is not isinstance(new, bool)
