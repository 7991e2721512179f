"""Names that Python, a base class or the code around them has already are faults."""

from collections.abc import Callable

import pytest

from codegen.emit_scopes import _IMPORTS
from support.pets import Folder

Faults = Callable[[], list[str]]


@pytest.mark.parametrize(
    "name", ["class", "from", "1st", "list", "dt", "Json", "unknown", "wire_names", "Pet", "_id"]
)
def test_fields_that_python_or_annotations_cannot_live_with(
    folder: Folder, faults: Faults, name: str
) -> None:
    folder.names += f'[renames]\n"extra" = "{name}"\n'
    folder.field("extra", {"type": "string", "description": "More."})
    assert [fault for fault in faults() if fault.startswith(f"Pet.{name}: ")]


def test_fields_that_meet_in_one_name(folder: Folder, faults: Faults) -> None:
    folder.field("petName", {"type": "string", "description": "More."})
    folder.field("pet_name", {"type": "string", "description": "More."})
    assert faults() == ["Pet.pet_name: is there twice"]


@pytest.mark.parametrize("name", ["self", "UNSET", "import"])
def test_arguments_that_cannot_be_written(folder: Folder, faults: Faults, name: str) -> None:
    folder.names += f'[renames]\n"extra" = "{name}"\n'
    folder.query("extra", {"type": "string"})
    assert [fault for fault in faults() if fault.startswith(f"workspace.pets.list.{name}: ")]


@pytest.mark.parametrize("coroutine", ["dict", "import", "str"])
def test_coroutines_that_would_shadow_a_type(folder: Folder, faults: Faults, coroutine: str) -> None:
    folder.names = folder.names.replace("workspace.pets.create", f"workspace.pets.{coroutine}")
    assert [fault for fault in faults() if fault.startswith(f"workspace.pets.{coroutine}: ")]


@pytest.mark.parametrize("name", ["Pet", "Moment", *(word for word in _IMPORTS if word != "Literal")])
def test_classes_that_would_hide_what_their_module_needs(folder: Folder, faults: Faults, name: str) -> None:
    folder.names = folder.names.replace('class = "Pets"', f'class = "{name}"')
    assert faults() == [
        f"scopes.workspace.pets.{name}: would shadow a name that the code needs: rename it in names.toml"
    ]


def test_classes_of_one_module_have_names_of_their_own(folder: Folder, faults: Faults) -> None:
    folder.names = folder.names.replace(
        "[records]",
        '"workspace.kennel" = { class = "Pets", module = "workspace.pets", summary = "Huts." }\n[records]',
    )
    assert faults() == ["scopes.workspace.pets.Pets: is there twice"]
