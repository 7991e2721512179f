"""The base of every record: where unknown fields are kept, and how wire names differ.

Imported by the generated records and by the codec; imports nothing of the package.
"""

import datetime as dt
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, TypeAlias, cast

import attrs
import msgspec

__all__ = ["Json", "Moment", "Record"]

Json: TypeAlias = Any
"""Free-form JSON: what Toggl does not describe any further."""

Moment: TypeAlias = Annotated[dt.datetime, msgspec.Meta(tz=True)]
"""A datetime that is never naive: it keeps the offset that Toggl sent."""

_NOTHING: Mapping[str, Json] = MappingProxyType({})


class Record:
    """A value of Toggl's API, made by attrs: frozen, with slots, keyword-only.

    Fields that Toggl sent and the record does not know are no attributes: they stand in `unknown`
    when `ClientOptions.keep_unknown` asked for them. They take no part in comparison.
    """

    __slots__ = ("_unknown",)

    wire_names: ClassVar[Mapping[str, str]] = _NOTHING
    """Attribute name to the name in JSON, for the few that differ (``two_factor_enabled``)."""

    legacy_names: ClassVar[frozenset[str]] = frozenset()
    """Names that Toggl sends although other fields say the same (``pid``): known, but no attributes."""

    _unknown: Mapping[str, Json] | bytes
    """What is unknown; or the whole JSON of the record, until somebody asks: that costs a tenth."""

    @property
    def unknown(self) -> Mapping[str, Json]:
        """Fields of the answer that this record has no attribute for; empty unless kept.

        Known fields are among them, by their names in JSON, whose value could not be read.
        """
        kept = getattr(self, "_unknown", _NOTHING)
        if isinstance(kept, bytes):
            fields = attrs.fields(cast("type[attrs.AttrsInstance]", type(self)))
            known = {self.wire_names.get(field.name, field.name) for field in fields}
            kept = {name: value for name, value in msgspec.json.decode(kept).items() if name not in known}
            object.__setattr__(self, "_unknown", kept)
        return kept
