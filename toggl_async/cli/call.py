"""``toggl-async call``: any operation by hand."""

import datetime as dt
import inspect
import json
import operator
import re
import sys
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Final

import attrs
import click
from click.shell_completion import CompletionItem

from toggl_async._client.auth import auth_from_env
from toggl_async._client.catalog import operation as found_operation
from toggl_async._client.catalog import operations
from toggl_async._client.client import TogglClient
from toggl_async._client.whereabouts import hint_for_operation
from toggl_async._hints import nearest, quoted
from toggl_async._operations.operation import Operation
from toggl_async._operations.plain import plain
from toggl_async.cli.api import scope_of
from toggl_async.cli.connect import ask
from toggl_async.cli.dates import SpokenDay, zone_of
from toggl_async.cli.options import base_url_option, server_url
from toggl_async.cli.output import complain, json_text
from toggl_async.cli.texts import TEXT
from toggl_async.cli.typed import described, from_json, from_text
from toggl_async.errors import InvalidInput

__all__ = ["call"]

_ARGUMENT: Final = re.compile(r"(?P<name>[a-z_][a-z0-9_]*)(?P<sign>:?=)(?P<text>.*)", re.DOTALL)

_EXAMPLES: Final = """\b
name=Apollo            text, a number, true or false, null
start_date=monday      a day: yesterday, monday (the last one), 2026-03-12
project_ids=1,2,3      several
params:='{"a": [1]}'   any JSON
"""


@attrs.frozen(kw_only=True)
class _Call:
    """A call that is typed, and not made yet.

    Attributes:
        operation: what is called.
        bound: what its scope is bound to.
        arguments: the rest.
    """

    operation: Operation[object]
    bound: Mapping[str, Any]
    arguments: Mapping[str, Any]

    @property
    def asks_for_today(self) -> bool:
        """Whether a day in it depends on what day it is."""
        return any(isinstance(value, SpokenDay) for value in self.arguments.values())

    async def make(self, client: TogglClient) -> Any:
        """Make the call, where need be after asking for the time zone in which days are meant."""
        arguments = dict(self.arguments)
        if self.asks_for_today:
            zone = zone_of((await client.me.get()).timezone)
            today = dt.datetime.now(zone).date()
            arguments |= {
                name: value.on(today) for name, value in arguments.items() if isinstance(value, SpokenDay)
            }
        scope: Any = getattr(client, self.operation.scope)
        if self.bound:
            scope = scope(**self.bound)
        coroutine = operator.attrgetter(self.operation.name.partition(".")[2])(scope)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # told already
            return await coroutine(**arguments)


def _names(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    return [CompletionItem(one.name) for one in operations() if one.name.startswith(begun)]


def _arguments(context: click.Context, _parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    try:
        forms = _forms(found_operation(context.params.get("name") or ""))
    except InvalidInput:
        return []
    return [CompletionItem(f"{name}=") for name in forms if name.startswith(begun)]


@click.command(epilog=_EXAMPLES)
@click.argument("name", metavar="OPERATION", type=TEXT, shell_complete=_names)
@click.argument("arguments", metavar="[KEY=VALUE]...", nargs=-1, shell_complete=_arguments)
@base_url_option
@click.option("--json", is_flag=True, expose_value=False, help="Write JSON, as this command always does.")
def call(name: str, arguments: tuple[str, ...], base_url: str | None) -> int:
    """Call an OPERATION, such as workspace.tags.list, and print the result as JSON.

    `toggl-async api` lists the operations. Arguments of the scope come first: workspace_id=7. If an
    argument is missing, the error lists all that the operation takes.

    Words such as yesterday are read in the profile's time zone, which costs one request to look up; dates
    cost none. A list returns one page; a file is written to stdout unchanged. Secrets in an answer are
    printed, such as the API token in that of me.get.

    The token is read from TOGGL_API_TOKEN, the server from TOGGL_BASE_URL unless --base-url is given.
    """
    typed = _typed(_operation(name), arguments)
    if typed.operation.result is bytes and sys.stdout.isatty():
        raise InvalidInput(f"{name} returns a file: redirect it with > FILE")
    if typed.operation.deprecated is not None:
        complain(f"warning: {name}: {typed.operation.deprecated}")
    return ask(typed.make, server_url(base_url), auth_from_env(), _shown)


def _operation(name: str) -> Operation[object]:
    """Find an operation.

    Raises:
        InvalidInput: there is none of that name.
    """
    names = [one.name for one in operations()]
    if name not in names:
        hint = hint_for_operation(name) or nearest(name, names)
        raise InvalidInput(
            f"there is no operation {quoted(name)} (`toggl-async api WORDS` searches them){hint}"
        )
    return found_operation(name)


def _typed(operation: Operation[object], arguments: Sequence[str]) -> _Call:
    """Read the arguments of a call.

    Raises:
        InvalidInput: one is unknown, given twice, of another type, or missing.
    """
    forms = _forms(operation)
    values: dict[str, Any] = {}
    for argument in arguments:
        found = _ARGUMENT.fullmatch(argument)
        if found is None:
            # What stands there may be a secret that lost its name, so it is not repeated.
            raise InvalidInput("write arguments as KEY=VALUE, or as KEY:=JSON")
        name = found["name"]
        if name not in forms:
            raise InvalidInput(
                f"{operation.name} has no argument {quoted(name)}{nearest(name, forms)}{_usage(operation)}"
            )
        if name in values:
            raise InvalidInput(f"{name} is given twice; separate several values with commas")
        read = from_json if found["sign"] == ":=" else from_text
        values[name] = read(found["text"], forms[name].annotation, name)
    if missing := [name for name, form in forms.items() if _is_needed(form) and name not in values]:
        raise InvalidInput(
            f"{operation.name} needs {', '.join(f'{name}=…' for name in missing)}{_usage(operation)}"
        )
    bound = {name: values.pop(name) for name in _bound(operation.scope)}
    return _Call(operation=operation, bound=bound, arguments=values)


def _forms(operation: Operation[object]) -> Mapping[str, inspect.Parameter]:
    """What a call takes, by name: what its scope is bound to, then what its coroutine takes."""
    coroutine: Any = operator.attrgetter(operation.name.partition(".")[2])(scope_of(operation.scope))
    return {**_bound(operation.scope), **inspect.signature(coroutine, eval_str=True).parameters}


def _bound(scope: str) -> Mapping[str, inspect.Parameter]:
    """What a scope is bound to."""
    found = inspect.getattr_static(TogglClient, scope)
    if isinstance(found, property):
        return {}
    forms = dict(inspect.signature(found).parameters)
    del forms["self"]
    return forms


def _is_needed(form: inspect.Parameter) -> bool:
    return form.default is inspect.Parameter.empty


def _usage(operation: Operation[object]) -> str:
    """Say what an operation takes, behind a message."""
    forms = _forms(operation)
    if not forms:
        return "; it takes no arguments"
    told = [
        f"{name}{'' if _is_needed(form) else ' (optional)'}: {described(form.annotation)}"
        for name, form in forms.items()
    ]
    return f"; it takes {'; '.join(told)}"


def _shown(result: object) -> str | bytes:
    """Write what an operation brought."""
    if isinstance(result, bytes):
        return result
    return json_text(json.dumps(plain(result, "answer"), ensure_ascii=False, indent=2))
