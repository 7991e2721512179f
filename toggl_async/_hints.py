"""Errors about names that don't exist, which say where to look instead.

It imports only `errors` from the package.
"""

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from typing import ParamSpec, TypeVar

from toggl_async.errors import InvalidInput

__all__ = ["NoSuchName", "known_arguments", "known_fields", "nearest", "quoted"]

P = ParamSpec("P")
T = TypeVar("T")


class NoSuchName(AttributeError):
    """An attribute that isn't there. The hint is made when somebody reads it: `hasattr` doesn't.

    Args:
        message: what is not there.
        name: the attribute.
        obj: what it was looked for in.
        hint: makes the rest of the message.
    """

    def __init__(
        self,
        message: str,
        *,
        name: str | None = None,
        obj: object = None,
        hint: Callable[[], str] | None = None,
    ) -> None:
        super().__init__(message, name=name, obj=obj)
        self._hint = hint

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (str(self),)

    def __str__(self) -> str:
        return f"{self.args[0]}{self._hint() if self._hint else ''}"


def known_arguments(elsewhere: Mapping[str, str]) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Refuse keywords that a function doesn't take, with a word on where they belong.

    Args:
        elsewhere: keywords that are looked for in it, and the sentence about each.
    """

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        known = [name for name in inspect.signature(function).parameters if name not in {"self", "cls"}]

        @functools.wraps(function)
        def called(*args: P.args, **kwargs: P.kwargs) -> T:
            for name in kwargs:
                if name not in known:
                    raise InvalidInput(f"there is no argument {name!r}{_said(name, known, elsewhere)}")
            return function(*args, **kwargs)

        return called

    return decorate


def known_fields(elsewhere: Mapping[str, str]) -> Callable[[type[T]], type[T]]:
    """Refuse keywords that a class doesn't take, as `known_arguments` does for a function."""

    def decorate(kind: type[T]) -> type[T]:
        setattr(kind, "__init__", known_arguments(elsewhere)(kind.__init__))  # noqa: B010 - mypy refuses the other
        return kind

    return decorate


def nearest(name: str, known: Iterable[str], count: int = 3) -> str:
    """Say which names are like one that isn't there, behind a message; say nothing if none is."""
    by_lower = {one.lower(): one for one in known}
    inside = [lower for lower in by_lower if name and name.lower() in lower]
    found = dict.fromkeys([*get_close_matches(name.lower(), by_lower, n=count), *inside])
    meant = [quoted(by_lower[lower]) for lower in found][:count]
    return f"; did you mean {' or '.join(meant)}?" if meant else ""


def quoted(name: str) -> str:
    """Put a name of other people's into quotes; what would steer a terminal is escaped as in JSON."""
    return f"'{''.join(map(_shown, name))}'"


def _shown(character: str) -> str:
    """Show a character, or its units in UTF-16 where it can't be printed."""
    if character.isprintable():
        return character
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))


def _said(name: str, known: list[str], elsewhere: Mapping[str, str]) -> str:
    """Say where an argument belongs, which one was meant, or which there are."""
    if name in elsewhere:
        return f": {elsewhere[name]}"
    if meant := get_close_matches(name, known, n=1):
        return f": did you mean {meant[0]!r}?"
    return f"; the arguments are {', '.join(known)}"
