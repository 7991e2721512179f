"""Fleets of processes on one budget, and what their lines say of pace, refusals and cost."""

import asyncio
import itertools
import json
import multiprocessing
import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Protocol

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

CLIENT = ROOT / "tests" / "support" / "budget_caller.py"
BARE = ROOT / "tests" / "support" / "budget_worker.py"
TARGETS = {"at most": lambda seen, bound: seen <= bound, "at least": lambda seen, bound: seen >= bound}


class Process(Protocol):
    """A process of a fleet."""

    @property
    def pid(self) -> int | None:
        """Its number."""
        ...

    def kill(self) -> None:
        """Kill it."""
        ...

    def wait(self) -> object:
        """Wait until it is over."""
        ...


class Fleet:
    """Worker processes on one budget."""

    worker = CLIENT

    def __init__(self, budget: str) -> None:
        self.budget = budget
        self.lines: list[dict[str, Any]] = []
        self._running: list[tuple[Process, threading.Thread]] = []
        self._stdin: dict[int | None, IO[str]] = {}

    def start(self, count: int, environ: Any = None, **given: Any) -> list[Process]:
        """Start processes, which wait for `go`; `environ` is a mapping, added to their environment."""
        opened: list[tuple[Process, IO[str], IO[str]]] = []
        for _ in range(count):
            process = subprocess.Popen(
                [sys.executable, str(self.worker), json.dumps({"budget": self.budget, **given})],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env={**os.environ, **(environ or {})},
            )
            assert process.stdin is not None
            assert process.stdout is not None
            opened.append((process, process.stdin, process.stdout))
        return self._opened(opened)

    def fork(self, count: int, **given: Any) -> list[Process]:
        """Start bare processes that share what they import: hundreds of them cost a few seconds."""
        import support.budget_worker  # noqa: F401, PLC0415 - so that those who are forked need not

        context = multiprocessing.get_context("fork")
        opened: list[tuple[Process, IO[str], IO[str]]] = []
        for _ in range(count):
            (told_by, tell), (read, written_by) = (context.Pipe(duplex=False) for _ in range(2))
            child = context.Process(
                target=work, args=({"budget": self.budget, **given}, told_by, written_by), daemon=True
            )
            child.start()
            told_by.close()
            written_by.close()
            ends = os.fdopen(os.dup(tell.fileno()), "w"), os.fdopen(os.dup(read.fileno()))
            tell.close()
            read.close()
            opened.append((_Forked(child), *ends))
        return self._opened(opened)

    def go(self, processes: Sequence[Process]) -> None:
        """Let them begin."""
        for process in processes:
            stdin = self._stdin[process.pid]
            stdin.write("go\n")
            stdin.flush()

    def end(self, *, kill: bool = False) -> None:
        """Wait for all of them."""
        for process, reader in self._running:
            if kill:
                process.kill()
            process.wait()
            reader.join()

    def _opened(self, opened: Sequence[tuple[Process, IO[str], IO[str]]]) -> list[Process]:
        for process, stdin, stdout in opened:
            stdout.readline()
            reader = threading.Thread(target=self._read, args=(process, stdout), daemon=True)
            reader.start()
            self._running.append((process, reader))
            self._stdin[process.pid] = stdin
        return [process for process, _, _ in opened]

    def _read(self, process: Process, stdout: IO[str]) -> None:
        for line in stdout:
            try:
                self.lines.append({"process": process.pid, **json.loads(line)})
            except ValueError:
                continue  # it was killed while it wrote


class _Forked:
    """A process of multiprocessing, with the names that subprocess has."""

    def __init__(self, process: Any) -> None:
        self._process = process

    @property
    def pid(self) -> int | None:
        found: int | None = self._process.pid
        return found

    def kill(self) -> None:
        """Kill it."""
        self._process.kill()

    def wait(self) -> None:
        """Wait until it is over."""
        self._process.join()


def work(given: dict[str, Any], stdin: Any, stdout: Any) -> None:
    """Be a bare worker, in a process that was forked."""
    from support.budget_worker import run  # noqa: PLC0415 - it has been loaded before

    os.dup2(stdin.fileno(), 0)
    os.dup2(stdout.fileno(), 1)
    sys.stdin, sys.stdout = open(0, closefd=False), open(1, "w", closefd=False)  # noqa: SIM115
    asyncio.run(run(given))


def refused_by(sent: Sequence[float], interval: float, bucket: float) -> int:
    """Return how many a bucket would have refused."""
    level, last, refused = 0.0, sent[0], 0
    for at in sent:
        level = max(0.0, level - (at - last) / interval)
        last = at
        if level + 1 > bucket + 1e-6:
            refused += 1
        else:
            level += 1
    return refused


def figures(fleet: Fleet, interval: float, *, bucket: float = 1.0) -> dict[str, Any]:
    """Return what the lines of a fleet say."""
    sent = sorted(line["sent"] for line in fleet.lines if "sent" in line)
    gaps = [later - earlier for earlier, later in itertools.pairwise(sent)]
    by_process: dict[int, int] = {}
    for line in fleet.lines:  # those that were killed could not say how many they took in all
        took = line.get("transactions", line.get("so far", 0))
        by_process[line["process"]] = max(by_process.get(line["process"], 0), took)
    transactions = sum(by_process.values())
    seconds = sent[-1] - sent[0]
    return {
        "sent": len(sent),
        "seconds": round(seconds, 2),
        "pace": round((len(sent) - 1) / seconds, 2),
        "429": refused_by(sent, interval, bucket),
        "shortest gap": round(min(gaps), 4),
        "longest gap": round(max(gaps), 3),
        **({"transactions a grant": round(transactions / len(sent), 2)} if transactions else {}),
        "cpu": round(sum(line.get("cpu", 0.0) for line in fleet.lines), 2),
    }


def judged(found: dict[str, Any], targets: Mapping[str, tuple[str, float]]) -> dict[str, Any]:
    """Return figures beside their targets, and what was missed."""
    missed = [
        name
        for name, (how, bound) in targets.items()
        if name in found and not TARGETS[how](found[name], bound)
    ]
    told = {name: f"{how} {bound:g}" for name, (how, bound) in targets.items()}
    return {**found, "targets": told, "met": not missed, **({"missed": missed} if missed else {})}
