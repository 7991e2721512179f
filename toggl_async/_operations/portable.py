"""Values that can be copied and pickled although they hold read-only mappings."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import cast

import attrs

__all__ = ["Portable"]


class Portable:
    """The base class of frozen values with read-only mappings, which Python neither copies nor pickles."""

    __slots__ = ()

    def __reduce__(self) -> tuple[object, ...]:
        fields = attrs.fields(cast("type[attrs.AttrsInstance]", type(self)))
        values = {field.name: getattr(self, field.name) for field in fields}
        proxies = {name: held for name, held in values.items() if isinstance(held, MappingProxyType)}
        for name in proxies:
            del values[name]
        return _made_again, (type(self), values, {name: dict(held) for name, held in proxies.items()})


def _made_again(
    kind: type[Portable], values: Mapping[str, object], read_only: Mapping[str, dict[str, object]]
) -> Portable:
    """Make a value again as it was, its mappings read-only."""
    value = kind.__new__(kind)
    proxies = {name: MappingProxyType(held) for name, held in read_only.items()}
    for name, held in {**values, **proxies}.items():
        object.__setattr__(value, name, held)
    return value
