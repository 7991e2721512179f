import json
from typing import Any

import pytest

from codegen.emit_sandbox import FILE, sandbox_files
from support.pets import PETS, WORKSPACE, Folder

LIST = "GET /api/v9/workspaces/{workspace_id}/pets"
CREATE = "POST /api/v9/workspaces/{workspace_id}/pets"


def told(folder: Folder) -> Any:
    ((path, text),) = sandbox_files(folder.load())
    assert path == FILE
    return json.loads(text)


def test_operations_and_records_are_taken_along_without_prose(folder: Folder) -> None:
    said = told(folder)
    assert said["operations"][LIST] == {
        "path": {"workspace_id": {"type": "integer"}},
        "status": 200,
        "answer": {"type": "array", "items": {"record": "Pet"}},
    }
    assert said["operations"][CREATE]["body"] == {
        "media": "application/json",
        "schema": {
            "type": "object",
            "fields": {"name": {"type": "string"}, "kind": {"type": "string", "enum": ["cat", "dog"]}},
            "required": ["name"],
        },
    }
    assert said["records"] == {
        "Pet": {
            "type": "object",
            "fields": {"id": {"type": "integer"}, "name": {"type": ["string", "null"]}},
            "required": ["id"],
        }
    }


def test_one_line_holds_one_operation_or_record(folder: Folder) -> None:
    ((_, text),) = sandbox_files(folder.load())
    assert sum(line.startswith('"') for line in text.splitlines()) == 4  # "records" is the fourth


def test_shared_parameters_and_what_is_required_are_found(folder: Folder) -> None:
    folder.document["components"]["parameters"] = {"workspace_id": WORKSPACE}
    folder.paths["/api/v9/workspaces/{workspace_id}/pets"]["parameters"] = [
        {"$ref": "#/components/parameters/workspace_id"}
    ]
    folder.query("kind", {"type": "string"}, required=True)
    folder.query("page", {"type": "integer"})
    folder.pets["get"]["parameters"].append({"name": "X-Kind", "in": "header", "schema": {"type": "string"}})
    found = told(folder)["operations"][LIST]
    assert found["path"] == {"workspace_id": {"type": "integer"}}
    assert found["query"] == {"kind": {"type": "string"}, "page": {"type": "integer"}}
    assert found["required"] == ["kind"]


def test_a_document_may_hold_no_schemas(folder: Folder) -> None:
    del folder.document["components"]
    folder.pets["get"]["responses"] = {"200": {"description": "Well."}}
    del folder.paths["/api/v9/workspaces/{workspace_id}/pets"]["post"]
    assert told(folder) == {
        "operations": {LIST: {"path": {"workspace_id": {"type": "integer"}}, "status": 200}},
        "records": {},
    }


def test_parts_are_merged_and_plain_schemas_written_out(folder: Folder) -> None:
    folder.schemas["Kind"] = {"type": "string", "enum": ["cat"]}
    folder.field("kind", {"$ref": "#/components/schemas/Kind"})
    folder.field("parent", {"oneOf": [{"$ref": "#/components/schemas/Pet"}, {"type": "null"}]})
    folder.field("names", {"type": "object", "additionalProperties": {"type": "string"}})
    folder.pets["post"]["requestBody"] = {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "allOf": [
                        {"$ref": "#/components/schemas/Pet"},
                        {"properties": {"age": {"type": "integer"}}, "required": ["age"]},
                    ]
                }
            }
        },
    }
    said = told(folder)
    fields = said["records"]["Pet"]["fields"]
    assert fields["kind"] == {"type": "string", "enum": ["cat"]}
    assert fields["parent"] == {"oneOf": [{"record": "Pet"}, {"type": "null"}]}
    assert fields["names"] == {"type": "object", "values": {"type": "string"}}
    body = said["operations"][CREATE]["body"]
    assert body["required"]
    assert set(body["schema"]["fields"]) == {"age", "id", "kind", "name", "names", "parent"}
    assert body["schema"]["required"] == ["id", "age"]


@pytest.mark.parametrize(
    ("responses", "expected"),
    [
        ({"302": {"description": "There."}, "403": {"description": "No."}}, {"status": 302}),
        ({"200": {"description": "Well."}, "204": {"description": "Nothing."}}, {"status": 200}),
        (
            {"201": {"description": "A file.", "content": {"text/csv": {"schema": {"type": "string"}}}}},
            {"status": 201, "media": ["text/csv"]},
        ),
        (
            {"200": {"description": "Well.", "content": {"application/json": {"schema": PETS}}}},
            {"status": 200, "answer": {"type": "array", "items": {"record": "Pet"}}},
        ),
    ],
)
def test_the_first_success_is_the_answer(folder: Folder, responses: Any, expected: Any) -> None:
    folder.pets["get"]["responses"] = responses
    found = told(folder)["operations"][LIST]
    assert {key: found[key] for key in found if key != "path"} == expected
