"""Part of step three: the modules of records and their front."""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from codegen.model import FieldPlan, LibraryPlan, Nullable, RecordModule, RecordPlan
from codegen.text import (
    answer_type,
    argument_type,
    docstring,
    filled,
    header,
    import_lines,
    lazy_homes,
    or_unset,
)

__all__ = ["record_files"]

_LONG: Final = 100
"""Fields from which on a record is written without blank lines between them."""

_IMPORTS: Mapping[str, tuple[str, str]] = {
    "ClassVar": ("typing", "ClassVar"),
    "Collection": ("collections.abc", "Collection"),
    "Json": ("toggl_async._operations.record", "Json"),
    "Literal": ("typing", "Literal"),
    "Mapping": ("collections.abc", "Mapping"),
    "Moment": ("toggl_async._operations.record", "Moment"),
    "MappingProxyType": ("types", "MappingProxyType"),
    "Sequence": ("collections.abc", "Sequence"),
    "UNSET": ("msgspec", "UNSET"),
    "UnsetType": ("msgspec", "UnsetType"),
}


def record_files(plan: LibraryPlan) -> Iterator[tuple[str, str]]:
    """Write every file under ``toggl_async/records``: path and text."""
    yield "records/__init__.py", _front(plan)
    for module in plan.records:
        yield f"records/{module.name}.py", _module(module)


def _module(module: RecordModule) -> str:
    classes = "\n\n".join(_record(record) for record in module.records)
    wanted: dict[str, set[str]] = {"toggl_async._operations.record": {"Record"}}
    for home, names in module.imports.items():
        wanted[f"toggl_async.records.{home}"] = set(names)
    for word, (home, name) in _IMPORTS.items():
        if re.search(rf"\b{word}\b", _code(classes)):
            wanted.setdefault(home, set()).add(name)
    plain = "import datetime as dt\n" if "dt." in _code(classes) else ""
    exported = ", ".join(f'"{record.name}"' for record in sorted(module.records, key=lambda one: one.name))
    noun = module.name.replace("_", " ")
    return (
        f"{header(f'Records: {noun}.', module.documents)}\n\n"
        f"{plain}import attrs\n{import_lines(wanted)}\n\n__all__ = [{exported}]\n\n\n{classes}\n"
    )


def _code(text: str) -> str:
    """Leave docstrings out, so that their words are not taken for code."""
    return re.sub(r'""".*?"""', "", text, flags=re.DOTALL)


def _record(record: RecordPlan) -> str:
    """Write one class; required fields first, since they are what a reader looks for."""
    wires = {field.name: field.wire for field in record.fields if field.name != field.wire}
    entries = ", ".join(f'"{name}": "{wire}"' for name, wire in wires.items())
    names = (
        f"    wire_names: ClassVar[Mapping[str, str]] = MappingProxyType({{{entries}}})\n\n" if wires else ""
    )
    legacy = ", ".join(f'"{name}"' for name in record.legacy)
    names += f"    legacy_names: ClassVar[frozenset[str]] = frozenset({{{legacy}}})\n\n" if legacy else ""
    names += f'    wraps: ClassVar[str | None] = "{record.wraps}"\n\n' if record.wraps else ""
    gap = "\n\n" if len(record.fields) <= _LONG else "\n"
    fields = gap.join(_field(field, sent=record.sent) for field in record.fields)
    return (
        f"@attrs.frozen(kw_only=True)\nclass {record.name}(Record):\n"
        f"{docstring(4, record.doc)}\n\n{names}{fields}\n"
    )


def _field(field: FieldPlan, *, sent: bool) -> str:
    """Write one field with its docstring."""
    form = argument_type(field.type) if sent else answer_type(field.type)
    if sent:
        annotation = form if field.required else or_unset(form)
        default = "" if field.required else "UNSET"
    else:
        bare = field.type.of if isinstance(field.type, Nullable) else field.type
        annotation = answer_type(bare) if field.required or field.empty else f"{answer_type(bare)} | None"
        default = "" if field.required else "attrs.field(factory=list)" if field.empty else "None"
    if field.secret:
        value = (
            " = attrs.field(repr=False)" if not default else f" = attrs.field(default={default}, repr=False)"
        )
    else:
        value = f" = {default}" if default else ""
    return f"    {field.name}: {annotation}{value}\n{docstring(4, field.doc)}"


def _front(plan: LibraryPlan) -> str:
    """Write the package's front: it knows where each record is, and loads none."""
    homes = plan.record_modules()
    names = sorted(homes)
    exports = "\n".join(
        f"    from toggl_async.records.{homes[name]} import {name} as {name}" for name in names
    )
    listed = filled([f'"{name}"' for name in names], 4)
    purpose = "The records of Toggl's API; each is loaded when it is first asked for."
    return f"""{header(purpose, ())}

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
{exports}

__all__ = [
{listed}
]  # fmt: skip

{lazy_homes(homes, "record")}"""
