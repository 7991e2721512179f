"""Checks of the arguments that the functions that run an export share, under the names of the arguments."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import attrs

from toggl_async.export.plan.arguments import (
    check_client,
    check_flag,
    check_instance,
    check_path,
    check_seconds,
    dataset_names,
    or_none,
    refuse,
)
from toggl_async.export.plan.plan import ExportPlan
from toggl_async.export.plan.survey import Survey
from toggl_async.export.run.refresh import Choices
from toggl_async.scheduler.events.listening import check_listener

__all__ = ["check_arguments"]

_GIVEN: Final = attrs.filters.exclude("name", "note")
"""The choices of a caller, without what a run adds."""

_Check = Callable[[object, str], object]


def _is(kind: type, expected: str) -> _Check:
    return lambda value, name: check_instance(kind, value, name, expected)


def _days(value: object, name: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise refuse(value, name, "a number of days, 0 or more, or None")


def _function(value: object, name: str) -> None:
    if not callable(value):
        raise refuse(value, name, "a function that takes an event, or None")
    check_listener(value)


_CHECKS: Final[Mapping[str, _Check]] = MappingProxyType(
    {
        "account": or_none(_is(Survey, "the result of survey, or None")),
        "client": check_client,
        "datasets": or_none(dataset_names),
        "destination": check_path,
        "every": lambda value, name: check_seconds(value, name, zero=False),
        "excel": or_none(check_flag),
        "format": or_none(_is(str, "the name of a format, or None")),
        "max_wait": or_none(check_seconds),
        "older": check_flag,
        "on_event": or_none(_function),
        "plan": _is(ExportPlan, "an ExportPlan"),
        "recheck": or_none(_days),
        "update": check_flag,
    }
)


def check_arguments(choices: Choices | None = None, /, **arguments: object) -> None:
    """Check the arguments of an export before anything is sent or written.

    Args:
        choices: holds the arguments of the same names.
        arguments: further arguments of a public function, by name.

    Raises:
        InvalidInput: one of them can't be used; the message names it, what came, and what is expected.
    """
    chosen = attrs.asdict(choices, recurse=False, filter=_GIVEN) if choices is not None else {}
    for name, value in (arguments | chosen).items():
        _CHECKS[name](value, name)
