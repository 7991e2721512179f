"""What may listen to events: plain functions, which are called and never awaited."""

import inspect
from collections.abc import Callable
from typing import TypeVar

from toggl_async.errors import InvalidInput

__all__ = ["check_listener", "notify"]

EventT = TypeVar("EventT")

_IDLE = (inspect.iscoroutinefunction, inspect.isasyncgenfunction, inspect.isgeneratorfunction)


def check_listener(given: object) -> None:
    """Refuse what can't be told anything.

    Raises:
        InvalidInput: it isn't a function; or calling it would run nothing, as with a coroutine function.
    """
    if not callable(given):
        raise InvalidInput(f"on_event must be a function that takes an event, not {type(given).__name__}")
    call = getattr(type(given), "__call__", None)  # noqa: B004 - that of the class is the one called
    if any(is_idle(one) for is_idle in _IDLE for one in (given, call)):
        raise InvalidInput(
            "on_event must be a plain function, without await or yield: it is called, and never awaited"
        )


def notify(on_event: Callable[[EventT], object], event: EventT) -> None:
    """Hand an event over.

    Raises:
        InvalidInput: the function returned a coroutine, as a lambda may, which would do nothing unawaited.
    """
    returned = on_event(event)
    if inspect.iscoroutine(returned):
        returned.close()
        raise InvalidInput(
            "on_event returned a coroutine, which is never awaited: pass a plain function, which may start a "
            "task or put the event in a queue"
        )
