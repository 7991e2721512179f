"""Pages of the records: one for each module of `toggl_async.records`, and one that lists them all."""

import ast
import importlib
import inspect
import itertools
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

import attrs
from msgspec import UNSET

from names import linked
from operation_pages import annotation, title
from toggl_async import records

__all__ = ["pages"]

_INTRODUCTION = """\
What operations return and take: frozen attrs classes, imported from ``toggl_async``. They share the methods
of :py:class:`~toggl_async.Record`. Nearly every field may be None, whatever Toggl's documents say, since its
answers leave fields out. Records whose names end in *Input* are for requests: a field that is ``UNSET`` is
not sent.
"""


def pages() -> Iterator[tuple[str, str]]:
    """The pages' names and texts, the list of all first."""
    kinds = sorted((getattr(records, name) for name in records.__all__), key=lambda kind: kind.__module__)
    groups = [
        (module.rsplit(".", 1)[-1], sorted(members, key=lambda kind: str(kind.__name__)))
        for module, members in itertools.groupby(kinds, key=lambda kind: str(kind.__module__))
    ]
    lines = [*title("Records"), _INTRODUCTION]
    lines += [".. list-table::", "   :header-rows: 1", "", "   * - record", "     - what it is"]
    for name in sorted(records.__all__):
        summary = (inspect.getdoc(getattr(records, name)) or "").partition("\n\n")[0]
        lines += [
            f"   * - :py:class:`~toggl_async.records.{name}`",
            f"     - {linked(' '.join(summary.split()))}",
        ]
    yield "index", "\n".join([*lines, ""])
    for name, members in groups:
        heading = name.replace("_", " ").capitalize()
        # Not in the sidebar, which would double; every record is in the list and in the search.
        yield name, "\n".join([":orphan:", "", *title(heading), *(_entry(kind) for kind in members)])


def _entry(kind: type[Any]) -> str:
    """The description of a record: its fields, each with type, default and meaning."""
    body = [linked(inspect.getdoc(kind) or ""), ""]
    meanings = _meanings(kind)
    for field in attrs.fields(kind):
        if field.name.startswith("_"):
            continue
        body += [
            f".. py:attribute:: {field.name}",
            f"   :type: {annotation(field.type)}",
            "   :no-contents-entry:",
        ]
        if field.default is None or field.default is UNSET:
            body.append(f"   :value: {field.default!r}")
        body += ["", textwrap.indent(linked(meanings.get(field.name, "")), "   "), ""]
    head = f".. py:class:: toggl_async.records.{kind.__name__}"
    return "\n".join([head, "", textwrap.indent("\n".join(body), "   "), ""])


def _meanings(kind: type[Any]) -> Mapping[str, str]:
    """The text under each field, which stands in the source alone."""
    source = ast.parse(inspect.getsource(importlib.import_module(kind.__module__)))
    classes = {node.name: node.body for node in source.body if isinstance(node, ast.ClassDef)}
    return {
        field.target.id: inspect.cleandoc(text.value.value)
        for field, text in itertools.pairwise(classes[kind.__name__])
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }
