"""Part of step three: the documents themselves, as the sandbox takes them along.

The sandbox is part of the wheel, and checks requests and makes up answers from the documents. They
go there as JSON, which it reads a hundred times as fast as YAML.
"""

import json
from collections.abc import Iterator
from pathlib import PurePath
from typing import Any, Final

from codegen.load import Specification

__all__ = ["FOLDER", "sandbox_files"]

FOLDER: Final = "sandbox/openapi"
"""Where they go, under ``toggl_async``."""


def sandbox_files(source: Specification) -> Iterator[tuple[str, str]]:
    """Write the documents: path and text of each, one path or component a line."""
    for document in source.documents:
        content: dict[str, Any] = document.api.model_dump(
            mode="json", by_alias=True, exclude_none=True, exclude_unset=True
        )
        yield f"{FOLDER}/{PurePath(document.name).stem}.json", _lines(content, depth=2) + "\n"


def _lines(value: object, *, depth: int) -> str:
    """Write a value as JSON; what lies deeper stands on one line."""
    if depth < 0 or not isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False)
    rows = (f"{json.dumps(key)}: {_lines(inner, depth=depth - 1)}" for key, inner in value.items())
    return "{\n" + ",\n".join(rows) + "\n}"
