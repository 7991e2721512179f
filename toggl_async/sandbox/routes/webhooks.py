"""The Webhooks API: subscriptions, their limits, their validation."""

import re
import secrets
from collections.abc import Mapping
from typing import Any, Final

from starlette.responses import Response

from toggl_async.sandbox import answers
from toggl_async.sandbox.answers import ApiError
from toggl_async.sandbox.call import ApiRequest, Body, Handler
from toggl_async.sandbox.entities import SubscriptionRow
from toggl_async.sandbox.shapes import JsonObject, same
from toggl_async.sandbox.timestamps import zulu

__all__ = ["HANDLERS"]

_EVENTS: Final = ("created", "updated", "deleted")
_ENTITIES: Final = ("client", "project", "tag", "task", "time_entry")
_LIMITS: Final[Mapping[str, tuple[int, int]]] = {"free": (1, 3), "starter": (2, 6), "premium": (3, 12)}
"""Webhooks of a workspace, and kinds of events of each, by plan."""


def status(_: ApiRequest) -> Response:
    """Tell that the service is up."""
    return answers.json({"status": "OK"})


def event_filters(_: ApiRequest) -> Response:
    """List what webhooks can be told of."""
    return answers.json(dict.fromkeys(_ENTITIES, _EVENTS))


def limits(call: ApiRequest) -> Response:
    """Tell how many webhooks the plan allows."""
    hooks, events = _LIMITS[call.company.plan]
    return answers.json({"max_webhooks": hooks, "max_events_per_webhook": events})


def listing(call: ApiRequest) -> Response:
    """List the user's webhooks of the workspace; an admin sees everybody's."""
    return answers.json([_shape(row) for row in _visible(call)])


async def create(call: ApiRequest) -> Response:
    """Create a webhook, once its address has answered a ping."""
    space, body = call.workspace(), call.body()
    known = [row for row in call.company.subscriptions.values() if row.workspace_id == space.id]
    if len(known) >= _LIMITS[call.company.plan][0]:
        raise ApiError(400, "The limit of webhooks of this workspace is reached")
    for required in ("description", "url_callback", "event_filters"):
        if not body.fields.get(required):
            raise ApiError(400, f"'{required}' is required")
    row = SubscriptionRow(
        id=call.company.new_id("subscription", 3),
        workspace_id=space.id,
        user_id=call.person.id,
        created=int(call.now),
        changed=int(call.now),
        secret=secrets.token_urlsafe(15),
        code=secrets.token_hex(16),
    )
    await _apply(call, row, body)
    call.company.subscriptions[row.id] = row
    return answers.json(_shape(row))


async def update(call: ApiRequest) -> Response:
    """Change a webhook: the fields that are given. At another address it has to be validated anew."""
    row = _subscription(call)
    await _apply(call, row, call.body())
    return answers.json(_shape(row))


def enable(call: ApiRequest) -> Response:
    """Switch a webhook on or off."""
    row, enabled = _subscription(call), call.body().flag("enabled")
    if enabled is None:
        raise ApiError(400, "'enabled' is required")
    row.enabled, row.changed = enabled, int(call.now)
    return answers.json(_shape(row))


def delete(call: ApiRequest) -> Response:
    """Delete a webhook; the answer is what it was."""
    row = call.company.subscriptions.pop(_subscription(call).id)
    return answers.json({**_shape(row), "deleted_at": zulu(int(call.now))})


def ping(call: ApiRequest) -> Response:
    """Send a ping to a webhook, which carries a new code until the webhook is validated."""
    row = _subscription(call)
    row.code = secrets.token_hex(16)
    call.deliveries.ping_later(row, call.person)
    return answers.json({"status": "OK"})


def validate(call: ApiRequest) -> Response:
    """Validate a webhook by the code of its last ping."""
    row = _subscription(call)
    if not secrets.compare_digest(call.path["validation_code"].encode(), row.code.encode()):
        raise ApiError(400, "Validation code is not valid")
    row.validated = int(call.now)
    return answers.json("OK")


def _visible(call: ApiRequest) -> list[SubscriptionRow]:
    space = call.workspace()
    return [
        row
        for row in call.company.subscriptions.values()
        if row.workspace_id == space.id and (call.person.admin or row.user_id == call.person.id)
    ]


def _subscription(call: ApiRequest) -> SubscriptionRow:
    for row in _visible(call):
        if row.id == call.path["subscription_id"]:
            return row
    raise ApiError(404, "Subscription not found")


async def _apply(call: ApiRequest, row: SubscriptionRow, body: Body) -> None:
    """Check the fields of a body, the address by a ping; then write them into a webhook."""
    description, secret = body.text("description"), body.text("secret")
    url = body.text("url_callback") or row.url
    if any(
        known.description == description and known is not row
        for known in call.company.subscriptions.values()
        if known.workspace_id == row.workspace_id
    ):
        raise ApiError(400, "Description has already been taken")
    if body.given("secret") and not secret:
        raise ApiError(400, "Secret can't be blank")
    if not re.fullmatch(r"https?://[^/\s]+\S*", url):
        raise ApiError(400, "Invalid 'url_callback' value")
    filters = _filters(call, body) if body.given("event_filters") else row.filters
    held = (row.url, row.secret, row.validated)
    if url != row.url:
        row.validated = None
    row.url, row.secret = url, secret or row.secret
    if url != held[0]:
        trouble = await call.deliveries.ping(row, call.person)
        if trouble is not None:
            row.url, row.secret, row.validated = held
            raise ApiError(400, trouble)
    body.write(row, "description", "enabled")
    row.filters = filters
    row.changed = int(call.now)


def _filters(call: ApiRequest, body: Body) -> list[tuple[str, str]]:
    """Read the kinds of events; entity and action may be anything, written ``*``."""
    given: Any = body.fields["event_filters"]
    filters = given if isinstance(given, list) else []
    known: list[tuple[str, str]] = [
        (one["entity"], one["action"])
        for one in filters
        if isinstance(one, dict)
        and one.get("entity") in {*_ENTITIES, "*"}
        and one.get("action") in {*_EVENTS, "*"}
    ]
    if not known or len(known) < len(filters):
        raise ApiError(400, "Invalid 'event_filters' value")
    most = _LIMITS[call.company.plan][1]
    if len(known) > most:
        raise ApiError(400, f"A webhook of this workspace takes at most {most} events")
    return known


def _shape(row: SubscriptionRow) -> JsonObject:
    return {
        "subscription_id": row.id,
        **same(row, "workspace_id", "user_id", "enabled", "description", "secret"),
        "event_filters": [{"entity": entity, "action": action} for entity, action in row.filters],
        "url_callback": row.url,
        "validated_at": None if row.validated is None else zulu(row.validated),
        "has_pending_events": row.pending > 0,
        "created_at": zulu(row.created),
        "updated_at": zulu(row.changed),
        "deleted_at": None,
    }


HANDLERS: Final[Mapping[str, Handler]] = {
    "GET /webhooks/api/v1/status": status,
    "GET /webhooks/api/v1/event_filters": event_filters,
    "GET /webhooks/api/v1/limits/{workspace_id}": limits,
    "GET /webhooks/api/v1/subscriptions/{workspace_id}": listing,
    "POST /webhooks/api/v1/subscriptions/{workspace_id}": create,
    "PUT /webhooks/api/v1/subscriptions/{workspace_id}/{subscription_id}": update,
    "PATCH /webhooks/api/v1/subscriptions/{workspace_id}/{subscription_id}": enable,
    "DELETE /webhooks/api/v1/subscriptions/{workspace_id}/{subscription_id}": delete,
    "POST /webhooks/api/v1/ping/{workspace_id}/{subscription_id}": ping,
    "GET /webhooks/api/v1/validate/{workspace_id}/{subscription_id}/{validation_code}": validate,
}
