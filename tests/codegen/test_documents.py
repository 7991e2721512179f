"""Our documents are valid by a public validator, and say of everything what it is and in which unit."""

import re
from collections.abc import Iterator
from typing import Any, Final

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from codegen.operations import METHODS
from support.own_documents import FOLDER, contents
from toggl_async import operations

SPEC: Final = FOLDER / "spec"
DOCUMENTS: Final = contents()

NUMBER: Final = re.compile(
    r"(^|_)(seconds|minutes|hours|duration|amount|amounts|rate|cost|price|fee|earnings|profit|cents|threshold"
    r"|wage|total|subtotal|tax|balance|estimate|interval|period)(_(?!id$|end_volume$)|$)",
    re.IGNORECASE,
)
"""Names of numbers that are times or amounts."""

UNIT: Final = re.compile(
    r"\b(milliseconds|seconds|minutes?|hours?|days?|weeks?|months?|years?|cents?|currency|per ?cent|UNIX"
    r"|how many|number of|factor|threshold_type)\b|%",
    re.IGNORECASE,
)
"""Words that tell what a number counts."""


def resolved(document: str, node: Any) -> tuple[str, Any]:
    """Follow a reference, also into another document."""
    while "$ref" in node:
        home, _, pointer = node["$ref"].partition("#/")
        document = home or document
        node = DOCUMENTS[document]
        for step in pointer.split("/"):
            node = node[step]
    return document, node


def schemas(node: Any, where: str) -> Iterator[tuple[str, str, Any]]:
    """Walk through the fields of every object below a node: where, name, schema."""
    if isinstance(node, list):
        for index, one in enumerate(node):
            yield from schemas(one, f"{where}[{index}]")
    elif isinstance(node, dict):
        for name, one in (node.get("properties") or {}).items():
            yield f"{where}.{name}", name, one
        for key, one in node.items():
            yield from schemas(one, f"{where}/{key}")


FIELDS: Final = [
    (document, where, name, field)
    for document, content in DOCUMENTS.items()
    for where, name, field in schemas(content, "")
    if "x-toggl-legacy" not in field
]
OPERATIONS: Final = [
    (document, f"{method.upper()} {path}", item, item[method])
    for document, content in DOCUMENTS.items()
    for path, item in content["paths"].items()
    for method in METHODS
    if method in item
]


def parameters() -> Iterator[tuple[str, str, Any]]:
    for document, where, item, operation in OPERATIONS:
        for one in (*item.get("parameters", []), *operation.get("parameters", [])):
            home, parameter = resolved(document, one)
            yield home, f"{where} {parameter['name']}", parameter


def words(document: str, schema: Any) -> str:
    """Say what stands beside a reference, or where it leads to."""
    return str(schema.get("description") or resolved(document, schema)[1].get("description") or "")


def is_number(document: str, schema: Any) -> bool:
    kinds = resolved(document, schema)[1].get("type", [])
    return bool({"integer", "number"} & set([kinds] if isinstance(kinds, str) else kinds))


@pytest.mark.slow
@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_public_validator_finds_nothing(name: str) -> None:
    validator = OpenAPIV31SpecValidator(DOCUMENTS[name], base_uri=(SPEC / name).as_uri())
    assert [error.message for error in validator.iter_errors()] == []


def test_the_public_validator_would_find_something() -> None:
    broken = {**DOCUMENTS["insights.yaml"], "paths": {"/x": {"get": {"summary": 5}}}}
    assert list(OpenAPIV31SpecValidator(broken, base_uri=(SPEC / "insights.yaml").as_uri()).iter_errors())


def test_there_are_as_many_operations_as_toggl_has() -> None:
    assert len(OPERATIONS) == len(operations())


def test_every_operation_has_a_summary_that_is_a_sentence() -> None:
    bad = [where for _, where, _, one in OPERATIONS if not re.fullmatch(r"[A-Z].+\.", one.get("summary", ""))]
    assert bad == []


def test_every_parameter_and_field_is_described() -> None:
    bad = [where for document, where, one in parameters() if not words(document, one)]
    bad += [where for document, where, _, field in FIELDS if not words(document, field)]
    assert bad == []


def test_every_record_is_described() -> None:
    held = {
        f"{document} {name}": schema
        for document, content in DOCUMENTS.items()
        for name, schema in content.get("components", {}).get("schemas", {}).items()
    }
    assert [where for where, schema in held.items() if not schema.get("description")] == []


def test_times_and_amounts_have_units() -> None:
    numbers = [
        (document, where, name, field) for document, where, name, field in FIELDS if NUMBER.search(name)
    ]
    assert len(numbers) > 100
    bad = [
        f"{where}: {words(document, field)}"
        for document, where, name, field in numbers
        if is_number(document, field) and not UNIT.search(words(document, field))
    ]
    bad += [
        f"{where}: {words(document, one)}"
        for document, where, one in parameters()
        if NUMBER.search(one["name"])
        and is_number(document, one["schema"])
        and not UNIT.search(words(document, one))
    ]
    assert bad == []
