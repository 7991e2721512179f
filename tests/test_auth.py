import base64
from collections.abc import Callable

import pytest

from toggl_async import ApiToken, EmailPassword, InvalidInput, MissingCredentials
from toggl_async._client.auth import auth_from_env

SECRET = "1971800d4d82861d8f2c1651fea4d212"


def decoded(headers: object) -> str:
    assert isinstance(headers, dict)
    scheme, _, pair = headers["Authorization"].partition(" ")
    assert scheme == "Basic"
    return base64.b64decode(pair).decode()


def test_a_token_goes_as_the_user_with_the_literal_password() -> None:
    assert decoded(ApiToken(SECRET).headers()) == f"{SECRET}:api_token"


def test_an_address_and_a_password_go_as_they_are() -> None:
    assert (
        decoded(EmailPassword("ada@example.com", "pässword: yes").headers())
        == "ada@example.com:pässword: yes"
    )


@pytest.mark.parametrize("auth", [ApiToken(SECRET), EmailPassword("ada@example.com", SECRET)])
def test_no_secret_is_in_a_repr(auth: object) -> None:
    assert SECRET not in repr(auth)
    assert SECRET not in str([auth])


@pytest.mark.parametrize(
    "build",
    [
        lambda: ApiToken(""),
        lambda: ApiToken("  "),
        lambda: EmailPassword("", SECRET),
        lambda: EmailPassword("ada@example.com", ""),
    ],
)
def test_empty_credentials_are_refused(build: Callable[[], object]) -> None:
    with pytest.raises(MissingCredentials, match="is empty"):
        build()


@pytest.mark.parametrize(
    "build",
    [
        lambda: ApiToken(SECRET + "\n"),
        lambda: ApiToken(" " + SECRET),
        lambda: ApiToken(SECRET + "é"),
        lambda: ApiToken(None),  # type: ignore[arg-type]
        lambda: EmailPassword("ada", SECRET),
        lambda: EmailPassword("ada:b@example.com", SECRET),
        lambda: EmailPassword("ada@example.com", SECRET + "\r\nX-Evil: 1"),
    ],
)
def test_what_cannot_be_credentials_is_refused_without_being_quoted(build: Callable[[], object]) -> None:
    with pytest.raises(InvalidInput) as caught:
        build()
    assert SECRET not in str(caught.value)


def test_the_environment_gives_a_token_first() -> None:
    environ = {"TOGGL_API_TOKEN": SECRET, "TOGGL_EMAIL": "ada@example.com", "TOGGL_PASSWORD": "x"}
    assert auth_from_env(environ) == ApiToken(SECRET)


def test_the_environment_gives_an_address_and_a_password() -> None:
    environ = {"TOGGL_EMAIL": "ada@example.com", "TOGGL_PASSWORD": SECRET}
    assert auth_from_env(environ) == EmailPassword("ada@example.com", SECRET)


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({}, "set the environment variable TOGGL_API_TOKEN"),
        ({"TOGGL_API_TOKEN": " "}, "TOGGL_API_TOKEN is empty"),
        ({"TOGGL_EMAIL": "ada@example.com"}, "TOGGL_PASSWORD is not set, but TOGGL_EMAIL is"),
        ({"TOGGL_PASSWORD": "sesame"}, "TOGGL_EMAIL is not set, but TOGGL_PASSWORD is"),
        (
            {"TOGGL_EMAIL": "ada@example.com", "TOGGL_PASSWORD": ""},
            "TOGGL_PASSWORD is empty, but TOGGL_EMAIL is set",
        ),
    ],
)
def test_an_environment_without_credentials_is_said_as_such(environ: dict[str, str], message: str) -> None:
    with pytest.raises(MissingCredentials, match=message):
        auth_from_env(environ)
