"""What the plan is made of: plain data, no code strings, nothing of OpenAPI.

`plan` makes these, `emit` writes them down.
"""

import enum
from typing import Final, Literal, TypeAlias

import attrs

__all__ = [
    "PLANS",
    "Argument",
    "BodyPlan",
    "Choice",
    "Either",
    "FieldPlan",
    "Kind",
    "LibraryPlan",
    "ListOf",
    "MapOf",
    "Nullable",
    "OperationPlan",
    "PagingPlan",
    "Plain",
    "RecordModule",
    "RecordPlan",
    "RecordRef",
    "ResourcePlan",
    "ScopeModule",
    "SpecType",
]


PLANS: Final = ("free", "starter", "premium", "enterprise")
"""Toggl's plans, each with all that those before it have."""


class Kind(enum.Enum):
    """A type that holds no other."""

    INTEGER = enum.auto()
    NUMBER = enum.auto()
    TEXT = enum.auto()
    FLAG = enum.auto()
    MOMENT = enum.auto()
    DAY = enum.auto()
    UNIX_TIME = enum.auto()
    """A moment that goes over the wire as seconds since 1970."""
    BYTES = enum.auto()
    FREE = enum.auto()
    """Free-form JSON."""
    NOTHING = enum.auto()
    """An answer that carries nothing."""


@attrs.frozen
class Plain:
    """A type that holds no other."""

    kind: Kind


@attrs.frozen
class RecordRef:
    """A record by its name."""

    record: str


@attrs.frozen
class ListOf:
    """A list, or in requests any sequence."""

    item: "SpecType"


@attrs.frozen
class MapOf:
    """An object with names that are not known beforehand."""

    value: "SpecType"


@attrs.frozen
class Choice:
    """One of these values; in requests only."""

    values: tuple[str | int, ...]


@attrs.frozen
class Either:
    """One of several types."""

    options: tuple["SpecType", ...]


@attrs.frozen
class Nullable:
    """A type or null."""

    of: "SpecType"


SpecType: TypeAlias = Plain | RecordRef | ListOf | MapOf | Choice | Either | Nullable
"""The type of a field, an argument or an answer."""


@attrs.frozen(kw_only=True)
class FieldPlan:
    """A field of a record.

    Attributes:
        name: the attribute.
        wire: the name in JSON.
        type: its type, as the document has it.
        required: whether it can be relied on (in answers), or has to be given (in requests).
        doc: its sentence.
        secret: whether no representation may show it.
        empty: whether it is an empty list where it is missing or null (in answers).
    """

    name: str
    wire: str
    type: SpecType
    required: bool
    doc: str
    secret: bool = False
    empty: bool = False


@attrs.frozen(kw_only=True)
class RecordPlan:
    """A record.

    Attributes:
        name: its class.
        doc: its sentence.
        fields: its fields, in the order of the document.
        sent: whether it goes to Toggl; else it comes from there.
        legacy: names that Toggl sends although other fields say the same.
        wraps: the field, by its name in JSON, of the list that can come alone in its place.
    """

    name: str
    doc: str
    fields: tuple[FieldPlan, ...]
    sent: bool
    legacy: tuple[str, ...] = ()
    wraps: str | None = None


@attrs.frozen(kw_only=True)
class RecordModule:
    """A module of records.

    Attributes:
        name: the module under ``records``.
        records: its records, each after those that it holds.
        imports: module to the records that it takes from there.
        documents: the documents that its records come from.
    """

    name: str
    records: tuple[RecordPlan, ...]
    imports: dict[str, tuple[str, ...]]
    documents: tuple[str, ...]


@attrs.frozen(kw_only=True)
class Argument:
    """An argument of a coroutine.

    Attributes:
        name: its name in Python.
        wire: its name on the wire.
        type: its type.
        required: whether it has to be given.
        doc: its sentence.
        default: what is sent where the caller says nothing; None to leave it out.
        bound: the path parameter that it repeats; such an argument is not shown.
        most: how many items a request takes; more are sent in chunks. None for any number.
        plan: the least plan that has it.
        positional: whether it stands before the keywords though it is not in the path, as ids do.
    """

    name: str
    wire: str
    type: SpecType
    required: bool
    doc: str
    default: str | bool | None = None
    bound: str | None = None
    most: int | None = None
    plan: str = "free"
    positional: bool = False


@attrs.frozen(kw_only=True)
class BodyPlan:
    """The body of a request.

    Attributes:
        style: its fields are arguments, as JSON, as a form or as a form of several parts; or all of
            it is one argument.
        arguments: the arguments; one alone for the last style.
        fields: its fields, where all of it is one argument and that is an object.
    """

    style: Literal["fields", "form", "multipart", "whole"]
    arguments: tuple[Argument, ...]
    fields: tuple[Argument, ...] = ()


@attrs.frozen(kw_only=True)
class PagingPlan:
    """How an operation pages.

    Attributes:
        scheme: the class in ``toggl_async._operations.paging``.
        options: what it is built with.
        item: what is on its pages, a record as a rule.
        positions: arguments that say which page is meant, which a walk chooses itself.
    """

    scheme: str
    options: tuple[tuple[str, str | int | bool | None], ...]
    item: SpecType
    positions: frozenset[str]


@attrs.frozen(kw_only=True)
class OperationPlan:
    """An operation and its coroutine.

    Fields that are not described here are those of ``toggl_async._operations.operation.Operation.declare``.

    Attributes:
        ids: path parameters that the coroutine takes, those of the scope left out.
        query: parameters of the query.
        errors: error class to why this operation in particular raises it.
        redirects: whether the answer is a redirect, whose target is the result.
        secret: whether the answer is a secret, such as a token, and nothing else.
        extensions: what can stand for ``{extension}`` in the path; each gets a method of its own.
    """

    name: str
    method: str
    path: str
    lane: str | None
    reads: bool | None
    result: SpecType
    summary: str
    description: str
    ids: tuple[Argument, ...]
    query: tuple[Argument, ...]
    body: BodyPlan | None
    paging: PagingPlan | None
    plan: str
    workspaces: str | None
    errors: tuple[tuple[str, str], ...]
    redirects: bool = False
    extensions: tuple[str, ...] = ()
    documented: str | None = None
    secret: bool = False
    deprecated: str | None = None

    @property
    def gated(self) -> dict[str, tuple[str, ...]]:
        """Plan to the fields that need it, where the operation itself needs less.

        What has to be given is not among them: a client could not leave it out.
        """
        body = (*self.body.arguments, *self.body.fields) if self.body else ()
        gates: dict[str, dict[str, None]] = {}
        for one in (*body, *self.query):
            if not one.required and PLANS.index(one.plan) > PLANS.index(self.plan):
                gates.setdefault(one.plan, {})[one.wire] = None
        return {plan: tuple(gates[plan]) for plan in PLANS if plan in gates}

    @property
    def is_download(self) -> bool:
        """Whether the answer is a file."""
        return self.result == Plain(Kind.BYTES)

    @property
    def coroutine(self) -> str:
        """The last part of the name."""
        return self.name.rsplit(".", 1)[-1]

    @property
    def methods(self) -> dict[str, str | None]:
        """Its methods, each with the extension that it asks for; as a rule there is one, with none.

        Where there are extensions the operation is called after the first of them: ``projects_csv``.
        """
        if not self.extensions:
            return {self.coroutine: None}
        stem = self.coroutine.removesuffix(self.extensions[0])
        return {f"{stem}{one}": one for one in self.extensions}

    @property
    def walker(self) -> str:
        """What the method that walks all pages is called: ``iter`` beside ``list``, for one."""
        name = self.coroutine
        return "iter" if name in {"list", "list_page", "search"} else f"iter_{name.removeprefix('list_')}"


@attrs.frozen(kw_only=True)
class ResourcePlan:
    """A scope, or a resource in it.

    Attributes:
        path: scope and resource, such as ``"workspace.reports.detailed"``.
        class_name: its class.
        module: the module under ``scopes`` that holds it.
        summary: its sentence.
        operations: its coroutines, in the order of names.toml.
        children: paths of the resources within it.
    """

    path: str
    class_name: str
    module: str
    summary: str
    operations: tuple[OperationPlan, ...]
    children: tuple[str, ...]


@attrs.frozen(kw_only=True)
class ScopeModule:
    """A module of scopes or resources, with the documents that its operations come from."""

    name: str
    resources: tuple[ResourcePlan, ...]
    documents: tuple[str, ...]
    is_package: bool


@attrs.frozen(kw_only=True)
class LibraryPlan:
    """All that will be written."""

    records: tuple[RecordModule, ...]
    scopes: tuple[ScopeModule, ...]

    @property
    def operations(self) -> tuple[OperationPlan, ...]:
        """Every operation, module by module."""
        return tuple(
            op for module in self.scopes for resource in module.resources for op in resource.operations
        )

    def resource(self, path: str) -> ResourcePlan:
        """Find a scope or resource by its path."""
        return next(one for module in self.scopes for one in module.resources if one.path == path)

    def record_modules(self) -> dict[str, str]:
        """Record to the module that holds it."""
        return {record.name: module.name for module in self.records for record in module.records}
