"""The codec of a client: which tier reads an answer, and what happens if neither can."""

import json
import re
import types
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, get_args, get_origin

import attrs
import msgspec

from toggl_async.codec import encoding
from toggl_async.codec.apart import Apart, apart
from toggl_async.codec.drift import Drift, Misfit
from toggl_async.codec.legible import impostor, mended
from toggl_async.codec.node import Node
from toggl_async.codec.strict import TypeForm, decoder, fields_of, holds_records, is_record
from toggl_async.errors import DecodeError, InvalidInput, shown

__all__ = ["EMPTY", "Codec"]

_GLANCE: Final = 65_536
"""Bytes of a page that are searched for its first record."""

EMPTY: Final = "an empty answer"
"""What errors call an answer without a body."""

_TOKEN: Final = re.compile(r"[\w-]{16,256}", re.ASCII)
"""What tokens look like; Toggl's have 32 hexadecimal digits."""

_NEVER_READ: Final = (None, bytes, str)
"""Types of answers of which nothing is held against a record."""

_BROKEN_TEXT: Final = "text that is not valid UTF-8; read with U+FFFD in place of broken characters"

_READ_AS_ANOTHER: Final[Mapping[str, str]] = {"list": ", got a list", "object": ", got an object"}
"""Shape to how the tolerant tier begins to tell that it was read as another."""


@attrs.frozen
class _Report:
    """Gathers what the tolerant tier meets in one answer: nobody is warned of one that then fails."""

    keep_unknown: bool
    indispensable: str | None = None
    oddities: dict[str, str] = attrs.field(factory=dict)

    def odd(self, path: str, message: str) -> None:
        """Note that a value did not fit."""
        self.oddities.setdefault(path, message)


class Codec:
    """Reads answers and writes bodies; what it has warned of once, it doesn't warn of again.

    Args:
        keep_unknown: keep fields that the records don't know in `Record.unknown`, as well as the
            values of known fields that no tolerance could read.
        server: the name of the server, for errors about answers that may be another's.
        mask: blanks credentials in what errors quote of an answer.
    """

    def __init__(
        self, *, keep_unknown: bool = False, server: str = "", mask: Callable[[bytes], bytes] = bytes
    ) -> None:
        self._keep_unknown = keep_unknown
        self._server = server
        self.mask: Callable[[bytes], bytes] = mask
        self._drift = Drift()

    def encode(self, body: object) -> bytes:
        """Write a body as JSON; UNSET is left out at every depth and None is sent as null.

        Raises:
            InvalidInput: a value cannot be sent; the message names its field.
        """
        return encoding.encode(body)

    def decode(
        self,
        result: object,
        body: bytes,
        *,
        operation: str,
        documented: Literal["list", "object"] | None = None,
        secret: bool = False,
        indispensable: str | None = None,
    ) -> Any:
        """Read an answer.

        Fields that Toggl describes otherwise than it sends them are read tolerantly, and warned of
        once an operation and field. null is None where that is allowed; null and an empty answer are an
        empty list where one is expected.

        Args:
            result: the type that is expected: records, lists, mappings and optional ones; ``str``
                for a JSON string or plain text, ``bytes`` for the body as it came, None where the
                answer carries nothing.
            body: the answer.
            operation: what errors and warnings call it.
            documented: the shape that Toggl's documents name where answers have another; nobody is
                warned of an answer that comes as documented.
            secret: whether the answer is a token, and no other text.
            indispensable: a field, by its name in JSON, that no record can do without: the rows of a page.

        Raises:
            DecodeError: the answer is not JSON, is of another kind than what is expected, or lacks a
                field that its record cannot do without; the message says what came.
        """
        self.believe(result, body, operation=operation)
        if result is None:
            return None
        if result is bytes:
            return body
        report = _Report(self._keep_unknown, indispensable)
        try:
            try:
                value = _read(result, body, report)
            except (msgspec.DecodeError, UnicodeDecodeError):
                if result is str or (text := mended(body)) is None:
                    raise
                report = _Report(self._keep_unknown, indispensable)
                value = _read(result, text, report)
                report.odd("$", _BROKEN_TEXT)
        except Misfit as misfit:
            message = misfit.message if body.strip() else misfit.message.replace("got null", f"got {EMPTY}")
            raise self._undecodable(message, body, operation=operation, field=misfit.path) from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise self._undecodable(f"not JSON: {error}", body, operation=operation) from error
        except RecursionError:
            raise DecodeError("nested too deeply", operation=operation, field="$", body=body) from None
        _check_token(value, operation, secret=secret)
        _accept_documented(report.oddities, documented)
        self._notice(result, body, operation, report)
        self._drift.odd(operation, report.oddities)
        return value

    def check(self, result: object) -> None:
        """Refuse what `decode` can't hold an answer against, before there is one.

        Raises:
            InvalidInput: it isn't a type, or not one that JSON can be read as.
        """
        try:
            decoder(result)
        except (AttributeError, NameError, TypeError, ValueError):
            raise InvalidInput(
                f"returns: pass a type, such as Tag, list[Tag], str or bytes, not {shown(result)}"
            ) from None

    def decode_with_gaps(self, result: object, error: DecodeError) -> Any:
        """Read an answer that lacks what its records can't do without, such as ids, with None in their place.

        Args:
            result: a record class, or a list of one.
            error: what `decode` raised for the answer.

        Raises:
            DecodeError: the error; the answer is another thing.
        """
        from toggl_async.codec.tolerant import tolerate_gaps  # noqa: PLC0415 - as in `_structured`

        report = _Report(keep_unknown=False)
        try:
            value = tolerate_gaps(Node(msgspec.Raw(error.body.strip()), "$", report), result)
        except (Misfit, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise error from None
        self._drift.odd(error.operation, report.oddities)
        return value

    def _undecodable(self, message: str, body: bytes, *, operation: str, field: str = "$") -> DecodeError:
        """Return the error of an answer, whose body is masked unless `decode_with_gaps` may still read it."""
        theirs = self._impostor(body)
        kept = body if theirs is None and body.lstrip()[:1] in {b"[", b"{"} else self.mask(body)
        return DecodeError(theirs or message, operation=operation, field=field, body=kept)

    def _impostor(self, body: bytes) -> str | None:
        """Say what came, where it is an answer of another kind."""
        found = impostor(body)
        return None if found is None else impostor(body, self._server, mask=self.mask)

    def believe(self, result: object, body: bytes, *, operation: str) -> None:
        """Refuse what can't be the answer of a call that expects nothing, text or a file.

        Everything else is held against its type when it is read.

        Args:
            result: the type that is expected, as for `decode`.
            body: the answer, or of a file the first piece.
            operation: what errors call it.

        Raises:
            DecodeError: HTML came, or an object that tells of an error.
        """
        if result in _NEVER_READ and body and (message := self._impostor(body)):
            raise DecodeError(message, operation=operation, field="$", body=self.mask(body))

    def rows(self, body: bytes, *, operation: str) -> Apart:
        """Take an answer apart no further than into its rows, or the fields of what wraps them.

        Raises:
            DecodeError: it is not JSON, or neither a list nor an object.
        """
        try:
            try:
                return apart(body)
            except (msgspec.DecodeError, UnicodeDecodeError):
                if (text := mended(body)) is None:
                    raise
                self._drift.odd(operation, {"$": _BROKEN_TEXT})
                return apart(text)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise self._undecodable(f"not a list of rows: {error}", body, operation=operation) from None

    def left_out(self, *, operation: str) -> None:
        """Warn, once an operation, that elements which are not rows were left out."""
        self._drift.odd(operation, {"$[]": "expected a row, got null, a number or text; left out"})

    def _notice(self, result: TypeForm, body: bytes, operation: str, report: _Report) -> None:
        """Compare the fields of the first record with those that its class knows.

        That costs microseconds a page; rows of a page hardly differ in their fields.
        """
        record = _record_in(result)
        if record is None or (record.wraps and body.lstrip()[:1] == b"["):
            return
        glance = body[:_GLANCE].decode(errors="ignore")
        twice: set[str] = set()
        try:
            first, _ = _decoder(twice).raw_decode(glance, glance.index("{"))
        except (ValueError, RecursionError):
            # There is no record, or it is uncommonly long: not worth reading a page twice.
            return
        known = {field.wire for field in fields_of(record)} | record.legacy_names
        strange = first.keys() - known
        self._drift.unknown(operation, strange)
        for name in sorted(twice):
            report.odd(f"$.{name}", "occurs twice; the last one counts")
        if strange and (message := self._impostor(body)):
            report.odd("$", message)
        shared = len(first.keys() & known)
        # A record of one field has come whole, however much Toggl has put beside it.
        if shared * 2 < len(first) and shared < len(fields_of(record)):
            report.odd("$", f"{record.__name__} knows {shared} of the {len(first)} fields in the answer")


def _read(result: TypeForm, body: bytes, report: _Report) -> Any:
    """Read an answer, or take it as the text that it is.

    Raises:
        Misfit: it is empty where nothing is said by null, or cannot be read.
    """
    if result is str:
        return _text(body)
    text = body.strip()
    if not text and _may_be_null(result):
        # Something between here and Toggl may have lost it, and "nothing" is an answer of its own.
        raise Misfit("$", f"expected {_kind_of(result)} or null, got {EMPTY}")
    return _structured(result, text or b"null", report)


def _check_token(value: object, operation: str, *, secret: bool) -> None:
    """Refuse anything but a token, if the answer has to be one."""
    if secret and not (isinstance(value, str) and _TOKEN.fullmatch(value)):
        # Not quoted: it may be one after all.
        raise DecodeError("expected a token, got another text", operation=operation, field="$", body=b"")


def _accept_documented(oddities: dict[str, str], documented: Literal["list", "object"] | None) -> None:
    """Forget that an answer came in the shape that Toggl documents, where others come in another."""
    if documented and _READ_AS_ANOTHER[documented] in oddities.get("$", ""):
        del oddities["$"]


def _may_be_null(result: TypeForm) -> bool:
    """Whether an answer is one thing, or null."""
    members = get_args(result)
    return types.NoneType in members and str not in members and _record_in(result) is not None


def _kind_of(result: TypeForm) -> str:
    return "a list" if any(get_origin(one) is list for one in get_args(result)) else "an object"


def _structured(result: TypeForm, body: bytes, report: _Report) -> Any:
    """Read an answer strictly if all of it fits, else, or to keep what is unknown, piece by piece."""
    if not (report.keep_unknown and holds_records(result)):
        try:
            return decoder(result).decode(body)
        except msgspec.ValidationError:
            pass
    # Most programs never meet an odd answer, and cattrs takes longer to load than this package does.
    from toggl_async.codec.tolerant import tolerate  # noqa: PLC0415

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
    """Read a JSON string, or else plain text; null is empty.

    Raises:
        Misfit: it is a list or an object.
    """
    text = body.decode()
    if text.strip() == "null":
        return ""
    try:
        found = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return text
    if isinstance(found, list | dict):
        raise Misfit("$", f"expected text, got {'a list' if isinstance(found, list) else 'an object'}")
    return found if isinstance(found, str) else text


def _decoder(twice: set[str]) -> json.JSONDecoder:
    """Make a decoder that gathers the names which an object has twice."""

    def gathered(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        held = dict(pairs)
        if len(held) < len(pairs):
            names = [name for name, _ in pairs]
            twice.update(name for name in held if names.count(name) > 1)
        return held

    return json.JSONDecoder(object_pairs_hook=gathered)
