"""Whether a request is what the documents ask for; refused as Toggl refuses, by the first thing wrong.

What the documents do not know is let through, as Toggl lets it through.
"""

import re
import urllib.parse
from collections.abc import Callable, Mapping
from typing import Any, Final

from toggl_async.sandbox import timestamps
from toggl_async.sandbox.answers import ApiError
from toggl_async.sandbox.call import ApiRequest, unexpected
from toggl_async.sandbox.described import Described, Documents, Schema

__all__ = ["Checker"]

_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "integer": (int,),
    "number": (int, float),
    "string": (str,),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
    "null": (type(None),),
}

_FORMATS: Final[Mapping[str, Callable[[str], object]]] = {
    "date-time": timestamps.parse,
    "date": timestamps.parse_day,
}

_PLAIN: Final[Mapping[str, re.Pattern[str]]] = {
    "integer": re.compile(r"-?\d+"),
    "number": re.compile(r"-?\d+(\.\d+)?"),
    "boolean": re.compile(r"true|false|0|1"),
}
"""How values of the query are written."""


class Checker:
    """Checks requests against the documents."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    def check(self, operation: Described, call: ApiRequest) -> Mapping[str, Any]:
        """Check a request, and return the fields of its JSON object; none if it has no such body.

        Raises:
            ApiError: 400, something is missing or is not what it should be.
        """
        for name, text in call.words.items():
            self._plain(name, text, operation.path[name])
        for name in operation.required:
            if not call.query.get(name):
                raise ApiError(400, f"'{name}' is required")
        for name, text in call.query.items():
            if name in operation.query and text:
                self._plain(name, text, operation.query[name])
        body = operation.body
        if body is None or not (call.raw or body.required):
            return {}
        if body.media != "application/json":
            self._form(body.schema, call)
            return {}
        value = call.json()
        self.value("body", value, body.schema, call.raw)
        return value if isinstance(value, dict) else {}

    def fits(self, value: object, schema: Schema) -> bool:
        """Tell whether a value is what a schema says."""
        try:
            self.value("", value, schema, b"")
        except ApiError:
            return False
        return True

    def value(self, name: str, value: object, schema: Schema, raw: bytes) -> None:
        """Check a value of JSON.

        Raises:
            ApiError: it is not what the schema says.
        """
        schema = self._documents.resolved(schema)
        if "oneOf" in schema:
            if not any(self.fits(value, option) for option in schema["oneOf"]):
                raise unexpected(raw, name, value)
            return
        if not _has_type(value, schema):
            raise unexpected(raw, name, value)
        if value is not None:
            _checked(name, value, schema)
        if isinstance(value, list):
            for item in value:
                self.value(name, item, schema.get("items", {}), raw)
        elif isinstance(value, dict):
            self._object(value, schema, raw)

    def _object(self, value: dict[str, Any], schema: Schema, raw: bytes) -> None:
        for required in schema.get("required", ()):
            if value.get(required) is None:
                raise ApiError(400, f"'{required}' is required")
        for name, inner in value.items():
            known = schema.get("fields", {}).get(name) or schema.get("values")
            if known is not None:
                self.value(name, inner, known, raw)

    def _plain(self, name: str, text: str, schema: Schema) -> None:
        """Check a value of path or query."""
        schema = self._documents.resolved(schema)
        kind = schema.get("type", "string")
        if "oneOf" in schema:
            if not any(self._is_plain(name, text, option) for option in schema["oneOf"]):
                raise ApiError(400, f"Invalid '{name}' value")
        elif kind == "array":
            for part in text.split(","):
                self._plain(name, part, schema.get("items", {}))
        else:
            if kind in _PLAIN and not _PLAIN[kind].fullmatch(text):
                raise ApiError(400, f"Invalid '{name}' value")
            _checked(name, int(text) if kind == "integer" else text, schema)

    def _is_plain(self, name: str, text: str, schema: Schema) -> bool:
        try:
            self._plain(name, text, schema)
        except ApiError:
            return False
        return True

    def _form(self, schema: Schema, call: ApiRequest) -> None:
        """Insist on the required fields of a form; their values may be anything."""
        given = urllib.parse.parse_qs(call.raw.decode("latin-1"))
        for name in schema.get("required", ()):
            if name not in given and f'name="{name}"'.encode() not in call.raw:
                raise ApiError(400, f"'{name}' is required")


def _has_type(value: object, schema: Schema) -> bool:
    kinds = schema.get("type", [])
    named = [kinds] if isinstance(kinds, str) else kinds
    return not named or any(type(value) in _TYPES[kind] for kind in named)


def _checked(name: str, value: object, schema: Schema) -> None:
    """Check what a schema says of a value beyond its type."""
    allowed = [one for one in schema.get("enum", ()) if one is not None]
    if allowed and value not in allowed:
        raise ApiError(400, f"Invalid '{name}' value, allowed values are {', '.join(map(str, allowed))}")
    parse = _FORMATS.get(schema.get("format", ""))
    if parse is not None and isinstance(value, str):
        try:
            parse(value)
        except ValueError:
            raise ApiError(400, f"Invalid '{name}' value, allowed format is {schema['format']}") from None
    most = schema.get("maxItems")
    if most is not None and isinstance(value, list) and len(value) > most:
        raise ApiError(400, f"'{name}' takes at most {most} values")
