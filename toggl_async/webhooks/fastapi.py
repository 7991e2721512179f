"""A FastAPI dependency that provides checked deliveries; needs the extra ``fastapi``."""

from collections.abc import AsyncIterator, Callable

from toggl_async._extras import needed_by
from toggl_async.errors import InvalidInput, WebhookError
from toggl_async.webhooks.awaited import named
from toggl_async.webhooks.deliveries import SIGNATURE_HEADER, Delivery, Event
from toggl_async.webhooks.receiver import Receiver, status_of

with needed_by("toggl_async.webhooks.fastapi", "fastapi"):
    from fastapi import HTTPException, Request

__all__ = ["deliveries"]


def deliveries(receiver: Receiver) -> Callable[[Request], AsyncIterator[Delivery]]:
    """Turn a receiver into a dependency, for ``Depends``.

    The endpoint gets a checked `Delivery`, and answers it with `toggl_async.webhooks.answer`. An event counts
    as handled unless the endpoint raises. An event that was already handled doesn't reach the endpoint, and
    is answered with success.

    Args:
        receiver: checks deliveries, and remembers them.

    Raises:
        InvalidInput: it is not a `Receiver`.
    """
    if not isinstance(receiver, Receiver):
        raise InvalidInput(f"receiver must be a Receiver, not {named(receiver)}")

    async def delivery(request: Request) -> AsyncIterator[Delivery]:
        headers = request.headers
        try:
            found = await receiver.check(
                headers.get(SIGNATURE_HEADER), headers.get("Content-Length"), request.stream()
            )
        except WebhookError as error:
            raise HTTPException(status_of(error), str(error)) from None
        if not isinstance(found, Event):
            yield found
            return
        async with receiver.once(found) as is_new:
            if not is_new:  # the one way past an endpoint; Toggl looks at the status alone
                raise HTTPException(200, "the event was already handled")
            yield found

    return delivery
