"""The codec of a client: which tier reads an answer, and what becomes of what neither can read."""

import json
from typing import Any, Final, get_args, get_origin

import attrs
import msgspec

from toggl_async.codec import encoding
from toggl_async.codec.drift import Drift, Misfit
from toggl_async.codec.strict import TypeForm, decoder, fields_of, holds_records, is_record
from toggl_async.errors import DecodeError

__all__ = ["Codec"]

_GLANCE: Final = 65_536
"""Bytes of a page that are searched for its first record."""

_json: Final = json.JSONDecoder()


@attrs.frozen
class _Report:
    """Gathers what the tolerant tier meets in one answer: nobody is warned of one that then fails."""

    keep_unknown: bool
    oddities: dict[str, str] = attrs.field(factory=dict)

    def odd(self, path: str, message: str) -> None:
        """Note that a value did not fit."""
        self.oddities.setdefault(path, message)


class Codec:
    """Reads answers and writes bodies; what it has warned of once, it doesn't warn of again.

    Args:
        keep_unknown: keep fields that the records don't know in `Record.unknown`, as well as the
            values of known fields that no tolerance could read.
    """

    def __init__(self, *, keep_unknown: bool = False) -> None:
        self._keep_unknown = keep_unknown
        self._drift = Drift()

    def encode(self, body: object) -> bytes:
        """Write a body as JSON; UNSET is left out at every depth and None is sent as null.

        Raises:
            InvalidInput: a value cannot be sent; the message names its field.
        """
        return encoding.encode(body)

    def decode(self, result: object, body: bytes, *, operation: str) -> Any:
        """Read an answer.

        Fields that Toggl describes otherwise than it sends them are read tolerantly, and warned of
        once an operation and field. An empty answer, and null, is None where that is allowed and
        an empty list where one is expected.

        Args:
            result: the type that is expected: records, lists, mappings and optional ones; ``str``
                for a JSON string or plain text, ``bytes`` for the body as it came, None where the
                answer carries nothing, whatever stands in it.
            body: the answer.
            operation: what errors and warnings call it.

        Raises:
            DecodeError: the answer is no JSON, or misses a field that its record cannot do without.
        """
        if result is None:
            return None
        if result is bytes:
            return body
        try:
            if result is str:
                return _text(body)
            report = _Report(self._keep_unknown)
            value = _structured(result, body.strip() or b"null", report)
        except Misfit as misfit:
            raise DecodeError(misfit.message, operation=operation, field=misfit.path, body=body) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise DecodeError(f"no JSON: {error}", operation=operation, field="$", body=body) from error
        self._drift.odd(operation, report.oddities)
        self._notice(result, body, operation)
        return value

    def _notice(self, result: TypeForm, body: bytes, operation: str) -> None:
        """Compare the fields of the first record with those that its class knows.

        That costs microseconds a page; rows of a page hardly differ in their fields.
        """
        record = _record_in(result)
        if record is None:
            return
        glance = body[:_GLANCE].decode(errors="ignore")
        try:
            first, _ = _json.raw_decode(glance, glance.index("{"))
        except (ValueError, RecursionError):
            # There is no record, or it is uncommonly long: not worth reading a page twice.
            return
        known = {field.wire for field in fields_of(record)} | record.legacy_names
        self._drift.unknown(operation, first.keys() - known)


def _structured(result: TypeForm, body: bytes, report: _Report) -> Any:
    """Read an answer strictly if all of it fits, else, or to keep what is unknown, piece by piece."""
    if not (report.keep_unknown and holds_records(result)):
        try:
            return decoder(result).decode(body)
        except msgspec.ValidationError:
            pass
    # Most programs never meet an odd answer, and cattrs takes longer to load than this package does.
    from toggl_async.codec.tolerant import Node, tolerate  # noqa: PLC0415

    return tolerate(Node(msgspec.Raw(body), "$", report), result)


def _record_in(form: TypeForm) -> TypeForm:
    """Find the record class in ``R``, ``R | None`` and lists of them; None when there is none."""
    if is_record(form):
        return form
    origin: TypeForm = get_origin(form)
    if origin is dict:
        return None
    return next((record for argument in get_args(form) if (record := _record_in(argument))), None)


def _text(body: bytes) -> str:
    """Read a JSON string, or else plain text; null is empty."""
    text = body.decode()
    if text.strip() == "null":
        return ""
    try:
        return msgspec.json.decode(body, type=str)
    except msgspec.DecodeError:
        return text
