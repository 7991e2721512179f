"""A server that answers as it is told to, and a client in front of it: what came is all that a test says."""

import json
from collections.abc import Callable
from typing import Any

import httpx

from toggl_async import ApiToken, ClientOptions, TogglClient


class Answers:
    """Answers every request with the same body, or with what is made of its number and the request."""

    def __init__(self, answer: object, *, status: int = 200, **headers: str) -> None:
        self.asked: list[httpx.Request] = []
        self._answer = answer
        self._status = status
        self._headers = {name.replace("_", "-"): value for name, value in headers.items()}

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        answer = self._answer
        if isinstance(answer, Callable):  # type: ignore[arg-type]
            answer = answer(len(self.asked), request)  # type: ignore[operator]
        body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        return httpx.Response(self._status, content=body, headers=self._headers)

    def client(self, **options: Any) -> TogglClient:
        """Return a client that asks here."""
        return TogglClient(
            ApiToken("a" * 32), transport=httpx.MockTransport(self), options=ClientOptions(**options)
        )
