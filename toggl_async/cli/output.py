"""Where the command writes: answers to stdout, everything else to stderr.

What was asked for has to arrive, so a stdout that takes no more is a failure, `OutputLost`. What goes to
stderr is a courtesy: where nobody can read it, the work goes on, and its exit code stands.
"""

import contextlib
import errno
import os
import sys
from typing import TextIO

import click

__all__ = ["OutputLost", "complain", "lost", "occupy_closed_descriptors", "remark", "say"]


class OutputLost(Exception):
    """stdout is closed, full, or has no reader any more.

    Attributes:
        abandoned: whether its reader has left, as in ``toggl-async api | head -1``; that is how pipes
            are used, and nothing to complain about.
    """

    def __init__(self, reason: str, *, abandoned: bool = False) -> None:
        super().__init__(f"cannot write to stdout: {reason}")
        self.abandoned = abandoned


def say(text: str) -> None:
    """Write what was asked for to stdout.

    Raises:
        OutputLost: it cannot be written.
    """
    if sys.stdout is None:  # pyright: ignore[reportUnnecessaryComparison] - closed before Python started
        raise OutputLost("it is closed")
    try:
        click.echo(text)
    except OSError as error:
        raise lost(error) from None


def lost(error: OSError) -> OutputLost:
    """What an error of stdout means; from then on, stdout leads nowhere."""
    _discard(sys.stdout)
    return OutputLost(error.strerror or str(error), abandoned=error.errno == errno.EPIPE)


def remark(line: str) -> None:
    """Write a line for people to stderr, if it can be written."""
    try:
        click.echo(line, err=True)
    except OSError:
        _discard(sys.stderr)


def complain(message: str) -> None:
    """Say in one line on stderr what went wrong."""
    remark(f"toggl-async: {' '.join(message.split())}")


def occupy_closed_descriptors() -> None:
    """Let nothing that is opened later, such as a database, be taken for a standard stream."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:  # noqa: PLR2004 - stdin, stdout, stderr
        pass
    os.close(descriptor)


def _discard(stream: TextIO) -> None:
    """Lead a stream to nowhere: Python writes once more, when it ends, what a stream did not take."""
    with contextlib.suppress(OSError, ValueError):  # what stands in for a stream may have no descriptor
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
