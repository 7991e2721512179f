"""Which server a command asks: what is no URL of one is said in a line, before anything is sent."""

import pytest

from toggl_async.cli import main
from toggl_async.errors import InvalidInput
from toggl_async.sandbox import Sandbox

_COMMANDS = [
    ["current"],
    ["today"],
    ["start"],
    ["stop"],
    ["whoami"],
    ["quota"],
    ["call", "me.get"],
    ["export", "--out", "nowhere", "--dry-run"],
]


@pytest.mark.parametrize("command", _COMMANDS, ids=" ".join)
@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://[::1", "base_url is not a valid URL: "),
        ("https://xn--iñvalid-.example", "base_url is not a valid URL: "),
        ("localhost:80", "base_url must be https://HOST, not 'localhost:80'"),
        ("https://api.track.toggl.com/api/v9/", "base_url must be https://HOST: leave out /api/v9"),
    ],
)
def test_what_is_no_server(
    server: Sandbox,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    command: list[str],
    url: str,
    told: str,
) -> None:
    monkeypatch.setenv("TOGGL_BASE_URL", url)
    assert main(command) == 2
    message = capsys.readouterr().err
    assert message.startswith(f"toggl-async: {told}")
    assert message.count("\n") == 1
    monkeypatch.setenv("TOGGL_BASE_URL", server.base_url)
    assert main([*command, "--base-url", url]) == 2
    assert capsys.readouterr().err == message
    assert server.counts.requests == 0


@pytest.mark.parametrize("path", ["/api/v9", "/api/v9/", "/reports/api/v3", "/insights/api/v1"])
def test_a_client_refuses_the_path_of_an_api(path: str) -> None:
    from toggl_async import ApiToken, TogglClient  # noqa: PLC0415

    with pytest.raises(InvalidInput, match=f"https://HOST: leave out {path.rstrip('/')}$"):
        TogglClient(ApiToken("a" * 32), base_url=f"https://api.track.toggl.com{path}")
    TogglClient(ApiToken("a" * 32), base_url="https://proxy.example/toggl")
