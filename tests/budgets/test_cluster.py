"""A budget in a Redis Cluster of three nodes."""

import subprocess
from pathlib import Path

import pytest
from redis.asyncio import RedisCluster

from support.budget_steps import asked, process_of, result_of, seen
from support.redis_server import REASON, RedisServer, free_port, is_missing
from toggl_async.scheduler.budgets.redis import RedisBudget
from toggl_async.scheduler.core.limits import Limits
from toggl_async.scheduler.core.memory import Belongs
from toggl_async.scheduler.core.waiters import Want

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(is_missing(), reason=REASON)]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.nightly  # a cluster takes eight seconds to stand
async def test_two_processes_keep_one_pace_in_a_cluster(tmp_path: Path) -> None:
    servers = []
    try:
        for number in range(3):
            folder = tmp_path / str(number)
            folder.mkdir()
            # The nodes talk to each other on a port that is 10,000 higher.
            port = next(port for port in iter(free_port, None) if port < 55_000)
            server = RedisServer(folder, "--cluster-enabled", "yes", port=port)
            server.start()
            servers.append(server)
        nodes = [f"127.0.0.1:{server.port}" for server in servers]
        subprocess.run(  # noqa: ASYNC221 - it ends when the cluster stands
            ["redis-cli", "--cluster", "create", *nodes, "--cluster-yes"], check=True, capture_output=True
        )
        clients = [RedisCluster(host="127.0.0.1", port=servers[0].port) for _ in range(2)]
        holders = [RedisBudget(client).open(lambda account: None) for client in clients]
        one, two = (process_of(holder, 60) for holder in holders)
        for account in ("a", "b", "c", "d"):  # which lie on different nodes
            await asked(holders[0], one, Want(1, "user"), account=account)
            await asked(holders[1], two, Want(2, "user"), account=account)
            assert [
                (other.level, other.count) for other in (await seen(holders[0], one, account)).others
            ] == [(2, 1)]

            def step(limits: Limits, now: int) -> tuple[Limits, None, tuple[()]]:
                return limits, None, ()

            await result_of(holders[0].transact(account, step, [Belongs(1, 2)]))
            assert (await result_of(holders[1].recall(account))).organizations == {1: 2}
        assert not holders[0].away
        assert not holders[1].away
        for holder in holders:
            await holder.aclose()
        for client in clients:
            await client.aclose()
    finally:
        for server in servers:
            server.stop()
