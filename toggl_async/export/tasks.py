"""Errors of tasks that run in a group: callers get the error that ended it, not an exception group. Pure."""

from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["first_error", "ungrouped"]


def first_error(error: BaseException) -> BaseException:
    """The first error of a group of tasks: the others were cancelled for it."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


@contextmanager
def ungrouped() -> Iterator[None]:
    """Raise the first error of a group in its place."""
    try:
        yield
    except BaseExceptionGroup as errors:
        raise first_error(errors) from None
