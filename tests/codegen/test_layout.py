"""How declarations, docstrings and calls are laid out, so that modules of coroutines stay short."""

import json
import re

import pytest

from codegen.emit import emit
from codegen.plan import plan
from support.pets import Folder


def module_of(folder: Folder) -> str:
    """Return the module of the pets as text."""
    result, faults = plan(folder.load())
    assert [str(fault) for fault in faults] == []
    return emit(result)["scopes/workspace/pets.py"]


def text_of(folder: Folder, method: str) -> str:
    """Return a method of the pets as text."""
    _, _, rest = module_of(folder).partition(f"def {method}(")
    return rest.partition("\n\n    async def")[0]


def test_a_long_summary_leaves_the_route_to_the_prose(folder: Folder) -> None:
    summary = "List the pets, the big ones first and the small ones last, and none of them twice"
    folder.pets["get"] |= {"summary": summary, "description": "All of them."}
    assert (
        f"{summary}.\n\n        All of them. ``GET /api/v9/workspaces/{{workspace_id}}/pets``\n"
        in text_of(folder, "list")
    )
    folder.pets["get"]["description"] = "All of them, whatever their owners say about it in the forms."
    assert "in the forms.\n        ``GET /api/v9/workspaces/{workspace_id}/pets``\n" in text_of(
        folder, "list"
    )
    del folder.pets["get"]["description"]
    assert f"{summary}.\n\n        ``GET /api/v9/workspaces/{{workspace_id}}/pets``\n" in text_of(
        folder, "list"
    )


def test_the_plan_that_is_needed_closes_the_prose(folder: Folder) -> None:
    folder.pets["get"]["x-toggl-plan"] = "premium"
    assert "\n\n        Needs Premium.\n" in text_of(folder, "list")
    folder.pets["get"]["description"] = "All.\n\nEven the shy ones."
    assert "All.\n\n        Even the shy ones. Needs Premium.\n" in text_of(folder, "list")


@pytest.mark.parametrize(
    ("doc", "shown"), [("Id of the pet.", False), ("Id of the pet, not its owner's.", True)]
)
def test_ids_alone_are_described_where_they_do_not_speak_for_themselves(
    folder: Folder, doc: str, *, shown: bool
) -> None:
    path = "/api/v9/workspaces/{workspace_id}/pets/{pet_id}"
    pet_id = {"name": "pet_id", "in": "path", "required": True, "schema": {"type": "integer"}}
    folder.paths[path] = {
        "parameters": [*folder.pets["parameters"], {**pet_id, "description": doc}],
        "delete": {"summary": "Delete it.", "responses": {"200": {"description": "Done."}}},
    }
    folder.names = folder.names.replace("[scopes", f'"DELETE {path}" = "workspace.pets.delete"\n\n[scopes')
    assert (f"        Args:\n            pet_id: {doc}\n" in text_of(folder, "delete")) == shown


def test_declarations_are_filled_where_a_line_is_too_short(folder: Folder) -> None:
    folder.pets["post"] |= {"x-toggl-plan": "premium", "x-toggl-reads": True, "x-toggl-lane": "user"}
    assert """
_CREATE = Operation.declare(
    "workspace.pets.create", "POST /api/v9/workspaces/{workspace_id}/pets", Pet, lane=Lane.USER, reads=True,
    plan=Plan.PREMIUM,
)  # fmt: skip
""" in module_of(folder)


def test_what_is_sent_stands_in_the_call_or_before_it(folder: Folder) -> None:
    for number in range(3):
        folder.argument(f"number_{number}", {"type": "integer", "description": "A number."})
    sent = '**each(one_text, name=name), **each_of(("cat", "dog"), kind=kind),'
    numbers = "number_0=number_0, number_1=number_1, number_2=number_2"
    written = f"""        body = {{
            {sent}
            **each(whole_number, {numbers}),
        }}  # fmt: skip
        return await self._call(_CREATE, body=body)
"""
    assert text_of(folder, "create").endswith(written)


def test_many_values_of_a_choice_go_over_several_lines(folder: Folder) -> None:
    values = [f"value-{number}" for number in range(30)]
    folder.argument("mode", {"type": "string", "enum": values, "description": "A mode."})
    written = text_of(folder, "create")
    assert all(len(line) <= 110 for line in written.splitlines())
    assert (
        re.sub(r"\s+", " ", written).count(f"**each_of(({', '.join(map(json.dumps, values))}), mode=mode),")
        == 1
    )
