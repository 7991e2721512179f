"""A sandbox without a socket, for clocks that jump: weeks of a company and of its limits in seconds."""

import contextlib
import random
from collections.abc import AsyncIterator
from typing import Any

import attrs
import httpx

from support.sandbox_world import NOW
from toggl_async import ApiToken, ClientOptions, TogglClient
from toggl_async.sandbox import SMALL, Clock, Company, Counts, SandboxOptions
from toggl_async.sandbox.app import Application
from toggl_async.sandbox.faults import Faults
from toggl_async.sandbox.limits import ServerLimits

BASE_URL = "http://127.0.0.1:1"


@attrs.frozen(kw_only=True)
class World:
    """A company, what was asked of it, its faults, and its time."""

    company: Company
    counts: Counts
    faults: Faults
    clock: Clock
    app: Application

    def client(self, **options: Any) -> TogglClient:
        """A client of its account."""
        return TogglClient(
            ApiToken(self.company.account.api_token),
            base_url=BASE_URL,
            transport=httpx.ASGITransport(self.app),
            options=ClientOptions(timeout=None, **options),
        )


@contextlib.asynccontextmanager
async def world(**options: Any) -> AsyncIterator[World]:
    """Make a sandbox on the running loop, a small one unless the options say otherwise."""
    chosen = SandboxOptions(**{"size": SMALL, "now": NOW, **options})
    company, counts = Company(chosen, NOW.timestamp()), Counts()
    limits = ServerLimits(
        interval=chosen.interval,
        burst=chosen.burst,
        user_quota=chosen.personal_quota,
        organization_quota=chosen.organization_quota,
    )
    clock = Clock(NOW.timestamp(), on_move=limits.empty_buckets)
    faults = Faults(chosen.faults, random.Random(chosen.seed))
    app = Application(
        company=company,
        clock=clock,
        limits=limits,
        faults=faults,
        counts=counts,
        gone=chosen.gone,
        not_in_plan=chosen.not_in_plan,
        reset=lambda client: None,
    )
    try:
        yield World(company=company, counts=counts, faults=faults, clock=clock, app=app)
    finally:
        await app.aclose()
