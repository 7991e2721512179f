"""Part of step two: from the schemas of a document to types, fields and arguments."""

from collections.abc import Iterator, Mapping
from typing import Final, Literal, TypeAlias

import attrs
from openapi_pydantic.v3.v3_1 import DataType, Reference, Schema

from codegen.load import Document, Names, Violation
from codegen.model import (
    Argument,
    Choice,
    Either,
    FieldPlan,
    Kind,
    ListOf,
    MapOf,
    Nullable,
    Plain,
    RecordPlan,
    RecordRef,
    SpecType,
)

__all__ = ["ANYTHING", "AnySchema", "Schemas", "extension", "sentence"]

AnySchema: TypeAlias = Schema | Reference
Direction: TypeAlias = Literal["sent", "received"]

_NAMED = "#/components/schemas/"

ANYTHING: Final = Schema.model_validate({})
"""The schema that says nothing."""

_SIMPLE: Mapping[tuple[str, str | None], Kind] = {
    ("string", None): Kind.TEXT,
    ("string", "email"): Kind.TEXT,
    ("string", "date-time"): Kind.MOMENT,
    ("string", "date"): Kind.DAY,
    ("string", "binary"): Kind.BYTES,
    ("integer", None): Kind.INTEGER,
    ("integer", "unix-time"): Kind.UNIX_TIME,
    ("number", None): Kind.NUMBER,
    ("boolean", None): Kind.FLAG,
}


def extension(holder: object, key: str) -> object | None:
    """Read a vendor extension, such as ``lane`` for ``x-toggl-lane``."""
    extra = getattr(holder, "model_extra", None) or {}
    return extra.get(f"x-toggl-{key}")


def sentence(text: str | None) -> str:
    """Make one line that ends as a sentence does."""
    line = " ".join((text or "").split())
    return line if not line or line.endswith((".", "!", "?")) else f"{line}."


@attrs.define
class Schemas:
    """The schemas of one document, and which of them are records.

    Attributes:
        document: where they stand.
        names: the table of names.
        faults: where what is wrong is noted.
        reached: records that operations use, each with the directions in which it travels.
    """

    document: Document
    names: Names
    faults: list[Violation]
    reached: dict[str, set[Direction]] = attrs.field(factory=dict)

    def named(self, name: str) -> Schema | None:
        """Find a schema under components."""
        components = self.document.api.components
        found = (components.schemas or {}).get(name) if components else None
        return found if isinstance(found, Schema) else None

    def is_lent(self, name: str) -> bool:
        """Whether a schema is another document's, which plans it."""
        return extension(self.named(name), "from") is not None

    def resolved(self, schema: AnySchema) -> Schema:
        """Follow a reference; one that leads nowhere was reported by the validator already."""
        if isinstance(schema, Schema):
            return schema
        return self.named(schema.ref.removeprefix(_NAMED)) or ANYTHING

    def type_of(self, schema: AnySchema, direction: Direction, where: str) -> SpecType:
        """Turn a schema into a type, and note the records that it leads to."""
        target = self.resolved(schema)
        if isinstance(schema, Reference) and target.properties:
            return self._record(schema.ref.removeprefix(_NAMED), direction)
        if target.properties or target.allOf:
            self.faults.append(Violation(where, "an object with fields needs a name under components"))
        if options := target.oneOf or target.anyOf:
            return self._either(options, direction, where)
        kinds = [target.type] if isinstance(target.type, DataType) else target.type or []
        types = [
            self._simple(target, kind.value, direction, where) for kind in kinds if kind is not DataType.NULL
        ]
        form = types[0] if len(types) == 1 else Either(tuple(types)) if types else Plain(Kind.FREE)
        return Nullable(form) if DataType.NULL in kinds else form

    def _either(self, options: list[AnySchema], direction: Direction, where: str) -> SpecType:
        given = [one for one in options if self.resolved(one).type is not DataType.NULL]
        types = tuple(self.type_of(one, direction, where) for one in given)
        form = types[0] if len(types) == 1 else Either(types)
        return Nullable(form) if len(given) < len(options) else form

    def _record(self, name: str, direction: Direction) -> SpecType:
        """Note a record and, the first time in this direction, those that it holds."""
        directions = self.reached.setdefault(name, set())
        if direction not in directions:
            directions.add(direction)
            schema = self.named(name) or ANYTHING
            for wire, field in (schema.properties or {}).items():
                if extension(field, "legacy") is None:
                    self.type_of(field, direction, f"{name}.{wire}")
        return RecordRef(name)

    def _simple(self, schema: Schema, kind: str, direction: Direction, where: str) -> SpecType:
        """Turn a schema of one type into a type."""
        if schema.enum and direction == "sent":
            return Choice(tuple(value for value in schema.enum if value is not None))
        if kind == "array":
            return ListOf(self.type_of(schema.items or ANYTHING, direction, where))
        if kind == "object":
            value = schema.additionalProperties
            if isinstance(value, Schema | Reference):
                return MapOf(self.type_of(value, direction, where))
            return MapOf(Plain(Kind.FREE))
        form = _SIMPLE.get((kind, schema.schema_format))
        if form is None:
            self.faults.append(Violation(where, f"no type for {kind} with format {schema.schema_format}"))
            return Plain(Kind.FREE)
        return Plain(Kind.INTEGER if form is Kind.UNIX_TIME and direction == "received" else form)

    def record(self, name: str) -> RecordPlan | None:
        """Plan a record that was reached; None when it travels both ways."""
        schema = self.named(name) or ANYTHING
        if len(self.reached[name]) > 1:
            self.faults.append(Violation(name, "travels both ways: give what is sent a record of its own"))
            return None
        sent = "sent" in self.reached[name]
        legacy = [
            wire
            for wire, field in (schema.properties or {}).items()
            if extension(field, "legacy") is not None
        ]
        if not schema.description:
            self.faults.append(Violation(name, "has no description"))
        return RecordPlan(
            name=name,
            doc=sentence(schema.description),
            fields=tuple(self._fields(name, schema, "sent" if sent else "received")),
            sent=sent,
            legacy=() if sent else tuple(legacy),
            wraps=_text(extension(schema, "wraps")),
        )

    def _fields(self, record: str, schema: Schema, direction: Direction) -> Iterator[FieldPlan]:
        for wire, field in (schema.properties or {}).items():
            if extension(field, "legacy") is not None:
                continue
            where = f"{record}.{wire}"
            yield FieldPlan(
                name=self.names.python_name(wire),
                wire=wire,
                type=self.type_of(field, direction, where),
                required=wire in (schema.required or []),
                doc=self.doc_of(field, where),
                secret=bool(extension(field, "secret")),
                empty=isinstance(field, Schema) and field.default == [],
            )

    def doc_of(self, schema: AnySchema, where: str) -> str:
        """Make the sentence of a field or an argument, with the plan that it needs."""
        text = schema.description or self.resolved(schema).description
        if not text:
            self.faults.append(Violation(where, "has no description"))
        plan = extension(schema, "plan")
        needs = f" Needs {str(plan).title()}." if plan else ""
        return sentence(text) + needs

    def arguments(self, schema: AnySchema, where: str) -> tuple[Argument, ...]:
        """Turn the fields of a flat body into arguments; legacy ones are left out."""
        fields, required = self.flat(schema)
        return tuple(
            Argument(
                name=_text(extension(field, "argument")) or self.names.python_name(wire),
                wire=wire,
                type=self.type_of(field, "sent", f"{where}.{wire}"),
                required=wire in required,
                doc=self.doc_of(field, f"{where}.{wire}"),
                default=_default(extension(field, "default")),
                bound=_text(extension(field, "bound")),
                plan=_text(extension(field, "plan")) or "free",
                positional=extension(field, "argument") is not None,
            )
            for wire, field in fields.items()
            if extension(field, "legacy") is None
        )

    def flat(self, schema: AnySchema) -> tuple[dict[str, AnySchema], set[str]]:
        """Merge a body's fields, whichever of its parts they stand in."""
        target = self.resolved(schema)
        fields: dict[str, AnySchema] = {}
        required = set(target.required or [])
        for part in target.allOf or []:
            more, needed = self.flat(part)
            fields |= more
            required |= needed
        return fields | (target.properties or {}), required


def _default(value: object | None) -> str | bool | None:
    return value if isinstance(value, bool) else _text(value)


def _text(value: object | None) -> str | None:
    return None if value is None else str(value)
