"""Fields that need a plan: from the documents to the declaration of their operation."""

import re
from typing import Any

from codegen.emit import emit
from codegen.plan import plan
from support.pets import Folder

STARTER: dict[str, Any] = {"type": "string", "description": "A word.", "x-toggl-plan": "starter"}
PREMIUM: dict[str, Any] = {**STARTER, "x-toggl-plan": "premium"}


def declared(folder: Folder, name: str) -> str:
    """Return the declaration of an operation on one line."""
    result, faults = plan(folder.load())
    assert faults == ()
    text = emit(result)["scopes/workspace/pets.py"]
    _, _, rest = text.partition(f"_{name} = Operation.declare(")
    return " ".join(re.split(r"\n\)|\n_", rest)[0].split())


def test_fields_and_parameters_are_declared_by_plan(folder: Folder) -> None:
    folder.argument("collar", PREMIUM)
    folder.argument("rate", STARTER)
    folder.argument("fee", STARTER)
    folder.query("since", {"type": "string"})
    assert 'gated={Plan.STARTER: "rate fee", Plan.PREMIUM: "collar"}' in declared(folder, "CREATE")
    assert "gated" not in declared(folder, "LIST")


def test_many_fields_of_one_plan_are_folded(folder: Folder) -> None:
    names = [f"field_number_{number}" for number in range(10)]
    for name in names:
        folder.argument(name, STARTER)
    text = declared(folder, "CREATE")
    _, _, gated = text.partition("gated={ Plan.STARTER: ")
    pieces = gated.partition(", }")[0].split('" "')
    assert len(pieces) == 2
    assert "".join(pieces).strip('"').split() == names


def test_a_parameter_of_the_query_counts(folder: Folder) -> None:
    folder.query("billable", {"type": "boolean"}, **{"x-toggl-plan": "starter"})
    assert 'gated={Plan.STARTER: "billable"}' in declared(folder, "LIST")


def test_a_field_that_needs_no_more_than_its_operation_is_not_declared(folder: Folder) -> None:
    folder.argument("rate", STARTER)
    folder.argument("collar", PREMIUM)
    folder.pets["post"]["x-toggl-plan"] = "starter"
    assert 'gated={Plan.PREMIUM: "collar"}' in declared(folder, "CREATE")


def test_a_field_that_has_to_be_given_cannot_be_left_out(folder: Folder) -> None:
    folder.argument("name", STARTER)
    assert "gated" not in declared(folder, "CREATE")


def test_fields_of_a_body_that_is_one_record_count(folder: Folder) -> None:
    folder.schemas["PetFields"] = {
        "description": "A pet as sent.",
        "type": "object",
        "required": ["name"],
        "properties": {"name": {"type": "string", "description": "The name."}, "rate": STARTER},
    }
    reference = {"schema": {"$ref": "#/components/schemas/PetFields"}}
    folder.pets["post"]["requestBody"] = {
        "content": {"application/json": reference},
        "x-toggl-argument": "pet",
    }
    folder.names = folder.names.replace(
        '"workspace.pets.create"', '{ name = "workspace.pets.create", body = "record" }'
    )
    folder.names = folder.names.replace('pets = ["Pet"]', 'pets = ["Pet", "PetFields"]')
    assert 'gated={Plan.STARTER: "rate"}' in declared(folder, "CREATE")
