"""Keys of Toggl 2.0 are another product's: refused before anything is sent, and never shown."""

from collections.abc import Callable

import pytest

from toggl_async import ApiToken, EmailPassword, InvalidInput, SessionCookie, TogglClient

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
