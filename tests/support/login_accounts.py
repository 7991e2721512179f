"""Toggl's accounts host and API in one, as a network or behind a socket: for the tests of logins."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import attrs
import httpx

from support.loopback import listening
from toggl_async import ClientOptions, Scheduler, SessionCookie, TogglClient
from toggl_async._client.client import ACCOUNTS_URL

EMAIL, PASSWORD = "ada@example.com", "correct horse"
COOKIE = "__Secure-accounts-session"
DAY = 24 * 3600.0


def token(number: int, **claims: object) -> str:
    """Make what a session looks like; its signature is never looked at."""
    payload = base64.urlsafe_b64encode(json.dumps({"n": number, **claims}).encode()).decode().rstrip("=")
    return f"eyJhbGciOiJFZERTQSJ9.{payload}.c2lnbmF0dXJl"


@attrs.define
class Accounts:
    """Toggl's accounts host and API in one, as a network or behind a socket.

    Attributes:
        password: the right one.
        claims: what new sessions say of themselves.
        refusal: the status of an API call whose session is over.
        valid: the sessions that are not over.
        seen: method, path and session of each request.
        answers: answers to give instead, by method and path.
        delay: seconds that the accounts host takes.
        stillborn: whether new sessions are over at once.
    """

    password: str = PASSWORD
    claims: dict[str, object] = attrs.field(factory=dict)
    refusal: int = 401
    made: int = 0
    valid: set[str] = attrs.field(factory=set)
    seen: list[tuple[str, str, str | None]] = attrs.field(factory=list)
    answers: dict[tuple[str, str], list[httpx.Response | Exception]] = attrs.field(factory=dict)
    delay: float = 0.0
    stillborn: bool = False

    @property
    def logins(self) -> int:
        return sum(path == "/api/sessions" and method == "POST" for method, path, _ in self.seen)

    @property
    def calls(self) -> list[tuple[str, str, str | None]]:
        return [one for one in self.seen if one[1] != "/api/sessions"]

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        name, _, held = request.headers.get("cookie", "").partition("=")
        assert name in {"", COOKIE}
        key = (request.method, request.url.path)
        self.seen.append((*key, held or None))
        if self.answers.get(key):
            answer = self.answers[key].pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer
        if request.url.path == "/api/sessions":
            await asyncio.sleep(self.delay)
            return self.session(request, held)
        assert "authorization" not in request.headers
        if held not in self.valid:
            return httpx.Response(self.refusal)
        return httpx.Response(200, json={"id": 7, "default_workspace_id": 3})

    def session(self, request: httpx.Request, held: str) -> httpx.Response:
        if request.method == "DELETE":
            self.valid.discard(held)
            return httpx.Response(200)
        given = json.loads(request.content)
        assert request.headers["content-type"] == "application/json"
        if given != {"email": EMAIL, "password": self.password}:
            left = {"X-Remaining-Login-Attempts": "4"}
            return httpx.Response(403, json="Incorrect username and/or password", headers=left)
        self.made += 1
        cookie = token(self.made, **self.claims)
        if not self.stillborn:
            self.valid.add(cookie)
        sets = [
            ("Set-Cookie", "other=1; Path=/"),
            ("Set-Cookie", f"{COOKIE}={cookie}; Path=/; HttpOnly; Secure; SameSite=Lax"),
        ]
        return httpx.Response(200, headers=sets, json={"fullname": "Ada"})

    def client(
        self,
        *,
        password: str = PASSWORD,
        scheduler: Scheduler | None = None,
        options: ClientOptions | None = None,
        accounts_url: str = ACCOUNTS_URL,
    ) -> TogglClient:
        return TogglClient(
            SessionCookie(EMAIL, password),
            accounts_url=accounts_url,
            transport=httpx.MockTransport(self),
            scheduler=scheduler,
            options=options,
        )


@asynccontextmanager
async def served(accounts: Accounts) -> AsyncIterator[str]:
    """Serve the accounts host and the API on this machine; yield the address."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("ascii").split("\r\n")
            method, path, _ = head[0].split(" ")
            headers = httpx.Headers(
                [(line.split(": ")[0], line.partition(": ")[2]) for line in head if ": " in line]
            )
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            url = f"http://127.0.0.1{path}"
            answer = await accounts(httpx.Request(method, url, headers=headers, content=body))
            writer.write(f"HTTP/1.1 {answer.status_code} {answer.reason_phrase}\r\n".encode())
            answer.headers["content-length"] = str(len(answer.content))
            for name, value in answer.headers.multi_items():
                writer.write(f"{name}: {value}\r\n".encode())
            writer.write(b"\r\n" + answer.content)
            await writer.drain()

    async with listening(talk) as port:
        yield f"http://127.0.0.1:{port}"
