import json
from typing import Any

import pytest

from codegen.emit_sandbox import sandbox_files
from support.own_documents import contents, source
from support.pets import Folder


def test_a_document_is_taken_along_as_it_is(folder: Folder) -> None:
    ((path, text),) = sandbox_files(folder.load())
    assert path == "sandbox/openapi/pets.json"
    assert json.loads(text) == folder.document


def test_one_line_holds_one_path_or_component(folder: Folder) -> None:
    ((_, text),) = sandbox_files(folder.load())
    for key in (*folder.paths, *folder.schemas):
        (line,) = (line for line in text.splitlines() if line.startswith(f'"{key}"'))
        assert line.count("{") > 1 or line.endswith("{")


@pytest.mark.slow
def test_our_own_are_whole() -> None:
    written: dict[str, Any] = {path: json.loads(text) for path, text in sandbox_files(source())}
    assert sum(len(one["paths"]) for one in written.values()) == sum(
        len(one["paths"]) for one in contents().values()
    )
    assert written["sandbox/openapi/track.json"] == contents()["track.yaml"]
