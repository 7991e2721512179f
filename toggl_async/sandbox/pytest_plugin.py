"""A pytest fixture for programs that use Toggl: `toggl_sandbox`, a running sandbox of the test's own.

::

    @pytest.mark.toggl_sandbox(plan="free", org_quota=5)  # any of SandboxOptions; may be left out
    def test_my_program(toggl_sandbox):
        my_program(base_url=toggl_sandbox.base_url, token=toggl_sandbox.api_token)
        assert toggl_sandbox.counts.refused[429] == 0

It runs in a thread with an event loop of its own, so it serves tests of every kind: synchronous
ones, asynchronous ones under any plugin, and programs in other processes. Unless told otherwise
the company is `SMALL`, and there is no bucket: tests want neither to wait nor to pace themselves.
Nothing of the sandbox is imported before a test asks for it. pytest loads the plugin wherever the
package is installed; ``-p no:toggl_async`` leaves it out.
"""

import asyncio
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from toggl_async.sandbox.options import SandboxOptions
    from toggl_async.sandbox.server import Sandbox

__all__ = ["toggl_sandbox"]

_MISSING: Final = (
    "{} is not installed; the fixture toggl_sandbox needs the extra 'sandbox': "
    "python -m pip install 'toggl_async[sandbox]'"
)


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", "toggl_sandbox(**options): SandboxOptions of the fixture")


@pytest.fixture
def toggl_sandbox(request: pytest.FixtureRequest) -> "Iterator[Sandbox]":
    """Run a sandbox for the length of a test, with the options of the marker of the same name."""
    from toggl_async.sandbox.options import SMALL, SandboxOptions  # noqa: PLC0415

    marker = request.node.get_closest_marker("toggl_sandbox")
    wanted = {"size": SMALL, "interval": 0.0, **(marker.kwargs if marker else {})}
    thread = _SandboxThread(SandboxOptions(**wanted))
    try:
        sandbox = thread.start()
    except ModuleNotFoundError as missing:
        pytest.fail(_MISSING.format(missing.name), pytrace=False)
    try:
        yield sandbox
    finally:
        thread.stop()


class _SandboxThread:
    """A sandbox in a thread, from `start` to `stop`."""

    def __init__(self, options: "SandboxOptions") -> None:
        self._options = options
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="toggl-sandbox", daemon=True)
        self._failure: BaseException | None = None
        self._sandbox: Sandbox
        self._loop: asyncio.AbstractEventLoop
        self._over: asyncio.Event

    def start(self) -> "Sandbox":
        """Start the thread and return the sandbox as soon as it listens."""
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            self._thread.join()
            raise self._failure
        return self._sandbox

    def stop(self) -> None:
        """Stop the sandbox and wait until the thread has ended."""
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as failure:  # noqa: BLE001 - it is raised where the test can see it
            self._failure = failure
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        from toggl_async.sandbox.server import serve  # noqa: PLC0415

        async with serve(self._options) as self._sandbox:
            self._loop = asyncio.get_running_loop()
            self._over = asyncio.Event()
            self._ready.set()
            await self._over.wait()
