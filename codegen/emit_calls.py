"""Part of step three: the calls within the coroutines, with what is sent and what that goes through."""

import textwrap
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final

from codegen.model import (
    Argument,
    BodyPlan,
    Choice,
    Either,
    Kind,
    ListOf,
    MapOf,
    Nullable,
    OperationPlan,
    Plain,
    RecordRef,
    SpecType,
)
from codegen.text import WIDTH, argument_type, filled, quoted

__all__ = ["calling", "in_chunks"]

_CHECKS: Mapping[Kind, str] = {
    Kind.DAY: "day",
    Kind.FLAG: "one_flag",
    Kind.INTEGER: "whole_number",
    Kind.MOMENT: "moment",
    Kind.NUMBER: "any_number",
    Kind.TEXT: "one_text",
    Kind.UNIX_TIME: "unix_seconds",
}
_LIST_CHECKS: Mapping[SpecType, str] = {
    Plain(Kind.INTEGER): "id_list",
    Plain(Kind.TEXT): "text_list",
    RecordRef("Patch"): "patch_list",
}
_FROM_ONE = frozenset({"limit", "page", "page_number", "page_size", "per_page"})
"""Arguments that say which page, or how much is on it: at least 1."""

_SPAN: Final = frozenset({"start_date", "end_date"})
"""Arguments that bound a report."""

_MOST_DAYS: Final = 366
"""Days that the last of a report may come after the first."""

_NARROWEST: Final = 40
"""Columns that the arguments of a check get at least."""


def calling(
    function: str,
    operation: OperationPlan,
    what: str,
    arguments: list[Argument],
    extension: str | None = None,
) -> str:
    """Write the call: on one line with all that is sent, or else with query and body before it."""
    if extension is not None:
        what = f'{what}, {{"extension": "{extension}"}}'
    sent = _sent(operation, arguments)
    written = {name: _mapping(held) for name, held in sent.items()}
    if operation.body and operation.body.style == "whole":
        written["body"] = _value(operation.body.arguments[0])
    line = f"        {function}({_call(operation, what, written)})"
    if len(line) <= WIDTH:
        return line
    before = [_table(name, held) for name, held in sent.items()]
    if "body" in written.keys() - sent.keys():
        before.append(f"        body = {written['body']}")
    line = f"        {function}({_call(operation, what, {name: name for name in written})})"
    return "\n".join((*before, line))


def _call(operation: OperationPlan, what: str, sent: Mapping[str, str]) -> str:
    """Write what goes between the brackets of a call."""
    parts = [what]
    others = [one for one in operation.ids if one.most is None]
    for ids in in_chunks(operation):
        parts += [f'"{ids.wire}"', ids.name, f"size={ids.most}"]
    if others:
        parts.append(f"{'path=' if in_chunks(operation) else ''}{_mapping(_entries(others))}")
    for name, value in sent.items():
        if name == "body" and operation.body and operation.body.style in {"form", "multipart"}:
            parts.append(f"{name}={_form(operation.body, value)}")
        else:
            parts.append(f"{name}={value}")
    return ", ".join(parts)


def _sent(operation: OperationPlan, arguments: list[Argument]) -> dict[str, list[str]]:
    """Write the entries of query and body, for those of the two that there are."""
    shown = {one.wire for one in arguments}
    body = operation.body.arguments if operation.body and operation.body.style != "whole" else ()
    entries = {
        "query": [one for one in operation.query if one.wire in shown],
        "body": [one for one in body if one.bound is not None or one.wire in shown],
    }
    spans = _SPAN if shown >= _SPAN and not operation.path.startswith("/api/") else frozenset[str]()
    return {name: _entries(held, spans) for name, held in entries.items() if held}


def _entries(arguments: Iterable[Argument], spans: Collection[str] = ()) -> list[str]:
    """Write the entries of a mapping; arguments that go through the same function stand together.

    Args:
        arguments: what the entries are made of.
        spans: names of those that are the first and the last day of a report.
    """
    entries: dict[str, list[str]] = {}
    for one in arguments:
        check = f"date_range({_MOST_DAYS}" if one.name in spans else _opening(one)
        if check and one.wire == one.name and one.bound is None:
            entries.setdefault(check, []).append(f"{one.name}={one.name}")
        else:
            entries[one.wire] = [f'"{one.wire}": {_value(one)}']
    return [
        written
        for check, given in entries.items()
        for written in (_checked(check, given) if "=" in given[0] else given)
    ]


def _opening(argument: Argument) -> str:
    """Write how the call begins by which arguments of one type are checked; empty where none is."""
    bare = _bare(argument.type)
    is_nullable = isinstance(argument.type, Nullable)
    if isinstance(bare, Choice):
        values = [*map(quoted, bare.values), *(["None"] if is_nullable else [])]
        return f"each_of(({', '.join(values)}{',' if len(values) == 1 else ''})"
    if _holds_others(bare):
        return f"each_typed({argument_type(argument.type)}"
    check = _check(argument)
    return check and f"{'each_or_null' if is_nullable else 'each'}({check}"


def _checked(opening: str, given: list[str]) -> Iterator[str]:
    """Write the calls by which arguments go through a function, as many in each as fit on a line."""
    # Many values go over several lines, whose breaks are `filled`'s.
    room = max(_NARROWEST, WIDTH - len(f"            **{opening}, ),"))
    for line in textwrap.wrap(", ".join(given), room, break_long_words=False):
        yield f"**{opening}, {line.removesuffix(',')})"


def _table(name: str, entries: list[str]) -> str:
    """Write query or body before the call: filled, since a line for each entry says nothing more."""
    line = f"        {name} = {_mapping(entries)}"
    if len(line) <= WIDTH:
        return line
    return f"        {name} = {{\n{filled(entries, 12)}\n        }}  # fmt: skip"


def in_chunks(operation: OperationPlan) -> list[Argument]:
    """Find the ids in the path of which a request takes so many at most."""
    return [one for one in operation.ids if one.most is not None]


def _form(body: BodyPlan, entries: str) -> str:
    """Write a body of form fields."""
    files = ", ".join(f'"{one.wire}",' for one in body.arguments if _is_file(one.type))
    parts = [entries, *([f"files=({files})"] if files else [])]
    if body.style == "multipart" and not files:
        parts.append("multipart=True")
    return f"Form({', '.join(parts)})"


def _is_file(form: SpecType) -> bool:
    """Whether an argument is a file, or can be."""
    return form == Plain(Kind.BYTES) or (isinstance(form, Either) and Plain(Kind.BYTES) in form.options)


def _mapping(entries: list[str]) -> str:
    """Write entries as a mapping; a sole call that makes one needs no other around it."""
    sole = len(entries) == 1 and entries[0].startswith("**")
    return entries[0].removeprefix("**") if sole else f"{{{', '.join(entries)}}}"


def _value(argument: Argument) -> str:
    """Write what an argument sends."""
    if argument.bound is not None:
        return f'self._bound["{argument.bound}"]'
    if _holds_others(_bare(argument.type)):
        return f'typed({argument_type(argument.type)}, {argument.name}, "{argument.name}")'
    check = _check(argument)
    if not check:
        return argument.name
    named = "" if (check, argument.name) == ("unix_seconds", "since") else f', "{argument.name}"'
    return f"{check}({argument.name}{named})"


def _check(argument: Argument) -> str:
    """Name the function of `_operations.arguments` that an argument goes through; empty for none."""
    bare = _bare(argument.type)
    match bare:
        case Plain(Kind.INTEGER) if argument.name.endswith("_id"):
            return "one_id"
        case Plain(Kind.INTEGER) if argument.name == "duration":
            return "entry_seconds"
        case Plain(Kind.INTEGER) if argument.name in _FROM_ONE:
            return "from_one"
        case Plain(kind):
            return _CHECKS.get(kind, "")
        case ListOf(item):
            return _LIST_CHECKS.get(_bare(item), "")
        case Either((Plain(Kind.DAY), Plain(Kind.MOMENT))):
            return "day_or_moment"
        case _:
            return ""


def _holds_others(form: SpecType) -> bool:
    """Whether a type has to be looked into: the other functions know what holds nothing, and plain lists.

    Files are looked at where they are read.
    """
    match form:
        case RecordRef() | MapOf():
            return True
        case ListOf(item):
            return _bare(item) not in _LIST_CHECKS
        case Either(options):
            return not _is_file(form) and options != (Plain(Kind.DAY), Plain(Kind.MOMENT))
        case _:
            return False


def _bare(form: SpecType) -> SpecType:
    return form.of if isinstance(form, Nullable) else form
