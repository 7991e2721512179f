"""Part of step three: what the sandbox has to know of every operation, as one file of data.

The sandbox is part of the wheel and the documents are not. So this takes along what it answers
from, and leaves the prose behind: routes, parameters, bodies, answers, and the schemas of records.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias

import pydantic
from openapi_pydantic.v3.v3_1 import Operation, PathItem, Reference

from codegen.load import Document, Specification
from codegen.operations import described

__all__ = ["FILE", "sandbox_files"]

FILE: Final = "sandbox/described.json"
"""Where it goes, under ``toggl_async``."""

_Json: TypeAlias = dict[str, Any]

_KEPT: Final = ("type", "format", "enum", "minItems", "maxItems")
"""What is kept of a schema besides the schemas in it."""

_NAMED: Final = "#/components/schemas/"


def sandbox_files(source: Specification) -> Iterator[tuple[str, str]]:
    """Write the file: path and text, one operation or record a line."""
    operations: dict[str, _Json] = {}
    records: dict[str, _Json] = {}
    for document in source.documents:
        schemas = _Schemas(document, records)
        for method, path, item, operation in described(document.api.paths or {}):
            operations[f"{method} {path}"] = _operation(schemas, item, operation)
    yield FILE, f'{{"operations": {_lines(operations)},\n"records": {_lines(records)}}}\n'


def _lines(table: Mapping[str, _Json]) -> str:
    rows = (f"{json.dumps(key)}: {json.dumps(table[key], ensure_ascii=False)}" for key in sorted(table))
    return "{\n" + ",\n".join(rows) + "\n}"


class _Schemas:
    """The schemas of one document, without prose.

    Objects with fields stay references, and go into the table of records, under the names that the
    plan keeps unique; everything else is written out where it is used.
    """

    def __init__(self, document: Document, records: dict[str, _Json]) -> None:
        self._records = records
        held = document.api.components
        self.components: _Json = _plain(held) if held else {}

    def bare(self, schema: _Json) -> _Json:
        """Take a schema along: a record as a reference, all else as what it is."""
        if "$ref" not in schema:
            return self._stripped(schema)
        name = schema["$ref"].removeprefix(_NAMED)
        target = self.components.get("schemas", {}).get(name, {})
        if not ("properties" in target or "allOf" in target):
            return self.bare(target)
        if name not in self._records:
            self._records[name] = {}  # it may hold itself
            self._records[name] = self._stripped(target)
        return {"record": name}

    def _stripped(self, schema: _Json) -> _Json:
        found: _Json = {key: schema[key] for key in _KEPT if key in schema}
        for key in ("oneOf", "anyOf"):
            if key in schema:
                found["oneOf"] = [self.bare(one) for one in schema[key]]
        if "items" in schema:
            found["items"] = self.bare(schema["items"])
        if isinstance(schema.get("additionalProperties"), dict):
            found["values"] = self.bare(schema["additionalProperties"])
        fields, required = self._merged(schema)
        if fields:
            found["fields"] = fields
        if required:
            found["required"] = required
        return found

    def _merged(self, schema: _Json) -> tuple[dict[str, _Json], list[str]]:
        """Gather the fields of an object from all of its parts."""
        fields: dict[str, _Json] = {}
        required: list[str] = []
        for part in schema.get("allOf", []):
            target = part
            while "$ref" in target:
                target = self.components["schemas"][target["$ref"].removeprefix(_NAMED)]
            more, needed = self._merged(target)
            fields |= more
            required += needed
        fields |= {name: self.bare(one) for name, one in schema.get("properties", {}).items()}
        return fields, [*required, *schema.get("required", [])]


def _plain(model: pydantic.BaseModel) -> _Json:
    """Turn a piece of a document back into JSON, as it was written."""
    return model.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_unset=True)


def _operation(schemas: _Schemas, item: PathItem, operation: Operation) -> _Json:
    """Write down what is sent to an operation, and what it answers."""
    found: _Json = {}
    for parameter in _parameters(schemas, item, operation):
        if parameter["in"] in {"path", "query"}:
            schema = schemas.bare(parameter.get("schema", {}))
            found.setdefault(parameter["in"], {})[parameter["name"]] = schema
            if parameter["in"] == "query" and parameter.get("required"):
                found.setdefault("required", []).append(parameter["name"])
    told: _Json = _plain(operation)
    for media, content in told.get("requestBody", {}).get("content", {}).items():
        found["body"] = {"media": media, "schema": schemas.bare(content.get("schema", {}))}
        if told["requestBody"].get("required"):
            found["body"]["required"] = True
    return found | _answer(schemas, told["responses"])


def _parameters(schemas: _Schemas, item: PathItem, operation: Operation) -> Iterator[_Json]:
    for one in (*(item.parameters or []), *(operation.parameters or [])):
        told: _Json = _plain(one)
        if isinstance(one, Reference):
            told = schemas.components.get("parameters", {}).get(one.ref.rsplit("/", 1)[-1], {})
        yield told


def _answer(schemas: _Schemas, responses: Mapping[str, _Json]) -> _Json:
    """Write down the first success, or else the redirect: its status and, if any, its content."""
    good = [status for status in responses if re.fullmatch(r"[23]\d\d", status)]
    status = min(good, default="200")
    content = responses.get(status, {}).get("content", {})
    found: _Json = {"status": int(status)}
    if "application/json" in content:
        found["answer"] = schemas.bare(content["application/json"].get("schema", {}))
    elif content:
        found["media"] = list(content)
    return found
