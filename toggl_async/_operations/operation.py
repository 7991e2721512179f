"""What an endpoint coroutine declares about itself, and how it makes its call.

The generated coroutines of `toggl_async.scopes` know the client only as the `Caller` protocol
below; the client knows the coroutines only as `Operation` values.
"""

import datetime as dt
import enum
import functools
import warnings
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import (
    TYPE_CHECKING,
    Any,
    Generic,
    Literal,
    NoReturn,
    Protocol,
    TypeAlias,
    TypedDict,
    TypeVar,
    Unpack,
    cast,
    overload,
)

import attrs
import msgspec

from toggl_async._hints import NoSuchName
from toggl_async._operations.arguments import whole_list
from toggl_async._operations.bulk import in_chunks
from toggl_async._operations.files import Download
from toggl_async._operations.paging import Pages, Paging
from toggl_async._operations.portable import Portable
from toggl_async._operations.record import Record
from toggl_async.scheduler.core.route import Lane

__all__ = [
    "Arguments",
    "Caller",
    "DeclaredFacts",
    "Family",
    "Operation",
    "PathValue",
    "Plan",
    "Resource",
    "Value",
]

ResultT = TypeVar("ResultT")
ResultT_co = TypeVar("ResultT_co", covariant=True)
ItemT = TypeVar("ItemT")
RecordT = TypeVar("RecordT", bound=Record)

Family: TypeAlias = Literal["track", "reports", "insights", "webhooks"]
"""The API that an operation belongs to."""

_FAMILIES: Mapping[str, Family] = {"reports": "reports", "insights": "insights", "webhooks": "webhooks"}
"""First segment of a path to its family; ``api`` is Track."""

PathValue: TypeAlias = int | str | dt.date | Sequence[int]
"""A value in a path; datetimes are written in RFC 3339, sequences separated by commas."""

Value: TypeAlias = object
"""A value in a query or a body: UNSET is left out, None is sent as null."""


class Plan(enum.StrEnum):
    """A Toggl plan: the lowest one that includes an operation or a field."""

    FREE = "free"
    STARTER = "starter"
    PREMIUM = "premium"
    ENTERPRISE = "enterprise"


class DeclaredFacts(TypedDict, total=False):
    """What `Operation.declare` is told beside name, route and result; see `Operation`.

    `lane` is that of the organization where a workspace or an organization stands in the path, else
    the user's; `gated` is turned round: plan to the fields that need it, separated by spaces.
    """

    lane: Lane
    reads: bool
    paging: Paging
    plan: Plan
    gated: Mapping[Plan, str]
    workspaces: str
    redirects: bool
    documented: Literal["list", "object"]
    secret: bool
    deprecated: str


@attrs.frozen(kw_only=True)
class Operation(Portable, Generic[ResultT_co]):
    """One operation of Toggl's API.

    Attributes:
        name: scope, resource and coroutine, such as ``"workspace.projects.update"``.
        method: the HTTP method.
        path: the path after the host, with ``{names}`` for its parameters.
        family: the API that it belongs to.
        lane: the hourly quota that it spends.
        reads: whether it changes nothing, so that repeating it is safe.
        result: the type of its answer; None if the answer is empty.
        paging: how to ask for the next page; None if there is only one page.
        plan: the lowest plan that includes it.
        gated: fields of its query and body that need a higher plan, by their names on the wire.
        workspaces: where the answer has workspace records ("" for the answer itself, otherwise a field), from
            which the scheduler learns the organization of each workspace.
        redirects: whether the answer is a redirect, whose target is the result.
        documented: the shape of its answer in Toggl's documents, if the result has another: one object, or a
            list of them.
        secret: whether its answer is a secret, such as a new token, and nothing else.
        deprecated: why it should no longer be called; None for most. Calling it issues a DeprecationWarning.
    """

    name: str
    method: str
    path: str
    family: Family = "track"
    lane: Lane
    reads: bool
    result: object = None
    paging: Paging | None = None
    plan: Plan = Plan.FREE
    gated: Mapping[str, Plan] = attrs.field(default=MappingProxyType({}), eq=False)
    workspaces: str | None = None
    redirects: bool = False
    documented: Literal["list", "object"] | None = None
    secret: bool = False
    deprecated: str | None = None

    @overload
    @staticmethod
    def declare(
        name: str, route: str, result: type[ResultT], **facts: Unpack[DeclaredFacts]
    ) -> "Operation[ResultT]": ...

    @overload
    @staticmethod
    def declare(
        name: str, route: str, result: object = None, **facts: Unpack[DeclaredFacts]
    ) -> "Operation[Any]": ...

    @staticmethod
    def declare(
        name: str, route: str, result: object = None, **facts: Unpack[DeclaredFacts]
    ) -> "Operation[Any]":
        """Declare an operation briefly: whatever follows from method and path is derived from them.

        Args:
            name: scope, resource and coroutine.
            route: method and path, such as ``"GET /api/v9/me"``.
            result: the type of its answer; type checkers see it if it is a class.
            facts: everything else about it.
        """
        method, path = route.split(" ")
        organizational = "{workspace_id}" in path or "{organization_id}" in path
        gated = facts.get("gated", {}).items()
        return Operation(
            name=name,
            method=method,
            path=path,
            family=_FAMILIES.get(path.split("/")[1], "track"),
            lane=facts.get("lane", Lane.ORGANIZATION if organizational else Lane.USER),
            reads=facts.get("reads", method == "GET"),
            result=result,
            paging=facts.get("paging"),
            plan=facts.get("plan", Plan.FREE),
            gated=MappingProxyType({field: least for least, fields in gated for field in fields.split()}),
            workspaces=facts.get("workspaces"),
            redirects=facts.get("redirects", False),
            documented=facts.get("documented"),
            secret=facts.get("secret", False),
            deprecated=facts.get("deprecated"),
        )

    @property
    def scope(self) -> str:
        """The first part of the name, such as ``"workspace"``."""
        return self.name.split(".")[0]

    @property
    def resource(self) -> str:
        """The part between scope and coroutine, such as ``"projects"``; may be empty."""
        return ".".join(self.name.split(".")[1:-1])

    @property
    def coroutine(self) -> str:
        """The last part of the name, such as ``"update"``."""
        return self.name.rsplit(".", 1)[-1]


class Arguments(msgspec.Struct, frozen=True):
    """What a call is made with.

    Attributes:
        path: values for the names in the operation's path.
        query: parameters of the query, not yet encoded.
        body: the body, not yet encoded; UNSET for none.
    """

    path: Mapping[str, PathValue]
    query: Mapping[str, Value] = MappingProxyType({})
    body: Value = msgspec.UNSET


class Caller(Protocol):
    """What a resource needs of the client."""

    async def call(
        self,
        operation: Operation[ResultT],
        arguments: Arguments,
    ) -> ResultT:
        """Make one call and return its decoded answer."""
        ...

    def pages(
        self,
        operation: Operation[object],
        item: type[ItemT],
        arguments: Arguments,
    ) -> Pages[ItemT]:
        """Walk the pages of an operation; nothing is sent before the first item is asked for."""
        ...

    def download(
        self,
        operation: Operation[bytes],
        arguments: Arguments,
    ) -> Download:
        """Prepare a download; nothing is sent before it is used."""
        ...

    def hint(self, resource: "Resource", name: str) -> str:
        """Say where that is which a resource was asked for and doesn't have."""
        ...


class Resource:
    """A group of coroutines bound to the entity that they serve; base of all generated ones.

    Each of them raises an error of `toggl_async.errors`, all of them `TogglError`: `InvalidInput` before
    anything is sent, where an argument is not what its type says (several ids for one, a date for a
    datetime, a datetime without a time zone); else by what became of the request. A section ``Raises:``
    has what is peculiar to that one.
    """

    __slots__ = ("_bound", "_caller")

    def __init__(self, caller: Caller, bound: Mapping[str, PathValue]) -> None:
        self._caller = caller
        self._bound = bound

    if not TYPE_CHECKING:  # A type checker that saw it would believe every name.

        def __getattr__(self, name: str) -> NoReturn:
            message = f"{type(self).__name__} has no attribute {name!r}"
            if name in {"workspace_id", "organization_id"}:
                message = f"{type(self).__name__} is not bound to any {name.removesuffix('_id')}"
            # What Python and notebooks look for by themselves begins with an underscore.
            elif not name.startswith("_"):
                hint = functools.partial(self._caller.hint, self, name)
                raise NoSuchName(message, name=name, obj=self, hint=hint)
            raise AttributeError(message, name=name, obj=self)

    def __repr__(self) -> str:
        # Only numbers are shown: the token of a shared report is a key to it.
        shown = (f"{name}={value if isinstance(value, int) else '…'}" for name, value in self._bound.items())
        return f"{type(self).__name__}({', '.join(shown)})"

    @property
    def workspace_id(self) -> int:
        """The workspace that this is bound to; elsewhere there is no such attribute."""
        return self._id("workspace_id")

    @property
    def organization_id(self) -> int:
        """The organization that this is bound to; elsewhere there is no such attribute."""
        return self._id("organization_id")

    def _id(self, name: str) -> int:
        try:
            return cast(int, self._bound[name])
        except KeyError:
            raise AttributeError(name) from None  # `__getattr__` says the rest.

    async def _call(
        self,
        operation: Operation[ResultT],
        path: Mapping[str, PathValue] | None = None,
        *,
        query: Mapping[str, Value] | None = None,
        body: Value = msgspec.UNSET,
    ) -> ResultT:
        _warn_of(operation)
        return await self._caller.call(operation, self._arguments(path, query, body))

    async def _call_in_chunks(
        self,
        operation: Operation[RecordT],
        name: str,
        ids: Collection[int],
        *,
        size: int,
        path: Mapping[str, PathValue] | None = None,
        query: Mapping[str, Value] | None = None,
        body: Value = msgspec.UNSET,
    ) -> RecordT:
        return await in_chunks(
            lambda chunk: self._call(operation, {**(path or {}), name: chunk}, query=query, body=body),
            whole_list(ids, name),
            size=size,
        )

    def _pages(
        self,
        operation: Operation[object],
        item: type[ItemT],
        path: Mapping[str, PathValue] | None = None,
        *,
        query: Mapping[str, Value] | None = None,
        body: Value = msgspec.UNSET,
    ) -> Pages[ItemT]:
        _warn_of(operation)
        return self._caller.pages(operation, item, self._arguments(path, query, body))

    def _download(
        self,
        operation: Operation[bytes],
        path: Mapping[str, PathValue] | None = None,
        *,
        query: Mapping[str, Value] | None = None,
        body: Value = msgspec.UNSET,
    ) -> Download:
        _warn_of(operation)
        return self._caller.download(operation, self._arguments(path, query, body))

    def _arguments(
        self, path: Mapping[str, PathValue] | None, query: Mapping[str, Value] | None, body: Value
    ) -> Arguments:
        return Arguments({**self._bound, **(path or {})}, query or {}, body)


def _warn_of(operation: Operation[object]) -> None:
    """Warn of an operation that is not to be called any more; charged to the caller of its coroutine."""
    if operation.deprecated is not None:
        warnings.warn(f"{operation.name}: {operation.deprecated}", DeprecationWarning, stacklevel=4)
