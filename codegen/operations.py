"""Part of step two: from the operations of a document to their plans."""

import re
from collections.abc import Iterator, Mapping
from typing import Final, Literal

import attrs
from openapi_pydantic.v3.v3_1 import (
    MediaType,
    Operation,
    Parameter,
    PathItem,
    Reference,
    RequestBody,
    Response,
)

from codegen.load import Named, Violation
from codegen.model import (
    Argument,
    BodyPlan,
    Kind,
    ListOf,
    MapOf,
    Nullable,
    OperationPlan,
    PagingPlan,
    Plain,
    RecordRef,
    SpecType,
)
from codegen.schemas import ANYTHING, AnySchema, Schemas, extension, sentence

__all__ = ["METHODS", "Operations", "described"]

METHODS: Final = ("get", "post", "put", "patch", "delete", "head")

_EXTENSION: Final = "extension"
"""The path parameter that names a kind of file."""

_FORMS: Mapping[str, Literal["form", "multipart"]] = {
    "application/x-www-form-urlencoded": "form",
    "multipart/form-data": "multipart",
}

_SCHEMES: Mapping[str, str] = {
    "page-number": "PageNumber",
    "wrapped-pages": "WrappedPages",
    "mapped-pages": "MappedPages",
    "header-pages": "HeaderPages",
    "keyset": "Keyset",
    "offset": "Offset",
    "token": "Token",
    "report-cursor": "ReportCursor",
}

_POSITIONS: Mapping[str, tuple[str, ...]] = {
    "page-number": ("page",),
    "wrapped-pages": ("page",),
    "mapped-pages": ("page",),
    "header-pages": ("page",),
    "keyset": ("start",),
    "offset": ("offset",),
    "token": ("page_token",),
    "report-cursor": ("first_id", "first_row_number", "first_timestamp"),
}

_ERRORS: Mapping[str, str] = {
    "400": "BadRequest",
    "402": "FeatureUnavailable",
    "403": "Forbidden",
    "404": "NotFound",
    "409": "Conflict",
    "410": "EndpointGone",
    "500": "ServerError",
    "503": "ServerError",
}


def described(paths: Mapping[str, PathItem]) -> Iterator[tuple[str, str, PathItem, Operation]]:
    """Walk through method, path, path item and operation of a document."""
    for path, item in paths.items():
        for method in METHODS:
            operation = getattr(item, method)
            if isinstance(operation, Operation):
                yield method.upper(), path, item, operation


@attrs.define
class Operations:
    """Plans the operations of one document.

    Attributes:
        schemas: the schemas of that document.
        bound: scope to the path parameters that it holds.
        faults: where what is wrong is noted.
    """

    schemas: Schemas
    bound: Mapping[str, tuple[str, ...]]
    faults: list[Violation]

    def plan(
        self, method: str, path: str, item: PathItem, operation: Operation, named: Named
    ) -> OperationPlan:
        """Plan one operation."""
        where = f"{method} {path}"
        if not operation.summary:
            self.faults.append(Violation(where, "has no summary"))
        parameters = [*self._parameters(item.parameters), *self._parameters(operation.parameters)]
        result = self._result(operation, where)
        in_scope = self.bound.get(named.name.split(".", maxsplit=1)[0], ())
        return OperationPlan(
            name=named.name,
            method=method,
            path=path,
            lane=_text(extension(operation, "lane")),
            reads=None if (reads := extension(operation, "reads")) is None else bool(reads),
            result=result,
            summary=sentence(operation.summary),
            description=(operation.description or "").strip(),
            ids=self._ids(path, parameters, (*in_scope, _EXTENSION), where),
            extensions=self._extensions(parameters),
            query=tuple(self._argument(one, where) for one in parameters if one.param_in == "query"),
            body=self._body(operation, named, where),
            paging=self._paging(operation, result, where),
            plan=str(extension(operation, "plan") or "free"),
            workspaces=_text(extension(operation, "workspaces")),
            errors=tuple(self._errors(operation)),
            redirects=_redirects(operation),
            documented=self._documented(operation),
            secret=_is_secret(operation, where),
            deprecated=self._deprecated(operation, where),
        )

    def _parameters(self, parameters: list[Parameter | Reference] | None) -> Iterator[Parameter]:
        components = self.schemas.document.api.components
        for parameter in parameters or []:
            if isinstance(parameter, Parameter):
                yield parameter
                continue
            found = (
                (components.parameters or {}).get(parameter.ref.rsplit("/", 1)[-1]) if components else None
            )
            if isinstance(found, Parameter):
                yield found

    def _argument(self, parameter: Parameter, where: str) -> Argument:
        if not parameter.description:
            self.faults.append(Violation(f"{where} {parameter.name}", "has no description"))
        plan = extension(parameter, "plan")
        form = self.schemas.type_of(parameter.param_schema or ANYTHING, "sent", f"{where} {parameter.name}")
        unit = " An int is UNIX seconds." if form == Plain(Kind.UNIX_TIME) else ""
        return Argument(
            name=_text(extension(parameter, "argument")) or self.schemas.names.python_name(parameter.name),
            wire=parameter.name,
            type=form,
            required=bool(parameter.required),
            doc=sentence(parameter.description) + unit + (f" Needs {str(plan).title()}." if plan else ""),
            most=self._most(parameter),
            plan=str(plan or "free"),
            positional=extension(parameter, "argument") is not None,
        )

    def _most(self, parameter: Parameter) -> int | None:
        """How many ids a path takes; more go in chunks."""
        if parameter.param_in != "path" or parameter.param_schema is None:
            return None
        return self.schemas.resolved(parameter.param_schema).maxItems

    def _ids(
        self, path: str, parameters: list[Parameter], hidden: tuple[str, ...], where: str
    ) -> tuple[Argument, ...]:
        """Order the path parameters as the path has them, without those that are no arguments."""
        declared = {one.name: one for one in parameters if one.param_in == "path"}
        names = re.findall(r"\{(\w+)\}", path)
        for name in set(names) ^ set(declared):
            self.faults.append(Violation(where, f"path and parameters disagree on {name}"))
        return tuple(
            self._argument(declared[one], where) for one in names if one in declared and one not in hidden
        )

    def _extensions(self, parameters: list[Parameter]) -> tuple[str, ...]:
        """List what kinds of files there are, where the path names one."""
        named = (one.param_schema for one in parameters if one.name == _EXTENSION)
        return tuple(
            str(kind) for schema in named if schema for kind in self.schemas.resolved(schema).enum or ()
        )

    def _body(self, operation: Operation, named: Named, where: str) -> BodyPlan | None:
        request = operation.requestBody
        if not isinstance(request, RequestBody):
            return None
        for media, style in _FORMS.items():
            if media in request.content:
                form = request.content[media].media_type_schema or ANYTHING
                return BodyPlan(style=style, arguments=self.schemas.arguments(form, where))
        schema = _json_schema(request.content, where, self.faults)
        if schema is None:
            self.faults.append(Violation(where, "has a body that is neither JSON nor a form"))
            return None
        target = self.schemas.resolved(schema)
        if named.body == "fields" and (target.properties or target.allOf):
            return BodyPlan(style="fields", arguments=self.schemas.arguments(schema, where))
        name = extension(request, "argument")
        if not name:
            self.faults.append(Violation(where, "a body that is no flat object needs x-toggl-argument"))
        whole = Argument(
            name=str(name),
            wire="",
            type=self.schemas.type_of(schema, "sent", where),
            required=True,
            doc=sentence(request.description or target.description),
            positional=target.items is not None
            and self.schemas.type_of(target.items, "sent", where) == Plain(Kind.INTEGER),
        )
        return BodyPlan(style="whole", arguments=(whole,), fields=self.schemas.arguments(schema, where))

    def _result(self, operation: Operation, where: str) -> SpecType:
        """Find the type of the answer: the first success that has content, or where a redirect leads."""
        if _redirects(operation):
            return Plain(Kind.TEXT)
        for status, response in (operation.responses or {}).items():
            if not status.startswith("2") or not isinstance(response, Response) or not response.content:
                continue
            schema = _json_schema(response.content, where, self.faults)
            return Plain(Kind.BYTES) if schema is None else self.schemas.type_of(schema, "received", where)
        return Plain(Kind.NOTHING)

    def _documented(self, operation: Operation) -> str | None:
        """Find the shape that Toggl's documents give the answer, where it has another."""
        found = (_text(extension(one, "documented")) for one in (operation.responses or {}).values())
        return next((shape for shape in found if shape), None)

    def _deprecated(self, operation: Operation, where: str) -> str | None:
        """Find out why not to call an operation any more, which a deprecated one has to say."""
        reason = extension(operation, "deprecated")
        if bool(operation.deprecated) != (reason is not None):
            self.faults.append(Violation(where, "deprecated and x-toggl-deprecated go together"))
        return sentence(str(reason)) if reason else None

    def _paging(self, operation: Operation, result: SpecType, where: str) -> PagingPlan | None:
        declared = extension(operation, "paging")
        if not isinstance(declared, dict):
            return None
        options = dict(declared)
        scheme = str(options.pop("scheme", ""))
        if scheme not in _SCHEMES:
            self.faults.append(Violation(where, f"no paging scheme {scheme!r}"))
            return None
        item = self._item(scheme, result, str(options.get("data", "data")), where)
        if item is None:
            self.faults.append(Violation(where, "pages, but its answer holds no list"))
            return None
        renamed = (str(options[key]) for key in ("page", "parameter", "offset", "last") if key in options)
        return PagingPlan(
            scheme=_SCHEMES[scheme],
            options=tuple(options.items()),
            item=item,
            positions=frozenset((*_POSITIONS[scheme], *renamed)),
        )

    def _item(self, scheme: str, result: SpecType, field: str, where: str) -> SpecType | None:
        """Find what the pages hold: what is in the list, in the lists of a map, or in that of a wrapper."""
        if scheme == "mapped-pages" and isinstance(result, MapOf):
            result = result.value
        elif scheme in {"wrapped-pages", "token"}:
            wrapper = result.item if isinstance(result, ListOf) else result
            schema = self.schemas.named(wrapper.record) if isinstance(wrapper, RecordRef) else None
            listed = (schema.properties or {}).get(field) if schema else None
            result = (
                Plain(Kind.NOTHING) if listed is None else self.schemas.type_of(listed, "received", where)
            )
        bare = result.of if isinstance(result, Nullable) else result
        return bare.item if isinstance(bare, ListOf) else None

    def _errors(self, operation: Operation) -> Iterator[tuple[str, str]]:
        for status, response in (operation.responses or {}).items():
            reason = extension(response, "error")
            if reason:
                yield _ERRORS.get(status, "ResponseError"), sentence(str(reason))


def _json_schema(content: Mapping[str, MediaType], where: str, faults: list[Violation]) -> AnySchema | None:
    """Find the schema of JSON content; None when there is other content only."""
    media = content.get("application/json")
    if media is None:
        return None
    if media.media_type_schema is None:
        faults.append(Violation(where, "JSON without a schema"))
    return media.media_type_schema


def _is_secret(operation: Operation, where: str) -> bool:
    """Whether the answer is a secret, and nothing else."""
    contents = [one.content for one in (operation.responses or {}).values() if isinstance(one, Response)]
    return any(bool(extension(_json_schema(one, where, []), "secret")) for one in contents if one)


def _redirects(operation: Operation) -> bool:
    """Whether the answer is a redirect: one is described, with its header, and no success is."""
    statuses = operation.responses or {}
    return not any(status.startswith("2") for status in statuses) and any(
        status.startswith("3") and isinstance(response, Response) and "Location" in (response.headers or {})
        for status, response in statuses.items()
    )


def _text(value: object | None) -> str | None:
    return None if value is None else str(value)
