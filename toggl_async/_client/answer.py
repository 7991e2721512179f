"""Raw answers: what came over the wire, for programs that need more than the record."""

import contextvars
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import attrs

from toggl_async.scheduler import Attempted
from toggl_async.scheduler.adapter import EXTENSION, shown_path
from toggl_async.scheduler.core.masking import masked_headers
from toggl_async.scheduler.core.outcome import request_id_of
from toggl_async.scheduler.transport import httpx

__all__ = ["Answer", "Received", "capture_responses"]


@attrs.frozen(kw_only=True)
class Answer:
    """An answer as Toggl sent it.

    Attributes:
        operation: the name of the operation, such as ``"workspace.projects.list"``; for a call without a
            coroutine, its method and route.
        method: the HTTP method of the request.
        path: its path, without the query, and with codes and tokens left out.
        status: the HTTP status.
        headers: its headers, names in lower case; secrets such as cookies and tokens are blanked.
        body: its body, decompressed; empty if a `Download` streamed it.
        request_id: Toggl's id of the request; None if Toggl sent none.
        attempts: how often the request was sent; 0 when another call's answer was shared, or when
            middleware answered.
        waited: seconds that the call waited for its turns, over all attempts.
    """

    operation: str
    method: str
    path: str
    status: int
    headers: Mapping[str, str] = attrs.field(hash=False)
    body: bytes = attrs.field(repr=False)
    request_id: str | None
    attempts: int
    waited: float


_UNSENT: Final = Attempted(attempts=0, waited=0.0)

_captured: contextvars.ContextVar[tuple[list[Answer], ...]] = contextvars.ContextVar("captured", default=())


@contextmanager
def capture_responses() -> Iterator[list[Answer]]:
    """Collect the raw answers of all calls made inside, by this task and the tasks that it starts.

    Yields:
        A list that gains an `Answer` for each answered call, refusals included. A streamed download is added
        as soon as it begins.
    """
    answers: list[Answer] = []
    token = _captured.set((*_captured.get(), answers))
    try:
        yield answers
    finally:
        _captured.reset(token)


class Received:
    """A response whose body has been read; few calls need more of it than that.

    Args:
        response: the response.
        request: what it answers.
        operation: whose answer it is.
        body: its body, decompressed; empty where it is passed on chunk by chunk.
        mask: blanks the credentials of the request, which the answer may repeat.
    """

    __slots__ = ("body", "mask", "operation", "request", "response")

    def __init__(
        self,
        response: httpx.Response,
        request: httpx.Request,
        *,
        operation: str,
        body: bytes,
        mask: Callable[[bytes], bytes],
    ) -> None:
        self.response: httpx.Response = response
        self.request: httpx.Request = request
        self.operation: str = operation
        self.body: bytes = body
        self.mask: Callable[[bytes], bytes] = mask
        captured = _captured.get()
        if captured:
            answer = self.answer()
            for answers in captured:
                answers.append(answer)

    def answer(self) -> Answer:
        """Make an `Answer` of it."""
        response = self.response
        attempted: Attempted = response.extensions.get(EXTENSION, _UNSENT)
        headers = masked_headers(response.headers, self.mask)
        return Answer(
            operation=self.operation,
            method=self.request.method,
            path=shown_path(self.request),
            status=response.status_code,
            headers=headers,
            body=self.body,
            request_id=request_id_of(headers),
            attempts=0 if attempted.shared else attempted.attempts,
            waited=attempted.waited,
        )
