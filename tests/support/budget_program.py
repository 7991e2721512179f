"""Processes that run `budget_client`, driven by a test, and budgets that are long open."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import redis

from toggl_async.scheduler.budgets import database
from toggl_async.scheduler.budgets.boot_clock import BootClock, Reading

SCRIPT = Path(__file__).with_name("budget_client.py")
LONG = 60_000_000
"""How long ago these budgets began: a new one stays closed for a while."""


class Program:
    """A process with a client."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.process = 0
        self._reader = reader
        self._writer = writer

    def tell(self, do: str, **what: Any) -> None:
        """Tell it to do something, and do not wait for it."""
        self._writer.write(json.dumps({"do": do, **what}).encode() + b"\n")

    async def answer(self) -> dict[str, Any]:
        """Wait for what it says next."""
        line = await self._reader.readline()
        assert line, "the program has ended"
        found: dict[str, Any] = json.loads(line)
        return found

    async def ask(self, do: str, **what: Any) -> dict[str, Any]:
        """Tell it to do something, and wait for what it says."""
        self.tell(do, **what)
        return await self.answer()

    async def call(self, workspace: int = 1, **what: Any) -> dict[str, Any]:
        """Have it make a call."""
        return await self.ask("call", workspace=workspace, **what)

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        os.kill(self.process, number)

    async def kill(self) -> None:
        """Kill it, and wait until it is gone."""
        self.signal(signal.SIGKILL)
        await self._reader.read()


class Programs:
    """What starts programs, on the path of its socket."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextlib.asynccontextmanager
    async def __call__(self, url: str, budget: str, interval: float = 0.001) -> AsyncIterator[Program]:
        """Run a program; it is over at the end of the block."""
        reader, writer = await asyncio.open_unix_connection(self._path)
        try:
            writer.write(json.dumps([url, budget, interval]).encode() + b"\n")
            program = Program(reader, writer)
            program.process = (await program.answer())["process"]
            yield program
            writer.write_eof()
            await reader.read()
        finally:
            writer.close()


@contextlib.contextmanager
def programs(folder: Path) -> Iterator[Programs]:
    """Be ready to start programs."""
    path = folder / "programs"
    process = subprocess.Popen([sys.executable, str(SCRIPT), str(path)], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        yield Programs(path)
    finally:
        process.kill()
        process.communicate()


def file_that_is_open(path: Path) -> str:
    """Make a file that is older than the time for which a new one stays closed; return its budget's name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    reading = BootClock().read()
    database._make(path, Reading(reading.boot, reading.uptime - LONG, reading.wall - LONG))
    return f"file:{path}"


def redis_that_is_open(url: str) -> str:
    """Likewise for Redis, whatever is in it is forgotten."""
    with redis.Redis.from_url(url) as client:
        client.flushall()
        client.set("toggl_async:mark", int(time.time() * 1_000_000) - LONG)
    return url
