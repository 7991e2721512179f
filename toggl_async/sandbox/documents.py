"""The API's OpenAPI documents, which ship with the sandbox: what each operation takes and answers.

They are the ones that records and coroutines are generated from, as JSON. A place in them is a
reference such as ``track.json#/paths/~1api~1v9~1me/get``, which `schema_at` follows.
"""

import functools
import importlib.resources
import re
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

import attrs
import msgspec
from referencing import Registry
from referencing.jsonschema import DRAFT202012

__all__ = [
    "Content",
    "DescribedOperation",
    "Parameter",
    "Schema",
    "child",
    "operations",
    "registry",
    "schema_at",
]

Schema: TypeAlias = dict[str, Any]
"""A JSON schema."""

_METHODS: Final = frozenset({"delete", "get", "head", "patch", "post", "put"})


@attrs.frozen(kw_only=True)
class Parameter:
    """A parameter of path or query, and where its schema stands."""

    place: str
    required: bool
    schema: str


@attrs.frozen(kw_only=True)
class Content:
    """What a body can hold: its media types, and where the schema of the first one stands."""

    media: tuple[str, ...]
    required: bool
    schema: str

    @property
    def is_json(self) -> bool:
        """Whether it is JSON."""
        return self.media[0] == "application/json"


@attrs.frozen(kw_only=True)
class DescribedOperation:
    """One operation.

    Attributes:
        parameters: those of path and query, by name.
        body: what is sent; None for nothing.
        status: the status of its success.
        answer: what it answers then; None for nothing.
    """

    parameters: Mapping[str, Parameter]
    body: Content | None
    status: int
    answer: Content | None

    @property
    def json_schema(self) -> str | None:
        """Where the schema of its body stands; None if it takes no JSON."""
        return self.body.schema if self.body is not None and self.body.is_json else None


@functools.cache
def registry() -> Registry[Any]:
    """Read the documents, once."""
    folder = importlib.resources.files("toggl_async.sandbox") / "openapi"
    return Registry().with_resources(
        (file.name, DRAFT202012.create_resource(msgspec.json.decode(file.read_bytes())))
        for file in folder.iterdir()
    )


@functools.cache
def schema_at(reference: str) -> tuple[str, Schema]:
    """Follow references until one leads to a schema; return its place and the schema."""
    found: Schema = registry().resolver().lookup(reference).contents
    if "$ref" not in found:
        return reference, found
    return schema_at(reference.partition("#")[0] + found["$ref"])


@functools.cache
def operations() -> Mapping[str, DescribedOperation]:
    """Return all operations by method and path, such as ``"GET /api/v9/me"``."""
    return {
        f"{method.upper()} {path}": _operation(child(f"{name}#", "paths", path), item, method)
        for name in sorted(registry())
        for path, item in registry().contents(name)["paths"].items()
        for method in sorted(_METHODS & item.keys())
    }


def child(where: str, *keys: str | int) -> str:
    """Return the place of what stands under these keys (JSON Pointer's way of writing them)."""
    return "/".join((where, *(str(key).replace("~", "~0").replace("/", "~1") for key in keys)))


def _operation(where: str, item: Mapping[str, Any], method: str) -> DescribedOperation:
    told = item[method]
    parameters = dict(_parameters(where, item) + _parameters(f"{where}/{method}", told))
    # The first success, or else the redirect.
    status = min(one for one in told["responses"] if re.fullmatch(r"[23]\d\d", one))
    return DescribedOperation(
        parameters={name: one for name, one in parameters.items() if one.place in {"path", "query"}},
        body=_content(f"{where}/{method}/requestBody", told.get("requestBody", {})),
        status=int(status),
        answer=_content(f"{where}/{method}/responses/{status}", told["responses"][status]),
    )


def _parameters(where: str, holder: Mapping[str, Any]) -> list[tuple[str, Parameter]]:
    found = []
    for index in range(len(holder.get("parameters", ()))):
        at, told = schema_at(f"{where}/parameters/{index}")
        one = Parameter(place=told["in"], required=told.get("required", False), schema=f"{at}/schema")
        found.append((told["name"], one))
    return found


def _content(where: str, told: Mapping[str, Any]) -> Content | None:
    media = tuple(told.get("content", ()))
    if not media:
        return None
    return Content(
        media=media,
        required=told.get("required", False),
        schema=child(where, "content", media[0], "schema"),
    )
