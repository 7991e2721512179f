"""A port that no server can have is refused before anything is sent, in one line."""

import pytest

from toggl_async import ApiToken, InvalidInput, TogglClient

PORTS = (99999, 65536, 0, -1)


@pytest.mark.parametrize("port", PORTS)
def test_a_base_url_has_a_possible_port(port: int) -> None:
    with pytest.raises(InvalidInput):
        TogglClient(ApiToken("made-up"), base_url=f"http://127.0.0.1:{port}")


@pytest.mark.parametrize("port", PORTS)
def test_the_command_says_so_in_a_line(
    port: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from toggl_async.cli import main  # noqa: PLC0415

    monkeypatch.setenv("TOGGL_API_TOKEN", "made-up")
    assert main(["whoami", "--base-url", f"http://127.0.0.1:{port}"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
