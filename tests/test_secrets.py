"""No secret stands in a signature, a log, an error, a warning, or anything that an error leads to."""

import asyncio
import logging
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from urllib.parse import quote

import httpx
import pytest

from support.login_accounts import EMAIL, PASSWORD, Accounts, token
from toggl_async import (
    ApiToken,
    BadRequest,
    ClientOptions,
    ConnectionFailed,
    DecodeError,
    DriftWarning,
    LoginRefused,
    Operation,
    SessionCookie,
    TogglClient,
    TogglError,
    capture_responses,
    operations,
)
from toggl_async.records import Project
from toggl_async.scheduler import EXTENSION, RequestFacts, facts_of
from toggl_async.scheduler.adapter import shown_path

SECRET = "s/kr&t"
"""Short, and with signs that have to be escaped: it does not look like a token."""

API_TOKEN = "1971800d4d82861d8f2c1651fea4d212"

SIGNATURES = """
import importlib, inspect, pkgutil
import toggl_async

def callables(holder):
    for name, found in vars(holder).items():
        if inspect.isclass(found) and found.__module__.startswith("toggl_async"):
            yield name, found
            yield from callables(found)
        elif callable(found) or isinstance(found, (classmethod, staticmethod)):
            yield name, getattr(holder, name)

shown = 0
for module in pkgutil.walk_packages(toggl_async.__path__, "toggl_async."):
    if not module.name.startswith("toggl_async.records") and not module.name.endswith(".__main__"):
        for name, found in callables(importlib.import_module(module.name)):
            try:
                text = str(inspect.signature(found))
            except (TypeError, ValueError):
                continue
            shown += 1
            assert "supersecret" not in text, name
print(shown)
"""


@pytest.mark.slow
def test_no_signature_shows_the_environment() -> None:
    environ = {**os.environ, "TOGGL_API_TOKEN": "supersecret", "ANOTHER_SECRET": "supersecret"}
    command = [sys.executable, "-c", SIGNATURES]
    found = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert found.stderr == ""
    assert int(found.stdout) > 500


def secret_names(operation: Operation[object]) -> list[str]:
    names = [part.partition("}")[0] for part in operation.path.split("{")[1:]]
    return [name for name in names if name.rpartition("_")[2] in {"code", "token", "uid", "uuid"}]


OPENING = [one for one in operations() if secret_names(one)]
"""The operations whose path holds what opens something."""

VALUES = {
    "action": "accept", "client": "web", "extension": "csv", "from": "2026-01-01", "level": "project",
    "start_date": "2026-01-01", "to": "2026-01-02",
}  # fmt: skip


def values(operation: Operation[object]) -> dict[str, int | str]:
    names = [part.partition("}")[0] for part in operation.path.split("{")[1:]]
    secrets = secret_names(operation)
    return {name: SECRET if name in secrets else VALUES.get(name, 7) for name in names}


def filled(operation: Operation[object]) -> str:
    path = operation.path
    for name, value in values(operation).items():
        path = path.replace(f"{{{name}}}", quote(str(value), safe=""))
    return path


def test_there_are_operations_that_open_something() -> None:
    assert {one.name for one in OPENING} >= {
        "me.disable_weekly_report",
        "me.exports.download",
        "organizations.invitations.accept",
        "service.ical.download",
        "shared_report.pdf",
        "workspace.webhooks.validate",
    }


@pytest.mark.anyio
@pytest.mark.jump
@pytest.mark.parametrize("declared", [True, False])
@pytest.mark.parametrize("operation", OPENING, ids=lambda one: one.name)
async def test_what_opens_something_is_neither_logged_nor_told(
    operation: Operation[object], declared: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    network = httpx.MockTransport(lambda _: httpx.Response(400, json="no"))
    async with TogglClient(ApiToken(API_TOKEN), transport=network) as toggl:
        call = (
            toggl.fetch(operation, path=values(operation))
            if declared
            else toggl.request(operation.method, filled(operation))
        )
        with pytest.raises(BadRequest) as caught, capture_responses() as answers:
            await call
    for told in (caplog.text, str(caught.value), caught.value.path, repr(answers)):
        assert SECRET not in told
        assert quote(SECRET, safe="") not in told
        assert "kr&t" not in told
    assert API_TOKEN not in caplog.text


@pytest.mark.anyio
@pytest.mark.jump
async def test_what_opens_something_is_not_logged_from_a_query(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    network = httpx.MockTransport(lambda _: httpx.Response(302, headers={"Location": "https://toggl.test"}))
    async with TogglClient(ApiToken(API_TOKEN), transport=network) as toggl:
        await toggl.me.desktop_login_tokens.redeem(login_token="sesame")
        with pytest.raises(TogglError) as caught:
            await toggl.request("GET", "/api/v9/me?token=sesame", params={})
    assert "sesame" not in caplog.text
    assert "sesame" not in str(caught.value)


def every_path() -> Iterator[tuple[httpx.Request, Operation[object]]]:
    for operation in operations():
        facts = RequestFacts(
            route=f"{operation.method} {operation.path}", lane=operation.lane, reads=operation.reads
        )
        url = f"https://toggl.test/home{filled(operation)}"
        yield httpx.Request(operation.method, url, extensions={EXTENSION: facts}), operation


def test_a_path_is_shown_as_it_was_sent_but_for_what_opens_something() -> None:
    for request, operation in every_path():
        expected = operation.path
        for name, value in values(operation).items():
            if name not in secret_names(operation):
                expected = expected.replace(f"{{{name}}}", str(value))
        assert shown_path(request) == f"/home{expected}"


@pytest.mark.parametrize(
    ("route", "sent", "shown"),
    [
        ("/x/shared/{report_token}", "/x/shared/a%2F..%2Fb", "/x/shared/{report_token}"),
        ("/validate/{id}/{validation_code}", "/validate/5/a%2Fb%3Fc", "/validate/5/{validation_code}"),
        ("/validate/{id}/{validation_code}", "/validate/5/123456", "/validate/5/{validation_code}"),
        ("/projects/{project_id}", "/projects/1%2F..%2F2", "/projects/{project_id}"),
        ("/invoices/{invoice_id}.pdf", "/invoices/33.pdf", "/invoices/33.pdf"),
        ("/x/{day}/y", "/x/2026-01-01T00%3A00%3A00Z/y", "/x/2026-01-01T00%3A00%3A00Z/y"),
        ("/search/time_entries.{extension}", "/search/time_entries.csv", "/search/time_entries.csv"),
        ("/preferences/{client}", "/preferences/web", "/preferences/web"),
        ("/export/data/{uuid}.zip", "/export/data/sesame.zip", "/export/data/{uuid}.zip"),
    ],
)
def test_segments_are_those_that_were_sent(route: str, sent: str, shown: str) -> None:
    facts = RequestFacts(route=f"GET {route}", lane="user", reads=True)  # type: ignore[arg-type]
    request = httpx.Request("GET", f"https://toggl.test{sent}?q=1", extensions={EXTENSION: facts})
    assert shown_path(request) == shown


@pytest.mark.parametrize(
    ("sent", "route"),
    [
        ("/reports/api/v3/shared/a%2Fb/csv", "/reports/api/v3/shared/{id}/csv"),
        ("/api/v9/ical/workspace_user/sesame", "/api/v9/ical/workspace_user/{id}"),
        ("/webhooks/api/v1/validate/7/8/s", "/webhooks/api/v1/validate/{workspace_id}/{id}/{id}"),
        ("/api/v9/workspaces/7/tags%2F8", "/api/v9/workspaces/{workspace_id}/{id}"),
    ],
)
def test_the_route_of_an_undeclared_request_keeps_its_segments(sent: str, route: str) -> None:
    assert facts_of(httpx.Request("GET", f"https://toggl.test{sent}")).route == f"GET {route}"


@pytest.mark.anyio
@pytest.mark.jump
async def test_a_refused_login_names_neither_token_nor_the_call_before() -> None:
    left = {"X-Remaining-Login-Attempts": "2"}
    network = httpx.MockTransport(lambda _: httpx.Response(403, json="no", headers=left))
    async with TogglClient(ApiToken(API_TOKEN), transport=network) as toggl:
        with pytest.raises(LoginRefused) as first:
            await toggl.shared_report("sesame").get()
        with pytest.raises(LoginRefused) as second:
            await toggl.me.get()
    assert (first.value.method, first.value.path) == ("POST", "/reports/api/v3/shared/{report_token}")
    assert (second.value.method, second.value.path) == ("GET", "/api/v9/me")
    assert second.value.from_memory
    assert "sesame" not in f"{first.value!r} {second.value!r}"


def everything_behind(error: BaseException | None) -> Iterator[str]:
    """Print what tools that report errors print: each cause, and the request that it belongs to."""
    while error is not None:
        yield repr(error)
        request = getattr(error, "_request", None)
        if isinstance(request, httpx.Request):
            yield str(request.headers.multi_items())
        error = error.__cause__ or error.__context__


@pytest.mark.anyio
@pytest.mark.jump
@pytest.mark.parametrize("auth", [ApiToken(API_TOKEN), SessionCookie(EMAIL, PASSWORD)])
async def test_a_request_that_failed_keeps_no_credentials(auth: ApiToken | SessionCookie) -> None:
    toggl_side = Accounts()

    async def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path != "/api/sessions":
            assert request.headers.get("authorization") or request.headers.get("cookie")
            raise httpx.ReadError("lost", request=request)
        return await toggl_side(request)

    async with TogglClient(auth, transport=httpx.MockTransport(answer)) as toggl:
        with pytest.raises(ConnectionFailed) as caught:
            await toggl.workspace(3).projects.create(name="Apollo")
        with pytest.raises(ConnectionFailed) as another:
            await toggl.workspace(3).tags.create(name="a")
    told = " ".join((*everything_behind(caught.value), *everything_behind(another.value)))
    assert "lost" in told
    assert token(1) not in told
    assert "authorization" not in told.lower()
    assert "cookie" not in told.lower()


@pytest.mark.anyio
@pytest.mark.jump
async def test_a_call_that_gives_up_takes_nothing_from_those_that_share_its_answer() -> None:
    seen = []

    async def answer(request: httpx.Request) -> httpx.Response:
        seen.append("authorization" in request.headers)
        await asyncio.sleep(1)
        return httpx.Response(500 if len(seen) == 1 else 200, json=7)

    async with TogglClient(ApiToken(API_TOKEN), transport=httpx.MockTransport(answer)) as toggl:
        first, second = asyncio.create_task(toggl.me.id()), asyncio.create_task(toggl.me.id())
        await asyncio.sleep(0.5)
        first.cancel()
        assert await second == 7
    assert first.cancelled()
    assert seen == [True, True]


@pytest.mark.anyio
@pytest.mark.jump
async def test_what_cannot_be_decoded_is_named_by_its_route() -> None:
    network = httpx.MockTransport(lambda _: httpx.Response(200, text="<html>"))
    async with TogglClient(ApiToken(API_TOKEN), transport=network) as toggl:
        with pytest.raises(DecodeError, match=r"^GET /api/v9/me: got HTML from") as caught:
            await toggl.request("GET", "/api/v9/me?token=sesame")
    assert caught.value.operation == "GET /api/v9/me"


@pytest.mark.anyio
@pytest.mark.jump
async def test_drift_is_told_once_whatever_the_id() -> None:
    network = httpx.MockTransport(lambda _: httpx.Response(200, json={"id": 5, "name": 7}))
    options = ClientOptions(coalesce=False)
    async with TogglClient(ApiToken(API_TOKEN), transport=network, options=options) as toggl:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            for number in (1, 2, 3):
                await toggl.request("GET", f"/api/v9/workspaces/3/projects/{number}", returns=Project)
    (warning,) = (one.message for one in told)
    assert isinstance(warning, DriftWarning)
    assert warning.operation == "GET /api/v9/workspaces/{workspace_id}/projects/{id}"


def test_a_scope_shows_ids_but_no_token() -> None:
    toggl = TogglClient(ApiToken(API_TOKEN))
    assert repr(toggl.shared_report("sesame")) == "SharedReportScope(report_token=…)"
    assert repr(toggl.workspace(7).projects) == "Projects(workspace_id=7)"
    assert repr(toggl.me) == "MeScope()"
