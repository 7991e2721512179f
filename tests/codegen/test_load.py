from typing import Any

import pytest

from codegen.load import Named, Names, bundled, load
from support import own_documents
from support.pets import Folder


def test_a_good_folder_loads_without_faults(folder: Folder) -> None:
    source = folder.load()
    assert source.faults == ()
    assert [document.name for document in source.documents] == ["pets.yaml"]
    assert source.names.of("GET /api/v9/workspaces/{workspace_id}/pets") == Named(name="workspace.pets.list")
    assert source.names.of("GET /nowhere") is None


def test_an_invalid_document_is_a_fault_that_names_the_place(folder: Folder) -> None:
    del folder.document["info"]["title"]
    source = folder.load()
    assert source.documents == ()
    assert [str(fault) for fault in source.faults] == ["pets.yaml: info: 'title' is a required property"]


def test_other_versions_of_openapi_are_refused(folder: Folder) -> None:
    folder.document["openapi"] = "3.0.3"
    assert [fault.message for fault in folder.load().faults] == ["no OpenAPI 3.1 document"]


def test_a_reference_that_leads_nowhere_is_a_fault(folder: Folder) -> None:
    folder.pets["get"]["responses"]["200"]["content"]["application/json"]["schema"] = {
        "$ref": "#/components/schemas/Nobody"
    }
    source = folder.load()
    assert source.documents == ()
    assert "Nobody" in source.faults[0].message


def test_what_the_models_refuse_is_a_fault_too(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("codegen.load._violations", lambda name, content: iter(()))
    folder.document["info"] = "Pets"
    source = folder.load()
    assert source.documents == ()
    assert source.faults[0].message.startswith("info: ")


def test_text_that_is_no_yaml_is_a_fault(folder: Folder) -> None:
    (folder.save() / "spec" / "pets.yaml").write_text("a: [", "utf-8")
    assert load(folder.path).faults[0].message.startswith("no YAML: ")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[operations", "Expected ']'"),
        ("[operations]\n[scopes]\n[resources]\n[recordz]\n", "recordz"),
        ("", "operations"),
    ],
)
def test_a_broken_table_is_a_fault(folder: Folder, text: str, message: str) -> None:
    folder.names = text
    (fault,) = folder.load().faults
    assert fault.where == "names.toml"
    assert message in fault.message


def test_a_missing_table_is_a_fault(folder: Folder) -> None:
    (folder.save() / "corrections.toml").unlink()
    source = load(folder.path)
    assert [fault.where for fault in source.faults] == ["corrections.toml"]
    assert source.corrections == ()


def test_corrections_are_read(folder: Folder) -> None:
    folder.corrections = '[[correction]]\ndifferences = ["Pet.*: added"]\nreason = "Seen."\n'
    (correction,) = folder.load().corrections
    assert (correction.differences, correction.reason) == (("Pet.*: added",), "Seen.")


@pytest.mark.parametrize(
    ("wire", "python"),
    [
        ("name", "name"),
        ("startTime", "start_time"),
        ("withInlineRates", "with_inline_rates"),
        ("annual-master", "annual_master"),
        ("2fa_enabled", "two_factor_enabled"),
    ],
)
def test_names_of_the_wire_become_names_of_python(wire: str, python: str) -> None:
    names = Names(
        operations={}, scopes={}, resources={}, records={}, renames={"2fa_enabled": "two_factor_enabled"}
    )
    assert names.python_name(wire) == python


@pytest.mark.slow
def test_our_own_documents_have_no_fault() -> None:
    source = own_documents.source()
    assert [str(fault) for fault in source.faults] == []
    assert {"reports.yaml", "track.yaml"} <= {document.name for document in source.documents}


def test_what_is_borrowed_twice_is_copied_once_and_what_leads_nowhere_not_at_all() -> None:
    pet, nobody = "pets.yaml#/components/schemas/Pet", "nobody.yaml#/components/schemas/Owner"
    content = {"components": {"schemas": {"Home": {"anyOf": [{"$ref": one} for one in (pet, pet, nobody)]}}}}
    lent = {"pets.yaml": {"components": {"schemas": {"Pet": {"type": "object"}}}}}
    whole: Any = bundled(content, lent)
    assert whole["components"]["schemas"] == {
        "Home": {"anyOf": [{"$ref": f"#/components/schemas/{name}"} for name in ("Pet", "Pet", "Owner")]},
        "Pet": {"type": "object", "x-toggl-from": "pets.yaml"},
    }
