"""What programs keep, put in sets and send to other processes: it copies, pickles and hashes."""

import copy
import datetime as dt
import json
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from toggl_async import (
    ApiToken,
    Bookmark,
    ClientOptions,
    Pace,
    ScheduledTransport,
    Scheduler,
    TogglClient,
    capture_responses,
    operations,
    webhooks,
)
from toggl_async.export import DATASETS, ExportPlan, estimate, export, export_batches, survey
from toggl_async.sandbox import SMALL, Fault, FaultPlan, Sandbox, SandboxOptions, serve

WAYS: list[Callable[[Any], Any]] = [copy.copy, copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))]


def _a_client() -> TogglClient:
    return TogglClient(ApiToken("0" * 32))


def copies(value: object) -> None:
    """Check that a value hashes, and is the same when it has been copied by any means."""
    for way in WAYS:
        again = way(value)
        assert again == value
        assert type(again) is type(value)
        assert hash(again) == hash(value)


@pytest.mark.parametrize("payload", [{"id": 5, "tags": ["a"]}, None, [1], "ping"])
def test_a_delivery(payload: object) -> None:
    body = json.dumps(
        {
            "event_id": 1,
            "subscription_id": 2,
            "timestamp": "2026-03-12T09:30:00Z",
            "metadata": {"model": "tag", "project_id": "7"},
            "payload": payload,
            "new_field": {"a": [1]},
        }
    ).encode()
    delivery = webhooks.parse(body)
    copies(delivery)
    copies(delivery.metadata)
    for way in WAYS:
        again = way(delivery)
        assert again.unknown == delivery.unknown == {"new_field": {"a": [1]}}
        assert isinstance(again.metadata.values, MappingProxyType)
        if isinstance(delivery, webhooks.Event):
            assert again.key == delivery.key


def test_every_operation_and_dataset() -> None:
    for operation in operations():
        copies(operation)
        for way in WAYS:
            assert way(operation).gated == operation.gated
    for dataset in DATASETS.values():
        copies(dataset)


def test_what_tells_where_a_walk_is_and_what_a_sandbox_does() -> None:
    for value in (
        Bookmark(position={"page": 2}),
        Fault(status=500, headers={"X-Odd": "1"}),
        FaultPlan(),
        SandboxOptions(),
        SMALL,
    ):
        copies(value)


@pytest.mark.anyio
async def test_what_comes_of_calls_and_exports(tmp_path: Path) -> None:
    events: list[object] = []
    options = SandboxOptions(size=SMALL, interval=0.0, org_quota=1e9, user_quota=1e9)
    async with serve(options) as sandbox, _client(sandbox, events) as toggl:
        with capture_responses() as answers:
            await toggl.me.get()
        plan = ExportPlan(since=dt.date(2026, 1, 1), datasets=("tags", "time_entries"))
        found = await survey(toggl, plan)
        manifest = await export(toggl, plan, tmp_path, on_event=events.append)
        batches = export_batches(toggl, plan)
        events += [batch async for batch in batches]
        kept = [
            batches.summary,
            answers[0],
            toggl.stats(),
            found,
            manifest,
            await estimate(toggl, plan),
            *events,
        ]
    for value in kept:
        copies(value)
    assert isinstance(manifest.datasets, Mapping)


def _client(sandbox: Sandbox, events: list[object]) -> TogglClient:
    return TogglClient(
        ApiToken(sandbox.api_token),
        base_url=sandbox.base_url,
        options=ClientOptions(pace=Pace(interval=0)),
        on_event=events.append,
    )


@pytest.mark.parametrize("way", WAYS[1:])
@pytest.mark.parametrize("make", [_a_client, lambda: _a_client().workspace(7), Scheduler, ScheduledTransport])
def test_what_holds_connections_says_that_each_process_needs_its_own(
    make: Callable[[], object], way: Callable[[object], object]
) -> None:
    kept = make()
    with pytest.raises(TypeError, match=r"can't be .*copied or pickled: make one in each process"):
        way(kept)


def test_a_client_that_is_copied_shares_all_with_the_first() -> None:
    client = _a_client()
    assert copy.copy(client).scheduler is client.scheduler
