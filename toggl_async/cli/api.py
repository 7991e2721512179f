"""``toggl-async api``: what Toggl's API can do, and what it is called here."""

import functools
import inspect
import json
import operator
from collections.abc import Sequence
from typing import cast

import click

from toggl_async import scopes
from toggl_async._client.catalog import operations
from toggl_async._hints import quoted
from toggl_async._operations.operation import Caller, Operation, Plan, Resource
from toggl_async.cli.exits import Exit
from toggl_async.cli.output import complain, say
from toggl_async.cli.texts import TEXT

__all__ = ["api", "scope_of"]


@click.command()
@click.argument("words", type=TEXT, nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="Print a list of JSON objects.")
def api(words: tuple[str, ...], as_json: bool) -> int:
    """List the operations whose name, method, path, plan or summary contains all WORDS, or all operations.

    Each line shows the name (scope, resource and coroutine), the method and path, the hourly quota
    that a call spends (user or organization), and the lowest plan that includes it. An asterisk
    marks operations with fields that need a higher plan; --json lists these fields. `toggl-async call`
    calls one.
    """
    found = [one for one in operations() if _holds(one, words)]
    if as_json:
        say(json.dumps([_described(one) for one in found], indent=2))
    elif found:
        say(_table(found))
    if not found:
        complain(f"no operation matches {quoted(' '.join(words))}")
        return Exit.FAILED
    return Exit.DONE


def _holds(operation: Operation[object], words: Sequence[str]) -> bool:
    told = (operation.name, operation.method, operation.path, operation.plan, _summary(operation))
    text = _plain(" ".join(told))
    return all(_plain(word) in text for word in words)


def _plain(text: str) -> str:
    """Write a text so that ``time entries`` is found in ``time_entries``."""
    return text.lower().replace("_", " ")


def _summary(operation: Operation[object]) -> str:
    """Return what an operation does, in the words of its coroutine; nothing where those are stripped."""
    path = operation.name.partition(".")[2]
    coroutine: object = operator.attrgetter(path)(scope_of(operation.scope))
    first, *_ = (inspect.getdoc(coroutine) or "").split("\n")
    return first.partition("``")[0].rstrip(" :.")


@functools.cache
def scope_of(name: str) -> Resource:
    """Return a scope to look around in; whoever called something of it would find nobody there."""
    kind: type[Resource] = getattr(scopes, f"{name.title().replace('_', '')}Scope")
    return kind(cast(Caller, None), {})


def _described(operation: Operation[object]) -> dict[str, object]:
    return {
        "name": operation.name,
        "method": operation.method,
        "path": operation.path,
        "family": operation.family,
        "scope": operation.scope,
        "resource": operation.resource,
        "coroutine": operation.coroutine,
        "summary": _summary(operation),
        "lane": operation.lane.value,
        "reads": operation.reads,
        "paging": None if operation.paging is None else type(operation.paging).__name__,
        "plan": operation.plan.value,
        "gated": {name: plan.value for name, plan in operation.gated.items()},
    }


def _table(found: Sequence[Operation[object]]) -> str:
    """Write one line an operation, in columns."""
    rows = [(one.name, one.method, one.path, one.lane.value, _plan(one)) for one in found]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _plan(operation: Operation[object]) -> str:
    plan = "" if operation.plan is Plan.FREE else operation.plan.value
    return f"{plan}*" if operation.gated else plan
