"""Options that several commands have."""

import os
from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

from toggl_async._client.client import BASE_URL
from toggl_async._client.wire import checked_url
from toggl_async.cli.texts import TEXT

__all__ = ["COMPLETION", "Command", "base_url_option", "machine_option", "server_url"]

COMPLETION: Final = "_TOGGL_ASYNC_COMPLETE"
"""The environment variable by which a shell asks for completions; click makes its name of the command's."""

Command = TypeVar("Command", bound=Callable[..., Any] | click.Command)
"""A command, or the function that becomes one."""


def base_url_option(command: Command) -> Command:
    """Add ``--base-url``."""
    option = click.option(
        "--base-url", metavar="URL", type=TEXT, help="URL of another server with Toggl's API."
    )
    return option(command)


def machine_option(command: Command) -> Command:
    """Add ``--json``."""
    return click.option("--json", "machine", is_flag=True, help="Write JSON.")(command)


def server_url(base_url: str | None) -> str:
    """Return the server that a command asks: that of the option, of the environment, or Toggl's.

    Raises:
        InvalidInput: it isn't the URL of a server.
    """
    url = base_url or os.environ.get("TOGGL_BASE_URL") or BASE_URL
    checked_url(url, "base")
    return url
