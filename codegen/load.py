"""Step one: read the documents and the tables, and say what is wrong with them.

Everything wrong is collected as a `Violation` so that one run names it all.
"""

import copy
import re
import tomllib
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

import attrs
import msgspec
import pydantic
import yaml
from openapi_pydantic.v3.v3_1 import OpenAPI
from openapi_spec_validator import OpenAPIV31SpecValidator

__all__ = [
    "Correction",
    "Document",
    "Named",
    "Names",
    "ResourceName",
    "ScopeName",
    "Specification",
    "Violation",
    "bundled",
    "load",
]

TableT = TypeVar("TableT")

_SCHEMAS: Final = "/components/schemas/"

_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""PyYAML's safe loader, in C where it was built with it: four times as fast."""


@attrs.frozen(order=True)
class Violation:
    """Something wrong with a document or a table.

    Attributes:
        where: the file, operation or record.
        message: what is wrong.
    """

    where: str
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.message}"


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of what stands in a TOML file: unknown keys are slips of the pen."""


class Named(_Table, frozen=True):
    """The name of an operation, with how its body is passed.

    Attributes:
        name: scope, resource and coroutine, such as ``"workspace.projects.create"``.
        body: whether the body's fields become arguments, or the body is one record.
    """

    name: str
    body: Literal["fields", "record"] = "fields"


class ScopeName(_Table, frozen=True, rename={"class_name": "class"}):
    """A scope: its class, its one sentence, and the path parameters that it holds."""

    class_name: str
    summary: str
    bound: tuple[str, ...] = ()


class ResourceName(_Table, frozen=True, rename={"class_name": "class"}):
    """A resource: its class, the module under ``scopes`` that holds it, and its one sentence."""

    class_name: str
    module: str
    summary: str


class Names(_Table, frozen=True):
    """The whole of names.toml; see its comments."""

    operations: dict[str, str | Named]
    scopes: dict[str, ScopeName]
    resources: dict[str, ResourceName]
    records: dict[str, tuple[str, ...]]
    renames: dict[str, str] = {}

    def of(self, operation: str) -> Named | None:
        """Find the name of ``"METHOD /path"``."""
        found = self.operations.get(operation)
        return Named(name=found) if isinstance(found, str) else found

    def python_name(self, wire: str) -> str:
        """Turn a name on the wire into one of Python."""
        return (
            self.renames.get(wire) or re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", wire).replace("-", "_").lower()
        )


class Correction(_Table, frozen=True):
    """Why documents differ from the official facts.

    Attributes:
        differences: patterns of the lines that `parity` reports; ``*`` stands for anything.
        reason: why reality is as the documents say.
    """

    differences: tuple[str, ...]
    reason: str


class _Corrections(_Table, frozen=True):
    correction: tuple[Correction, ...] = ()


@attrs.frozen(kw_only=True)
class Document:
    """One OpenAPI document.

    Attributes:
        name: the name of its file.
        api: what it says.
    """

    name: str
    api: OpenAPI


@attrs.frozen(kw_only=True)
class Specification:
    """All that code is generated from."""

    documents: tuple[Document, ...]
    names: Names
    corrections: tuple[Correction, ...]
    faults: tuple[Violation, ...]


def load(folder: Path) -> Specification:
    """Read ``spec/*.yaml``, ``names.toml`` and ``corrections.toml`` of a folder.

    Documents that are no valid OpenAPI 3.1 are left out and reported as faults.
    """
    faults: list[Violation] = []
    contents = {path.name: _content(path, faults) for path in sorted((folder / "spec").glob("*.yaml"))}
    documents = [
        document
        for name, content in contents.items()
        if (document := _document(name, bundled(content, contents), faults)) is not None
    ]
    empty: Mapping[str, object] = {"operations": {}, "scopes": {}, "resources": {}, "records": {}}
    names = _table(folder / "names.toml", Names, faults)
    corrections = _table(folder / "corrections.toml", _Corrections, faults)
    return Specification(
        documents=tuple(documents),
        names=names or msgspec.convert(empty, Names),
        corrections=corrections.correction if corrections else (),
        faults=tuple(faults),
    )


def _content(path: Path, faults: list[Violation]) -> object:
    """Read the YAML of a file; None when it is none."""
    try:
        return yaml.load(path.read_text("utf-8"), Loader=_LOADER)  # noqa: S506 - a safe one
    except yaml.YAMLError as error:
        faults.append(Violation(path.name, f"no YAML: {error}"))
        return None


def _document(name: str, content: object, faults: list[Violation]) -> Document | None:
    """Take a document apart; None when it is invalid."""
    if content is None:
        return None
    found = list(_violations(name, content))
    faults += found
    if found:
        return None
    try:
        return Document(name=name, api=OpenAPI.model_validate(content))
    except pydantic.ValidationError as error:
        faults += [
            Violation(name, f"{'.'.join(map(str, one['loc']))}: {one['msg']}") for one in error.errors()
        ]
        return None


def _violations(name: str, content: object) -> Iterator[Violation]:
    """Let the public validator look at a document."""
    if not isinstance(content, dict) or not str(content.get("openapi", "")).startswith("3.1"):
        yield Violation(name, "no OpenAPI 3.1 document")
        return
    dangling = [
        Violation(name, f"{ref} leads nowhere") for ref in _references(content) if not _leads(content, ref)
    ]
    if dangling:  # the validator would stop at the first of them
        yield from dangling
        return
    for error in OpenAPIV31SpecValidator(content).iter_errors():
        yield Violation(name, f"{'/'.join(map(str, error.absolute_path))}: {error.message[:200]}")


def _references(node: object) -> Iterator[str]:
    """Walk through every reference in a piece of a document."""
    return (holder["$ref"] for holder in _holders(node))


def _holders(node: object) -> Iterator[dict[str, Any]]:
    """Walk through everything in a piece of a document that holds a reference."""
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node
        for value in node.values():
            yield from _holders(value)
    elif isinstance(node, list):
        for value in node:
            yield from _holders(value)


def _leads(content: object, ref: str) -> bool:
    """Tell whether a reference leads to something in the same document."""
    node = content
    for step in ref.removeprefix("#/").split("/"):
        if not isinstance(node, dict) or step not in node:
            return False
        node = node[step]
    return True


def bundled(content: object, contents: Mapping[str, object]) -> object:
    """Copy the schemas that a document borrows from others into it, marked with where they are from.

    ``$ref: "track.yaml#/components/schemas/Task"`` becomes a reference within the document.
    """
    whole = copy.deepcopy(content)
    wanted = deque(_borrowed(whole, None))
    while wanted:
        home, name = wanted.popleft()
        schemas = _schemas(whole)
        lent = _schemas(contents.get(home)).get(name)
        if name in schemas or not isinstance(lent, dict):
            continue  # it is there already; or it leads nowhere, which is reported later
        schemas[name] = {**copy.deepcopy(lent), "x-toggl-from": home}
        wanted += _borrowed(schemas[name], home)
    return whole


def _borrowed(node: object, home: str | None) -> list[tuple[str, str]]:
    """Name document and schema of each reference to another; within a lent schema, all are."""
    found = []
    for holder in _holders(node):
        document, _, pointer = holder["$ref"].partition("#")
        document = document or home or ""
        if document and pointer.startswith(_SCHEMAS):
            holder["$ref"] = f"#{pointer}"
            found.append((document, pointer.removeprefix(_SCHEMAS)))
    return found


def _schemas(content: object) -> dict[str, object]:
    """The schemas of a document, made where it has none."""
    if not isinstance(content, dict):
        return {}
    found: dict[str, object] = content.setdefault("components", {}).setdefault("schemas", {})
    return found


def _table(path: Path, table: type[TableT], faults: list[Violation]) -> TableT | None:
    """Read a TOML file into its type; None when it does not fit."""
    try:
        return msgspec.convert(tomllib.loads(path.read_text("utf-8")), table)
    except (OSError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        faults.append(Violation(path.name, str(error)))
        return None
