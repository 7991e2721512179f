"""What happens to a fleet on a budget: its Redis is lost, hosts' clocks are wrong, a node fails over."""

import contextlib
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from budget_fleet import Fleet, figures

from support.redis_server import RedisServer, free_port, redis_server

RUNS = 10
FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")
Targets = Mapping[str, tuple[str, float]]


def trouble(act: Callable[[RedisServer], None], interval: float = 0.1) -> Callable[[], dict[str, Any]]:
    """Return a scenario in which Redis is lost in the middle of a run of eight processes; ten runs."""

    def once() -> dict[str, Any]:
        with tempfile.TemporaryDirectory() as folder, redis_server(Path(folder)) as server:
            fleet = Fleet(server.url)
            started = fleet.start(8, calls=25, interval=interval, margin=0.05)
            fleet.go(started)
            time.sleep(6)
            lost = time.monotonic()
            act(server)
            back = time.monotonic()
            fleet.end()
        found = figures(fleet, interval)
        sent = sorted(line["sent"] for line in fleet.lines if "sent" in line)
        alone = [at for at in sent if lost + 2 < at < max(back, lost + 3)]
        found["pace meanwhile"] = round((len(alone) - 1) / (alone[-1] - alone[0]), 2) if alone[1:] else 0.0
        after = [at for at in sent if at > back + 5]
        found["pace 5 s later"] = round((len(after) - 1) / (after[-1] - after[0]), 2) if after[1:] else 0.0
        return found

    def scenario() -> dict[str, Any]:
        runs = [once() for _ in range(RUNS)]
        return {
            "runs": RUNS,
            "sent in each": min(run["sent"] for run in runs),
            "429": sum(run["429"] for run in runs),
            "shortest gap": min(run["shortest gap"] for run in runs),
            "longest gap": max(run["longest gap"] for run in runs),
            "pace meanwhile": [run["pace meanwhile"] for run in runs],
            "pace 5 s later": min(run["pace 5 s later"] for run in runs),
        }

    return scenario


def _hang(server: RedisServer) -> None:
    server.hang()
    time.sleep(4)
    server.go_on()


def _restart(server: RedisServer) -> None:
    server.stop()
    time.sleep(4)
    server.start()


def _restart_at_once(server: RedisServer) -> None:
    server.stop()
    server.start()


def _empty(server: RedisServer) -> None:
    subprocess.run(["redis-cli", "-p", str(server.port), "flushall"], check=True, stdout=subprocess.DEVNULL)


def clocks(store: str, interval: float = 0.1, margin: float = 0.05) -> Callable[[], dict[str, Any]]:
    """Return a scenario in which hosts' wall clocks differ by ten minutes, and one is set midway."""

    def scenario() -> dict[str, Any]:
        with tempfile.TemporaryDirectory() as folder, redis_server(Path(folder)) as server:
            stamp = Path(folder) / "clock"
            stamp.write_text("+0")
            fleet = Fleet(server.url if store == "redis" else f"file:{folder}/budget.sqlite")
            given: dict[str, Any] = {"calls": 25, "interval": interval, "margin": margin}
            started = []
            for clock in (
                {"FAKETIME": "+600"},
                {"FAKETIME": "-600"},
                {"FAKETIME_TIMESTAMP_FILE": str(stamp)},
            ):
                wrong = {"LD_PRELOAD": str(FAKETIME), "FAKETIME_DONT_FAKE_MONOTONIC": "1", **clock}
                started += fleet.start(2, {**wrong, "FAKETIME_NO_CACHE": "1"}, **given)
            started += fleet.start(2, **given)
            time.sleep(3)
            fleet.go(started)
            for setting in ("+600", "-600"):
                time.sleep(5)
                stamp.write_text(setting)
            fleet.end()
        found = figures(fleet, interval)
        ideal = (found["sent"] - 1) * interval * (1 + margin)
        return {**found, "of the ideal": round(found["seconds"] / ideal, 3)}

    return scenario


@contextlib.contextmanager
def cluster() -> Iterator[int]:
    """Run a cluster of three nodes; return the port of one."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        ports = []
        for number in range(3):
            place = Path(folder) / str(number)
            place.mkdir()
            port = next(port for port in iter(free_port, None) if port < 55_000)
            server = RedisServer(place, "--cluster-enabled", "yes", port=port)
            server.start()
            stack.callback(server.stop)
            ports.append(port)
        nodes = [f"127.0.0.1:{port}" for port in ports]
        subprocess.run(
            ["redis-cli", "--cluster", "create", *nodes, "--cluster-yes"], check=True, capture_output=True
        )
        yield ports[0]


def in_cluster(interval: float = 0.1, margin: float = 0.05) -> dict[str, Any]:
    """Eight processes on a cluster of three nodes."""
    with cluster() as port:
        fleet = Fleet(f"cluster:{port}")
        started = fleet.start(8, calls=25, interval=interval, margin=margin)
        time.sleep(3)
        fleet.go(started)
        fleet.end()
    found = figures(fleet, interval)
    ideal = (found["sent"] - 1) * interval * (1 + margin)
    return {**found, "of the ideal": round(found["seconds"] / ideal, 3)}


def failover(interval: float = 0.1, margin: float = 0.05) -> dict[str, Any]:
    """Eight processes whose master is killed, and whose Sentinel makes a replica the master."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        master = stack.enter_context(redis_server(Path(folder)))
        stack.enter_context(redis_server(Path(folder), "--replicaof", "127.0.0.1", str(master.port)))
        settings, port = Path(folder) / "sentinel.conf", free_port()
        settings.write_text(
            f"port {port}\nbind 127.0.0.1\nsentinel monitor main 127.0.0.1 {master.port} 1\n"
            "sentinel down-after-milliseconds main 1000\nsentinel failover-timeout main 5000\n"
        )
        sentinel = subprocess.Popen(
            ["redis-server", str(settings), "--sentinel"], cwd=folder, stdout=subprocess.DEVNULL
        )
        stack.callback(sentinel.wait)
        stack.callback(sentinel.kill)
        time.sleep(3)
        fleet = Fleet(f"sentinel:{port}")
        started = fleet.start(8, calls=40, interval=interval, margin=margin)
        fleet.go(started)
        time.sleep(8)
        killed = time.monotonic()
        master.stop()
        fleet.end()
    found = figures(fleet, interval)
    after = sorted(line["sent"] for line in fleet.lines if line.get("sent", 0) > killed)
    back = [line["sent"] for line in fleet.lines if line.get("sent", 0) > killed + 1 and not line["away"]]
    found["with the store again after, s"] = round(min(back) - killed, 2) if back else -1
    found["pace after the failure"] = round((len(after) - 1) / (after[-1] - after[0]), 2)
    return found


def cron(store: str) -> Callable[[], dict[str, Any]]:
    """Return a scenario in which a second run begins as soon as the first has ended."""

    def scenario() -> dict[str, Any]:
        with tempfile.TemporaryDirectory() as folder, redis_server(Path(folder)) as server:
            fleet = Fleet(server.url if store == "redis" else f"file:{folder}/budget.sqlite")
            for _ in range(5):
                started = fleet.start(1, calls=5, interval=1.0, margin=0.02, **{"at once": True})
                fleet.go(started)
                started[0].wait()
            fleet.end()
        return figures(fleet, 1.0)

    return scenario


def quota(budget: str = "file", share: int = 30, window: float = 30.0, calls: int = 120) -> dict[str, Any]:
    """30 an hour and 120 calls of four processes, an hour being half a minute."""
    from budget_quota import QuotaServer  # noqa: PLC0415 - it serves here alone

    with tempfile.TemporaryDirectory() as folder, QuotaServer(share, window) as server:
        fleet = Fleet(f"{budget}:{folder}/budget.sqlite")
        started = fleet.start(4, calls=calls // 4, interval=0.1, margin=0.05, url=server.url)
        time.sleep(3)
        fleet.go(started)
        fleet.end()
        windows = calls / share - 1
        seconds = figures(fleet, 0.1)["seconds"]
        return {
            "calls": server.answered,
            "402": server.refused,
            "429": server.throttled,
            "seconds": seconds,
            "of the windows needed": round(seconds / (windows * window + share * 0.105), 3),
        }


LOST: Targets = {
    "429": ("at most", 0),
    "sent in each": ("at least", 200),
    "pace 5 s later": ("at least", 9.2),
}
EVEN: Targets = {"429": ("at most", 0), "of the ideal": ("at most", 1.05)}
ACCIDENTS: dict[str, tuple[Callable[[], dict[str, Any]], Targets]] = {
    "Redis hangs, 10 runs": (trouble(_hang), LOST),
    "Redis stops for 4 s and is empty, 10 runs": (trouble(_restart), LOST),
    "Redis is restarted at once, 10 runs": (trouble(_restart_at_once), LOST),
    "Redis is emptied, 10 runs": (trouble(_empty), LOST),
    "wall clocks 10 minutes apart, and set midway, file": (clocks("file"), EVEN),
    "wall clocks 10 minutes apart, and set midway, redis": (clocks("redis"), EVEN),
    "a cluster of three nodes": (in_cluster, EVEN),
    "a failover by Sentinel": (failover, {"429": ("at most", 0), "sent": ("at least", 320)}),
    "five runs of cron, file": (cron("file"), {"429": ("at most", 0)}),
    "five runs of cron, redis": (cron("redis"), {"429": ("at most", 0)}),
    "30 an hour and 120 calls": (
        quota,
        {"402": ("at most", 0), "429": ("at most", 0), "of the windows needed": ("at most", 1.02)},
    ),
}
