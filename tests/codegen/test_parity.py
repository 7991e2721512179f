import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from codegen.load import Correction
from codegen.parity import Facts, differences, main, unexplained
from support.pets import PETS, Folder, answer

LIST = "GET /api/v9/workspaces/{workspace_id}/pets"
CREATE = "POST /api/v9/workspaces/{workspace_id}/pets"
WORKSPACE: dict[str, Any] = {"name": "workspace_id", "in": "path", "required": True, "type": "integer"}


def table() -> dict[str, Any]:
    """What the official document would say if it agreed with ours."""
    common = {"path": "/workspaces/{workspace_id}/pets", "parameters": [WORKSPACE]}
    return {
        "family": "track-v9",
        "operations": [
            {
                **common,
                "method": "GET",
                "body": None,
                "responses": {"200": {"schema": {"type": "array", "items": {"ref": "models.Pet"}}}},
            },
            {
                **common,
                "method": "POST",
                "body": {"required": True, "ref": "pet.Payload"},
                "responses": {"200": {"schema": {"ref": "models.Pet"}}},
            },
        ],
        "records": {
            "models.Pet": {
                "type": "object",
                "fields": {"id": {"type": "integer"}, "name": {"type": "string", "nullable": True}},
            },
            "pet.Payload": {
                "type": "object",
                "fields": {"name": {"type": "string"}, "kind": {"ref": "models.Kind"}},
            },
            "models.Kind": {"type": "string", "enum": ["cat", "dog"]},
        },
    }


def compared(folder: Folder, facts: dict[str, Any], tmp_path: Path) -> list[str]:
    place = tmp_path / "facts"
    place.mkdir(exist_ok=True)
    (place / "track.json").write_text(json.dumps(facts), "utf-8")
    return list(differences(folder.load(), Facts.read(place)))


def test_what_agrees_has_no_difference(folder: Folder, tmp_path: Path) -> None:
    assert compared(folder, table(), tmp_path) == []


def test_differences_of_operations(folder: Folder, tmp_path: Path) -> None:
    facts = table()
    listing, creation = facts["operations"]
    listing["parameters"] = [
        WORKSPACE,
        {"name": "page", "in": "formData", "required": True, "type": "string"},
    ]
    listing["responses"]["200"] |= {"headers": ["X-Page"], "schema": {"type": "string"}}
    creation["body"] = None
    facts["operations"].append({**listing, "path": "/birds"})
    folder.query("search", {"type": "string"})
    folder.query("page", {"type": "integer"})
    assert compared(folder, facts, tmp_path) == [
        f"{LIST} parameter search: added",
        f"{LIST} parameter page: in formData -> query",
        f"{LIST} parameter page: required -> optional",
        f"{LIST} parameter page: string -> integer",
        f"{LIST} header x-page: only one side has it",
        f"{LIST} answer: string -> array",
        f"{CREATE} body: added",
        "GET /api/v9/birds: is in no document",
    ]


def test_differences_the_other_way_round(folder: Folder, tmp_path: Path) -> None:
    facts = table()
    del facts["operations"][0]
    facts["operations"][0]["parameters"].append(
        {"name": "page", "in": "query", "required": False, "type": "string"}
    )
    del folder.pets["post"]["requestBody"]
    folder.pets["post"]["responses"] = {"200": {"description": "Done."}}
    assert compared(folder, facts, tmp_path) == [
        f"{LIST}: is not in the facts",
        f"{CREATE} parameter page: left out",
        f"{CREATE} body: left out",
        f"{CREATE} answer: object -> nothing",
    ]


def test_differences_of_fields(folder: Folder, tmp_path: Path) -> None:
    facts = table()
    records = facts["records"]
    records["models.Pet"]["fields"] |= {
        "tail": {"type": "boolean"},
        "age": {"type": "integer", "deprecated": True},
        "born": {"type": "string", "format": "date"},
    }
    records["models.Pet"]["fields"]["name"].pop("nullable")
    records["models.Pet"]["fields"]["id"]["nullable"] = True
    records["pet.Payload"]["fields"]["name"]["plan_gated"] = True
    folder.field("age", {"type": "integer", "description": "Its age."})
    folder.field("born", {"type": "string", "format": "date-time", "description": "When."})
    folder.field("legs", {"type": "integer", "description": "How many."})
    folder.argument(
        "kind", {"type": "string", "description": "What.", "deprecated": True, "x-toggl-plan": "starter"}
    )
    assert compared(folder, facts, tmp_path) == [
        "models.Pet.legs: added",
        "models.Pet.id: not nullable",
        "models.Pet.name: nullable",
        "models.Pet.tail: left out",
        "models.Pet.age: not deprecated",
        "models.Pet.born: string date -> string date-time",
        f"{CREATE} body.name: needs no plan",
        f"{CREATE} body.kind: string of cat, dog -> string",
        f"{CREATE} body.kind: deprecated",
        f"{CREATE} body.kind: needs a plan",
    ]


def test_either_and_nullable_answers(folder: Folder, tmp_path: Path) -> None:
    folder.pets["get"]["responses"] = answer({"oneOf": [PETS, {"type": "string"}, {"type": "null"}]})
    assert compared(folder, table(), tmp_path) == [
        f"{LIST} answer: array -> array or string",
        f"{LIST} answer: nullable",
    ]


@pytest.mark.parametrize("word", ["oneOf", "anyOf"])
def test_records_that_may_be_null_are_looked_into(folder: Folder, tmp_path: Path, word: str) -> None:
    facts = table()
    facts["records"]["models.Owner"] = {"type": "object", "fields": {"id": {"type": "integer"}}}
    facts["records"]["models.Pet"]["fields"]["owner"] = {"ref": "models.Owner", "nullable": True}
    folder.schemas["Owner"] = {
        "description": "An owner.",
        "properties": {"id": {"type": "string"}, "name": {"type": "string"}},
        "type": "object",
    }
    owner = {"$ref": "#/components/schemas/Owner"}
    folder.field("owner", {word: [owner, {"type": "null"}], "description": "Whose it is."})
    found = ["models.Owner.name: added", "models.Owner.id: integer -> string"]
    assert compared(folder, facts, tmp_path) == found
    folder.field("owner", {word: [{"type": "string"}, owner], "description": "Whose it is."})
    assert compared(folder, facts, tmp_path) == [
        "models.Pet.owner: object -> string or object",
        *found,
        "models.Pet.owner: not nullable",
    ]


def test_maps_are_looked_into(folder: Folder, tmp_path: Path) -> None:
    facts = table()
    facts["records"]["models.Owner"] = {"type": "object", "fields": {"id": {"type": "integer"}}}
    owners = {"type": "array", "items": {"ref": "models.Owner"}}
    facts["records"]["models.Pet"]["fields"] |= {
        "owners": {"type": "object", "values": owners},
        "marks": {"type": "object", "values": {"type": "any"}},
        "colors": {"type": "object", "values": {"type": "string"}},
    }
    folder.schemas["Owner"] = {
        "description": "An owner.",
        "type": "object",
        "properties": {"id": {"type": "string"}},
    }
    lists = {"type": ["array", "null"], "items": {"$ref": "#/components/schemas/Owner"}}
    folder.field("owners", {"type": "object", "additionalProperties": lists, "description": "Whose."})
    folder.field("marks", {"type": "object", "additionalProperties": True, "description": "How."})
    folder.field("colors", {"type": "object", "additionalProperties": True, "description": "Which."})
    assert compared(folder, facts, tmp_path) == [
        "models.Owner.id: integer -> string",
        "models.Pet.owners{}: nullable",
        "models.Pet.colors: map -> object",
    ]


def test_objects_without_a_name_are_looked_into(folder: Folder, tmp_path: Path) -> None:
    facts = table()
    facts["operations"][0]["responses"]["200"]["schema"] = {
        "type": "object",
        "fields": {"id": {"type": "string"}},
    }
    folder.pets["get"]["responses"] = answer({"$ref": "#/components/schemas/Pet"})
    assert f"{LIST} answer.id: string -> integer" in compared(folder, facts, tmp_path)


def test_objects_that_are_described_on_one_side_only(folder: Folder, tmp_path: Path) -> None:
    facts = table()
    facts["records"]["models.Pet"]["fields"] |= {
        "house": {"type": "object", "fields": {"door": {"type": "string"}}},
        "owner": {"type": "object"},
    }
    folder.schemas["Owner"] = {
        "description": "An owner.",
        "type": "object",
        "properties": {"id": {"type": "string"}},
    }
    folder.field("house", {"type": "object", "additionalProperties": True, "description": "Where."})
    folder.field("owner", {"$ref": "#/components/schemas/Owner", "description": "Whose."})
    assert compared(folder, facts, tmp_path) == [
        "models.Pet.house: fields left out",
        "models.Pet.owner: fields added",
    ]


def test_every_kind_of_a_field_is_named(folder: Folder, tmp_path: Path) -> None:
    folder.field("id", {"type": ["string", "integer", "null"], "description": "Its id."})
    assert compared(folder, table(), tmp_path) == [
        "models.Pet.id: integer -> string or integer",
        "models.Pet.id: nullable",
    ]


def test_bodies_that_are_no_object(folder: Folder, tmp_path: Path) -> None:
    facts = table()
    facts["operations"][1]["body"] = {"required": True, "type": "array", "items": {"type": "string"}}
    assert compared(folder, facts, tmp_path) == [f"{CREATE} body: array -> object"]


def test_parameters_under_components_and_answers_without_facts(folder: Folder, tmp_path: Path) -> None:
    facts = table()
    del facts["operations"][0]["responses"]["200"]
    folder.document["components"]["parameters"] = {
        "search": {"name": "search", "in": "query", "description": "A word", "schema": {"type": "string"}}
    }
    folder.pets["get"]["parameters"] = [{"$ref": "#/components/parameters/search"}]
    folder.pets["post"]["responses"] = {"404": {"description": "No."}}
    assert compared(folder, facts, tmp_path) == [
        f"{LIST} parameter search: added",
        f"{LIST} answer: nothing -> array",
        f"{CREATE} answer: left out",
    ]


def test_answers_without_content_on_both_sides_agree(folder: Folder, tmp_path: Path) -> None:
    facts = table()
    facts["operations"][1]["responses"] = {"200": {}}
    folder.pets["post"]["responses"] = {"200": {"description": "Done."}}
    assert compared(folder, facts, tmp_path) == []


def test_patterns_explain_and_idle_ones_are_named() -> None:
    corrections = [
        Correction(differences=("Pet.*: added", "* body.*_ids[]: nullable"), reason="Seen."),
        Correction(differences=("Bird.*",), reason="Seen."),
    ]
    found = ["Pet.tail: added", "POST /x body.pet_ids[]: nullable", "Pet.legs: left out"]
    assert unexplained(found, corrections) == (["Pet.legs: left out"], ["Bird.*"])


def test_the_command_fails_on_what_nothing_explains(
    folder: Folder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    facts = table()
    facts["records"]["models.Pet"]["fields"]["tail"] = {"type": "boolean"}
    place = tmp_path / "facts"
    place.mkdir()
    (place / "track.json").write_text(json.dumps(facts), "utf-8")
    assert main([str(place), "--spec", str(folder.save())]) == 1
    assert capsys.readouterr().out == "unexplained: models.Pet.tail: left out\n1 differences, 1 unexplained\n"
    folder.corrections = (
        '[[correction]]\ndifferences = ["models.Pet.tail: left out"]\nreason = "Pets have none."\n'
    )
    assert main([str(place), "--spec", str(folder.save())]) == 0
    assert capsys.readouterr().out == "1 differences, 0 unexplained\n"


def test_the_command_is_a_module(folder: Folder, tmp_path: Path) -> None:
    place = tmp_path / "facts"
    place.mkdir()
    (place / "track.json").write_text(json.dumps(table()), "utf-8")
    run = subprocess.run(
        [sys.executable, "-m", "codegen.parity", str(place), "--spec", str(folder.save())],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "0 differences, 0 unexplained\n", "")
