"""Sessions: made, shared, renewed, ended; wrong credentials tried once."""

import asyncio
import logging
import time
from collections.abc import Callable

import httpx
import pytest

from support.login_accounts import COOKIE, DAY, EMAIL, PASSWORD, Accounts, token
from toggl_async import (
    ApiToken,
    ClientClosed,
    ClientOptions,
    ConnectionFailed,
    Cooldown,
    EmailPassword,
    Forbidden,
    InvalidInput,
    LoginRefused,
    MaxWaitExceeded,
    MissingCredentials,
    RateLimited,
    Scheduler,
    ServerError,
    SessionCookie,
    TogglClient,
    Unauthorized,
    capture_responses,
)
from toggl_async._client.client import BASE_URL
from toggl_async.scheduler import events

pytestmark = [pytest.mark.anyio, pytest.mark.jump]


async def test_the_first_call_logs_in_and_the_session_ends_with_the_client() -> None:
    toggl_side = Accounts()
    async with toggl_side.client() as toggl:
        assert (await toggl.me.get()).id == 7
        await toggl.me.get()
    cookie = token(1)
    assert toggl_side.seen == [
        ("POST", "/api/sessions", None),
        ("GET", "/api/v9/me", cookie),
        ("GET", "/api/v9/me", cookie),
        ("DELETE", "/api/sessions", cookie),
    ]
    assert toggl_side.valid == set()


async def test_a_client_that_never_asked_never_logs_in() -> None:
    toggl_side = Accounts()
    async with toggl_side.client() as toggl:
        await toggl.end_session()
    assert toggl_side.seen == []


async def test_the_login_goes_to_the_accounts_host() -> None:
    hosts = []

    async def answer(request: httpx.Request) -> httpx.Response:
        hosts.append(f"{request.method} {request.url.scheme}://{request.url.netloc.decode()}")
        return await toggl_side(request)

    toggl_side = Accounts()
    network = httpx.MockTransport(answer)
    async with TogglClient(SessionCookie(EMAIL, PASSWORD), transport=network) as toggl:
        await toggl.me.get()
    assert hosts == [
        "POST https://accounts.toggl.com",
        "GET https://api.track.toggl.com",
        "DELETE https://accounts.toggl.com",
    ]


async def test_concurrent_calls_share_one_login() -> None:
    toggl_side = Accounts(delay=2.0)
    async with toggl_side.client(options=ClientOptions(coalesce=False)) as toggl:
        found = await asyncio.gather(*(toggl.me.get() for _ in range(5)))
    assert [me.id for me in found] == [7] * 5
    assert toggl_side.logins == 1
    assert len(toggl_side.calls) == 5


async def test_a_login_goes_on_when_the_call_behind_it_is_cancelled() -> None:
    toggl_side = Accounts(delay=2.0)
    async with toggl_side.client() as toggl:
        call = asyncio.create_task(toggl.me.get())
        await asyncio.sleep(1)
        call.cancel()
        await asyncio.wait([call])
        await toggl.me.get()
    assert toggl_side.logins == 1
    assert toggl_side.valid == set()


async def test_a_session_that_a_401_calls_over_is_renewed_once() -> None:
    toggl_side = Accounts()
    async with toggl_side.client() as toggl:
        await toggl.me.get()
        toggl_side.valid.clear()
        await toggl.workspace(3).projects.create(name="Apollo")
    assert toggl_side.seen[2:-1] == [
        ("POST", "/api/v9/workspaces/3/projects", token(1)),
        ("POST", "/api/sessions", None),
        ("POST", "/api/v9/workspaces/3/projects", token(2)),
    ]


async def test_a_renewed_session_that_is_refused_too_is_not_renewed_again() -> None:
    toggl_side = Accounts()
    async with toggl_side.client() as toggl:
        await toggl.me.get()
        toggl_side.stillborn = True
        toggl_side.valid.clear()
        for _ in range(3):
            with pytest.raises(Unauthorized):
                await toggl.me.get()
        assert toggl_side.logins == 2
        assert [cookie for _, _, cookie in toggl_side.calls] == [token(1), token(1), *[token(2)] * 3]
        toggl_side.stillborn = False
        await asyncio.sleep(DAY)
        assert (await toggl.me.get()).id == 7
    assert toggl_side.logins == 3


async def test_calls_under_way_share_a_renewal_and_go_with_the_new_cookie() -> None:
    toggl_side = Accounts()
    async with toggl_side.client(options=ClientOptions(coalesce=False)) as toggl:
        await toggl.me.get()
        toggl_side.valid.clear()
        await asyncio.gather(*(toggl.me.get() for _ in range(4)))
        assert toggl_side.logins == 2
        used = [cookie for _, _, cookie in toggl_side.calls]
        toggl_side.valid.clear()
        await toggl.me.get()
    # One call finds out; those behind it in the queue take the new cookie along.
    assert used == [token(1), token(1), token(2), token(2), token(2), token(2)]
    assert toggl_side.logins == 3


async def test_a_call_that_was_refused_while_another_renewed_goes_again_without_a_login() -> None:
    toggl_side = Accounts()
    old = asyncio.Event()
    slow = httpx.Response(401)

    async def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/quota") and not old.is_set():
            toggl_side.seen.append(("GET", "slow", None))
            await old.wait()
            return slow
        return await toggl_side(request)

    async with TogglClient(SessionCookie(EMAIL, PASSWORD), transport=httpx.MockTransport(answer)) as toggl:
        await toggl.me.get()
        call = asyncio.create_task(toggl.request("GET", "/api/v9/me/quota"))
        await asyncio.sleep(2)
        toggl_side.valid.clear()
        await toggl.me.get()
        old.set()
        await call
    assert toggl_side.logins == 2
    assert toggl_side.calls[-1] == ("GET", "/api/v9/me/quota", token(2))


@pytest.mark.parametrize(
    ("claims", "age", "renews"),
    [
        ({}, 3600, False),
        ({}, DAY + 1, True),
        ({"iat": 1_000_000, "exp": 1_000_000 + 28 * DAY}, 3600, False),
        ({"iat": 1_000_000, "exp": 1_000_000 + 28 * DAY}, DAY + 1, True),
        ({"iat": 1_000_000, "exp": 1_000_000 + 600}, 500, False),
        ({"iat": 1_000_000, "exp": 1_000_000 + 600}, 601, True),
        ({"exp": "soon"}, 3600, False),
    ],
)
async def test_a_403_counts_as_expiry_once_the_session_is_old_enough(
    claims: dict[str, object], age: float, renews: bool
) -> None:
    toggl_side = Accounts(refusal=403, claims=claims)
    async with toggl_side.client() as toggl:
        await toggl.me.get()
        await asyncio.sleep(age)
        toggl_side.valid.clear()
        if renews:
            assert (await toggl.me.get()).id == 7
        else:
            with pytest.raises(Forbidden):
                await toggl.me.get()
    assert toggl_side.logins == (2 if renews else 1)


async def test_an_expiry_without_a_beginning_is_measured_from_now() -> None:
    toggl_side = Accounts(refusal=403, claims={"exp": time.time() - 60})
    async with toggl_side.client() as toggl:
        await toggl.me.get()
        toggl_side.valid.clear()
        await toggl.me.get()
    assert toggl_side.logins == 2


async def test_the_right_to_something_is_not_asked_for_twice() -> None:
    toggl_side = Accounts()
    toggl_side.answers["GET", "/api/v9/workspaces/3"] = [httpx.Response(403, json="no") for _ in range(2)]
    async with toggl_side.client() as toggl:
        with pytest.raises(Forbidden, match=r"^no "):
            await toggl.workspace(3).get()
    assert toggl_side.logins == 1
    assert len(toggl_side.calls) == 1


async def test_wrong_credentials_are_tried_once_until_told_otherwise() -> None:
    toggl_side = Accounts()
    async with toggl_side.client(password="wrong") as toggl:
        with pytest.raises(LoginRefused, match="password; login attempts left: 4 ") as first:
            await toggl.workspace(3).projects.create(name="Apollo")
        with pytest.raises(LoginRefused, match="from memory") as second:
            await toggl.me.get()
        assert len(toggl_side.seen) == 1
        toggl.forget_refusals()
        with pytest.raises(LoginRefused):
            await toggl.me.get()
    assert toggl_side.seen == [("POST", "/api/sessions", None)] * 2
    assert (first.value.remaining_attempts, first.value.status, first.value.from_memory) == (4, 403, False)
    assert (second.value.remaining_attempts, second.value.from_memory) == (4, True)
    assert second.value.message == first.value.message
    assert isinstance(first.value, Forbidden)


async def test_concurrent_calls_with_wrong_credentials_cost_one_login() -> None:
    toggl_side = Accounts(delay=1.0)
    async with toggl_side.client(password="wrong") as toggl:
        calls = (toggl.me.get(), toggl.me.quota(), toggl.workspace(3).get())
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [LoginRefused] * 3
    assert len(toggl_side.seen) == 1


async def test_a_password_that_was_changed_while_the_session_held() -> None:
    toggl_side = Accounts()
    async with toggl_side.client(options=ClientOptions(coalesce=False)) as toggl:
        await toggl.me.get()
        toggl_side.password, toggl_side.valid = "new", set()
        outcomes = await asyncio.gather(*(toggl.me.get() for _ in range(4)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [LoginRefused] * 4
    assert toggl_side.logins == 2
    assert len(toggl_side.calls) == 2


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (httpx.Response(400, json="Invalid email"), LoginRefused),
        (httpx.Response(200, json="no cookie"), LoginRefused),
        (httpx.Response(302, headers={"Location": "/sso"}), LoginRefused),
        (httpx.Response(200, headers={"Set-Cookie": f"{COOKIE}=; Path=/"}), LoginRefused),
        (httpx.Response(503, headers={"Set-Cookie": f"{COOKIE}=x"}), ServerError),
        (httpx.ReadError("lost"), ConnectionFailed),
    ],
)
async def test_a_login_that_fails_is_never_repeated_by_itself(
    answer: httpx.Response | Exception, error: type[Exception]
) -> None:
    toggl_side = Accounts(answers={("POST", "/api/sessions"): [answer]})
    async with toggl_side.client() as toggl:
        with pytest.raises(error) as caught:
            await toggl.workspace(3).projects.create(name="Apollo")
        assert toggl_side.seen == [("POST", "/api/sessions", None)]
        assert "maybe" not in str(caught.value)
        assert getattr(caught.value, "maybe_applied", False) is False
        assert "set-cookie" not in getattr(caught.value, "headers", {})
        if error is not LoginRefused:
            assert (await toggl.me.get()).id == 7


@pytest.mark.parametrize("answer", [httpx.Response(503), httpx.ReadError("lost")])
@pytest.mark.parametrize(("failures", "answered"), [(1, 2), (2, 0), (9, 0)])
async def test_those_who_shared_a_login_that_failed_share_one_more(
    answer: httpx.Response | Exception, failures: int, answered: int
) -> None:
    toggl_side = Accounts(answers={("POST", "/api/sessions"): [answer] * failures})
    async with toggl_side.client(options=ClientOptions(coalesce=False)) as toggl:
        outcomes = await asyncio.gather(*(toggl.me.get() for _ in range(3)), return_exceptions=True)
    failed = [outcome for outcome in outcomes if isinstance(outcome, ServerError | ConnectionFailed)]
    assert len(failed) == 3 - answered
    assert len(toggl_side.calls) == answered
    assert toggl_side.logins == 2


async def test_a_429_cools_the_login_down_and_is_no_refusal() -> None:
    toggl_side = Accounts(answers={("POST", "/api/sessions"): [httpx.Response(429)]})
    async with toggl_side.client(options=ClientOptions(cooldown=Cooldown(minimum=60, maximum=60))) as toggl:
        began = asyncio.get_running_loop().time()
        assert (await toggl.me.get()).id == 7
        assert asyncio.get_running_loop().time() - began >= 60
    assert toggl_side.logins == 2


async def test_a_login_waits_as_long_as_the_call_behind_it_and_another_call_tries_again() -> None:
    toggl_side = Accounts(answers={("POST", "/api/sessions"): [httpx.Response(429)]})
    async with toggl_side.client(options=ClientOptions(coalesce=False)) as toggl:
        hurried = toggl.with_options(max_wait=1)
        for error in (RateLimited, MaxWaitExceeded):
            first, second = asyncio.create_task(hurried.me.get()), asyncio.create_task(hurried.me.get())
            with pytest.raises(error):
                await first
            with pytest.raises(MaxWaitExceeded):
                await second
        outcomes = await asyncio.gather(hurried.me.get(), toggl.me.get(), return_exceptions=True)
    assert [type(outcome).__name__ for outcome in outcomes] == ["MaxWaitExceeded", "Me"]
    assert toggl_side.logins == 2


async def test_the_scheduler_knows_one_account_whatever_the_cookie() -> None:
    heard: list[events.SchedulerEvent] = []
    toggl_side = Accounts()
    scheduler = Scheduler(on_event=heard.append)
    async with toggl_side.client(scheduler=scheduler, accounts_url=f"{BASE_URL}/") as toggl:
        await toggl.me.get()
        toggl_side.valid.clear()
        await toggl.me.get()
        (account,) = scheduler.stats().accounts
    assert toggl_side.logins == 2
    assert {event.account for event in heard} == {account.account}
    told = repr(heard) + repr(scheduler.stats()) + repr(scheduler) + repr(toggl)
    assert EMAIL not in told
    assert token(1) not in told
    await scheduler.aclose()


async def test_the_session_can_be_ended_at_any_time() -> None:
    toggl_side = Accounts()
    async with toggl_side.client() as toggl:
        await toggl.me.get()
        await toggl.end_session()
        assert toggl_side.valid == set()
        await toggl.me.get()
        assert toggl_side.logins == 2


@pytest.mark.parametrize(("status", "raises"), [(404, False), (401, False), (500, True)])
async def test_ending_a_session_says_what_went_wrong(status: int, raises: bool) -> None:
    toggl_side = Accounts(answers={("DELETE", "/api/sessions"): [httpx.Response(status)]})
    async with toggl_side.client() as toggl:
        await toggl.me.get()
        if raises:
            with pytest.raises(ServerError):
                await toggl.end_session()
        else:
            await toggl.end_session()
        await toggl.end_session()
    assert [one[0] for one in toggl_side.seen].count("DELETE") == 1


async def test_closing_does_not_fail_when_the_session_cannot_be_ended(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "toggl_async.login")
    toggl_side = Accounts(answers={("DELETE", "/api/sessions"): [httpx.Response(500)]})
    async with toggl_side.client() as toggl:
        await toggl.me.get()
    assert [record.getMessage() for record in caplog.records if record.name == "toggl_async.login"] == [
        "could not end the session: ServerError"
    ]


async def test_closing_takes_no_longer_than_a_moment() -> None:
    toggl_side = Accounts()
    async with toggl_side.client() as toggl:
        await toggl.me.get()
        toggl_side.delay = 3600.0
        began = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - began == pytest.approx(5.0)


async def test_closing_waits_for_a_login_under_way_and_ends_its_session() -> None:
    toggl_side = Accounts(delay=2.0)
    toggl = toggl_side.client()
    call = asyncio.create_task(toggl.me.get())
    await asyncio.sleep(1)
    await toggl.aclose()
    with pytest.raises(ClientClosed):
        await call
    assert [one[0] for one in toggl_side.seen] == ["POST", "DELETE"]
    assert toggl_side.valid == set()


async def test_calls_that_wait_when_the_client_closes_end() -> None:
    toggl_side = Accounts()
    toggl = toggl_side.client(options=ClientOptions(coalesce=False))
    await toggl.me.get()
    calls = [asyncio.create_task(toggl.me.get()) for _ in range(3)]
    await asyncio.sleep(0.1)
    await toggl.aclose()
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {ClientClosed}


async def test_no_cookie_reaches_the_caller() -> None:
    toggl_side = Accounts()
    rolling = httpx.Response(200, json={"id": 7}, headers={"Set-Cookie": f"{COOKIE}=rolling"})
    toggl_side.answers["GET", "/api/v9/me"] = [rolling]
    async with toggl_side.client() as toggl:
        with capture_responses() as answers:
            await toggl.request("GET", "/api/v9/me")
            await toggl.me.get()
    assert "rolling" not in repr(answers)
    assert all("set-cookie" not in answer.headers for answer in answers)
    assert [cookie for _, _, cookie in toggl_side.calls] == [token(1), token(1)]


@pytest.mark.parametrize("auth", [ApiToken("a" * 32), EmailPassword(EMAIL, PASSWORD)])
@pytest.mark.parametrize(
    ("answer", "attempts"),
    [
        (lambda: httpx.Response(403, json="Incorrect username and/or password"), None),
        (lambda: httpx.Response(401, headers={"X-Remaining-Login-Attempts": "2"}), 2),
    ],
)
async def test_other_wrong_credentials_are_tried_once_too(
    auth: ApiToken | EmailPassword, answer: Callable[[], httpx.Response], attempts: int | None
) -> None:
    requests = []

    def respond(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return answer()

    async with TogglClient(
        auth, transport=httpx.MockTransport(respond), options=ClientOptions(coalesce=False)
    ) as toggl:
        with capture_responses() as answers:
            calls = [asyncio.create_task(toggl.me.get()) for _ in range(4)]
            outcomes = await asyncio.gather(*calls, return_exceptions=True)
        with pytest.raises(LoginRefused, match="from memory"):
            await toggl.me.get()
        assert len(requests) == 1
        toggl.forget_refusals()
        with pytest.raises(LoginRefused):
            await toggl.me.get()
    assert len(requests) == 2
    assert len(answers) == 1
    refused = [outcome for outcome in outcomes if isinstance(outcome, LoginRefused)]
    assert len(refused) == 4
    assert {error.remaining_attempts for error in refused} == {attempts}
    assert sum(error.from_memory for error in refused) == 3


async def test_a_403_that_speaks_of_a_right_is_no_wrong_login() -> None:
    def respond(request: httpx.Request) -> httpx.Response:
        known = request.url.path.endswith("/me/logged")
        return httpx.Response(200) if known else httpx.Response(403, json="You have no access")

    async with TogglClient(ApiToken("a" * 32), transport=httpx.MockTransport(respond)) as toggl:
        for _ in range(2):
            with pytest.raises(Forbidden) as caught:
                await toggl.workspace(3).tags.list()
            assert not isinstance(caught.value, LoginRefused)


async def test_other_credentials_have_no_session_to_end() -> None:
    network = httpx.MockTransport(lambda _: httpx.Response(200, json={"id": 7, "default_workspace_id": 3}))
    async with TogglClient(ApiToken("a" * 32), transport=network) as toggl:
        await toggl.end_session()
        assert (await toggl.me.get()).id == 7


def test_a_session_cookie_shows_nothing_and_is_checked() -> None:
    assert repr(SessionCookie(EMAIL, PASSWORD)) == "SessionCookie(…)"
    with pytest.raises(MissingCredentials, match="SessionCookie: the password is empty"):
        SessionCookie(EMAIL, "")
    with pytest.raises(InvalidInput, match="SessionCookie: email is not a valid e-mail address"):
        SessionCookie("ada", PASSWORD)


def test_the_accounts_url_must_keep_the_password_safe() -> None:
    with pytest.raises(InvalidInput, match="accounts_url must use https, or"):
        TogglClient(SessionCookie(EMAIL, PASSWORD), accounts_url="http://accounts.toggl.com")


async def test_a_scheduler_that_others_closed_ends_the_calls() -> None:
    scheduler = Scheduler()
    network = httpx.MockTransport(lambda _: httpx.Response(200))
    async with TogglClient(ApiToken("a" * 32), transport=network, scheduler=scheduler) as toggl:
        await scheduler.aclose()
        with pytest.raises(ClientClosed):
            await toggl.me.get()


async def test_an_event_loop_that_ends_may_cancel_the_login() -> None:
    toggl_side = Accounts(delay=60.0)
    async with toggl_side.client() as toggl:
        call = asyncio.create_task(toggl.me.get())
        await asyncio.sleep(1)
        (login,) = (task for task in asyncio.all_tasks() if "_make" in repr(task))
        login.cancel()
        await asyncio.wait([call])
        assert call.cancelled()
        toggl_side.delay = 0.0
        assert (await toggl.me.get()).id == 7
