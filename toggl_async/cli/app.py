"""The command's front: its group, and how errors become exit codes."""

import errno
import io
import logging
import os
import sys
from collections.abc import Sequence

import click

from toggl_async.cli.api import api
from toggl_async.cli.call import call
from toggl_async.cli.day import current, start, stop, today
from toggl_async.cli.exits import Exit
from toggl_async.cli.export import export
from toggl_async.cli.feed import feed
from toggl_async.cli.forget import forget
from toggl_async.cli.hours import report
from toggl_async.cli.interrupts import interruptible
from toggl_async.cli.options import COMPLETION
from toggl_async.cli.output import (
    ESCAPES,
    OutputLost,
    closed_stdout_refusing,
    complain,
    lost,
    occupy_closed_descriptors,
)
from toggl_async.cli.quota import quota
from toggl_async.cli.sandbox import sandbox
from toggl_async.cli.whoami import whoami
from toggl_async.errors import BudgetError, InvalidInput

__all__ = ["command", "run"]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="toggl_async", message="toggl-async %(version)s")
def command() -> None:
    """Work with Toggl Track: a day's timer, everything exported, any operation by hand, or a fake Toggl.

    The token is read from the environment variable TOGGL_API_TOKEN, never from the command line,
    where every user of the machine could see it.
    """


for _one in (api, call, current, export, feed, forget, quota, report, sandbox, start, stop, today, whoami):
    command.add_command(_one)


def run(arguments: Sequence[str] | None) -> int:
    """Run the command and return its exit code; bad input costs one line, not a screenful."""
    occupy_closed_descriptors()
    with closed_stdout_refusing():
        return _run(arguments)


def _run(arguments: Sequence[str] | None) -> int:
    """Run the command, whose errors become lines on stderr and exit codes."""
    # What the scheduler logs, the display shows.
    logging.getLogger("toggl_async").addHandler(logging.NullHandler())
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # names need not fit into the terminal's encoding
            stream.reconfigure(errors=ESCAPES)
    streams = sys.stdout, sys.stderr
    try:
        with interruptible():
            return int(command.main(arguments, prog_name="toggl-async", standalone_mode=False) or 0)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return Exit.REFUSED
    except click.ClickException as error:
        complain(error.format_message())
        return Exit.REFUSED
    except (BudgetError, InvalidInput) as error:
        complain(str(error))
        return Exit.REFUSED
    except OutputLost as error:
        return _unheard(error)
    except OSError as error:  # click writes help and version by itself
        return _unheard(lost(error))
    except SystemExit as ended:
        if COMPLETION in os.environ and isinstance(ended.code, int):
            return ended.code
        # So click ends where the reader of these has left, with streams of its own.
        sys.stdout, sys.stderr = streams
        return _unheard(lost(BrokenPipeError(errno.EPIPE, "Broken pipe")))
    except (click.Abort, KeyboardInterrupt):
        complain("interrupted")
        return Exit.INTERRUPTED


def _unheard(error: OutputLost) -> Exit:
    """Say that what was asked for could not be written, unless nobody wants it any more."""
    if not error.abandoned:
        complain(str(error))
    return Exit.FAILED
