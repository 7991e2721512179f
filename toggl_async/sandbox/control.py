"""``/sandbox``: what a program in another process can do with the sandbox itself.

These routes aren't part of Toggl: they need no credentials, and no limit counts them.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import attrs
import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router

from toggl_async.sandbox import answers
from toggl_async.sandbox.faults import Fault
from toggl_async.sandbox.origin import origins
from toggl_async.sandbox.sandbox import Sandbox

__all__ = ["control"]

BodyT = TypeVar("BodyT")


@attrs.frozen(kw_only=True)
class _Span:
    """How far time moves."""

    days: float = 0
    hours: float = 0
    minutes: float = 0
    seconds: float = 0


@attrs.frozen(kw_only=True)
class _Order:
    """A fault, whom it meets, and how often."""

    fault: Fault
    route: str | None = None
    times: int = 1


def control(sandbox: Sandbox) -> Router:
    """Make the routes of a sandbox."""

    def overview(_: Request) -> Response:
        return answers.json(
            {
                "now": sandbox.now.isoformat(),
                "plan": sandbox.company.plan,
                "operations": origins(),
            }
        )

    def counts(_: Request) -> Response:
        told = sandbox.counts
        return answers.json(
            {
                "requests": told.requests,
                "asked": told.asked,
                "statuses": told.statuses,
                "refused": told.refused,
                "samples": told.samples,
            }
        )

    async def advance(request: Request) -> Response:
        span = await _read(request, _Span)
        sandbox.advance(**attrs.asdict(span))
        return answers.json({"now": sandbox.now.isoformat()})

    def next_day(_: Request) -> Response:
        return answers.json(attrs.asdict(sandbox.next_day()))

    async def order(request: Request) -> Response:
        wanted = await _read(request, _Order)
        sandbox.order(wanted.fault, route=wanted.route, times=wanted.times)
        return answers.empty(status=204)

    def forget(_: Request) -> Response:
        sandbox.faults.forget()
        return answers.empty(status=204)

    routes: list[tuple[str, str, Callable[[Request], Any]]] = [
        ("GET", "", overview),
        ("GET", "/counts", counts),
        ("POST", "/advance", advance),
        ("POST", "/next_day", next_day),
        ("POST", "/faults", order),
        ("DELETE", "/faults", forget),
    ]
    made = [
        Route(f"/sandbox{path}", _refusing(endpoint), methods=[method]) for method, path, endpoint in routes
    ]
    return Router(made)


async def _read(request: Request, type_: type[BodyT]) -> BodyT:
    return msgspec.json.decode(await request.body() or b"{}", type=type_)


def _refusing(endpoint: Callable[[Request], Any]) -> Callable[[Request], Any]:
    """Make an endpoint answer 400, with the reason, if it can't read a request."""

    async def answer(request: Request) -> Response:
        try:
            made = endpoint(request)
            response: Response = made if isinstance(made, Response) else await made
        except (ValueError, msgspec.DecodeError) as error:
            return answers.refusal(400, str(error))
        return response

    return answer
