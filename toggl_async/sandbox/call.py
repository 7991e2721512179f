"""A request as a route sees it: who asks, for what, with which arguments, read as strictly as Toggl does."""

import datetime as dt
import typing
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Protocol, TypeAlias, TypeVar, cast

import attrs
import msgspec
from starlette.responses import Response

from toggl_async.sandbox import timestamps
from toggl_async.sandbox.answers import ApiError
from toggl_async.sandbox.company import Company
from toggl_async.sandbox.entities import OrganizationRow, PersonRow, SubscriptionRow, WorkspaceRow
from toggl_async.sandbox.limits import ServerLimits

__all__ = ["ApiRequest", "Body", "Handler", "Happening", "Pinging", "is_whole"]

RowT = TypeVar("RowT")


_LONGEST_NUMBER: Final = 19
"""The digits that a number of 64 bits has at most."""


def is_whole(text: str) -> bool:
    """Whether a text is a whole number, without a sign, that a server in Go can read."""
    return text.isascii() and text.isdecimal() and len(text) <= _LONGEST_NUMBER


class _Home(Protocol):
    workspace_id: int


HomeT = TypeVar("HomeT", bound=_Home)

_LARGEST_PAGE: Final = 200

Handler: TypeAlias = Callable[["ApiRequest"], Response | Awaitable[Response]]
"""What answers the requests of one operation."""


@attrs.define(kw_only=True)
class Body:
    """The JSON object that came with a request, checked by then: its fields are of the right kind.

    A field that is missing reads as None, as does one that is null: `given` tells them apart.
    """

    fields: Mapping[str, Any]

    def given(self, name: str) -> bool:
        """Tell whether the field is there, null or not."""
        return name in self.fields

    def text(self, name: str) -> str | None:
        """Read a string."""
        return cast("str | None", self.fields.get(name))

    def number(self, name: str) -> int | None:
        """Read a whole number."""
        return cast("int | None", self.fields.get(name))

    def money(self, name: str) -> float | None:
        """Read a number, whole or not."""
        return cast("float | None", self.fields.get(name))

    def flag(self, name: str) -> bool | None:
        """Read a boolean."""
        return cast("bool | None", self.fields.get(name))

    def numbers(self, name: str) -> list[int | None] | None:
        """Read a list of whole numbers, in which null stands for "none"."""
        return cast("list[int | None] | None", self.fields.get(name))

    def texts(self, name: str) -> list[str] | None:
        """Read a list of strings."""
        return cast("list[str] | None", self.fields.get(name))

    def write(self, row: attrs.AttrsInstance, *names: str) -> None:
        """Write the given ones of these fields into a row; null only where the row knows null."""
        for name in names:
            value = self.fields.get(name)
            nullable = type(None) in typing.get_args(attrs.fields_dict(type(row))[name].type)
            if value not in (None, "") or (nullable and self.given(name)):
                setattr(row, name, value)

    def moment(self, name: str) -> int | None:
        """Read a moment, in seconds of the Unix epoch."""
        text = self.text(name)
        return None if text is None else timestamps.parse(text)

    def day(self, name: str) -> dt.date | None:
        """Read a date."""
        text = self.text(name)
        return None if text is None else timestamps.parse_day(text)


class Pinging(Protocol):
    """What sends pings to webhooks."""

    async def ping(self, hook: SubscriptionRow, person: PersonRow) -> str | None:
        """Send a ping; say what went wrong."""
        ...

    def ping_later(self, hook: SubscriptionRow, person: PersonRow) -> None:
        """Send a ping, without waiting for it."""
        ...


@attrs.frozen(kw_only=True)
class Happening:
    """Something that webhooks tell of: what was done to what, and what it is like by then."""

    entity: str
    action: str
    workspace_id: int
    payload: Mapping[str, Any]


@attrs.define(kw_only=True)
class ApiRequest:
    """One request, let through by the limiters and made by a known person.

    Attributes:
        company: the state that it reads or changes.
        limits: the account's limiters, for ``/me/quota``.
        deliveries: what sends pings to webhooks.
        person: who asks.
        now: when, in seconds of the Unix epoch.
        path: what is in the path, by name: numbers, texts, and tuples of numbers.
        query: the query, one value a name.
        raw: the body.
        happenings: what was done, for webhooks to tell.
    """

    company: Company
    limits: ServerLimits
    deliveries: Pinging
    person: PersonRow
    now: float
    path: Mapping[str, Any]
    query: Mapping[str, str]
    raw: bytes = b""
    happenings: list[Happening] = attrs.field(factory=list)

    def happened(self, entity: str, action: str, payload: Mapping[str, Any]) -> None:
        """Note what was done to an entity of the path's workspace: created, updated or deleted."""
        self.happenings.append(
            Happening(entity=entity, action=action, workspace_id=self.path["workspace_id"], payload=payload)
        )

    @property
    def ids_in_path(self) -> tuple[int, ...]:
        """The comma-separated ids in the path."""
        found: tuple[int, ...] = next(value for value in self.path.values() if isinstance(value, tuple))
        return found

    def enter(self) -> None:
        """Insist that the workspace and the organization of the path are there, before anything is done.

        Raises:
            ApiError: 403 or 404, one is not.
        """
        if "workspace_id" in self.path:
            self.workspace()
        if "organization_id" in self.path:
            self.organization()

    def workspace(self) -> WorkspaceRow:
        """Return the workspace of the path.

        Raises:
            ApiError: 403, it does not exist or the person is not in it.
        """
        workspace = self.company.workspaces.get(self.path["workspace_id"])
        if workspace is None or self.person.id not in workspace.members:
            raise ApiError(403, "You don't have access to this workspace")
        return workspace

    def organization(self) -> OrganizationRow:
        """Return the organization of the path.

        Raises:
            ApiError: 404, it does not exist.
        """
        organization = self.company.organizations.get(self.path["organization_id"])
        if organization is None:
            raise ApiError(404, "Organization not found")
        return organization

    def administer(self) -> None:
        """Insist that the person administers the organization."""
        if not self.person.admin:
            raise ApiError(403, "User does not have the permission to do this")

    def json(self) -> Any:
        """Return the body as JSON."""
        try:
            return msgspec.json.decode(self.raw)
        except msgspec.DecodeError:
            raise ApiError(400, "JSON is not valid") from None

    def body(self) -> Body:
        """Return the body as a JSON object."""
        return Body(fields=self.json())

    def number(self, name: str, default: int, *, largest: int | None = None) -> int:
        """Read a positive whole number of the query; what is over the largest counts as it."""
        text = self.query.get(name) or str(default)
        if not (is_whole(text) and int(text) > 0):
            raise ApiError(400, f"Invalid '{name}' value")
        return int(text) if largest is None else min(int(text), largest)

    def since(self) -> int | None:
        """Read ``since``, in seconds of the Unix epoch."""
        return self.number("since", 1) if self.query.get("since") else None

    def page(self, rows: list[RowT], size: int) -> list[RowT]:
        """Return the page that the query asks for, of so many rows if it does not say how many."""
        page, size = self.number("page", 1), self.page_size(size)
        return rows[(page - 1) * size : page * size]

    def page_size(self, default: int) -> int:
        """Read how many rows a page has; no more than Toggl allows."""
        return self.number("per_page", default, largest=_LARGEST_PAGE)

    def one(self, table: Mapping[int, HomeT], row_id: int | None, refusal: str) -> HomeT:
        """Return the row of the path's workspace that has this id.

        Raises:
            ApiError: 404, there is none.
        """
        row = table.get(row_id or 0)
        if row is None or row.workspace_id != self.path["workspace_id"]:
            raise ApiError(404, refusal)
        return row

    def flag(self, name: str) -> bool:
        """Read a boolean of the query; a missing one is false."""
        return self.query.get(name, "").lower() in {"true", "1"}

    def ids(self, name: str) -> set[int] | None:
        """Read comma-separated ids of the query."""
        text = self.query.get(name)
        if not text:
            return None
        parts = text.split(",")
        if not all(is_whole(part.strip()) for part in parts):
            raise ApiError(400, f"Invalid '{name}' value")
        return {int(part) for part in parts}
