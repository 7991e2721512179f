from collections.abc import Callable
from typing import Any

import pytest

from codegen.load import load
from codegen.model import (
    Choice,
    Either,
    Kind,
    ListOf,
    MapOf,
    Nullable,
    OperationPlan,
    Plain,
    RecordRef,
    SpecType,
)
from codegen.plan import plan
from support.pets import PET, PETS, Folder, answer, body

Faults = Callable[[], list[str]]
INTEGER, TEXT = Plain(Kind.INTEGER), Plain(Kind.TEXT)


def operations(folder: Folder) -> dict[str, OperationPlan]:
    result, faults = plan(folder.load())
    assert [str(fault) for fault in faults] == []
    return {one.name: one for one in result.operations}


def test_the_plan_of_the_pets(folder: Folder) -> None:
    result, faults = plan(folder.load())
    assert faults == ()
    (module,) = result.records
    (pet,) = module.records
    assert (module.name, module.documents, module.imports) == ("pets", ("pets.yaml",), {})
    assert [(field.name, field.type, field.required) for field in pet.fields] == [
        ("id", INTEGER, True),
        ("name", Nullable(TEXT), False),
    ]
    assert not pet.sent
    listing, creation = result.operations
    assert (listing.name, listing.coroutine, listing.walker) == ("workspace.pets.list", "list", "iter")
    assert listing.result == ListOf(RecordRef("Pet"))
    assert (listing.ids, listing.query, listing.body, listing.paging) == ((), (), None, None)
    assert creation.body is not None
    assert [(one.name, one.type, one.required) for one in creation.body.arguments] == [
        ("name", TEXT, True),
        ("kind", Choice(("cat", "dog")), False),
    ]
    assert result.resource("workspace.pets").operations == (listing, creation)
    assert result.resource("workspace").children == ("workspace.pets",)


@pytest.mark.parametrize(
    ("schema", "sent", "received"),
    [
        ({"type": "string", "format": "date-time"}, Plain(Kind.MOMENT), Plain(Kind.MOMENT)),
        ({"type": "string", "format": "date"}, Plain(Kind.DAY), Plain(Kind.DAY)),
        ({"type": "integer", "format": "unix-time"}, Plain(Kind.UNIX_TIME), INTEGER),
        ({"type": "string", "enum": ["a"]}, Choice(("a",)), TEXT),
        ({"type": ["string", "null"], "enum": ["a", None]}, Nullable(Choice(("a",))), Nullable(TEXT)),
        ({"type": "number"}, Plain(Kind.NUMBER), Plain(Kind.NUMBER)),
        ({"type": "array", "items": {"type": "boolean"}}, ListOf(Plain(Kind.FLAG)), ListOf(Plain(Kind.FLAG))),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, MapOf(INTEGER), MapOf(INTEGER)),
        ({"type": "object"}, MapOf(Plain(Kind.FREE)), MapOf(Plain(Kind.FREE))),
        ({}, Plain(Kind.FREE), Plain(Kind.FREE)),
        ({"type": ["integer", "string"]}, Either((INTEGER, TEXT)), Either((INTEGER, TEXT))),
        ({"oneOf": [{"type": "integer"}, {"type": "null"}]}, Nullable(INTEGER), Nullable(INTEGER)),
        (
            {"anyOf": [{"type": "integer"}, {"type": "string"}]},
            Either((INTEGER, TEXT)),
            Either((INTEGER, TEXT)),
        ),
    ],
)
def test_schemas_become_types(
    folder: Folder, schema: dict[str, Any], sent: SpecType, received: SpecType
) -> None:
    folder.field("extra", {**schema, "description": "More."})
    folder.argument("extra", {**schema, "description": "More."})
    result, faults = plan(folder.load())
    assert faults == ()
    assert result.records[0].records[0].fields[-1].type == received
    given = result.operations[1].body
    assert given is not None
    assert given.arguments[-1].type == sent


def test_extensions_reach_the_plan(folder: Folder) -> None:
    folder.pets["get"] |= {"x-toggl-plan": "premium", "x-toggl-lane": "user", "x-toggl-workspaces": ""}
    folder.pets["post"] |= {"x-toggl-reads": True}
    folder.argument(
        "workspace_id", {"type": "integer", "description": "It.", "x-toggl-bound": "workspace_id"}
    )
    folder.argument("made_with", {"type": "string", "description": "What", "x-toggl-default": "me"})
    folder.argument("price", {"type": "number", "description": "What it costs", "x-toggl-plan": "starter"})
    folder.argument("pid", {"type": "integer", "x-toggl-legacy": "id"})
    folder.field("pid", {"type": "integer", "x-toggl-legacy": "id"})
    folder.field("key", {"type": "string", "description": "The key.", "x-toggl-secret": True})
    folder.pets["post"]["responses"]["402"] = {"description": "No.", "x-toggl-error": "cats cost"}
    listing, creation = operations(folder).values()
    assert (listing.plan, listing.lane, listing.workspaces, listing.reads) == ("premium", "user", "", None)
    assert creation.reads
    assert creation.errors == (("FeatureUnavailable", "cats cost."),)
    assert creation.body is not None
    assert [(one.wire, one.bound, one.default) for one in creation.body.arguments[2:]] == [
        ("workspace_id", "workspace_id", None),
        ("made_with", None, "me"),
        ("price", None, None),
    ]
    assert creation.body.arguments[-1].doc == "What it costs. Needs Starter."
    (pet,) = plan(folder.load())[0].records[0].records
    assert pet.legacy == ("pid",)
    assert [field.name for field in pet.fields if field.secret] == ["key"]


def test_ids_are_those_of_the_path_that_the_scope_does_not_hold(folder: Folder) -> None:
    number = {
        "name": "pet_ids",
        "in": "path",
        "required": True,
        "description": "Ids of pets.",
        "schema": {"type": "array", "items": {"type": "integer"}},
    }
    folder.paths["/api/v9/workspaces/{workspace_id}/pets/{pet_ids}"] = {
        "delete": {
            "summary": "Delete pets",
            "parameters": [folder.pets["parameters"][0], number],
            "responses": {"200": {"description": "Gone."}},
        }
    }
    folder.names = folder.names.replace(
        "[operations]",
        '[operations]\n"DELETE /api/v9/workspaces/{workspace_id}/pets/{pet_ids}" = "workspace.pets.delete"',
    )
    deletion = operations(folder)["workspace.pets.delete"]
    assert [(one.name, one.type) for one in deletion.ids] == [("pet_ids", ListOf(INTEGER))]
    assert deletion.result == Plain(Kind.NOTHING)
    assert deletion.summary == "Delete pets."


def test_parameters_may_stand_under_components(folder: Folder) -> None:
    folder.document["components"]["parameters"] = {
        "search": {"name": "searchFor", "in": "query", "description": "A word", "schema": {"type": "string"}}
    }
    folder.pets["get"]["parameters"] = [{"$ref": "#/components/parameters/search"}]
    (argument,) = operations(folder)["workspace.pets.list"].query
    assert (argument.name, argument.wire, argument.doc) == ("search_for", "searchFor", "A word.")


def test_a_parameter_that_leads_to_another_reference_is_left_out(folder: Folder) -> None:
    folder.document["components"]["parameters"] = {
        "word": {"$ref": "#/components/parameters/search"},
        "search": {"name": "search", "in": "query", "description": "A word", "schema": {"type": "string"}},
    }
    folder.pets["get"]["parameters"] = [{"$ref": "#/components/parameters/word"}]
    assert operations(folder)["workspace.pets.list"].query == ()


def test_parts_of_a_body_are_put_together(folder: Folder) -> None:
    folder.schemas["PetFields"] = {
        "type": "object",
        "properties": {"name": {"type": "string", "description": "It."}},
    }
    folder.pets["post"]["requestBody"] = body(
        {"allOf": [{"$ref": "#/components/schemas/PetFields"}, {"required": ["name"]}]}
    )
    creation = operations(folder)["workspace.pets.create"]
    assert creation.body is not None
    assert [(one.name, one.required) for one in creation.body.arguments] == [("name", True)]


def test_a_list_in_a_body_is_one_argument(folder: Folder) -> None:
    folder.schemas["PetInput"] = {
        "description": "A pet to be.",
        "properties": {"name": {"description": "A name."}},
    }
    folder.names = folder.names.replace('["Pet"]', '["Pet", "PetInput"]')
    folder.pets["post"]["requestBody"] = body(
        {"type": "array", "items": {"$ref": "#/components/schemas/PetInput"}},
        **{"x-toggl-argument": "pets", "description": "The pets"},
    )
    creation = operations(folder)["workspace.pets.create"]
    assert creation.body is not None
    (argument,) = creation.body.arguments
    assert (creation.body.style, argument.name, argument.type) == (
        "whole",
        "pets",
        ListOf(RecordRef("PetInput")),
    )
    sent = plan(folder.load())[0].records[0].records[1]
    assert sent.sent


def test_a_body_becomes_one_record_where_the_table_says_so(folder: Folder) -> None:
    fields = {"name": {"type": "string", "description": "It."}}
    folder.schemas["PetFields"] = {"description": "What can be set.", "type": "object", "properties": fields}
    folder.pets["post"]["requestBody"] = body(
        {"$ref": "#/components/schemas/PetFields"}, **{"x-toggl-argument": "fields"}
    )
    folder.names = folder.names.replace(
        '"workspace.pets.create"', '{ name = "workspace.pets.create", body = "record" }'
    )
    folder.names = folder.names.replace('["Pet"]', '["Pet", "PetFields"]')
    creation = operations(folder)["workspace.pets.create"]
    assert creation.body is not None
    assert [(one.name, one.type) for one in creation.body.arguments] == [("fields", RecordRef("PetFields"))]


@pytest.mark.parametrize("media", ["text/csv", "application/pdf"])
def test_files_come_as_bytes(folder: Folder, media: str) -> None:
    folder.pets["get"]["responses"] = {"200": {"description": "A file.", "content": {media: {}}}}
    assert operations(folder)["workspace.pets.list"].result == Plain(Kind.BYTES)


def test_records_import_from_other_modules(folder: Folder) -> None:
    folder.schemas["Owner"] = {"description": "An owner.", "properties": {"id": {"description": "An id."}}}
    folder.field(
        "owner",
        {"oneOf": [{"$ref": "#/components/schemas/Owner"}, {"type": "string"}], "description": "Who."},
    )
    folder.names += 'owners = ["Owner"]\n'
    result, faults = plan(folder.load())
    assert faults == ()
    assert result.records[0].imports == {"owners": ("Owner",)}


# What is wrong is listed, all of it at once.


def test_every_fault_is_listed_in_one_run(folder: Folder, faults: Faults) -> None:
    del folder.pets["get"]["summary"]
    del folder.schemas["Pet"]["description"]
    folder.field("age", {"type": "integer"})
    folder.query("word", {"type": "string"}, description="")
    folder.names = folder.names.replace('"workspace.pets.create"', '"workspace.birds.create"')
    assert set(faults()) == {
        "GET /api/v9/workspaces/{workspace_id}/pets word: has no description",
        "GET /api/v9/workspaces/{workspace_id}/pets: has no summary",
        "POST /api/v9/workspaces/{workspace_id}/pets: there is no scope or resource 'workspace.birds'",
        "Pet.age: has no description",
        "Pet: has no description",
    }


def test_names_and_documents_have_to_agree(folder: Folder, faults: Faults) -> None:
    folder.names = folder.names.replace("GET /api/v9/workspaces/{workspace_id}/pets", "GET /api/v9/pets")
    assert faults() == [
        "GET /api/v9/pets: is named, but in no document",
        "GET /api/v9/workspaces/{workspace_id}/pets: has no name in names.toml",
    ]


def test_a_name_is_given_once(folder: Folder, faults: Faults) -> None:
    folder.names = folder.names.replace("workspace.pets.create", "workspace.pets.list")
    assert "POST /api/v9/workspaces/{workspace_id}/pets: the name workspace.pets.list is taken" in faults()


def test_a_resource_needs_its_scope(folder: Folder, faults: Faults) -> None:
    folder.names = folder.names.replace('"workspace.pets" = {', '"workspace.zoo.pets" = {')
    assert "workspace.zoo.pets: there is no scope or resource 'workspace.zoo'" in faults()


def test_records_are_filed_once_and_used(folder: Folder, faults: Faults) -> None:
    folder.names = folder.names.replace('["Pet"]', '["Bird"]')
    assert faults() == ["Bird: is named, but no operation uses it", "Pet: is in no module of records"]


def test_a_record_stands_after_those_that_it_holds(folder: Folder, faults: Faults) -> None:
    folder.schemas["Owner"] = {"description": "An owner.", "properties": {"id": {"description": "An id."}}}
    folder.field("owner", {"$ref": "#/components/schemas/Owner", "description": "Who."})
    folder.names = folder.names.replace('["Pet"]', '["Pet", "Owner"]')
    assert faults() == ["Pet: must stand after Owner, which it holds"]


def test_a_record_may_hold_others_of_its_kind(folder: Folder, faults: Faults) -> None:
    folder.field("parent", {"$ref": "#/components/schemas/Pet", "description": "Who."})
    assert faults() == []


def test_modules_that_import_each_other_are_a_fault(folder: Folder, faults: Faults) -> None:
    folder.schemas["Owner"] = {
        "description": "An owner.",
        "properties": {"pets": {**PETS, "description": "The pets."}},
    }
    folder.field("owner", {"$ref": "#/components/schemas/Owner", "description": "Who."})
    folder.names += 'owners = ["Owner"]\n'
    assert faults() == [
        "records.owners: is in a circle of imports with owners, pets",
        "records.pets: is in a circle of imports with owners, pets",
    ]


def test_a_record_travels_one_way(folder: Folder, faults: Faults) -> None:
    folder.argument("friend", {"$ref": "#/components/schemas/Pet", "description": "Who."})
    assert "Pet: travels both ways: give what is sent a record of its own" in faults()


def test_one_record_stands_in_one_document(folder: Folder) -> None:
    source = folder.load()
    (folder.path / "spec" / "zoo.yaml").write_bytes((folder.path / "spec" / "pets.yaml").read_bytes())
    messages = [str(fault) for fault in plan(load(folder.path))[1]]
    assert len(source.documents) == 1
    assert "Pet: stands in pets.yaml too" in messages


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"type": "integer", "format": "roman"}, "no type for integer with format roman"),
        ({"type": "object", "properties": {"a": {}}}, "an object with fields needs a name under components"),
    ],
)
def test_schemas_that_mean_nothing_here(
    folder: Folder, faults: Faults, change: dict[str, Any], fault: str
) -> None:
    folder.field("extra", {**change, "description": "More."})
    assert faults() == [f"Pet.extra: {fault}"]


@pytest.mark.parametrize(
    ("operation", "change", "fault"),
    [
        ("get", {"x-toggl-paging": {"scheme": "by-magic"}}, "no paging scheme 'by-magic'"),
        (
            "get",
            {"x-toggl-paging": {"scheme": "page-number"}, "responses": answer({"type": "string"})},
            "pages, but its answer holds no list",
        ),
        (
            "post",
            {"requestBody": body({"type": "array", "items": {"type": "string"}})},
            "a body that is no flat object needs x-toggl-argument",
        ),
        (
            "post",
            {"requestBody": {"content": {"text/csv": {}}}},
            "has a body that is neither JSON nor a form",
        ),
        ("post", {"requestBody": {"content": {"application/json": {}}}}, "JSON without a schema"),
    ],
)
def test_operations_that_cannot_be_written(
    folder: Folder, faults: Faults, operation: str, change: dict[str, Any], fault: str
) -> None:
    folder.pets[operation] |= change
    assert f"{operation.upper()} /api/v9/workspaces/{{workspace_id}}/pets: {fault}" in faults()


def test_path_and_parameters_have_to_agree(
    folder: Folder, faults: Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("codegen.load._violations", lambda name, content: iter(()))
    folder.pets["parameters"] = []
    assert (
        "GET /api/v9/workspaces/{workspace_id}/pets: path and parameters disagree on workspace_id" in faults()
    )


def test_a_walker_is_named_after_its_coroutine(folder: Folder) -> None:
    folder.names = folder.names.replace("workspace.pets.list", "workspace.pets.list_all")
    assert operations(folder)["workspace.pets.list_all"].walker == "iter_all"
    assert PET["required"] == ["id"]
