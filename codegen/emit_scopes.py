"""Part of step three: the modules of scopes and resources, and their front."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from codegen.model import (
    Argument,
    Body,
    Kind,
    Nullable,
    OperationPlan,
    PagingPlan,
    Plain,
    Plan,
    ResourcePlan,
    ScopeModule,
)
from codegen.text import (
    WIDTH,
    answer_type,
    argument_type,
    docstring,
    filled,
    header,
    import_lines,
    or_unset,
    paragraph,
)

__all__ = ["scope_files"]

_PACKAGE: Final = "toggl_async.scopes"

_IMPORTS: Mapping[str, tuple[str, str]] = {
    "Download": ("toggl_async.files", "Download"),
    "FileContent": ("toggl_async.files", "FileContent"),
    "Form": ("toggl_async.files", "Form"),
    "Json": ("toggl_async.record", "Json"),
    "Lane": ("toggl_async.transport.route", "Lane"),
    "Literal": ("typing", "Literal"),
    "Mapping": ("collections.abc", "Mapping"),
    "Moment": ("toggl_async.record", "Moment"),
    "Operation": ("toggl_async.operation", "Operation"),
    "Pages": ("toggl_async.pagination", "Pages"),
    "Plan": ("toggl_async.operation", "Plan"),
    "Resource": ("toggl_async.operation", "Resource"),
    "Sequence": ("collections.abc", "Sequence"),
    "TYPE_CHECKING": ("typing", "TYPE_CHECKING"),
    "UNSET": ("msgspec", "UNSET"),
    "UnsetType": ("msgspec", "UnsetType"),
    "cached_property": ("functools", "cached_property"),
    "unix_seconds": ("toggl_async.operation", "unix_seconds"),
}


_SHORT: Final = 70
"""Characters up to which a query or a body stands in the call itself."""


def scope_files(plan: Plan) -> Iterator[tuple[str, str]]:
    """Write every file under ``toggl_async/scopes``: path and text."""
    yield "scopes/__init__.py", _front(plan)
    for module in plan.scopes:
        path = module.name.replace(".", "/")
        yield (
            f"scopes/{path}/__init__.py" if module.is_package else f"scopes/{path}.py",
            _module(module, plan),
        )


def _module(module: ScopeModule, plan: Plan) -> str:
    several = len(module.resources) > 1
    constants = "\n".join(_constant(one, several) for held in module.resources for one in held.operations)
    classes = "\n\n".join(_class(held, plan, module.name, several) for held in module.resources)
    delayed = _typing_imports(module, plan)
    code = re.sub(r'""".*?"""', "", f"{delayed}\n{constants}\n{classes}", flags=re.DOTALL)
    wanted: dict[str, set[str]] = {}
    for word, (home, name) in _IMPORTS.items():
        if re.search(rf"\b{word}\b", code):
            wanted.setdefault(home, set()).add(name)
    for held in module.resources:
        for one in held.operations:
            if one.paging:
                wanted.setdefault("toggl_async.pagination", set()).add(one.paging.scheme)
    for record, home in plan.record_modules().items():
        if re.search(rf"\b{record}\b", code) and not any(
            held.class_name == record for held in module.resources
        ):
            wanted.setdefault(f"toggl_async.records.{home}", set()).add(record)
    plain = ("import builtins\n" if "builtins." in code else "") + (
        "import datetime as dt\n" if "dt." in code else ""
    )
    exported = ", ".join(f'"{name}"' for name in sorted(held.class_name for held in module.resources))
    scope = module.resources[0].path.partition(".")[0]
    purpose = f"Resources of the scope ``{scope}``." if several else module.resources[0].summary
    return "\n\n".join(
        part
        for part in (
            header(purpose, module.documents),
            plain + import_lines(wanted),
            delayed,
            f"__all__ = [{exported}]",
            constants,
            classes,
        )
        if part
    )


def _elsewhere(held: ResourcePlan, plan: Plan, module: str) -> Iterator[tuple[ResourcePlan, bool]]:
    """Name the resources within one, and whether each is in another module."""
    for path in held.children:
        child = plan.resource(path)
        yield child, child.module != module


def _typing_imports(module: ScopeModule, plan: Plan) -> str:
    wanted: dict[str, set[str]] = {}
    for held in module.resources:
        for child, elsewhere in _elsewhere(held, plan, module.name):
            if elsewhere:
                wanted.setdefault(f"{_PACKAGE}.{child.module}", set()).add(child.class_name)
    if not wanted:
        return ""
    lines = import_lines(wanted).replace("from ", "    from ")
    return f"if TYPE_CHECKING:\n{lines}"


def _constant_name(operation: OperationPlan, several: bool) -> str:
    parts = operation.name.split(".")[1:]
    return "_" + "_".join(parts if several else parts[-1:]).upper()


def _constant(operation: OperationPlan, several: bool) -> str:
    """Write the declaration of an operation."""
    result = answer_type(operation.result)
    facts = {
        "lane": f"Lane.{operation.lane.upper()}" if operation.lane else "",
        "reads": "" if operation.reads is None else str(operation.reads),
        "paging": _paging(operation),
        "plan": "" if operation.plan == "free" else f"Plan.{operation.plan.upper()}",
        "gated": _gated(operation),
        "workspaces": "" if operation.workspaces is None else f'"{operation.workspaces}"',
        "redirects": "True" if operation.redirects else "",
    }
    given = [
        f'"{operation.name}"',
        f'"{operation.method} {operation.path}"',
        *([] if result == "None" else [result]),
    ]
    given += [f"{key}={value}" for key, value in facts.items() if value]
    name = _constant_name(operation, several)
    # A checker reads the type off the result where that is a class.
    if result in {"None", "Json"} or "|" in result:
        name += f": Operation[{result}]"
    return f"{name} = Operation.declare({', '.join(given)})"


def _gated(operation: OperationPlan) -> str:
    """Write which fields need a plan of their own: a line a plan, not a line a field."""
    return (
        _mapping(f'Plan.{plan.upper()}: "{" ".join(names)}"' for plan, names in operation.gated.items())
        if operation.gated
        else ""
    )


def _paging(operation: OperationPlan) -> str:
    if operation.paging is None:
        return ""
    options = ", ".join(
        f'{key}="{value}"' if isinstance(value, str) else f"{key}={value}"
        for key, value in operation.paging.options
    )
    return f"{operation.paging.scheme}({options})"


def _class(held: ResourcePlan, plan: Plan, module: str, several: bool) -> str:
    names = {one.coroutine for one in held.operations}
    members = [_child(child, elsewhere) for child, elsewhere in _elsewhere(held, plan, module)]
    for one in held.operations:
        members.append(_coroutine(one, _constant_name(one, several)))
        if one.paging:
            members.append(_walker(one, one.paging, _constant_name(one, several)))
    body = "\n\n".join(members)
    if "list" in names:
        # Within the class `list` is the coroutine, wherever annotations are resolved late.
        body = re.sub(r"(?<![.\w])list\[", "builtins.list[", body)
    return f"class {held.class_name}(Resource):\n{docstring(4, held.summary)}\n\n{body}\n"


def _child(child: ResourcePlan, elsewhere: bool) -> str:
    """Write the attribute for a resource within this one; its module is loaded on first touch."""
    source = f"        from {_PACKAGE}.{child.module} import {child.class_name}\n\n" if elsewhere else ""
    return (
        f'    @cached_property\n    def {child.path.rpartition(".")[2]}(self) -> "{child.class_name}":\n'
        f"{docstring(8, child.summary)}\n{source}"
        f"        return {child.class_name}(self._caller, self._bound)"
    )


def _shown(operation: OperationPlan, leave_out: frozenset[str] = frozenset()) -> list[Argument]:
    """List the keyword arguments: body and query without what is bound."""
    body = operation.body.arguments if operation.body else ()
    return [one for one in (*body, *operation.query) if one.bound is None and one.wire not in leave_out]


def _signature(operation: OperationPlan, arguments: list[Argument]) -> str:
    ids = [f"{one.name}: {argument_type(one.type)}" for one in operation.ids]
    keywords = [_keyword(one) for one in arguments]
    return ", ".join(["self", *ids, *(["*", *keywords] if keywords else [])])


def _keyword(argument: Argument) -> str:
    form = argument_type(argument.type)
    if argument.default is not None:
        return f'{argument.name}: {form} = "{argument.default}"'
    return f"{argument.name}: {form}" if argument.required else f"{argument.name}: {or_unset(form)} = UNSET"


def _coroutine(operation: OperationPlan, constant: str) -> str:
    """Write the method that makes one call."""
    arguments = _shown(operation)
    head = f"def {operation.coroutine}({_signature(operation, arguments)})"
    text = "\n".join((_docstring(operation, arguments), *_tables(operation, arguments)))
    call = f"({_call(operation, constant, arguments)})"
    if operation.is_download:
        return f"    {head} -> Download:\n{text}\n        return self._download{call}"
    call = f"await self._call{'_in_chunks' if _in_chunks(operation) else ''}{call}"
    result = answer_type(operation.result)
    return f"    async {head} -> {result}:\n{text}\n        {call if result == 'None' else f'return {call}'}"


def _docstring(operation: OperationPlan, arguments: list[Argument]) -> str:
    """Write what a reader has to know; method and path come last, or in the one line if that is all."""
    route = f"``{operation.method} {operation.path}``"
    parts = [part for part in re.split(r"\n\s*\n", operation.description) if part]
    if operation.paging:
        parts.append(f"`{operation.walker}` walks through all pages.")
    if operation.plan != "free":
        parts.append(f"Needs {operation.plan.title()}.")
    if parts and not arguments and not operation.errors:
        *first, last = (paragraph(part, 8) for part in parts)
        apart = " " if len(last.rpartition("\n")[2]) + len(route) < WIDTH else "\n        "
        return docstring(8, operation.summary, *first, f"{last}{apart}{route}")
    sections = [paragraph(part, 8) for part in parts]
    if arguments:
        lines = [paragraph(f"{one.name}: {one.doc}", 12, 4) for one in (*operation.ids, *arguments)]
        sections.append("\n".join(["        Args:", *lines]))
    if operation.errors:
        raised = [paragraph(f"{error}: {reason}", 12, 4) for error, reason in operation.errors]
        sections.append("\n".join(["        Raises:", *raised]))
    brief = f"{operation.summary.rstrip('.')}: {route}."
    if not sections and len(brief) + len('        """"""') <= WIDTH:
        return docstring(8, brief)
    return docstring(8, operation.summary, *sections, f"        {route}")


def _walker(operation: OperationPlan, paging: PagingPlan, constant: str) -> str:
    """Write the method that walks all pages of an operation."""
    arguments = _shown(operation, paging.positions)
    item = answer_type(paging.item)
    call = _call(operation, f"{constant}, {item}", arguments)
    text = docstring(8, f"Walk through all pages of `{operation.coroutine}`, item by item.")
    text = "\n".join((text, *_tables(operation, arguments)))
    return (
        f"    def {operation.walker}({_signature(operation, arguments)}) -> Pages[{item}]:\n"
        f"{text}\n        return self._pages({call})"
    )


def _call(operation: OperationPlan, what: str, arguments: list[Argument]) -> str:
    """Write what goes between the brackets of a call."""
    parts = [what]
    if _in_chunks(operation):
        (ids,) = operation.ids
        parts += [f'"{ids.wire}"', ids.name, f"size={ids.most}"]
    elif operation.ids:
        parts.append(_mapping(f'"{one.wire}": {one.name}' for one in operation.ids))
    if operation.body and operation.body.style == "whole":
        parts.append(f"body={operation.body.arguments[0].name}")
    for name, entries in _sent(operation, arguments).items():
        value = name if _is_long(entries) else _mapping(entries)
        if name == "body" and operation.body and operation.body.style != "fields":
            value = _form(operation.body, value)
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
    return {name: [f'"{one.wire}": {_value(one)}' for one in held] for name, held in entries.items() if held}


def _tables(operation: OperationPlan, arguments: list[Argument]) -> Iterator[str]:
    """Write what is too long to stand in the call: filled, since a line for each says nothing more."""
    for name, entries in _sent(operation, arguments).items():
        if _is_long(entries):
            yield f"        {name} = {{\n{filled(entries, 12)}\n        }}  # fmt: skip"


def _is_long(entries: list[str]) -> bool:
    return len(", ".join(entries)) > _SHORT


def _in_chunks(operation: OperationPlan) -> bool:
    """Whether its one id is a list of which a request takes so many at most."""
    return len(operation.ids) == 1 and operation.ids[0].most is not None


def _form(body: Body, entries: str) -> str:
    """Write a body of form fields."""
    files = ", ".join(f'"{one.wire}",' for one in body.arguments if one.type == Plain(Kind.BYTES))
    parts = [entries, *([f"files=({files})"] if files else [])]
    if body.style == "multipart" and not files:
        parts.append("multipart=True")
    return f"Form({', '.join(parts)})"


def _mapping(entries: Iterable[str]) -> str:
    return f"{{{', '.join(entries)}}}"


def _value(argument: Argument) -> str:
    """Write what an argument sends."""
    if argument.bound is not None:
        return f'self._bound["{argument.bound}"]'
    bare = argument.type.of if isinstance(argument.type, Nullable) else argument.type
    return f"unix_seconds({argument.name})" if bare == Plain(Kind.UNIX_TIME) else argument.name


def _front(plan: Plan) -> str:
    """Write the package's front: it knows where each scope is, and loads none."""
    scopes = {
        held.class_name: held.module
        for module in plan.scopes
        for held in module.resources
        if "." not in held.path
    }
    modules = [
        f"{_PACKAGE}.{module.name}"
        for module in plan.scopes
        if any(held.operations for held in module.resources)
    ]
    exports = "\n".join(
        f"    from {_PACKAGE}.{home} import {name} as {name}" for name, home in sorted(scopes.items())
    )
    table = "".join(f'    "{name}": "{home}",\n' for name, home in sorted(scopes.items()))
    listed = "".join(f'    "{name}",\n' for name in ["RESOURCE_MODULES", *sorted(scopes)])
    resources = "".join(f'    "{name}",\n' for name in sorted(modules))
    purpose = "The scopes of Toggl's API; each is loaded when it is first asked for."
    return f'''{header(purpose, ())}

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
{exports}

__all__ = [
{listed}]

RESOURCE_MODULES: Final[tuple[str, ...]] = (
{resources})
"""Every module that declares operations."""

_HOMES: Final[Mapping[str, str]] = {{
{table}}}


def __getattr__(name: str) -> object:
    """Load the module that holds a scope."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {{__name__!r}} has no attribute {{name!r}}")
    found: object = getattr(importlib.import_module(f"{{__name__}}.{{home}}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(globals().keys() | _HOMES.keys())
'''
