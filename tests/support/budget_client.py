"""Programs with a client, each in a process of its own, that do what a test tells them, line by line.

``python tests/support/budget_client.py SOCKET`` listens on a socket, and each connection gets a process:
forked, since starting Python anew for each would cost a second. The first line of a connection is
``[URL, BUDGET, INTERVAL]``, and is answered with the process id. Each line that follows is answered by one,
in the order in which they are done.
"""

import asyncio
import json
import logging
import os
import resource
import signal
import socket
import sys
from collections.abc import AsyncIterator
from typing import Any, TextIO

from toggl_async import (
    ApiToken,
    ClientOptions,
    Cooldown,
    Pace,
    Priority,
    Retry,
    TogglClient,
    TogglError,
)
from toggl_async.scheduler import SchedulerEvent, events
from toggl_async.scheduler.budgets.named import budget_from_text

TOKEN = "a" * 32


class Troubles(logging.Handler):
    """What was told of trouble with the budget, in the log and as events."""

    def __init__(self) -> None:
        super().__init__()
        self.logged: list[str] = []
        self.told: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.logged.append(record.getMessage())

    def on_event(self, event: SchedulerEvent) -> None:
        if isinstance(event, events.BudgetLost | events.BudgetBack):
            self.told.append(type(event).__name__)


async def call(toggl: TogglClient, workspace: int, max_wait: float | None, priority: str) -> dict[str, Any]:
    """Make a call, and say how it ended."""
    view = toggl.with_options(max_wait=max_wait, priority=Priority[priority])
    try:
        await view.workspace(workspace).tags.list()
    except TogglError as error:
        return {
            "error": type(error).__name__,
            "message": str(error),
            "from_memory": getattr(error, "from_memory", False),
        }
    return {"error": None}


async def lines_of(stream: TextIO) -> AsyncIterator[str]:
    """Yield the lines of a stream as they come, without holding up the loop."""
    lines: asyncio.Queue[str] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def read() -> None:
        # Each line at once: the stream drops what it has read ahead when somebody writes to it.
        while line := stream.readline():
            loop.call_soon_threadsafe(lines.put_nowait, line)
        loop.call_soon_threadsafe(lines.put_nowait, "")

    loop.run_in_executor(None, read)
    while line := await lines.get():
        yield line


async def main(stream: TextIO, url: str, budget: str, interval: float) -> None:
    """Read what to do until there is no more."""
    troubles = Troubles()
    logging.getLogger("toggl_async.budget").addHandler(troubles)
    options = ClientOptions(
        pace=Pace(interval=interval),
        retry=Retry(attempts=1),
        cooldown=Cooldown(minimum=600, maximum=600),
        coalesce=False,
    )
    lines = lines_of(stream)

    def say(answer: dict[str, Any]) -> None:
        stream.write(json.dumps(answer) + "\n")
        stream.flush()

    say({"process": os.getpid()})
    async with (
        TogglClient(
            ApiToken(TOKEN),
            base_url=url,
            options=options,
            budget=budget_from_text(budget),
            on_event=troubles.on_event,
        ) as toggl,
        asyncio.TaskGroup() as group,
    ):

        async def called(given: dict[str, Any]) -> None:
            say(await call(toggl, given["workspace"], given.get("max_wait"), given.get("priority", "NORMAL")))

        async for line in lines:
            given = json.loads(line)
            match given["do"]:
                case "call":
                    group.create_task(called(given))
                case "forget":
                    toggl.scheduler.forget_refusals()
                    say({})
                case "fill the disk":
                    most = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
                    resource.setrlimit(resource.RLIMIT_FSIZE, (0, most))
                    say({})
                case _:
                    stats = toggl.scheduler.stats()
                    waiting = [process.process for one in stats.accounts for process in one.processes]
                    troubled = {"logged": troubles.logged, "told": troubles.told}
                    say({"alone": stats.alone, "waiting": waiting, **troubled})


async def load() -> None:
    """Load once, for all, what a call takes."""
    budget_from_text("file")
    budget_from_text("redis://nowhere")
    options = ClientOptions(retry=Retry(attempts=1))
    async with TogglClient(ApiToken(TOKEN), base_url="http://127.0.0.1:1", options=options) as toggl:
        await call(toggl, 1, None, "NORMAL")


def serve(path: str) -> None:
    """Run a program for each connection."""
    asyncio.run(load())
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()
        print("ready", flush=True)  # noqa: T201
        while True:
            connection, _ = listening.accept()
            if os.fork() == 0:
                listening.close()
                stream = connection.makefile("rw", encoding="utf-8")
                asyncio.run(main(stream, *json.loads(stream.readline())))
                os._exit(0)
            connection.close()


if __name__ == "__main__":
    serve(sys.argv[1])
