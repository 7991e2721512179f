"""Another system, as far as it can be simulated here: a plugin for the nox session of the same name.

What differs between systems and touches our own code is simulated; what others made runs as it does here:

- `sys.platform` is that of the system, and modules, functions and constants that it lacks are missing, for
  modules of this library alone, whenever they import or ask.
- Windows: files that are open can't be renamed or removed; names can't have certain characters; directories
  can't be opened; no signal handlers in an event loop; ranges of a file are locked by `msvcrt`.
- macOS: no clock that counts while the machine sleeps, no locks that belong to an open file, no ``/proc``.

The environment variable ``ELSEWHERE`` says which: ``windows`` or ``macos``.
"""

import asyncio
import builtins
import contextlib
import fcntl
import os
import sys
import types
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any, Final

LIBRARY: Final = "toggl_async"

PLATFORMS: Final = {"windows": "win32", "macos": "darwin"}

MODULES: Final = {
    "windows": {"fcntl", "grp", "posix", "pwd", "resource", "termios"},
    "macos": {"spwd"},
}
"""Modules that a system lacks."""

NAMES: Final = {
    "windows": {
        "asyncio": {"get_child_watcher"},
        "os": {
            "O_CLOEXEC",
            "O_DIRECTORY",
            "chown",
            "fchmod",
            "fork",
            "geteuid",
            "getuid",
            "getloadavg",
            "killpg",
            "register_at_fork",
            "setsid",
            "statvfs",
            "uname",
        },
        "signal": {
            "SIGHUP",
            "SIGKILL",
            "SIGSTOP",
            "SIGUSR1",
            "SIGUSR2",
            "alarm",
            "pthread_sigmask",
            "setitimer",
        },
        "socket": {"AF_UNIX", "SO_REUSEPORT"},
        "time": {"CLOCK_BOOTTIME", "CLOCK_MONOTONIC", "clock_gettime"},
    },
    "macos": {
        "fcntl": {"F_OFD_GETLK", "F_OFD_SETLK", "F_OFD_SETLKW"},
        "os": {"eventfd", "memfd_create", "sched_getaffinity"},
        "time": {"CLOCK_BOOTTIME"},
    },
}
"""What a system lacks in modules that it has."""

FORBIDDEN: Final = frozenset('<>:"|?*')
"""Characters that no name of a file has on Windows."""

_import = builtins.__import__


class Elsewhere(types.ModuleType):
    """A module as another system has it."""

    def __init__(self, module: types.ModuleType, lacks: frozenset[str], other: Mapping[str, Any]) -> None:
        super().__init__(module.__name__)
        self.__dict__.update(other)
        self._module = module
        self._lacks = lacks

    def __getattr__(self, name: str) -> Any:
        if name in self._lacks:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r} elsewhere")
        return getattr(self._module, name)


class Locking(types.ModuleType):
    """`msvcrt`, as far as files are locked by it: a byte at the place where the file stands."""

    LK_UNLCK, LK_NBLCK = 0, 2

    def locking(self, number: int, mode: int, size: int) -> None:
        """Lock or unlock bytes."""
        how = fcntl.LOCK_UN if mode == self.LK_UNLCK else fcntl.LOCK_EX | fcntl.LOCK_NB
        fcntl.flock(number, how)
        assert size == 1


def go_to(system: str) -> None:
    """Go there, before anything of the library is imported."""
    assert not any(name.partition(".")[0] == LIBRARY for name in sys.modules), "too late"
    known: dict[str, types.ModuleType] = {
        name: Elsewhere(_import(name), frozenset(lacks), {}) for name, lacks in NAMES[system].items()
    }
    if system == "windows":
        known["os"].name = "nt"  # type: ignore[attr-defined]
    known["sys"] = Elsewhere(sys, frozenset(), {"platform": PLATFORMS[system]})
    if system == "windows":
        known["msvcrt"] = Locking("msvcrt")
        windows_files()

    def import_there(
        name: str,
        globals: Mapping[str, object] | None = None,  # noqa: A002 - so it is called
        locals: Mapping[str, object] | None = None,  # noqa: A002 - so it is called
        fromlist: Any = (),
        level: int = 0,
    ) -> types.ModuleType:
        asks = str((globals or {}).get("__name__", "")).partition(".")[0]
        if asks != LIBRARY or level:
            return _import(name, globals, locals, fromlist, level)
        if name.partition(".")[0] in MODULES[system]:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return known.get(name) or _import(name, globals, locals, fromlist, level)

    builtins.__import__ = import_there


def windows_files() -> None:
    """Treat files as Windows does, and event loops."""
    opening = os.open

    def refuse(event: str, arguments: tuple[Any, ...]) -> None:
        if event not in {"open", "os.mkdir", "os.rename", "os.remove"} or not _asked_by_us():
            return
        if event in {"open", "os.mkdir"} and isinstance(arguments[0], str | PurePath):
            check(arguments[0])
        elif event == "os.rename":
            check(arguments[1])
            held(arguments[0])
            held(arguments[1])
        elif event == "os.remove":
            held(arguments[0])

    def check(path: Any) -> None:
        name = PurePath(os.fsdecode(path)).name
        if FORBIDDEN & set(name) or name != name.rstrip(". "):
            raise OSError(22, "Invalid argument", os.fsdecode(path))

    def held(path: Any) -> None:
        whole = os.path.realpath(path)
        for number in Path("/proc/self/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):
                if str(number.readlink()) == whole:
                    raise PermissionError(13, "The process cannot access the file", os.fsdecode(path))

    def open_there(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if isinstance(path, str | PurePath) and _asked_by_us() and Path(path).is_dir():
            raise PermissionError(13, "Permission denied", os.fsdecode(path))
        return opening(path, flags, mode, dir_fd=dir_fd)

    def add_signal_handler(*_: Any) -> None:
        raise NotImplementedError

    os.open = open_there
    asyncio.SelectorEventLoop.add_signal_handler = add_signal_handler  # type: ignore[assignment,method-assign]
    sys.addaudithook(refuse)


def _asked_by_us() -> bool:
    """Whether a module of the library stands behind what happens, a few frames up at most."""
    frame = sys._getframe(2)
    for _ in range(12):
        if frame.f_globals.get("__name__", "").partition(".")[0] == LIBRARY:
            return True
        if frame.f_back is None:
            return False
        frame = frame.f_back
    return False


go_to(os.environ["ELSEWHERE"])
