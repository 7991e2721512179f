"""Budgets by name, as ``TOGGL_BUDGET`` has them, and those that need a client: ``cluster:PORT`` and
``sentinel:PORT``.
"""

from typing import Any

from toggl_async.scheduler.budgets import Budget
from toggl_async.scheduler.budgets.named import budget_from_text


def budget_named(text: str) -> Budget:
    """Return a budget; its servers are on the loopback, and a sentinel's master is called ``main``."""
    kind, _, port = text.partition(":")
    if kind in {"cluster", "sentinel"}:
        from redis.asyncio import RedisCluster, Sentinel  # noqa: PLC0415 - most processes need none of it

        from toggl_async.scheduler.budgets.redis import RedisBudget  # noqa: PLC0415

        if kind == "cluster":
            return RedisBudget(RedisCluster(host="127.0.0.1", port=int(port)))
        sentinel: Any = Sentinel
        return RedisBudget(sentinel([("127.0.0.1", int(port))], socket_timeout=0.5).master_for("main"))
    budget = budget_from_text(text)
    assert budget is not None
    return budget
