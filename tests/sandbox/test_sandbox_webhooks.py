from typing import Any

import pytest

from support.hook_receiver import Receiver, receiver
from support.sandbox_world import World, until, world
from toggl_async import webhooks
from toggl_async.records import TimeEntry

pytestmark = pytest.mark.anyio

EVERYTHING = [{"entity": "*", "action": "*"}]


def path(toggl: World, kind: str = "subscriptions", *ids: object) -> str:
    return "/".join((f"/webhooks/api/v1/{kind}/{toggl.workspace_id}", *map(str, ids)))


async def hooked(toggl: World, hooks: Receiver, **fields: Any) -> dict[str, Any]:
    body = {
        "description": "all",
        "url_callback": hooks.url,
        "event_filters": EVERYTHING,
        "enabled": True,
        "secret": "s3cret",
        **fields,
    }
    made: dict[str, Any] = await toggl.json("POST", path(toggl), body)
    return made


def received(hooks: Receiver, secret: str = "s3cret") -> list[webhooks.Delivery]:
    """Read what came as a receiver would: signatures checked."""
    for headers, body in hooks.came:
        webhooks.verify(headers[webhooks.SIGNATURE_HEADER], body, secret)
    return [webhooks.parse(body) for _, body in hooks.came]


async def test_a_webhook_is_validated_by_the_answer_to_its_first_ping() -> None:
    async with receiver() as hooks, world() as toggl:
        made = await hooked(toggl, hooks)
        (ping,) = received(hooks)
        assert isinstance(ping, webhooks.Ping)
        assert (ping.subscription_id, ping.url_callback) == (made["subscription_id"], hooks.url)
        assert (made["enabled"], made["event_filters"], made["secret"]) == (True, EVERYTHING, "s3cret")
        assert made["validated_at"] is not None
        assert await toggl.json("GET", path(toggl)) == [made]


async def test_a_webhook_is_validated_by_the_code_of_its_last_ping() -> None:
    async with receiver() as hooks, world() as toggl:
        hooks.speaks = False
        made = await hooked(toggl, hooks)
        assert made["validated_at"] is None
        hooks.speaks, hooks.echoes = True, False
        one = made["subscription_id"]
        assert await toggl.json("POST", path(toggl, "ping", one)) == {"status": "OK"}
        await until(lambda: len(hooks.came) == 2)
        first, last = received(hooks)
        assert isinstance(first, webhooks.Ping)
        assert isinstance(last, webhooks.Ping)
        assert first.validation_code != last.validation_code
        wrong = path(toggl, "validate", one, first.validation_code)
        assert await toggl.refused("GET", wrong) == (400, "Validation code is not valid")
        assert await toggl.json("GET", path(toggl, "validate", one, last.validation_code)) == "OK"
        (known,) = await toggl.json("GET", path(toggl))
        assert known["validated_at"] is not None
        await toggl.json("POST", path(toggl, "ping", one))
        await until(lambda: len(hooks.came) == 3)
        assert b"validation_code" not in hooks.came[-1][1]


async def test_webhooks_tell_what_was_done_to_what() -> None:
    async with receiver() as hooks, world() as toggl:
        await hooked(toggl, hooks)
        body = {"created_with": "t", "start": "2026-05-20T10:00:00Z", "duration": 60}
        entries = f"{toggl.workspace}/time_entries"
        entry = await toggl.json("POST", entries, {**body, "workspace_id": toggl.workspace_id})
        await toggl.json("PUT", f"{entries}/{entry['id']}", {"description": "changed"})
        assert (await toggl.http.delete(f"{entries}/{entry['id']}")).status_code == 200
        await until(lambda: len(hooks.came) == 4)
        events = [one for one in received(hooks) if isinstance(one, webhooks.Event)]
        events.sort(key=lambda one: one.event_id or 0)
        told = [(one.metadata.model, one.metadata.action, one.metadata.request_type) for one in events]
        assert told == [
            ("time_entry", "created", "POST"),
            ("time_entry", "updated", "PUT"),
            ("time_entry", "deleted", "DELETE"),
        ]
        first = events[0].metadata
        assert (first.workspace_id, first.path) == (toggl.workspace_id, entries)
        assert first.event_user_id == toggl.sandbox.company.owner.id
        assert first.id_of("time_entry_id") == entry["id"]
        assert events[1].payload_as(TimeEntry).description == "changed"


async def test_every_kind_of_entity_is_told_of() -> None:
    async with receiver() as hooks, world() as toggl:
        await hooked(toggl, hooks)
        client = await toggl.json("POST", f"{toggl.workspace}/clients", {"name": "New"})
        project = await toggl.json(
            "POST", f"{toggl.workspace}/projects", {"name": "New", "client_id": client["id"]}
        )
        tasks = f"{toggl.workspace}/projects/{project['id']}/tasks"
        task = await toggl.json("POST", tasks, {"name": "New"})
        await toggl.json("DELETE", f"{tasks}/{task['id']}")
        tag = await toggl.json("POST", f"{toggl.workspace}/tags", {"name": "New"})
        await toggl.json("PUT", f"{toggl.workspace}/tags/{tag['id']}", {"name": "Newer"})
        await toggl.http.patch(f"{toggl.workspace}/tags", json={"delete": [tag["id"]]})
        await toggl.json("DELETE", f"{toggl.workspace}/projects/{project['id']}")
        await toggl.json("DELETE", f"{toggl.workspace}/clients/{client['id']}")
        await until(lambda: len(hooks.came) == 10)
        events = [one for one in received(hooks) if isinstance(one, webhooks.Event)]
        assert {(one.metadata.model, one.metadata.action) for one in events} == {
            ("client", "created"),
            ("client", "deleted"),
            ("project", "created"),
            ("project", "deleted"),
            ("tag", "created"),
            ("tag", "updated"),
            ("tag", "deleted"),
            ("task", "created"),
            ("task", "deleted"),
        }


async def test_only_what_was_asked_for_is_told() -> None:
    async with receiver() as hooks, world(plan="premium") as toggl:
        made = await hooked(toggl, hooks, event_filters=[{"entity": "tag", "action": "deleted"}])
        tag = await toggl.json("POST", f"{toggl.workspace}/tags", {"name": "New"})
        await toggl.json("DELETE", f"{toggl.workspace}/tags/{tag['id']}")
        await until(lambda: len(hooks.came) == 2)
        await toggl.json("PATCH", path(toggl, "subscriptions", made["subscription_id"]), {"enabled": False})
        other = toggl.sandbox.company.tags_of(toggl.workspace_id)[0]
        await toggl.json("DELETE", f"{toggl.workspace}/tags/{other.id}")
        await until(lambda: not toggl.sandbox.company.subscriptions[made["subscription_id"]].pending)
        assert len(hooks.came) == 2


async def test_a_receiver_that_fails_gets_the_event_again() -> None:
    async with receiver() as hooks, world(speed=60_000) as toggl:
        made = await hooked(toggl, hooks)
        hook = toggl.sandbox.company.subscriptions[made["subscription_id"]]
        hooks.status = 500
        await toggl.json("POST", f"{toggl.workspace}/tags", {"name": "New"})
        await until(lambda: len(hooks.came) == 3)
        (listed,) = await toggl.json("GET", path(toggl))
        assert listed["has_pending_events"]
        hooks.status = 200
        await until(lambda: not hook.pending)  # the further attempts come within milliseconds
        _, *attempts = received(hooks)
        assert len(attempts) == 3
        assert len({one.event_id for one in attempts}) == 1
        assert len({one.timestamp for one in attempts}) == 3


async def test_an_event_is_given_up_in_the_end() -> None:
    async with receiver() as hooks, world(speed=600_000) as toggl:
        made = await hooked(toggl, hooks)
        hook = toggl.sandbox.company.subscriptions[made["subscription_id"]]
        hooks.status = 503
        await toggl.json("POST", f"{toggl.workspace}/tags", {"name": "New"})
        await until(lambda: len(hooks.came) == 5 and not hook.pending)
        assert len(hooks.came) == 5


async def test_what_waits_for_its_receiver_is_given_up_when_the_sandbox_ends() -> None:
    async with receiver() as hooks:
        async with world() as toggl:
            await hooked(toggl, hooks)
            hooks.status = 500
            await toggl.json("POST", f"{toggl.workspace}/tags", {"name": "New"})
            await until(lambda: len(hooks.came) == 2)
        assert len(hooks.came) == 2


async def test_an_address_has_to_answer() -> None:
    async with receiver() as hooks, world() as toggl:
        hooks.status = 404
        body = {"description": "d", "url_callback": hooks.url, "event_filters": EVERYTHING}
        refusal = (400, "URL endpoint responded with status 404")
        assert await toggl.refused("POST", path(toggl), body) == refusal
        nobody = {**body, "url_callback": "http://127.0.0.1:9/hook"}
        assert await toggl.refused("POST", path(toggl), nobody) == (400, "URL endpoint can not be reached")
        assert toggl.sandbox.company.subscriptions == {}
        hooks.status = 200
        made = await hooked(toggl, hooks)
        one = path(toggl, "subscriptions", made["subscription_id"])
        hooks.status = 404
        assert await toggl.refused("PUT", one, {"url_callback": f"{hooks.url}/other"}) == refusal
        assert await toggl.json("GET", path(toggl)) == [made]


async def test_a_webhook_is_changed_switched_and_deleted() -> None:
    async with receiver() as hooks, world() as toggl:
        made = await hooked(toggl, hooks)
        one = path(toggl, "subscriptions", made["subscription_id"])
        filters = [{"entity": "project", "action": "created"}]
        changed = await toggl.json(
            "PUT", one, {"description": "other", "event_filters": filters, "secret": "other"}
        )
        assert (changed["description"], changed["event_filters"], changed["secret"]) == (
            "other",
            filters,
            "other",
        )
        assert changed["validated_at"] == made["validated_at"]
        hooks.echoes = False
        moved = await toggl.json("PUT", one, {"url_callback": f"{hooks.url}/two"})
        assert moved["validated_at"] is None
        assert not (await toggl.json("PATCH", one, {"enabled": False}))["enabled"]
        assert await toggl.refused("PATCH", one, {}) == (400, "'enabled' is required")
        assert (await toggl.json("DELETE", one))["deleted_at"] is not None
        await hooked(toggl, hooks)
        assert await toggl.refused("DELETE", one) == (404, "Subscription not found")


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"description": ""}, "'description' is required"),
        ({"description": "all"}, "Description has already been taken"),
        ({"secret": ""}, "Secret can't be blank"),
        ({"url_callback": "word"}, "Invalid 'url_callback' value"),
        ({"event_filters": [{"entity": "moon", "action": "*"}]}, "Invalid 'event_filters' value"),
        ({"event_filters": "all"}, 'Unexpected "event_filters" type string, offset=80'),
        ({"event_filters": EVERYTHING * 7}, "A webhook of this workspace takes at most 6 events"),
    ],
)
async def test_a_webhook_that_makes_no_sense_is_refused(fields: dict[str, Any], text: str) -> None:
    async with receiver() as hooks, world() as toggl:
        await hooked(toggl, hooks)
        body = {"description": "d", "url_callback": hooks.url, "event_filters": EVERYTHING, **fields}
        assert await toggl.refused("POST", path(toggl), body) == (400, text)


@pytest.mark.parametrize(("plan", "most", "events"), [("free", 1, 3), ("starter", 2, 6), ("premium", 3, 12)])
async def test_plans_limit_webhooks(plan: str, most: int, events: int) -> None:
    async with receiver() as hooks, world(plan=plan) as toggl:
        told = await toggl.json("GET", path(toggl, "limits"))
        assert told == {"max_webhooks": most, "max_events_per_webhook": events}
        for number in range(most):
            await hooked(toggl, hooks, description=f"{number}")
        body = {"description": "d", "url_callback": hooks.url, "event_filters": EVERYTHING}
        text = "The limit of webhooks of this workspace is reached"
        assert await toggl.refused("POST", path(toggl), body) == (400, text)


async def test_the_service_says_what_it_tells_of() -> None:
    async with world() as toggl:
        assert await toggl.json("GET", "/webhooks/api/v1/status") == {"status": "OK"}
        filters = await toggl.json("GET", "/webhooks/api/v1/event_filters")
        assert filters["time_entry"] == ["created", "updated", "deleted"]
