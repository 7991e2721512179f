"""Webhooks on their way: signed, over HTTP, delivered again when the receiver fails.

An event goes to the webhooks of its workspace that are enabled, validated and want such events. A
ping that is sent before the webhook is validated carries a code; sent back in the answer, or by
way of ``validate``, it validates the webhook.
"""

import asyncio
import hashlib
import hmac
from collections.abc import Coroutine, Iterable, Mapping
from typing import Any, Final

import httpx
import msgspec

from toggl_async.sandbox.call import Happening
from toggl_async.sandbox.clock import Clock
from toggl_async.sandbox.entities import PersonRow, SubscriptionRow
from toggl_async.sandbox.state import State
from toggl_async.sandbox.timestamps import offset_utc

__all__ = ["SIGNATURE", "Deliveries"]

SIGNATURE: Final = "X-Webhook-Signature-256"
"""The header with the signature."""

_PAUSES: Final = (60.0, 600.0, 3600.0)
"""Toggl seconds before each further attempt; after the last the event is given up."""

_TIMEOUT: Final = 600.0
"""Seconds of the loop, which may run fast, that a receiver has for its answer."""


class Deliveries:
    """Sends what webhooks are to hear.

    Args:
        state: where the webhooks are.
        clock: the time.
        closing: ends the waiting.
    """

    def __init__(self, state: State, clock: Clock, closing: asyncio.Event) -> None:
        self._state = state
        self._clock = clock
        self._closing = closing
        self._http: httpx.AsyncClient | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def publish(self, happenings: Iterable[Happening], *, person: PersonRow, method: str, path: str) -> None:
        """Send what has happened to every webhook that wants it; comes back at once."""
        for happening in happenings:
            wanted = {(one, other) for one in (happening.entity, "*") for other in (happening.action, "*")}
            for hook in list(self._state.subscriptions.values()):
                if hook.workspace_id == happening.workspace_id and wanted.intersection(hook.filters):
                    event = self._event(hook, happening, person, method, path)
                    self._start(self._deliver(hook, event))

    def ping_later(self, hook: SubscriptionRow, person: PersonRow) -> None:
        """Send a ping; comes back at once."""

        async def send() -> None:
            await self.ping(hook, person)

        self._start(send())

    async def ping(self, hook: SubscriptionRow, person: PersonRow) -> str | None:
        """Send a ping, and validate the webhook if the answer has the code; say what went wrong."""
        fields = {
            **self._common(hook, 0),
            "metadata": {"request_type": "POST", "event_user_id": str(person.id)},
            "payload": "ping",
        }
        if hook.validated is None:
            fields["validation_code"] = hook.code
        answer = await self._post(hook, fields)
        if answer is None:
            return "URL endpoint can not be reached"
        if not answer.is_success:
            return f"URL endpoint responded with status {answer.status_code}"
        if hook.validated is None and _code(answer) == hook.code:
            hook.validated = int(self._clock.now())
        return None

    async def aclose(self) -> None:
        """Give up what is on its way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._http is not None:
            await self._http.aclose()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _event(
        self, hook: SubscriptionRow, happening: Happening, person: PersonRow, method: str, path: str
    ) -> dict[str, Any]:
        """Write an event; in its metadata everything is text."""
        payload = happening.payload
        ids = {f"{happening.entity}_id": payload["id"], "project_id": payload.get("project_id")}
        return {
            **self._common(hook, self._state.new_id("event")),
            "metadata": {
                "path": path,
                "model": happening.entity,
                "action": happening.action,
                "request_type": method,
                "workspace_id": str(happening.workspace_id),
                "event_user_id": str(person.id),
                **{name: str(value) for name, value in ids.items() if value is not None},
            },
            "payload": payload,
        }

    def _common(self, hook: SubscriptionRow, event_id: int) -> dict[str, Any]:
        return {
            "event_id": event_id,
            "created_at": self._moment(),
            "creator_id": hook.user_id,
            "subscription_id": hook.id,
            "url_callback": hook.url,
        }

    async def _deliver(self, hook: SubscriptionRow, event: Mapping[str, Any]) -> None:
        """Send an event until the receiver takes it, or for the last time."""
        hook.pending += 1
        try:
            for pause in (0.0, *_PAUSES):
                passed = await self._clock.wait(pause, self._closing)
                if not passed or not (
                    hook.enabled and hook.validated and hook.id in self._state.subscriptions
                ):
                    return
                answer = await self._post(hook, event)
                if answer is not None and answer.is_success:
                    return
        finally:
            hook.pending -= 1

    async def _post(self, hook: SubscriptionRow, fields: Mapping[str, Any]) -> httpx.Response | None:
        """Make one attempt, with a time and a signature of its own; None if nobody answers."""
        body = msgspec.json.encode({**fields, "timestamp": self._moment()})
        digest = hmac.new(hook.secret.encode(), body, hashlib.sha256).hexdigest()
        headers = {"Content-Type": "application/json", SIGNATURE: f"sha256={digest}"}
        if self._http is None:
            self._http = httpx.AsyncClient(verify=False, trust_env=False, timeout=_TIMEOUT)  # noqa: S501
        try:
            return await self._http.post(hook.url, content=body, headers=headers)
        except (httpx.HTTPError, httpx.InvalidURL):
            return None

    def _moment(self) -> str:
        """Write the time as webhooks do, with nine fractional digits."""
        now = self._clock.now()
        return f"{offset_utc(int(now))[:19]}.{int(now % 1 * 1_000_000_000):09d}Z"


def _code(answer: httpx.Response) -> object:
    """Read the validation code in the answer to a ping; None if there is none."""
    try:
        told = msgspec.json.decode(answer.content)
    except msgspec.DecodeError:
        return None
    return told.get("validation_code") if isinstance(told, dict) else None
