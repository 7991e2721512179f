"""A tiny API about pets, for the tests of the generator."""

from pathlib import Path
from typing import Any

import attrs
import yaml

from codegen.load import Specification, load

NAMES = """
[operations]
"GET /api/v9/workspaces/{workspace_id}/pets" = "workspace.pets.list"
"POST /api/v9/workspaces/{workspace_id}/pets" = "workspace.pets.create"

[scopes.workspace]
class = "WorkspaceScope"
summary = "One workspace."
bound = ["workspace_id"]

[resources]
"workspace.pets" = { class = "Pets", module = "workspace.pets", summary = "Pets." }

[records]
pets = ["Pet"]
"""

WORKSPACE = {
    "name": "workspace_id",
    "in": "path",
    "required": True,
    "description": "Id of the workspace.",
    "schema": {"type": "integer"},
}
PET = {
    "description": "A pet.",
    "type": "object",
    "required": ["id"],
    "properties": {
        "id": {"type": "integer", "description": "Its id."},
        "name": {"type": ["string", "null"], "description": "Its name."},
    },
}
PETS = {"type": "array", "items": {"$ref": "#/components/schemas/Pet"}}


def answer(schema: dict[str, Any]) -> dict[str, Any]:
    return {"200": {"description": "Well.", "content": {"application/json": {"schema": schema}}}}


def body(schema: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"content": {"application/json": {"schema": schema}}, **more}


DOCUMENT: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {"title": "Pets", "version": "1"},
    "paths": {
        "/api/v9/workspaces/{workspace_id}/pets": {
            "parameters": [WORKSPACE],
            "get": {"summary": "List the pets.", "responses": answer(PETS)},
            "post": {
                "summary": "Create a pet.",
                "requestBody": body(
                    {
                        "type": "object",
                        "required": ["name"],
                        "properties": {
                            "name": {"type": "string", "description": "The name."},
                            "kind": {"type": "string", "enum": ["cat", "dog"], "description": "The kind."},
                        },
                    }
                ),
                "responses": answer({"$ref": "#/components/schemas/Pet"}),
            },
        }
    },
    "components": {"schemas": {"Pet": PET}},
}


@attrs.define
class Folder:
    """A folder with one document about pets, to be bent as a test needs it."""

    path: Path
    document: dict[str, Any]
    names: str = NAMES
    corrections: str = ""

    @property
    def paths(self) -> dict[str, Any]:
        paths: dict[str, Any] = self.document["paths"]
        return paths

    @property
    def pets(self) -> dict[str, Any]:
        pets: dict[str, Any] = self.paths["/api/v9/workspaces/{workspace_id}/pets"]
        return pets

    @property
    def schemas(self) -> dict[str, Any]:
        schemas: dict[str, Any] = self.document["components"]["schemas"]
        return schemas

    def field(self, name: str, schema: dict[str, Any], *, record: str = "Pet") -> None:
        self.schemas[record]["properties"][name] = schema

    def argument(self, name: str, schema: dict[str, Any]) -> None:
        properties = self.pets["post"]["requestBody"]["content"]["application/json"]["schema"]["properties"]
        properties[name] = schema

    def query(self, name: str, schema: dict[str, Any], **more: Any) -> None:
        one = {"name": name, "in": "query", "description": "A word.", "schema": schema, **more}
        self.pets["get"].setdefault("parameters", []).append(one)

    def save(self) -> Path:
        (self.path / "spec").mkdir(parents=True, exist_ok=True)
        (self.path / "spec" / "pets.yaml").write_text(yaml.safe_dump(self.document, sort_keys=False), "utf-8")
        (self.path / "names.toml").write_text(self.names, "utf-8")
        (self.path / "corrections.toml").write_text(self.corrections, "utf-8")
        return self.path

    def load(self) -> Specification:
        return load(self.save())
