"""Which functions of a program can be awaited: seen from outside, and by what they returned."""

import functools
import inspect
from collections.abc import Awaitable
from typing import TypeVar, get_origin

from toggl_async.errors import InvalidInput

__all__ = ["checked_awaitable", "may_be_awaited", "named"]

T = TypeVar("T")

_AWAITABLE = frozenset({"Awaitable", "Coroutine", "Future", "Task"})


def may_be_awaited(given: object) -> bool:
    """Say whether what a function returns may be awaited, also through a partial, a decorator or an object.

    A plain function that says nothing of that is most likely one whose ``async`` was forgotten. Of a lambda,
    and of what isn't written in Python, only the result tells.
    """
    while isinstance(given, functools.partial):
        given = given.func
    if isinstance(given, type) or not callable(given):
        return False
    call = getattr(type(given), "__call__", None)  # noqa: B004 - that of the class is the one called
    if any(inspect.iscoroutinefunction(inspect.unwrap(one)) for one in (given, call) if callable(one)):
        return True
    written = [one for one in (given, call) if inspect.isfunction(one) or inspect.ismethod(one)]
    return all(one.__name__ == "<lambda>" or _returns_awaitable(one) for one in written)


def checked_awaitable(given: Awaitable[T], name: str) -> Awaitable[T]:
    """Return what a function returned, if it can be awaited.

    Raises:
        InvalidInput: it can't be.
    """
    if not inspect.isawaitable(given):
        raise InvalidInput(
            f"{name} must be a coroutine function, or return an awaitable: it returned "
            f"{type(given).__name__}, which can't be awaited"
        )
    return given


def named(given: object) -> str:
    """Name what was given, as the program knows it."""
    if isinstance(given, type):
        return f"the class {given.__name__}"
    return f"the function {given.__name__}" if inspect.isfunction(given) else type(given).__name__


def _returns_awaitable(function: object) -> bool:
    """Say whether a function is annotated to return an awaitable."""
    said: object = getattr(function, "__annotations__", {}).get("return")
    if isinstance(said, str):
        return said.partition("[")[0].rpartition(".")[2] in _AWAITABLE
    kind = get_origin(said) or said
    return isinstance(kind, type) and issubclass(kind, Awaitable)
