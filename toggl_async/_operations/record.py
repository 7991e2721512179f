"""The base of every record: where unknown fields are kept, and how wire names differ.

Imported by the generated records and by the codec; from the package it imports `errors` and `plain`.
"""

import datetime as dt
import json
from collections.abc import Hashable, Mapping
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Final, TypeAlias, TypeVar, cast

import attrs
import msgspec

from toggl_async._operations.plain import plain
from toggl_async.errors import InvalidInput

__all__ = ["Json", "Moment", "Record", "aware", "free_json", "restored"]

Json: TypeAlias = Any
"""Free-form JSON, for what Toggl does not describe any further."""

Moment: TypeAlias = Annotated[dt.datetime, msgspec.Meta(tz=True)]
"""A datetime that is never naive: it keeps the offset that Toggl sent."""

RecordT = TypeVar("RecordT", bound="Record")

_NOTHING: Mapping[str, Json] = MappingProxyType({})

_pieces: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


def free_json(piece: msgspec.Raw) -> Json:
    """Read JSON of which nothing is expected.

    Numbers that Python has no room for (``1e999``) and text that is broken stay the text that they
    were sent as: what nobody asked for must not fail what somebody did.
    """
    try:
        return msgspec.json.decode(piece)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return bytes(piece).decode(errors="replace")


class Record:
    """A value of Toggl's API, as a frozen attrs class with slots and keyword-only fields.

    Fields that Toggl sent but the record doesn't have are not attributes: they are in `unknown` if
    `ClientOptions.keep_unknown` asked for them. They are ignored in comparisons.

    Any record can be hashed. A record with a list or a mapping in it can be used as a key as long as nobody
    changes that in place.

    pydantic accepts and returns records wherever it accepts a model: by Toggl's names, validated by the types
    of the fields, with a JSON schema. So does FastAPI, where a body must be marked: ``Annotated[TimeEntry,
    Body()]``.
    """

    __slots__ = ("_unknown",)

    wire_names: ClassVar[Mapping[str, str]] = _NOTHING
    """The names in JSON by attribute, for the few that differ (``two_factor_enabled``)."""

    wraps: ClassVar[str | None] = None
    """The JSON name of the field whose list Toggl may send in place of the record."""

    legacy_names: ClassVar[frozenset[str]] = frozenset()
    """Names that Toggl sends although other fields say the same (``pid``): known, but not attributes."""

    def __init_subclass__(cls) -> None:
        # attrs keeps the hash that it finds in a class. Its own would fail for lists, which many fields hold.
        cls.__hash__ = Record.__hash__  # type: ignore[method-assign]

    def __hash__(self) -> int:
        fields = attrs.fields(cast("type[attrs.AttrsInstance]", type(self)))
        return hash((type(self), *(_hashable(getattr(self, field.name)) for field in fields)))

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: object) -> Mapping[str, Json]:
        """Tell pydantic how the record is read and written."""
        from toggl_async._operations.for_pydantic import schema_of  # noqa: PLC0415 - pydantic is there

        return schema_of(cls)

    def __reduce__(self) -> tuple[object, ...]:
        # What attrs writes for copies and pickles knows its own fields alone, and would lose the rest.
        fields = attrs.fields(cast("type[attrs.AttrsInstance]", type(self)))
        values = {field.name: getattr(self, field.name) for field in fields}
        return restored, (type(self), values, dict(self.unknown))

    _unknown: Mapping[str, Json] | bytes
    """What is unknown; or the whole JSON of the record, until somebody asks: that costs a tenth."""

    @property
    def unknown(self) -> Mapping[str, Json]:
        """Fields of the answer that this record doesn't have; empty unless they were kept.

        They include known fields whose value could not be read, by their names in JSON.
        """
        kept = getattr(self, "_unknown", _NOTHING)
        if isinstance(kept, bytes):
            fields = attrs.fields(cast("type[attrs.AttrsInstance]", type(self)))
            known = {self.wire_names.get(field.name, field.name) for field in fields}
            pieces = _pieces.decode(kept)
            kept = {name: free_json(piece) for name, piece in pieces.items() if name not in known}
            object.__setattr__(self, "_unknown", kept)
        return kept

    def to_dict(self) -> dict[str, Json]:
        """Turn the record into builtin types that JSON has, all the way down.

        The names are Toggl's own, as in its documents. Times are text with an offset
        (``2026-03-12T09:30:00Z``), dates are text (``2026-03-12``), and None stays None. Fields that the
        record doesn't have are included if they were kept (`unknown`), and fields that are UNSET are left
        out. Secrets, such as `Me.api_token`, are included in plain text, although no repr shows them.

        Raises:
            InvalidInput: a field has a value that JSON can't represent, such as a naive datetime.
        """
        name = type(self).__name__
        try:
            found: dict[str, Json] = plain(self, name)
        except RecursionError:
            raise InvalidInput(f"{name}: a field is nested too deeply, or contains itself") from None
        return found

    def to_json(self) -> bytes:
        """Turn the record into JSON, in UTF-8: what `to_dict` returns, as bytes.

        Raises:
            InvalidInput: as for `to_dict`.
        """
        text = json.dumps(self.to_dict(), ensure_ascii=False, separators=(",", ":"))
        # Halves of a character, which Toggl passes on from those who typed them, are escaped as JSON does it.
        return text.encode(errors="backslashreplace")


def _hashable(value: object) -> Hashable:
    """Turn what a field holds into what can be hashed; equal values stay equal."""
    match value:
        case list() | tuple():
            return tuple(_hashable(item) for item in value)
        case Mapping():
            return frozenset((key, _hashable(item)) for key, item in value.items())
        case set():
            return frozenset(value)
        case bytearray():
            return bytes(value)
    # What can't be hashed in any way is equal to its like all the same, so it must not tell records apart.
    return value if getattr(value, "__hash__", None) else None


def restored(kind: type[RecordT], values: Mapping[str, object], unknown: Mapping[str, Json]) -> RecordT:
    """Make a record from its values, with what is unknown of it."""
    record = kind(**values)
    if unknown:
        object.__setattr__(record, "_unknown", unknown)
    return record


def aware(moment: object, name: str) -> dt.datetime:
    """Return a moment that has a time zone.

    Args:
        moment: the moment, a datetime.
        name: what errors call it: the name of the argument.

    Raises:
        InvalidInput: it is naive, or no datetime, such as a date.
    """
    if not isinstance(moment, dt.datetime):
        raise InvalidInput(f"{name}: pass a datetime, not a value of type {type(moment).__name__}")
    if dt.datetime.utcoffset(moment) is None:
        raise InvalidInput(f"{name}: a datetime needs a time zone, for instance tzinfo=datetime.UTC")
    return moment
