"""Records in every shape that generated ones have: flat, nested, renamed, cyclic, wrapped."""

import datetime as dt
from collections.abc import Mapping
from typing import Annotated, ClassVar

import attrs
import msgspec

from toggl_async._operations.record import Json, Moment, Record


@attrs.frozen(kw_only=True)
class Entry(Record):
    legacy_names: ClassVar[frozenset[str]] = frozenset({"wid"})

    id: int
    workspace_id: int
    description: str | None = None
    start: dt.datetime | None = None
    duration: int | None = None
    rate: float | None = None
    billable: bool | None = None
    day: dt.date | None = None
    tags: list[str] | None = None
    tag_ids: list[int] | None = None
    counts: dict[str, int] | None = None
    amount: int | str | None = None
    extra: Json = None


@attrs.frozen(kw_only=True)
class Profile(Record):
    """Renamed fields, one of them no identifier, and two whose names are swapped."""

    wire_names: ClassVar[Mapping[str, str]] = {
        "two_factor_enabled": "2fa_enabled",
        "start_time": "startTime",
        "kind": "type",
        "type": "kind",
    }

    id: int
    two_factor_enabled: bool | None = None
    start_time: dt.datetime | None = None
    kind: str | None = None
    type: int | None = None
    entries: list[Entry] | None = None
    favorite: Entry | None = None
    by_name: dict[str, Entry] | None = None
    levels: list[int] = attrs.field(factory=list)


@attrs.frozen(kw_only=True)
class Plan(Record):
    """Holds the record that holds it."""

    id: int
    prices: list["Price"] | None = None


@attrs.frozen(kw_only=True)
class Price(Record):
    wire_names: ClassVar[Mapping[str, str]] = {"per_month": "perMonth"}

    per_month: int | None = None
    plan: Plan | None = None


@attrs.frozen(kw_only=True)
class Node(Record):
    """Needs no twin: its times say that they have a zone; holds its own kind."""

    id: int
    at: Moment | None = None
    nodes: list["Node"] | None = None


@attrs.frozen(kw_only=True)
class EntriesPage(Record):
    data: list[Entry] | None = None
    total_count: int | None = None


@attrs.frozen(kw_only=True)
class Change(Record):
    """What a request sends: every field may be left out, null, or set."""

    wire_names: ClassVar[Mapping[str, str]] = {"end_time": "endTime"}

    name: str | msgspec.UnsetType | None = msgspec.UNSET
    end_time: dt.datetime | msgspec.UnsetType | None = msgspec.UNSET
    labels: list[str] | msgspec.UnsetType = msgspec.UNSET
    profile: Profile | msgspec.UnsetType | None = msgspec.UNSET


@attrs.frozen(kw_only=True)
class Bounded(Record):
    """Types that have no tolerance of their own, and bare ones."""

    id: int
    pair: tuple[int, int] | None = None
    share: Annotated[int, msgspec.Meta(le=100)] | None = None
    numbers: list | None = None  # type: ignore[type-arg]
    mapping: dict | None = None  # type: ignore[type-arg]
