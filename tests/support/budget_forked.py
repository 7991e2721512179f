"""A program that uses a budget in a file, forks, and closes its own hold while its child goes on.

``python tests/support/budget_forked.py FILE`` prints, when all is done, how many turns the last number is
ahead of the first: each of the parent, of the child and of a third process takes one.
"""

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL

from toggl_async.scheduler.budgets.file import FileBudget
from toggl_async.scheduler.budgets.shared import SharedHolder
from toggl_async.scheduler.core.limits import Limits


def count(limits: Limits, now: int) -> tuple[Limits, int, tuple[()]]:
    """Take a number, as a turn does."""
    limits.advance(now)
    limits.number += 1
    return limits, limits.number, ()


async def take(holder: SharedHolder) -> int:
    """Take a number."""
    result = holder.transact("account", count)
    return result if isinstance(result, int) else await result


def tell(number: int) -> None:
    """Print a number."""
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


def opened(path: str) -> SharedHolder:
    """Take hold of the file."""
    return FileBudget(path).open(lambda _account: None)


async def child(path: str, closed: int, done: int) -> None:
    """Use the file before and after the parent has closed it, and while a third process does."""
    holder = opened(path)
    await take(holder)
    os.write(done, b".")
    os.read(closed, 1)
    await take(holder)
    third = await asyncio.create_subprocess_exec(sys.executable, __file__, path, "third", stdout=DEVNULL)
    await third.wait()
    tell(await take(holder))
    await holder.aclose()


async def once(path: str) -> None:
    """Take one number."""
    holder = opened(path)
    tell(await take(holder))
    await holder.aclose()


def main() -> None:
    """Use it, fork, and close."""
    path = sys.argv[1]
    if len(sys.argv) > 2:  # the third process
        asyncio.run(once(path))
        return
    closed, done = os.pipe(), os.pipe()
    with asyncio.Runner() as runner:
        loop = runner.get_loop()

        async def use() -> SharedHolder:
            holder = opened(path)
            tell(await take(holder))
            return holder

        holder = loop.run_until_complete(use())
        if (process := os.fork()) == 0:
            asyncio.run(child(path, closed[0], done[1]))
            sys.stdout.flush()
            os._exit(0)
        os.read(done[0], 1)
        loop.run_until_complete(take(holder))
        loop.run_until_complete(holder.aclose())
        os.write(closed[1], b".")
        os.waitpid(process, 0)


if __name__ == "__main__":
    main()
