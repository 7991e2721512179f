"""Text from the command line, which is UTF-8 whatever encoding Python takes the terminal's to be.

Where it takes that to be ASCII, as with ``LC_ALL=C``, and where bytes are no text at all, an argument comes
with its bytes escaped as surrogates, which no server takes. Paths are left as they come: there, the bytes
count.
"""

import os
from typing import Any, Final

import click

from toggl_async.errors import InvalidInput

__all__ = ["TEXT", "text_of"]


def text_of(argument: str, name: str) -> str:
    """Return the text of an argument as it was typed.

    Args:
        argument: what Python made of it.
        name: what the error calls it.

    Raises:
        InvalidInput: its bytes are not UTF-8.
    """
    try:
        return _decoded(argument)
    except UnicodeError:
        raise InvalidInput(f"{name}: it is not valid text in UTF-8") from None


def _decoded(argument: str) -> str:
    """Decode the bytes of an argument where it has any that Python did not decode.

    Raises:
        UnicodeError: they are not UTF-8.
    """
    try:
        argument.encode()
    except UnicodeEncodeError:
        return os.fsencode(argument).decode()
    return argument


class _Text(click.types.StringParamType):
    """The type of what is text."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Read what was given."""
        try:
            return _decoded(value)
        except UnicodeError:
            self.fail("it is not valid text in UTF-8", param, ctx)


TEXT: Final = _Text()
"""The type of options and arguments that are text, and not a path."""
