"""Where the command writes: answers to stdout, everything else to stderr.

The output that was asked for has to arrive, so a stdout that accepts no more is a failure, `OutputLost`.
Output to stderr is a courtesy: if nobody can read it, the work continues, and the exit code stays the same.

Names are other people's text. Characters that would control a terminal, or don't fit its encoding, are
escaped as in JSON, so that JSON stays JSON.
"""

import codecs
import contextlib
import errno
import io
import os
import re
import sys
from collections.abc import Iterator
from typing import Final, TextIO

import click

__all__ = [
    "ESCAPES",
    "OutputLost",
    "closed_stdout_refusing",
    "complain",
    "defused",
    "json_text",
    "lost",
    "occupy_closed_descriptors",
    "on_one_line",
    "remark",
    "say",
]

_BEYOND_ASCII: Final = re.compile(r"[^\x00-\x7f]+")

_STEERS: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""Control characters but tab and line feed; and what turns the direction of writing, which can hide text."""


def defused(text: str) -> str:
    """Escape what a terminal would obey."""
    return _STEERS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def json_text(text: str | bytes) -> str:
    """JSON as stdout can carry it: as it is where that takes UTF-8, else in ASCII alone.

    A pipe of another encoding would make other bytes of some characters, and readers of JSON expect UTF-8.
    """
    text = text.decode("utf-8") if isinstance(text, bytes) else text
    if _takes_utf8(sys.stdout):
        return text
    return _BEYOND_ASCII.sub(lambda found: _units(found[0]), text)


def _takes_utf8(stream: TextIO | None) -> bool:
    encoding: str | None = getattr(stream, "encoding", None)
    return encoding is not None and codecs.lookup(encoding).name == "utf-8"


def on_one_line(name: str) -> str:
    """A name as a table can show it."""
    return defused(" ".join(name.split()))


def _escaped(error: UnicodeError) -> tuple[str, int]:
    """Write what an encoding doesn't have as JSON does, in UTF-16; `backslashreplace` isn't JSON."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return _units(error.object[error.start : error.end]), error.end


def _units(text: str) -> str:
    """Write a text as JSON can escape it: by its units in UTF-16."""
    units = text.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))


ESCAPES: Final = "toggl_async.escapes"
"""What streams do with characters that their encoding doesn't have."""

codecs.register_error(ESCAPES, _escaped)


class OutputLost(Exception):
    """stdout is closed, full, or has no reader any more.

    Attributes:
        abandoned: whether its reader has left, as in ``toggl-async api | head -1``; that is how pipes
            are used, and nothing to complain about.
    """

    def __init__(self, reason: str, *, abandoned: bool = False) -> None:
        super().__init__(f"cannot write to stdout: {reason}")
        self.abandoned = abandoned


def say(answer: str | bytes) -> None:
    """Write what was asked for to stdout: a text, or a file as it is.

    Raises:
        OutputLost: it cannot be written.
    """
    try:
        if isinstance(answer, bytes):
            click.echo(answer, nl=False)
        else:
            # Without the stream, click would write UTF-8 into one of ASCII.
            click.echo(defused(answer), file=sys.stdout)
    except OSError as error:
        raise lost(error) from None


class _Closed(io.TextIOBase):
    """A stdout that was closed before Python started, for which Python itself has None."""

    def write(self, text: str, /) -> int:  # noqa: ARG002
        raise OSError(errno.EBADF, "it is closed")


@contextlib.contextmanager
def closed_stdout_refusing() -> Iterator[None]:
    """Let a closed stdout refuse what is written within the block; where it is None, click writes nothing."""
    if sys.stdout is not None:  # pyright: ignore[reportUnnecessaryComparison]
        yield
        return
    sys.stdout = _Closed()
    try:
        yield
    finally:
        sys.stdout = None


def lost(error: OSError) -> OutputLost:
    """What an error of stdout means; from then on, stdout leads nowhere."""
    _discard(sys.stdout)
    return OutputLost(error.strerror or str(error), abandoned=error.errno == errno.EPIPE)


def remark(line: str) -> None:
    """Write a line for people to stderr, if it can be written."""
    if sys.stderr is None:  # pyright: ignore[reportUnnecessaryComparison] - click would write it to stdout
        return
    try:
        click.echo(defused(line), file=sys.stderr)
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
    with contextlib.suppress(OSError, ValueError):  # a substitute for a stream may have no descriptor
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
