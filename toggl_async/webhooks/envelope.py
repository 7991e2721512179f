"""The envelope of a delivery, read field by field: what is odd about one of them costs none of the others.

A delivery that is answered with anything but success comes again, and again, until Toggl gives the webhook
up. So one that Toggl signed is refused only if it isn't a JSON object at all. What can't be read is None, is
kept, and is told once in the log.
"""

import hashlib
import json
import logging
import re
from typing import Any, Final, TypeVar

import msgspec

from toggl_async._operations.record import Json, free_json
from toggl_async.codec.drift import Misfit
from toggl_async.codec.legible import mended
from toggl_async.codec.node import Node
from toggl_async.codec.strict import TypeForm, decoder
from toggl_async.errors import MalformedDelivery

__all__ = ["Envelope"]

_log = logging.getLogger("toggl_async.webhooks")

ValueT = TypeVar("ValueT")

_pieces: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])

_OF_THE_ATTEMPT: Final = "timestamp"
"""The field that tells of an attempt to deliver, and not of what is delivered."""

_DEEPEST: Final = 100
"""How deeply objects and lists may be nested; Toggl's are by four or five."""

_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*+"|[\[{]|[\]}]|NaN|-?Infinity')

_told: Final[set[str]] = set()
"""Which oddities were told, by their paths in the envelope."""


class Envelope:
    """The fields of a delivery, each read when it is taken.

    Args:
        body: the delivery, as it came.

    Attributes:
        digest: what the delivery says, in short; the same for every attempt to deliver it.
        keep_unknown: as the codec's nodes ask for it; there are no records in an envelope.
        indispensable: likewise.

    Raises:
        MalformedDelivery: it isn't a JSON object.
    """

    def __init__(self, body: bytes) -> None:
        self.keep_unknown: bool = False
        self.indispensable: str | None = None
        self._left = _taken_apart(body)
        self._unreadable: dict[str, Json] = {}
        self.digest: str = _digest(self._left)

    @property
    def unknown(self) -> dict[str, Json]:
        """What was not taken, and what could not be read as what it was taken for."""
        return {name: free_json(piece) for name, piece in self._left.items()} | self._unreadable

    def odd(self, path: str, message: str) -> None:
        """Tell of a field that is not as it should be, once; never of its value, which may be secret."""
        if path not in _told:
            _told.add(path)
            _log.warning("unexpected field in a webhook delivery: %s: %s", path, message)

    def take(self, name: str, form: type[ValueT], *, indispensable: bool = False) -> ValueT | None:
        """Read a field; None where it is missing, null, or can't be read as that.

        Args:
            name: the field.
            form: what it is.
            indispensable: whether to tell that it is missing or null.
        """
        node = self._node(name)
        if node is None or node.kind == "null":
            if indispensable:
                self.odd(f"$.{name}", "is missing or null")
            return None
        try:
            value: ValueT = _read(node, form)
        except Misfit as misfit:
            self._keep(name, node, misfit)
            return None
        return value

    def take_address(self, name: str) -> str:
        """Read an address; empty where it is missing, null, or not text."""
        node = self._node(name)
        if node is None or node.kind != "a string":
            if node is not None:
                self._keep(name, node, node.misfit("a string"))
            return ""
        address: str = msgspec.json.decode(node.raw)
        return address

    def take_texts(self, name: str) -> dict[str, str]:
        """Read an object of texts, without those that are null; what isn't text is given as its JSON.

        It is empty where the field is missing, null, or something else.
        """
        node = self._node(name)
        if node is None or node.kind == "null":
            self.odd(f"$.{name}", "is missing or null")
            return {}
        if node.kind != "an object":
            self._keep(name, node, node.misfit("an object"))
            return {}
        texts: dict[str, str] = {}
        for key, piece in _pieces.decode(node.raw).items():
            value = free_json(piece)
            if value is not None:
                texts[key] = value if isinstance(value, str) else bytes(piece).decode()
        return texts

    def take_json(self, name: str) -> Json:
        """Read a field of which nothing is expected; numbers that Python has no room for stay text."""
        node = self._node(name)
        if node is None:
            self.odd(f"$.{name}", "is missing")
            return None
        if node.value is not msgspec.UNSET:
            return node.value
        from toggl_async.codec.tolerant import tolerate  # noqa: PLC0415 - as in the codec: it is rarely needed

        return tolerate(node, dict[str, Any]) if node.kind == "an object" else free_json(node.raw)

    def _node(self, name: str) -> Node | None:
        piece = self._left.pop(name, None)
        return None if piece is None else Node(piece, f"$.{name}", self)

    def _keep(self, name: str, node: Node, misfit: Misfit) -> None:
        """Keep a field that can't be read."""
        self.odd(misfit.path, f"{misfit.message}; left out")
        self._unreadable[name] = free_json(node.raw)


def _read(node: Node, form: TypeForm) -> Any:
    """Read a field as strictly as the codec, else as tolerantly.

    Raises:
        Misfit: it can't be read as that.
    """
    try:
        return decoder(form).decode(node.raw)
    except msgspec.ValidationError:
        from toggl_async.codec.tolerant import tolerate  # noqa: PLC0415

        return tolerate(node, form)


def _taken_apart(body: bytes) -> dict[str, msgspec.Raw]:
    """Take an object apart into its fields.

    Raises:
        MalformedDelivery: it isn't one.
    """
    text = mended(body) or body
    if text.count(b"[") + text.count(b"{") > _DEEPEST:
        text = _readable(text)
    try:
        try:
            return _pieces.decode(text)
        except msgspec.ValidationError:
            raise
        except msgspec.DecodeError:
            return _pieces.decode(_readable(text))
    except msgspec.ValidationError:
        raise MalformedDelivery("the delivery is not a JSON object") from None
    except msgspec.DecodeError as error:
        raise MalformedDelivery(f"the delivery is not JSON: {error}") from None


def _readable(text: bytes) -> bytes:
    """Make strings of what is nested too deeply, and of the numbers that some write and JSON doesn't have."""
    whole = text.decode()
    parts: list[str] = []
    depth = done = begun = 0
    for token in _TOKEN.finditer(whole):
        if token[0] in "[{":
            depth += 1
            begun = token.start() if depth == _DEEPEST else begun
        elif token[0] in "]}":
            if depth == _DEEPEST:
                parts += [whole[done:begun], json.dumps(whole[begun : token.end()])]
                done = token.end()
            depth -= 1
        elif token[0][0] != '"' and depth < _DEEPEST:
            parts += [whole[done : token.start()], json.dumps(token[0])]
            done = token.end()
    return "".join([*parts, whole[done:]]).encode()


def _digest(pieces: dict[str, msgspec.Raw]) -> str:
    """Sum up what a delivery says, whatever the order of its fields and the attempt."""
    found = hashlib.sha256()
    for name in sorted(pieces.keys() - {_OF_THE_ATTEMPT}):
        for part in (name.encode(), bytes(pieces[name])):
            found.update(len(part).to_bytes(8, "big") + part)
    return found.hexdigest()
