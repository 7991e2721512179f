from typing import Any

import pytest

from clock import JUMP


@pytest.fixture
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    """Run asynchronous tests on asyncio, those marked `jump` on a clock that jumps."""
    return JUMP if request.node.get_closest_marker("jump") else "asyncio"


@pytest.fixture(autouse=True)
def no_credentials_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep a developer's own token and proxies out of the tests."""
    for name in (
        "TOGGL_API_TOKEN",
        "TOGGL_EMAIL",
        "TOGGL_PASSWORD",
        "TOGGL_BASE_URL",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "http_proxy",
        "https_proxy",
        "all_proxy",
    ):
        monkeypatch.delenv(name, raising=False)
