"""The peers, each of the version that was compared, from PyPI, in a virtual environment of its own.

They cannot share one: together they resolve to old releases of each other. The environments live in
`build/` of the repository, are made when first needed, and made anew when a version changes.
"""

import subprocess
import sys
import venv
from pathlib import Path
from typing import Final

import attrs

__all__ = ["OURS", "PEERS", "Client"]

BENCHMARKS: Final = Path(__file__).parents[1]
ENVIRONMENTS: Final = BENCHMARKS.parent / "build" / "peers"


@attrs.frozen(kw_only=True)
class Client:
    """A client that can be driven.

    Attributes:
        name: what it is called on PyPI.
        requirements: what pip installs; nothing for ourselves, who are here already.
        driver: the script in `peers/` that drives it.
    """

    name: str
    requirements: tuple[str, ...]
    driver: str

    @property
    def script(self) -> Path:
        """The driver's file."""
        return BENCHMARKS / "peers" / self.driver

    def python(self) -> str:
        """Return the interpreter that has this client, making its environment if there is none."""
        if not self.requirements:
            return sys.executable
        wanted = " ".join(self.requirements)
        home = ENVIRONMENTS / self.name
        python = home / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
        made = home / "made-for"
        if not made.exists() or made.read_text() != wanted:
            print(f"installing {wanted} into {home.relative_to(BENCHMARKS.parent)}", file=sys.stderr)
            venv.create(home, clear=True, with_pip=True)
            pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            subprocess.run([*pip, *self.requirements], check=True)
            made.write_text(wanted)
        return str(python)


OURS: Final = Client(name="toggl_async", requirements=(), driver="drive_toggl_async.py")

PEERS: Final = (
    Client(
        name="toggl-api-wrapper",
        requirements=("toggl-api-wrapper[async]==2.2.0",),
        driver="drive_toggl_api_wrapper.py",
    ),
    Client(name="toggl-python", requirements=("toggl-python==0.3.2",), driver="drive_toggl_python.py"),
    Client(name="lib-toggl", requirements=("lib-toggl==0.1.9",), driver="drive_lib_toggl.py"),
    Client(name="togglCli", requirements=("togglCli==4.0.1",), driver="drive_toggl_cli.py"),
    Client(
        name="toggl-track-mcp",
        requirements=("toggl-track-mcp==0.1.0", "mcp<2"),  # it allows mcp 2, but does not start with it
        driver="drive_toggl_track_mcp.py",
    ),
)
