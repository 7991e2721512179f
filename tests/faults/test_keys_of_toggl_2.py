"""Keys of Toggl 2.0 are another product's: refused before anything is sent, and never shown."""

import socket
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import attrs
import httpx
import pytest

from toggl_async import ApiToken, EmailPassword, InvalidInput, ScheduledTransport, SessionCookie, TogglClient

KEYS = [
    "toggl_sk_1a2B3c",
    " toggl_sk_1a2B3c",
    "toggl_sk_1a2B3c\n",
    "TOGGL_SK_1a2B3c",
    '"toggl_sk_1a2B3c"',
    "toggl_sk_",
    "Bearer toggl_sk_1a2B3c",
    "bearer:toggl_sk_1a2B3c",
    "api_token: toggl_sk_1a2B3c",
    "'Bearer  \"toggl_sk_1a2B3c\"'",
]

WAYS: dict[str, Callable[[str], object]] = {
    "token": ApiToken,
    "email": lambda key: EmailPassword(key, "api_token"),
    "password": lambda key: EmailPassword("ada@example.com", key),
    "session": lambda key: SessionCookie("ada@example.com", key),
}


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("way", WAYS)
def test_a_key_is_refused_with_a_sentence_that_helps(way: str, key: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        WAYS[way](key)
    told = str(caught.value)
    assert "a key of Toggl 2.0 (focus.toggl.com)" in told
    assert "https://track.toggl.com/profile" in told
    assert "\n" not in told
    assert "1a2b3c" not in told.lower()


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("names", [("TOGGL_API_TOKEN",), ("TOGGL_EMAIL", "TOGGL_PASSWORD")], ids="+".join)
def test_a_key_in_the_environment_is_refused_too(
    key: str, names: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TOGGL_API_TOKEN", "TOGGL_EMAIL", "TOGGL_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    for name in names:
        monkeypatch.setenv(name, key)
    with pytest.raises(InvalidInput, match=r"key of Toggl 2\.0"):
        TogglClient.from_env()


def test_what_only_holds_those_words_is_no_key() -> None:
    assert repr(EmailPassword("toggl_sk@example.com", "not-toggl_sk_1")) == "EmailPassword(…)"
    assert repr(ApiToken("0toggl_sk_1a2b3c")) == "ApiToken(…)"


@attrs.frozen
class Bearer:
    """Credentials of a program's own making."""

    header: str = "Bearer toggl_sk_1a2B3c"

    def headers(self) -> Mapping[str, str]:
        return {"Authorization": self.header}


FOREIGN: dict[str, dict[str, Any]] = {
    "user": {"auth": ("toggl_sk_1a2B3c", "api_token")},
    "password": {"auth": ("api_token", "toggl_sk_1a2B3c")},
    "bearer": {"headers": Bearer().headers()},
    "lower case": {"headers": {"authorization": "bearer toggl_sk_1a2B3c"}},
    "bare": {"headers": {"Authorization": "toggl_sk_1a2B3c"}},
    "basic, not encoded": {"headers": {"Authorization": "Basic toggl_sk_1a2B3c"}},
}


@pytest.fixture
def nobody() -> Iterator[str]:
    """Where nobody would take a connection: what is sent there never gets an answer."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(BlockingIOError):
            listener.accept()


@pytest.mark.parametrize("way", FOREIGN)
@pytest.mark.anyio
async def test_another_client_on_the_transport_is_told_so_too(way: str, nobody: str) -> None:
    async with httpx.AsyncClient(transport=ScheduledTransport(), base_url=nobody, **FOREIGN[way]) as http:
        for _ in range(2):
            with pytest.raises(
                InvalidInput, match=r"header contains a key of Toggl 2\.0 .*/profile"
            ) as caught:
                await http.get("/api/v9/me")
            assert "1a2b3c" not in str(caught.value).lower()


@pytest.mark.anyio
async def test_credentials_of_a_programs_own_making_are_looked_at(nobody: str) -> None:
    async with TogglClient(Bearer(), base_url=nobody) as toggl:
        with pytest.raises(InvalidInput, match=r"key of Toggl 2\.0"):
            await toggl.me.get()


@pytest.mark.parametrize("header", ["Bearer x", "Basic !", "Basic", "Basic dG9nZ2xfc2s6eA=="])
@pytest.mark.anyio
async def test_other_credentials_go_out_as_they_are(header: str) -> None:
    inner = httpx.MockTransport(lambda request: httpx.Response(200, text=request.headers["authorization"]))
    async with httpx.AsyncClient(
        transport=ScheduledTransport(inner), headers=Bearer(header).headers()
    ) as http:
        assert (await http.get("https://api.track.toggl.com/api/v9/me")).text == header


@pytest.mark.anyio
async def test_a_key_is_taken_where_it_belongs() -> None:
    inner = httpx.MockTransport(lambda request: httpx.Response(200, text=request.url.host))
    async with httpx.AsyncClient(transport=ScheduledTransport(inner), headers=Bearer().headers()) as http:
        assert (await http.get("https://focus.toggl.com/api/organizations")).text == "focus.toggl.com"
