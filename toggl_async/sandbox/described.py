"""What the API's documents say of every operation, as `described.json` has it.

That file is generated from the documents, as records and coroutines are; the sandbox checks
requests against it and answers from it where it keeps no state of its own.
"""

import functools
import importlib.resources
from typing import Any, TypeAlias

import msgspec

__all__ = ["Described", "DescribedBody", "Documents", "Schema", "documents"]

Schema: TypeAlias = dict[str, Any]
"""A JSON schema as far as it matters here.

Its keys are ``type``, ``format``, ``enum``, ``minItems``, ``maxItems``, ``oneOf`` and ``items`` of
JSON schema, ``fields`` with ``required`` for an object, ``values`` for an object whose names are not
known beforehand, and ``record`` for the name of a schema in `Documents.records`.
"""


class DescribedBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a request: its media type, its schema, and whether it has to be there."""

    media: str
    schema: Schema
    required: bool = False


class Described(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One operation.

    Attributes:
        status: the status of its success.
        path: the parameters in its path.
        query: those of its query.
        required: the names of those of its query that have to be given.
        body: what is sent; None for nothing.
        answer: the JSON that it answers with; None for no JSON.
        media: the media types of the file that it answers with; empty for no file.
    """

    status: int
    path: dict[str, Schema] = {}
    query: dict[str, Schema] = {}
    required: tuple[str, ...] = ()
    body: DescribedBody | None = None
    answer: Schema | None = None
    media: tuple[str, ...] = ()

    @property
    def words(self) -> frozenset[str]:
        """The names of those parameters in the path that are no numbers."""
        return frozenset(
            name for name, schema in self.path.items() if schema.get("type") not in {"integer", "array"}
        )


class Documents(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All operations by method and path, and the schemas of the records by their names."""

    operations: dict[str, Described]
    records: dict[str, Schema]

    def resolved(self, schema: Schema) -> Schema:
        """Follow a schema to its record."""
        return self.records[schema["record"]] if "record" in schema else schema


@functools.cache
def documents() -> Documents:
    """Read the file, once."""
    file = importlib.resources.files("toggl_async.sandbox") / "described.json"
    return msgspec.json.decode(file.read_bytes(), type=Documents)
