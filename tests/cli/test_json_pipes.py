"""JSON in a pipe of another encoding than UTF-8: it stays JSON, in ASCII."""

import io
import json
import sys
from collections.abc import Callable

import pytest

from toggl_async.cli import main
from toggl_async.cli.output import json_text
from toggl_async.sandbox import Sandbox
from toggl_async.sandbox.pytest_plugin import toggl_sandbox as toggl_sandbox  # noqa: PLC0414

_NAME = "Zoë Łukasz 😀"


@pytest.fixture(params=["ascii", "cp1252", "latin-1"])
def piped(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[..., bytes]:
    """Runs a command that has a pipe of another encoding for its stdout."""

    def run(*arguments: str) -> bytes:
        raw = io.BytesIO()
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", stream := io.TextIOWrapper(raw, encoding=request.param))
            assert main(list(arguments)) == 0
            stream.flush()
            return raw.getvalue()

    return run


@pytest.mark.parametrize(
    "command",
    [
        ["whoami", "--json"],
        ["today", "--json"],
        ["current", "--json"],
        ["quota", "--json"],
        ["call", "me.get"],
        ["api", "--json", "tags"],
        ["start", _NAME, "--json"],
    ],
    ids=" ".join,
)
def test_json_is_ascii(server: Sandbox, piped: Callable[..., bytes], command: list[str]) -> None:
    server.company.owner.name = _NAME
    for organization in server.company.organizations.values():
        organization.name = _NAME
    text = piped(*command).decode("ascii")
    json.loads(text)
    if command[0] in {"whoami", "call", "start"}:
        assert json.dumps(_NAME)[1:-1] in text


def test_json_of_exports_is_ascii(server: Sandbox, piped: Callable[..., bytes], tmp_path: object) -> None:
    for client in server.company.clients.values():
        client.name = _NAME
    out = f"{tmp_path}/é"
    lines = piped("export", "--out", out, "--dataset", "clients", "--json").decode("ascii").splitlines()
    assert all(map(json.loads, lines))
    named = [json.loads(line) for line in piped("feed", out).decode("ascii").splitlines()]
    assert _NAME in {line["row"]["name"] for line in named[:-1]}
    json.loads(piped("report", out, "--format", "json", "--by", "client").decode("ascii"))


def test_json_is_left_as_it_is_where_utf8_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="UTF8"))
    assert json_text('"é"') == '"é"'
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert json_text('"é"'.encode()) == r'"\u00e9"'
