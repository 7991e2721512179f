"""Part of step three: the modules of scopes and resources, and their front."""

import re
from collections.abc import Iterator, Mapping
from typing import Final

import attrs

from codegen.emit_calls import calling, in_chunks
from codegen.emit_declarations import constant_name, declaration
from codegen.model import (
    Argument,
    LibraryPlan,
    OperationPlan,
    PagingPlan,
    ResourcePlan,
    ScopeModule,
)
from codegen.text import (
    WIDTH,
    answer_type,
    argument_type,
    docstring,
    header,
    import_lines,
    lazy_homes,
    or_unset,
    paragraph,
)

__all__ = ["scope_files"]

_PACKAGE: Final = "toggl_async.scopes"
_ARGUMENTS: Final = "toggl_async._operations.arguments"
_TYPED: Final = "toggl_async._operations.typed"

_IMPORTS: Mapping[str, tuple[str, str]] = {
    "Collection": ("collections.abc", "Collection"),
    "Download": ("toggl_async._operations.files", "Download"),
    "FileContent": ("toggl_async._operations.files", "FileContent"),
    "Form": ("toggl_async._operations.files", "Form"),
    "Json": ("toggl_async._operations.record", "Json"),
    "Lane": ("toggl_async.scheduler.core.route", "Lane"),
    "Literal": ("typing", "Literal"),
    "Mapping": ("collections.abc", "Mapping"),
    "Moment": ("toggl_async._operations.record", "Moment"),
    "Operation": ("toggl_async._operations.operation", "Operation"),
    "Pages": ("toggl_async._operations.paging", "Pages"),
    "Plan": ("toggl_async._operations.operation", "Plan"),
    "Resource": ("toggl_async._operations.operation", "Resource"),
    "Sequence": ("collections.abc", "Sequence"),
    "TYPE_CHECKING": ("typing", "TYPE_CHECKING"),
    "UNSET": ("msgspec", "UNSET"),
    "UnsetType": ("msgspec", "UnsetType"),
    "cached_property": ("functools", "cached_property"),
    "any_number": (_ARGUMENTS, "any_number"),
    "date_range": (_ARGUMENTS, "date_range"),
    "day": (_ARGUMENTS, "day"),
    "day_or_moment": (_ARGUMENTS, "day_or_moment"),
    "each": (_ARGUMENTS, "each"),
    "each_of": (_ARGUMENTS, "each_of"),
    "each_or_null": (_ARGUMENTS, "each_or_null"),
    "each_typed": (_TYPED, "each_typed"),
    "entry_seconds": (_ARGUMENTS, "entry_seconds"),
    "from_one": (_ARGUMENTS, "from_one"),
    "id_list": (_ARGUMENTS, "id_list"),
    "moment": (_ARGUMENTS, "moment"),
    "one_flag": (_ARGUMENTS, "one_flag"),
    "one_id": (_ARGUMENTS, "one_id"),
    "one_text": (_ARGUMENTS, "one_text"),
    "patch_list": (_TYPED, "patch_list"),
    "text_list": (_ARGUMENTS, "text_list"),
    "typed": (_TYPED, "typed"),
    "unix_seconds": (_ARGUMENTS, "unix_seconds"),
    "whole_number": (_ARGUMENTS, "whole_number"),
}


def scope_files(plan: LibraryPlan) -> Iterator[tuple[str, str]]:
    """Write every file under ``toggl_async/scopes``: path and text."""
    yield "scopes/__init__.py", _front(plan)
    for module in plan.scopes:
        path = module.name.replace(".", "/")
        yield (
            f"scopes/{path}/__init__.py" if module.is_package else f"scopes/{path}.py",
            _module(module, plan),
        )


def _module(module: ScopeModule, plan: LibraryPlan) -> str:
    several = len(module.resources) > 1
    constants = "\n".join(declaration(one, several) for held in module.resources for one in held.operations)
    classes = "\n\n".join(_class(held, plan, module.name, several) for held in module.resources)
    delayed = _typing_imports(module, plan)
    code = re.sub(r'""".*?"""', "", f"{delayed}\n{constants}\n{classes}", flags=re.DOTALL)
    wanted: dict[str, set[str]] = {}
    for word, (home, name) in _IMPORTS.items():
        # In quotes the names of functions are other words, such as the granularity "day".
        if re.search(rf'\b{word}\b(?!")', code):
            wanted.setdefault(home, set()).add(name)
    for held in module.resources:
        for one in held.operations:
            if one.paging:
                wanted.setdefault("toggl_async._operations.paging", set()).add(one.paging.scheme)
    for record, home in plan.record_modules().items():
        if re.search(rf"\b{record}\b", code):
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


def _elsewhere(held: ResourcePlan, plan: LibraryPlan, module: str) -> Iterator[tuple[ResourcePlan, bool]]:
    """Name the resources within one, and whether each is in another module."""
    for path in held.children:
        child = plan.resource(path)
        yield child, child.module != module


def _typing_imports(module: ScopeModule, plan: LibraryPlan) -> str:
    wanted: dict[str, set[str]] = {}
    for held in module.resources:
        for child, elsewhere in _elsewhere(held, plan, module.name):
            if elsewhere:
                wanted.setdefault(f"{_PACKAGE}.{child.module}", set()).add(child.class_name)
    if not wanted:
        return ""
    lines = import_lines(wanted).replace("from ", "    from ")
    return f"if TYPE_CHECKING:\n{lines}"


def _class(held: ResourcePlan, plan: LibraryPlan, module: str, several: bool) -> str:
    names = {one.coroutine for one in held.operations}
    members = [_child(child, elsewhere) for child, elsewhere in _elsewhere(held, plan, module)]
    for one in held.operations:
        members += [_coroutine(one, constant_name(one, several), name) for name in one.methods]
        if one.paging:
            members.append(_walker(one, one.paging, constant_name(one, several)))
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
    first = [*operation.ids, *(one for one in arguments if one.positional)]
    ids = [f"{one.name}: {argument_type(one.type)}" for one in first]
    keywords = [_keyword(one) for one in arguments if not one.positional]
    return ", ".join(["self", *ids, *(["*", *keywords] if keywords else [])])


def _keyword(argument: Argument) -> str:
    form = argument_type(argument.type)
    if argument.default is not None:
        default = f'"{argument.default}"' if isinstance(argument.default, str) else argument.default
        return f"{argument.name}: {form} = {default}"
    return f"{argument.name}: {form}" if argument.required else f"{argument.name}: {or_unset(form)} = UNSET"


def _coroutine(operation: OperationPlan, constant: str, name: str) -> str:
    """Write the method that makes one call."""
    arguments = _shown(operation)
    head = f"def {name}({_signature(operation, arguments)})"
    text = _docstring(operation, arguments)
    if name != operation.coroutine:
        kind = f"{operation.methods[name]}".upper()
        text = docstring(8, f"Do as `{operation.coroutine}` does, which see, with the file in {kind}.")
    if operation.is_download:
        sending = calling("return self._download", operation, constant, arguments, operation.methods[name])
        return f"    {head} -> Download:\n{text}\n{sending}"
    result = answer_type(operation.result)
    call = f"await self._call{'_in_chunks' if in_chunks(operation) else ''}"
    sending = calling(call if result == "None" else f"return {call}", operation, constant, arguments)
    return f"    async {head} -> {result}:\n{text}\n{sending}"


def _docstring(operation: OperationPlan, arguments: list[Argument]) -> str:
    """Write what a reader has to know; method and path close the summary, or where that is long the prose."""
    route = f"``{operation.method} {operation.path}``"
    parts = [part for part in re.split(r"\n\s*\n", operation.description) if part]
    if operation.plan != "free":
        parts[-1:] = [" ".join((*parts[-1:], f"Needs {operation.plan.title()}."))]
    if operation.deprecated is not None:
        parts.append(f"Deprecated: {operation.deprecated} Calling it is a DeprecationWarning.")
    prose = [paragraph(part, 8) for part in parts]
    sections = list(_sections(operation, arguments))
    brief = f"{operation.summary.rstrip('.')}: {route}."
    ends = "" if prose or sections else '"""'
    if len(f'        """{brief}{ends}') <= WIDTH:
        return docstring(8, brief, *prose, *sections)
    prose[-1:] = [_closed(prose[-1] if prose else "", route)]
    return docstring(8, operation.summary, *prose, *sections)


def _sections(operation: OperationPlan, arguments: list[Argument]) -> Iterator[str]:
    """Write the sections of arguments and errors; ids alone have none where they speak for themselves."""
    plain = all(re.fullmatch(r"Id of the [\w ]+\.", one.doc) for one in operation.ids)
    if arguments or not plain:
        given = [*operation.ids, *arguments]
        lines = [paragraph(f"{one.name}: {one.doc}{_walked(operation, one, given)}", 12, 4) for one in given]
        yield "\n".join(["        Args:", *lines])
    if operation.errors:
        raised = [paragraph(f"{error}: {reason}", 12, 4) for error, reason in operation.errors]
        yield "\n".join(["        Raises:", *raised])


def _walked(operation: OperationPlan, argument: Argument, given: list[Argument]) -> str:
    """Tell of the walker where a reader meets the first argument that says which page is meant."""
    positions = [one for one in given if operation.paging and one.wire in operation.paging.positions]
    return f" `{operation.walker}` walks all pages." if argument in positions[:1] else ""


def _closed(prose: str, route: str) -> str:
    """Put method and path after the last words, or under them: they are never broken."""
    fits = prose and len(prose.rpartition("\n")[2]) + 1 + len(route) <= WIDTH
    return f"{prose} {route}" if fits else f"{prose}\n        {route}".lstrip("\n")


def _walker(operation: OperationPlan, paging: PagingPlan, constant: str) -> str:
    """Write the method that walks all pages of an operation."""
    arguments = _shown(operation, paging.positions)
    item = answer_type(paging.item)
    told = [_of_walk(one, paging) for one in arguments]
    text = docstring(
        8, f"Iterate over all pages of `{operation.coroutine}`, item by item.", *_sections(operation, told)
    )
    sending = calling("return self._pages", operation, f"{constant}, {item}", arguments)
    return (
        f"    def {operation.walker}({_signature(operation, arguments)}) -> Pages[{item}]:\n{text}\n{sending}"
    )


def _of_walk(argument: Argument, paging: PagingPlan) -> Argument:
    """Tell of the page size what a walk makes of it; a single page is of another size when it is left out."""
    largest = dict(paging.options).get("largest")
    if largest is None or argument.wire not in {"page_size", "per_page"}:
        return argument
    doc = f"Items per page; {largest}, Toggl's maximum, by default."
    return attrs.evolve(argument, doc=doc)


def _front(plan: LibraryPlan) -> str:
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

{lazy_homes(scopes, "scope")}'''
