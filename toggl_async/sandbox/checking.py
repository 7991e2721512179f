"""Whether a request is what the documents ask for; refused as Toggl refuses, by the first thing wrong.

The checking is jsonschema's, on the documents as they are. What they do not know is let through, as
Toggl lets it through; null counts as not given, as it does for a program in Go.
"""

import functools
import re
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, cast

from jsonschema import Draft202012Validator, FormatChecker, TypeChecker
from jsonschema.exceptions import ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import extend

from toggl_async.sandbox import timestamps
from toggl_async.sandbox.answers import ApiError
from toggl_async.sandbox.call import ApiRequest, is_whole
from toggl_async.sandbox.documents import Content, DescribedOperation, registry

__all__ = ["check", "check_json", "fits"]

_FORMATS: Final = FormatChecker(formats=())


@_FORMATS.checks("date", ValueError)
def _is_day(value: object) -> bool:
    return not isinstance(value, str) or bool(timestamps.parse_day(value))


@_FORMATS.checks("date-time", ValueError)
def _is_moment(value: object) -> bool:
    # A day alone is not a moment, though Toggl takes it for one here and there.
    return not isinstance(value, str) or ("T" in value and timestamps.parse(value) is not None)


_LARGEST: Final = 2**63


def _is_number(_: TypeChecker, value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and -_LARGEST <= value < _LARGEST


def _is_integer(checker: TypeChecker, value: object) -> bool:
    return isinstance(value, int) and _is_number(checker, value)


_Validator: Final[type[Validator]] = extend(  # type: ignore[no-untyped-call]
    Draft202012Validator,
    # A program in Go has 64 bits for a number, and takes 5.0 for no whole one.
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine_many(
        {"number": _is_number, "integer": _is_integer}
    ),
)

_GO_NAMES: Final[Mapping[type, str]] = {
    bool: "bool",
    int: "number",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
}
"""What Toggl calls the types of JSON when it refuses one."""


_PART: Final = re.compile(rb'form-data; name="([^"]*)"')
"""The name of a part of a form."""


@functools.cache
def _validator(schema: str) -> Validator:
    return _Validator({"$ref": schema}, registry=registry(), format_checker=_FORMATS)


def fits(value: Any, schema: str) -> bool:
    """Tell whether a value is what the schema at this place says."""
    valid: bool = _validator(schema).is_valid(value)
    return valid


_KINDS: Final = frozenset({"type", "anyOf", "oneOf", "enum", "format"})
"""The keywords that say what kind of value something is. What is missing, too large or too long is left to
the handlers, which have Toggl's own words for it, or take the largest instead."""


def check(operation: DescribedOperation, call: ApiRequest, *, whole: bool) -> None:
    """Check a request: path, query and body; all of it, or only of what kind the values are.

    Raises:
        ApiError: 400, something is missing or is not what it should be.
    """
    for name, one in operation.parameters.items():
        text = call.path[name] if one.place == "path" else call.query.get(name)
        if whole and one.required and not text:
            raise ApiError(400, f"'{name}' is required")
        if text and isinstance(text, str):
            _check_text(name, text, one.schema, whole=whole)
    body = operation.body
    if body is None or not (call.raw or (whole and body.required)):
        return
    if body.is_json:
        check_json(body.schema, call.json(), call.raw, whole=whole)
    else:
        _check_form(body, call.raw)


def check_json(schema: str, value: object, raw: bytes, *, whole: bool = False) -> None:
    """Check a body of JSON, which came in these bytes, on the schema at this place.

    Raises:
        ApiError: 400, something is not what it should be.
    """
    for error in _errors(schema, _without_nulls(value), whole=whole):
        raise ApiError(400, _WORDS.get(str(error.validator), _invalid)(error, raw))


def _errors(schema: str, value: Any, *, whole: bool) -> Iterator[ValidationError]:
    for error in _validator(schema).iter_errors(value):
        # Orders come in small letters, too.
        known = error.validator == "enum" and str(error.instance).upper() in cast(
            "list[object]", error.validator_value
        )
        if not known and (whole or error.validator in _KINDS):
            yield error


def _check_text(name: str, text: str, schema: str, *, whole: bool) -> None:
    """Check a value of path or query, which may stand for a number, a boolean or several values."""
    if all(any(_errors(schema, value, whole=whole)) for value in _readings(text)):
        error = next(_errors(schema, text, whole=whole))
        error.path.append(name)
        raise ApiError(400, _TEXT_WORDS.get(str(error.validator), _invalid)(error, b""))


def _readings(text: str) -> Iterator[Any]:
    """Say what a text can stand for."""
    yield text
    yield from _plain(text)
    parts = [part.strip() for part in text.split(",")]
    yield parts
    yield [_plain(part)[0] for part in parts]


def _plain(text: str) -> list[object]:
    known: Mapping[str, object] = {"true": True, "false": False}
    if text in known:
        return [known[text]]
    number = text.removeprefix("-")
    if is_whole(number):
        return [int(text), *([text == "1"] if text in {"0", "1"} else [])]
    return [float(text)] if number.replace(".", "", 1).isdecimal() else [text]


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(one) for name, one in value.items() if one is not None}
    if isinstance(value, list):
        return [_without_nulls(one) for one in value if one is not None]
    return value


def _check_form(body: Content, raw: bytes) -> None:
    """Insist on the required fields of a form; their values may be anything."""
    names = urllib.parse.parse_qs(raw.decode("latin-1"))
    fields = dict.fromkeys(names, "") | {name.decode("latin-1"): "" for name in _PART.findall(raw)}
    for error in _validator(body.schema).iter_errors(fields):
        if error.validator == "required":
            raise ApiError(400, _missing(error, raw))


def _name(error: ValidationError) -> str:
    return next((str(part) for part in reversed(error.absolute_path) if isinstance(part, str)), "")


def _unexpected(error: ValidationError, raw: bytes) -> str:
    """Say that a field has the wrong type, and where, as Toggl's decoder does."""
    name = _name(error)
    if not name:
        return "JSON is not valid"
    offset = raw.find(f'"{name}"'.encode()) + len(name) + 3
    return f'Unexpected "{name}" type {_GO_NAMES[type(error.instance)]}, offset={offset}'


def _missing(error: ValidationError, _: bytes) -> str:
    needed, given = cast("list[str]", error.validator_value), cast("dict[str, object]", error.instance)
    return f"'{next(name for name in needed if name not in given)}' is required"


def _not_allowed(error: ValidationError, _: bytes) -> str:
    values = cast("list[object]", error.validator_value)
    allowed = ", ".join(str(one) for one in values if one is not None)
    return f"Invalid '{_name(error)}' value, allowed values are {allowed}"


def _malformed(error: ValidationError, _: bytes) -> str:
    tried = (error, *(error.context or ()))
    forms = [_FORMS[str(one.validator_value)] for one in tried if one.validator == "format"]
    allowed = f"formats are {' and '.join(forms)}" if len(forms) > 1 else f"format is {''.join(forms)}"
    return f"Invalid '{_name(error)}' value, allowed {allowed}" if forms else _invalid(error, b"")


_FORMS: Final[Mapping[str, str]] = {"date": "YYYY-MM-DD", "date-time": "RFC 3339"}


def _invalid(error: ValidationError, _: bytes) -> str:
    return f"Invalid '{_name(error)}' value"


_WORDS: Final[Mapping[str, Callable[[ValidationError, bytes], str]]] = {
    "type": _unexpected,
    "anyOf": _unexpected,
    "oneOf": _unexpected,
    "required": _missing,
    "enum": _not_allowed,
    "format": _malformed,
}
"""How Toggl says what is wrong with a body, by the keyword that says it."""

_TEXT_WORDS: Final = {"enum": _not_allowed, "format": _malformed, "oneOf": _malformed}
"""The same for path and query, where everything is text."""
