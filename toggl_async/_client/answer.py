"""Raw answers: what came over the wire, for those who want more than the record."""

import contextvars
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import attrs

from toggl_async.scheduler import Attempted
from toggl_async.scheduler.adapter import EXTENSION, shown_path
from toggl_async.scheduler.core.outcome import request_id_of
from toggl_async.scheduler.transport import httpx

__all__ = ["Answer", "capture_responses", "record_answer"]


@attrs.frozen(kw_only=True)
class Answer:
    """An answer as Toggl sent it.

    Attributes:
        operation: whose answer it is: the name of the operation, such as ``"workspace.projects.list"``,
            or of a call without coroutine method and route.
        method: the HTTP method of the request.
        path: its path, without query; codes and tokens in it are left out.
        status: the HTTP status.
        headers: its headers, names in lower case.
        body: its body, decompressed; empty where a `Download` passed it on chunk by chunk.
        request_id: Toggl's id of the request; None when it sent none.
        attempts: how often the request was sent; 0 when another call's answer was shared, or when
            middleware answered.
        waited: seconds that it waited for its turn, all attempts together.
    """

    operation: str
    method: str
    path: str
    status: int
    headers: Mapping[str, str]
    body: bytes = attrs.field(repr=False)
    request_id: str | None
    attempts: int
    waited: float


_UNSENT: Final = Attempted(attempts=0, waited=0.0)

_captured: contextvars.ContextVar[tuple[list[Answer], ...]] = contextvars.ContextVar("captured", default=())


@contextmanager
def capture_responses() -> Iterator[list[Answer]]:
    """Collect the raw answers of the calls that this task, and the tasks that it starts, make inside.

    Yields:
        A list that grows by one `Answer` for each call that was answered, refusals included; a
        download that is streamed stands in it as soon as it begins.
    """
    answers: list[Answer] = []
    token = _captured.set((*_captured.get(), answers))
    try:
        yield answers
    finally:
        _captured.reset(token)


def record_answer(response: httpx.Response, request: httpx.Request, *, operation: str, body: bytes) -> Answer:
    """Make an `Answer` of a response, and hand it to whoever captures."""
    attempted: Attempted = response.extensions.get(EXTENSION, _UNSENT)
    answer = Answer(
        operation=operation,
        method=request.method,
        path=shown_path(request),
        status=response.status_code,
        headers={name.lower(): value for name, value in response.headers.items()},
        body=body,
        request_id=request_id_of(response.headers),
        attempts=0 if attempted.shared else attempted.attempts,
        waited=attempted.waited,
    )
    for answers in _captured.get():
        answers.append(answer)
    return answer
