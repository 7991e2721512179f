"""Reading answers and bodies in whichever form they come: records, free JSON, or JSON not read yet."""

from collections.abc import Mapping, Sequence
from typing import cast

import attrs
import msgspec

__all__ = ["comparable", "field", "fields", "identity", "listed", "parsed", "wrappers"]


def identity(item: object, name: str | None) -> int | str | None:
    """Read what tells an item apart, out of a record or out of JSON as it came."""
    if name is None:
        return None
    key = field(parsed(item), name)
    return key if isinstance(key, int | str) else None


def parsed(value: object) -> object:
    """Read what is still JSON; everything else is as it is."""
    return msgspec.json.decode(value) if isinstance(value, msgspec.Raw) else value


def comparable(item: object) -> object:
    """Make JSON as it came comparable; records are already."""
    return bytes(item) if isinstance(item, msgspec.Raw) else item


def field(holder: object, name: str) -> object:
    """Read a field of a record or of free JSON; None where there is none."""
    return holder.get(name) if isinstance(holder, Mapping) else getattr(holder, name, None)


def listed(rows: object) -> Sequence[object]:
    """Take a list as it is, unpack one that is still JSON, and take null for an empty one."""
    if isinstance(rows, msgspec.Raw):
        return msgspec.json.decode(rows, type=list[msgspec.Raw] | None) or []
    return rows if isinstance(rows, list) else []


def wrappers(result: object) -> Sequence[object]:
    """Take the object that wraps a page, alone or in a list; its list stays JSON where it was."""
    held = result if isinstance(result, list) else [result]
    return [
        msgspec.json.decode(one, type=dict[str, msgspec.Raw])
        if isinstance(one, msgspec.Raw) and bytes(memoryview(one)[:1]) == b"{"
        else one
        for one in held
    ]


def fields(body: object) -> Mapping[str, object]:
    """Take the body apart into fields; a record by its names on the wire."""
    if body is msgspec.UNSET:
        return {}
    if isinstance(body, Mapping):
        return body
    names: Mapping[str, str] = getattr(body, "wire_names", {})
    fields = attrs.asdict(cast("attrs.AttrsInstance", body), recurse=False)
    return {names.get(name, name): value for name, value in fields.items()}
