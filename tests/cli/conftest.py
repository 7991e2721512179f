"""What the tests of the command run on."""

from pathlib import Path

import pytest

from toggl_async import ClientOptions, Pace, Retry
from toggl_async.cli import connect
from toggl_async.sandbox import Sandbox
from toggl_async.sandbox.pytest_plugin import toggl_sandbox as toggl_sandbox  # noqa: PLC0414


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def server(toggl_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """A sandbox without a bucket, its token in the environment, and a client that doesn't dawdle."""
    monkeypatch.setenv("TOGGL_API_TOKEN", toggl_sandbox.api_token)
    monkeypatch.setenv("TOGGL_BASE_URL", toggl_sandbox.base_url)
    options = ClientOptions(pace=Pace(interval=0.0001), retry=Retry(attempts=1, minimum=0.0, maximum=0.0))
    monkeypatch.setattr(connect, "OPTIONS", options)
    return toggl_sandbox
