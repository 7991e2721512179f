"""Pages of the operations: one for each scope and resource, and one that lists them all."""

import functools
import inspect
import itertools
import textwrap
from collections.abc import Iterator, Sequence
from types import UnionType
from typing import Annotated, Any, Final, Literal, Union, cast, get_args, get_origin

import attrs
from msgspec import UNSET

from names import linked, parsed
from toggl_async import Operation, operations, scopes

__all__ = ["Coroutine", "annotation", "coroutines", "pages", "title"]

_SCOPES: Final[dict[str, tuple[type[Any], str]]] = {
    "me": (scopes.MeScope, "toggl.me"),
    "workspace": (scopes.WorkspaceScope, "toggl.workspace(workspace_id)"),
    "organization": (scopes.OrganizationScope, "toggl.organization(organization_id)"),
    "organizations": (scopes.OrganizationsScope, "toggl.organizations"),
    "calendar": (scopes.CalendarScope, "toggl.calendar"),
    "shared_report": (scopes.SharedReportScope, "toggl.shared_report(report_token)"),
    "service": (scopes.ServiceScope, "toggl.service"),
}
"""Each scope by its name in the names of operations: its class, and how a program reaches it."""

INTRODUCTION: Final = """\
All {count} operations of Toggl's four APIs, by what they belong to. Each is a coroutine; its name says how
it is called: ``workspace.tags.create`` is ``toggl.workspace(workspace_id).tags.create(…)``. Ids are
positional, everything else is a keyword. A parameter that is ``UNSET`` is not sent; ``None`` is sent as null.
Where a list has pages, ``iter`` walks them all and returns :py:class:`~toggl_async.Pages`.

The line under each summary says:

Plan
   the least plan of Toggl's that has the operation, and the fields that need a higher one;
Quota
   the hourly quota that a request spends: the user's own, or that of the organization;
Repeated
   whether the scheduler sends a lost request again. A write is sent again only where Toggl provably did not
   process it.

Every operation can raise :py:exc:`~toggl_async.errors.InvalidInput` before anything is sent,
:py:exc:`~toggl_async.errors.MaxWaitExceeded` and :py:exc:`~toggl_async.errors.QuotaExceeded` instead of
waiting too long, :py:exc:`~toggl_async.errors.RequestFailed` where no answer came,
:py:exc:`~toggl_async.errors.ResponseError` (by status) where Toggl refused, and
:py:exc:`~toggl_async.errors.DecodeError` where the answer was not what it should be. *Raises* names what is
peculiar to one.
"""


@attrs.frozen
class Coroutine:
    """Something that a resource can be asked: an operation, or the walk of its pages."""

    name: str
    function: Any
    operation: Operation[Any]


@functools.cache
def coroutines() -> tuple[Coroutine, ...]:
    """Find every operation as programs reach it; `iter` stands behind the coroutine that it walks."""
    found = []
    for operation in operations():
        resource = _resource(operation)
        found.append(Coroutine(operation.name, getattr(resource, operation.coroutine), operation))
        if operation.paging is not None and hasattr(type(resource), walk := _walk(operation.coroutine)):
            name = ".".join([*operation.name.split(".")[:-1], walk])
            found.append(Coroutine(name, getattr(resource, walk), operation))
    return tuple(found)


def _walk(coroutine: str) -> str:
    """The name of the coroutine that walks the pages of another."""
    return (
        "iter" if coroutine in {"list", "list_page", "search"} else f"iter_{coroutine.removeprefix('list_')}"
    )


def _resource(operation: Operation[Any]) -> object:
    """The resource that an operation is a method of, bound to nothing."""
    unbound = cast("Any", None)
    found: object = _SCOPES[operation.scope][0](unbound, {})
    for part in operation.name.split(".")[1:-1]:
        found = getattr(found, part)
    return found


def pages() -> Iterator[tuple[str, str]]:
    """The pages' names and texts, the list of all first."""
    groups = [
        (name, list(members))
        for name, members in itertools.groupby(
            sorted(coroutines(), key=_order), key=lambda one: _page(one.name)
        )
    ]
    yield "index", _index(groups)
    for name, members in groups:
        yield name, _text(name, members)


def _order(one: Coroutine) -> tuple[int, str]:
    return list(_SCOPES).index(one.operation.scope), _page(one.name)


def _page(name: str) -> str:
    """The page of an operation: its scope, and the first part of its resource."""
    parts = name.split(".")
    return ".".join(parts[:1] if len(parts) == 2 else parts[:2])  # noqa: PLR2004 - scope and coroutine


def _index(groups: Sequence[tuple[str, Sequence[Coroutine]]]) -> str:
    lines = [*title("Operations"), INTRODUCTION.format(count=len(operations()))]
    for scope, (kind, reached) in _SCOPES.items():
        lines += [*title(f"``{reached}``", "-"), f"{inspect.getdoc(kind)}", ""]
        lines += [
            ".. list-table::",
            "   :header-rows: 1",
            "",
            "   * - coroutine",
            "     - route",
            "     - plan",
        ]
        for _, members in groups:
            for one in members:
                if one.operation.scope == scope and one.name == one.operation.name:
                    route = f"{one.operation.method} {one.operation.path}"
                    lines += [f"   * - :py:obj:`{one.name}`", f"     - ``{route}``"]
                    lines.append(f"     - {one.operation.plan.title()}")
        lines.append("")
    toctree = [f"   {name}" for name, _ in groups]
    return "\n".join([*lines, ".. toctree::", "   :hidden:", "", *toctree, ""])


def _text(name: str, members: Sequence[Coroutine]) -> str:
    reached = _SCOPES[name.split(".", maxsplit=1)[0]][1]
    expression = ".".join([reached, *name.split(".")[1:]])
    lines = [*title(name), f"Reached as ``{expression}``.", ""]
    summary = inspect.getdoc(type(_resource(members[0].operation)))
    lines += [linked(summary or ""), ""]
    for one in members:
        lines += [*_entry(one), ""]
    return "\n".join(lines)


def _entry(one: Coroutine) -> list[str]:
    """The description of a coroutine."""
    signature = inspect.signature(one.function)
    parameters = ", ".join(_parameters(signature))
    result = annotation(signature.return_annotation)
    lines = [f".. py:function:: {one.name}({parameters}) -> {result}"]
    if inspect.iscoroutinefunction(one.function):
        lines.append("   :async:")
    documentation = inspect.getdoc(one.function) or ""
    summary, _, rest = documentation.partition("\n\n")
    body = [linked(" ".join(summary.split())), "", ".. rst-class:: facts", "", _facts(one.operation), ""]
    body += parsed(rest, "function")
    if one.operation.deprecated:
        body[2:2] = [".. warning::", "", f"   Deprecated: {linked(one.operation.deprecated)}", ""]
    return [*lines, "", textwrap.indent("\n".join(body), "   ")]


def _parameters(signature: inspect.Signature) -> Iterator[str]:
    """The parameters as they are written; UNSET as a default says that a parameter may be left out."""
    keywords = False
    for parameter in signature.parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and not keywords:
            keywords = True
            yield "*"
        stars = "**" if parameter.kind is parameter.VAR_KEYWORD else ""
        text = f"{stars}{parameter.name}: {annotation(parameter.annotation)}"
        if parameter.default is UNSET:
            yield f"{text.replace(' | UnsetType', '')} = UNSET"
        elif parameter.default is not parameter.empty:
            yield f"{text} = {parameter.default!r}"
        else:
            yield text


def annotation(value: object) -> str:
    """Write an annotation as a reader of the code would: names without their modules."""
    if value is None or value is type(None):
        return "None"
    if isinstance(value, str):
        return value
    if value is ...:
        return "..."
    if isinstance(value, list):
        return f"[{', '.join(map(annotation, value))}]"
    origin, arguments = get_origin(value), get_args(value)
    if origin is Annotated:
        return annotation(arguments[0])
    if origin is Literal:
        return f"Literal[{', '.join(map(repr, arguments))}]"
    written = list(map(annotation, arguments))
    if origin in {Union, UnionType}:
        return " | ".join(sorted(written, key=lambda name: (name == "None", name == "UnsetType")))
    if origin is not None:
        return f"{origin.__name__}[{', '.join(written)}]"
    return str(getattr(value, "__name__", value))


def _facts(operation: Operation[Any]) -> str:
    """What an operation needs and costs, in a line."""
    higher: dict[str, list[str]] = {}
    for field, plan in operation.gated.items():
        higher.setdefault(plan.title(), []).append(f"``{field}``")
    plans = [operation.plan.title(), *(f"{plan} for {', '.join(fields)}" for plan, fields in higher.items())]
    facts = [
        f"Plan: {'; '.join(plans)}.",
        f"Quota: {operation.lane.value}.",
        f"Repeated: {_repeated(operation)}.",
    ]
    return " ".join(facts)


def _repeated(operation: Operation[Any]) -> str:
    return "yes" if operation.reads else "only if not processed"


def title(text: str, underline: str = "=") -> list[str]:
    """A heading in reStructuredText."""
    return [text, underline * len(text), ""]
