"""Compares our documents with tables of official facts: ``python -m codegen.parity FOLDER``.

Each difference is one line; those that a correction explains are no news. What is left, and
corrections that explain nothing any more, are printed, and the exit code is 1.

The tables are JSON: operations with parameters, body and responses, and records with fields.
"""

import argparse
import fnmatch
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

import attrs
from openapi_pydantic.v3.v3_1 import (
    DataType,
    Operation,
    Parameter,
    PathItem,
    Reference,
    RequestBody,
    Response,
    Schema,
)

from codegen.load import Correction, Document, Specification, load
from codegen.operations import described
from codegen.schemas import ANYTHING, AnySchema, Schemas, extension

__all__ = ["Facts", "differences", "main", "unexplained"]

Fact: TypeAlias = Mapping[str, Any]
"""A piece of a table: free-form JSON."""

_PREFIXES: Final = {"track-v9": "/api/v9", "webhooks-v1": "/webhooks/api/v1"}
"""Paths of these tables start after the prefix."""


@attrs.frozen
class Facts:
    """The tables: ``"METHOD /path"`` to operation, name to record."""

    operations: Mapping[str, Fact]
    records: Mapping[str, Fact]

    @classmethod
    def read(cls, folder: Path) -> "Facts":
        """Read every table of a folder."""
        operations: dict[str, Fact] = {}
        records: dict[str, Fact] = {}
        for path in sorted(folder.glob("*.json")):
            table = json.loads(path.read_text("utf-8"))
            prefix = _PREFIXES.get(table["family"], "")
            operations |= {f"{one['method']} {prefix}{one['path']}": one for one in table["operations"]}
            records |= table["records"]
        return cls(operations, records)


def differences(source: Specification, facts: Facts) -> Iterator[str]:
    """Name every difference between documents and facts."""
    seen: set[str] = set()
    for document in source.documents:
        comparison = _Comparison(Schemas(document, source.names, []), facts)
        for method, path, item, operation in described(document.api.paths or {}):
            key = f"{method} {path}"
            seen.add(key)
            fact = facts.operations.get(key)
            if fact is None:
                yield f"{key}: is not in the facts"
            else:
                yield from comparison.operation(key, item, operation, fact)
    for key in facts.operations:
        if key not in seen:
            yield f"{key}: is in no document"


def unexplained(found: Sequence[str], corrections: Sequence[Correction]) -> tuple[list[str], list[str]]:
    """Sort out the differences that no correction explains, and the patterns that explain nothing."""
    patterns = [pattern for correction in corrections for pattern in correction.differences]
    left = [line for line in found if not any(_matches(line, pattern) for pattern in patterns)]
    idle = [pattern for pattern in patterns if not any(_matches(line, pattern) for line in found)]
    return left, idle


def _matches(line: str, pattern: str) -> bool:
    """Match with ``*`` alone: brackets stand for themselves."""
    return fnmatch.fnmatchcase(line, pattern.replace("[", "[[]").replace("?", "[?]"))


@attrs.define
class _Comparison:
    """Compares one document; records are compared once, where they are first met."""

    schemas: Schemas
    facts: Facts
    met: set[tuple[str, str]] = attrs.field(factory=set)

    @property
    def document(self) -> Document:
        return self.schemas.document

    def operation(self, key: str, item: PathItem, operation: Operation, fact: Fact) -> Iterator[str]:
        """Compare one operation."""
        yield from self._parameters(key, [*(item.parameters or []), *(operation.parameters or [])], fact)
        yield from self._body(key, operation, fact)
        yield from self._answer(key, operation, fact)

    def _parameters(self, key: str, given: list[Parameter | Reference], fact: Fact) -> Iterator[str]:
        components = self.document.api.components
        named = (components.parameters or {}) if components else {}
        resolved = [
            named.get(one.ref.rsplit("/", 1)[-1]) if isinstance(one, Reference) else one for one in given
        ]
        ours = {one.name: one for one in resolved if isinstance(one, Parameter)}
        theirs = {one["name"]: one for one in fact["parameters"]}
        for name in sorted(ours.keys() - theirs.keys()):
            yield f"{key} parameter {name}: added"
        for name, other in theirs.items():
            where = f"{key} parameter {name}"
            if name not in ours:
                yield f"{where}: left out"
                continue
            mine = ours[name]
            if mine.param_in.value != other["in"]:
                yield f"{where}: in {other['in']} -> {mine.param_in.value}"
            if bool(mine.required) != other["required"]:
                yield f"{where}: {'required -> optional' if other['required'] else 'optional -> required'}"
            yield from self._types(where, mine.param_schema or ANYTHING, other)
            yield from _plans(where, mine, other)

    def _body(self, key: str, operation: Operation, fact: Fact) -> Iterator[str]:
        request = operation.requestBody
        theirs = fact["body"]
        if not isinstance(request, RequestBody) or theirs is None:
            if isinstance(request, RequestBody) or theirs is not None:
                yield f"{key} body: {'added' if theirs is None else 'left out'}"
            return
        mine = request.content["application/json"].media_type_schema or ANYTHING
        record = self.facts.records.get(theirs.get("ref", ""), theirs)
        if "fields" in record:
            yield from self._fields(f"{key} body", self.schemas.flat(mine)[0], record["fields"])
        else:
            yield from self._types(f"{key} body", mine, theirs)

    def _answer(self, key: str, operation: Operation, fact: Fact) -> Iterator[str]:
        mine = next((one for code, one in (operation.responses or {}).items() if code.startswith("2")), None)
        theirs: Fact = next((one for code, one in fact["responses"].items() if code.startswith("2")), {})
        if not isinstance(mine, Response):
            yield f"{key} answer: left out"
            return
        added = {name.lower() for name in mine.headers or {}} ^ {
            name.lower() for name in theirs.get("headers", [])
        }
        for name in sorted(added):
            yield f"{key} header {name}: only one side has it"
        schema = theirs.get("schema")
        if not mine.content or schema is None:
            if mine.content or schema is not None:
                yield f"{key} answer: {self._theirs(schema) if schema else 'nothing'} -> {self._shape(mine)}"
            return
        form = next(iter(mine.content.values())).media_type_schema or ANYTHING
        yield from self._types(f"{key} answer", form, schema)

    def _shape(self, response: Response) -> str:
        if not response.content:
            return "nothing"
        return self._ours(next(iter(response.content.values())).media_type_schema or ANYTHING)

    def _types(self, where: str, mine: AnySchema, theirs: Fact) -> Iterator[str]:
        """Compare two types, and what is in them: the fields of records, the items of lists and maps."""
        ours, other = self._ours(mine), self._theirs(theirs)
        if ours != other:
            yield f"{where}: {other} -> {ours}"
        record = self.facts.records.get(theirs.get("ref", ""), theirs)
        has_fields = any(self.schemas.flat(option)[0] for option in self._options(mine))
        if ours == other == "object" and has_fields != bool(record.get("fields")):
            yield f"{where}: fields {'added' if has_fields else 'left out'}"
        for option in self._options(mine):
            yield from self._insides(where, option, theirs, record)
        if self._nullable(mine) != bool(theirs.get("nullable")):
            yield f"{where}: {'not nullable' if theirs.get('nullable') else 'nullable'}"

    def _insides(self, where: str, mine: AnySchema, theirs: Fact, record: Fact) -> Iterator[str]:
        """Compare what one of our types and theirs hold, where both hold the same kind of thing."""
        target = self.schemas.resolved(mine)
        fields = self.schemas.flat(mine)[0]
        values = target.additionalProperties
        if fields and "fields" in record:
            yield from self._records(theirs.get("ref", where), mine, record)
        elif isinstance(values, Schema | Reference) and "values" in record:
            yield from self._types(f"{where}{{}}", values, record["values"])
        elif target.items and record.get("type") == "array":
            yield from self._types(f"{where}[]", target.items, record.get("items") or {})

    def _records(self, name: str, mine: AnySchema, record: Fact) -> Iterator[str]:
        own = mine.ref if isinstance(mine, Reference) else ""
        if (name, own) in self.met:
            return
        self.met.add((name, own))
        yield from self._fields(name, self.schemas.flat(mine)[0], record["fields"])

    def _fields(self, where: str, mine: Mapping[str, AnySchema], theirs: Mapping[str, Fact]) -> Iterator[str]:
        for name in sorted(mine.keys() - theirs.keys()):
            yield f"{where}.{name}: added"
        for name, fact in theirs.items():
            if name not in mine:
                yield f"{where}.{name}: left out"
                continue
            field = mine[name]
            yield from self._types(f"{where}.{name}", field, fact)
            aged = bool(extension(field, "legacy") is not None or self.schemas.resolved(field).deprecated)
            if aged != bool(fact.get("deprecated") or fact.get("legacy")):
                yield f"{where}.{name}: {'deprecated' if aged else 'not deprecated'}"
            yield from _plans(f"{where}.{name}", field, fact)

    def _options(self, schema: AnySchema) -> list[AnySchema]:
        """List the types that one of our types may be, but for null; itself, where it is one alone."""
        target = self.schemas.resolved(schema)
        options = [*(target.oneOf or []), *(target.anyOf or [])]
        if not options:
            return [schema]
        given = [one for one in options if self.schemas.resolved(one).type is not DataType.NULL]
        return [inner for one in given for inner in self._options(one)]

    def _ours(self, schema: AnySchema) -> str:
        """Write one of our types in one word or few."""
        return " or ".join(dict.fromkeys(word for one in self._options(schema) for word in self._words(one)))

    def _words(self, schema: AnySchema) -> Iterator[str]:
        target = self.schemas.resolved(schema)
        kinds = target.type if isinstance(target.type, list) else [target.type] if target.type else []
        is_map = isinstance(target.additionalProperties, Schema | Reference)
        for kind in [one.value for one in kinds if one is not DataType.NULL] or ["any"]:
            yield _worded("map" if is_map else kind, target.schema_format, target.enum)

    def _theirs(self, fact: Fact) -> str:
        """Write one of their types in one word or few."""
        record = self.facts.records.get(fact.get("ref", ""), fact)
        is_map = record.get("values", {"type": "any"}) != {"type": "any"}
        kind = "map" if is_map else record.get("type") or "any"
        return _worded(kind, record.get("format"), record.get("enum"))

    def _nullable(self, schema: AnySchema) -> bool:
        target = self.schemas.resolved(schema)
        kinds = target.type if isinstance(target.type, list) else [target.type]
        return DataType.NULL in kinds or any(
            self._nullable(one) for one in (*(target.oneOf or []), *(target.anyOf or []))
        )


def _plans(where: str, mine: AnySchema | Parameter, theirs: Fact) -> Iterator[str]:
    """Compare whether something is said to need a plan."""
    if bool(extension(mine, "plan")) != bool(theirs.get("plan_gated")):
        yield f"{where}: {'needs no plan' if theirs.get('plan_gated') else 'needs a plan'}"


def _worded(kind: str, form: str | None, values: Sequence[object] | None) -> str:
    """Write kind, format and values of a type."""
    given = [str(one) for one in values or [] if one is not None]
    return " ".join([kind, *([form] if form else []), *(["of", ", ".join(given)] if given else [])])


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare; return 0 when every difference is explained."""
    parser = argparse.ArgumentParser(prog="python -m codegen.parity", description=__doc__)
    parser.add_argument("facts", type=Path, help="folder with the tables")
    parser.add_argument(
        "--spec", type=Path, default=Path(__file__).parent, help="folder with spec/ and the tables"
    )
    chosen = parser.parse_args(arguments)

    source = load(chosen.spec)
    found = list(differences(source, Facts.read(chosen.facts)))
    left, idle = unexplained(found, source.corrections)
    lines = [*(f"fault: {fault}" for fault in source.faults), *(f"unexplained: {line}" for line in left)]
    lines += [f"explains nothing: {pattern}" for pattern in idle]
    print(*lines, f"{len(found)} differences, {len(left)} unexplained", sep="\n")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
