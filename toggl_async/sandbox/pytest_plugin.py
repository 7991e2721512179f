"""Pytest fixtures for programs that use Toggl.

`toggl_sandbox` is a running sandbox of the test's own, `toggl_client` an unpaced client of it::

    async def test_names(toggl_client):
        async with toggl_client as toggl:
            me = await toggl.me.get()

    @pytest.mark.toggl_sandbox(plan="free", org_quota=5)  # any of SandboxOptions; may be left out
    def test_my_program(toggl_sandbox):
        subprocess.run(["my-program"], env=os.environ | toggl_sandbox.environment, check=True)
        assert toggl_sandbox.counts.refused[429] == 0

The sandbox runs in a thread with an event loop of its own, so it serves tests of every kind:
synchronous ones, asynchronous ones under any plugin, and programs in other processes. Unless told
otherwise the company is `SMALL`, and there is no bucket: tests want neither to wait nor to pace
themselves. The client waits for nothing either, and fails where it would have to wait for longer than
ten seconds. Neither touches a state folder or a budget of the user's: the client's is in memory.

Nothing of sandbox or client is imported before a test asks for it. pytest loads the plugin wherever
the package is installed; ``-p no:toggl_async`` leaves it out.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from toggl_async import TogglClient
    from toggl_async.sandbox.sandbox import Sandbox

__all__ = ["toggl_client", "toggl_sandbox"]

_MISSING: Final = (
    "{} is not installed; the fixture toggl_sandbox needs the extra 'sandbox': "
    "python -m pip install 'toggl_async[sandbox]'"
)

_UNPACED: Final = 1e-6
"""Seconds between requests where there is no bucket to mind."""

_MAX_WAIT: Final = 10.0
"""Seconds that a test's call waits at most: a used-up quota is an error rather than an hour."""


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", "toggl_sandbox(**options): SandboxOptions of the fixture")


@pytest.fixture
def toggl_sandbox(request: pytest.FixtureRequest) -> "Iterator[Sandbox]":
    """Run a sandbox for the length of a test, with the options of the marker of the same name."""
    try:
        from anyio.from_thread import start_blocking_portal  # noqa: PLC0415

        from toggl_async.sandbox.options import SMALL, SandboxOptions  # noqa: PLC0415
        from toggl_async.sandbox.server import serve  # noqa: PLC0415
    except ModuleNotFoundError as missing:
        pytest.fail(_MISSING.format(missing.name), pytrace=False)

    marker = request.node.get_closest_marker("toggl_sandbox")
    if marker and marker.args:
        given = ", ".join(map(repr, marker.args))
        pytest.fail(
            f"the marker toggl_sandbox takes only keyword arguments, not {given}: "
            'write @pytest.mark.toggl_sandbox(plan="free"), or any other field of SandboxOptions',
            pytrace=False,
        )
    options = SandboxOptions(**{"size": SMALL, "interval": 0.0, **(marker.kwargs if marker else {})})
    with ExitStack() as stack:
        portal = stack.enter_context(start_blocking_portal(name="toggl-sandbox"))
        yield stack.enter_context(portal.wrap_async_context_manager(serve(options)))


@pytest.fixture
def toggl_client(toggl_sandbox: "Sandbox") -> "TogglClient":
    """Make a client of the test's sandbox, to be entered by the test; it neither paces itself nor waits."""
    from toggl_async import ApiToken, ClientOptions, Pace, TogglClient  # noqa: PLC0415

    options = ClientOptions(pace=Pace(interval=_UNPACED, margin=0.0), max_wait=_MAX_WAIT)
    return TogglClient(ApiToken(toggl_sandbox.api_token), base_url=toggl_sandbox.base_url, options=options)
