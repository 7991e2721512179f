"""The message for an extra that is not installed. Imports nothing from the package."""

from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["needed_by"]


@contextmanager
def needed_by(what: str, extra: str) -> Iterator[None]:
    """Say how to install a package, if an import inside doesn't find it.

    Args:
        what: what needs it, such as ``"toggl_async.opentelemetry"``.
        extra: the extra that brings it.

    Raises:
        ModuleNotFoundError: it is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as missing:
        raise ModuleNotFoundError(
            f"{(missing.name or '').partition('.')[0]} is not installed; {what} needs the extra {extra!r}: "
            f"python -m pip install 'toggl_async[{extra}]'",
            name=missing.name,
        ) from None
