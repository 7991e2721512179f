"""Files in both directions: forms that upload them to Toggl, and downloads.

Imported by `operation`, the generated coroutines and the session; it imports only `errors` from the package.
"""

import mimetypes
import os
import secrets
import stat
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeAlias

import anyio
import anyio.to_thread
import attrs
import msgspec

from toggl_async.errors import InvalidInput, shown

__all__ = ["Download", "FileContent", "Form"]

FileSource: TypeAlias = str | os.PathLike[str] | bytes | BinaryIO
"""Where a file is read from: its path, its bytes, or an open file in binary mode."""

FileContent: TypeAlias = FileSource | tuple[str, FileSource] | tuple[str, FileSource, str]
"""A file to send: its source alone; or, as in httpx, with its name, ``("notes.txt", b"…")``, and also its
media type, ``("notes.txt", b"…", "text/plain")``. By default, the name is that of the path, and the type
follows from the suffix of the name or the first bytes.
"""

Part: TypeAlias = tuple[str, bytes, str]
"""A file as it is sent: its name, its bytes and its media type."""

_BEGINNINGS: Final[Mapping[bytes, str]] = {
    b"\x89PNG\r\n\x1a\n": ".png",
    b"\xff\xd8\xff": ".jpg",
    b"GIF8": ".gif",
    b"%PDF-": ".pdf",
    b"PK\x03\x04": ".zip",
}
"""How files begin that Toggl takes: pictures and receipts; and what their names end on."""

_UNKNOWN: Final = "application/octet-stream"

_PRIVATE: Final = 0o600
"""Permissions of a new file: what Toggl knows about people is nobody else's business."""

_SEPARATORS: Final = tuple(one for one in (os.sep, os.altsep) if one)
"""What a path of a folder may end with."""


@attrs.frozen
class Form:
    """A body of form fields, which a few operations take instead of JSON.

    Attributes:
        fields: the values by name; those that are UNSET are left out.
        files: the names of those fields that are files (`FileContent`), one or a list of several.
        multipart: whether to send it as ``multipart/form-data``, which files require; otherwise, it is
            urlencoded.
    """

    fields: Mapping[str, object] = attrs.field(repr=False)
    files: tuple[str, ...] = ()
    multipart: bool = attrs.field(
        kw_only=True, default=attrs.Factory(lambda form: bool(form.files), takes_self=True)
    )

    async def parts(self) -> tuple[dict[str, object], list[tuple[str, Part]]]:
        """Return the fields that aren't files, and read those that are, as pairs of field and file.

        Raises:
            InvalidInput: a file cannot be read, or is not a file.
        """
        given = {name: value for name, value in self.fields.items() if value is not msgspec.UNSET}
        files: list[tuple[str, Part]] = []
        for name in self.files:
            if name in given:
                found = given.pop(name)
                several = found if isinstance(found, list) else [found]
                files += [(name, await _part(name, one)) for one in several]
        return given, files


async def _part(field: str, content: object) -> Part:
    """Read a file, with the name and the type that it is given or has."""
    name: object = None
    kind: object = None
    match content:
        case (name, source):
            pass
        case (name, source, kind):
            pass
        case _:
            source = content
    for what, given in (("name", name), ("type", kind)):
        if given is not None and not (isinstance(given, str) and given and given.isprintable()):
            raise InvalidInput(f"{field}: the {what} of a file must be a str without control characters")
    read, data = await _read(field, source)
    named = name if isinstance(name, str) else read
    if isinstance(kind, str):
        return named, data, kind
    guessed, _ = mimetypes.guess_type(named)
    if guessed is None and (ending := _ending(data)):
        named = named if name is not None else f"{named}{ending}"
        guessed, _ = mimetypes.guess_type(f"file{ending}")
    return named, data, guessed or _UNKNOWN


def _ending(data: bytes) -> str:
    """Find out what the name of a file should end on; empty for files of another kind."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return ".webp"
    return next((ending for beginning, ending in _BEGINNINGS.items() if data.startswith(beginning)), "")


async def _read(field: str, content: object) -> tuple[str, bytes]:
    """Name a file and read it, off the event loop where that can take long."""
    if isinstance(content, bytes | bytearray | memoryview):
        return field, bytes(content)
    if isinstance(content, str | os.PathLike):
        path = anyio.Path(content)
        try:
            return _sendable(path.name), await path.read_bytes()
        except OSError as error:
            raise InvalidInput(f"{field}: {error.strerror}: {str(path)!r}") from error
        except ValueError as error:  # such as a null byte
            raise InvalidInput(f"{field}: {str(path)!r} is not a path: {error}") from error
    read = getattr(content, "read", None)
    try:
        found = await anyio.to_thread.run_sync(read) if callable(read) else None
    except (OSError, ValueError) as error:  # such as a file that is closed, or open for writing alone
        raise InvalidInput(f"{field}: the file cannot be read: {error}") from error
    if not isinstance(found, bytes):
        raise InvalidInput(
            f"{field}: pass a path, bytes, a file opened in binary mode, or (name, one of these)"
        )
    name = getattr(content, "name", field)
    return _sendable(Path(name).name) if isinstance(name, str) else field, found


def _sendable(name: str) -> str:
    """Write a file's name as text; bytes that aren't UTF-8 come as surrogates, which no request can hold."""
    return os.fsencode(name).decode("utf-8", "replace")


class Download:
    """A file that Toggl generates: a PDF, CSV, XLSX, ZIP or calendar.

    Nothing is sent before you use it, in one of these ways::

        content = await workspace.reports.weekly.csv(start_date=…)             # bytes
        await workspace.reports.weekly.csv(start_date=…).save("report.csv")    # never whole in memory

    Raises (when used):
        TogglError: whatever became of the request; see `toggl_async.errors`.
    """

    def __init__(
        self,
        fetch: Callable[[], Awaitable[bytes]],
        stream: Callable[[], AbstractAsyncContextManager[AsyncIterator[bytes]]],
    ) -> None:
        self._fetch = fetch
        self._stream = stream

    def __await__(self) -> Generator[Any, Any, bytes]:
        return self._fetch().__await__()

    def stream(self) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Open the file: ``async with download.stream() as chunks`` yields chunks of bytes."""
        return self._stream()

    async def save(self, path: str | os.PathLike[str]) -> int:
        """Write the file to a path, chunk by chunk; it is saved whole or not at all.

        Before anything is sent, the path is checked, because a report costs quota.

        Args:
            path: where to save it. An existing file is replaced, and its permissions are kept; a new one
                can only be read by the user who runs the program. A symbolic link is followed.

        Returns:
            The size in bytes.

        Raises:
            InvalidInput: there can be no file at the path: its folder is missing or can't be written to, or
                a folder, a device or a pipe is there. Nothing was sent.
            OSError: the disk failed while the file was written, for instance because it is full.
        """
        target, mode = await anyio.to_thread.run_sync(_place_of, path)
        # A name of its own: others may be saving to the same path.
        partial = anyio.Path(target.with_name(f".{secrets.token_hex(8)}.partial"))
        size = 0
        try:
            # Private until it is whole, whatever it will be.
            file = await anyio.open_file(partial, "xb", opener=_open_private)
        except OSError as error:
            raise _unusable(target, error) from error  # the caller knows nothing of the other name
        try:
            async with file:
                async with self.stream() as chunks:
                    async for chunk in chunks:
                        size += await file.write(chunk)
                await file.flush()
                # Or a crash could leave the new name with nothing behind it.
                await anyio.to_thread.run_sync(os.fsync, file.wrapped.fileno())
            await partial.chmod(mode)
            await partial.replace(target)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await partial.unlink(missing_ok=True)
            raise
        return size


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, _PRIVATE)


def _place_of(path: object) -> tuple[Path, int]:
    """Find where a file will be, links followed, and the permissions that it will have.

    Raises:
        InvalidInput: there can be no file.
    """
    text = os.fspath(path) if isinstance(path, str | os.PathLike) else None
    if not isinstance(text, str):
        raise InvalidInput(f"path: pass a str or a path, not a value of type {type(path).__name__}")
    if not text or text.endswith(_SEPARATORS):
        raise InvalidInput(f"path: {shown(text)} does not name a file")
    target = Path(text)
    try:
        target = Path(os.path.realpath(text))
        found = target.stat().st_mode
    except FileNotFoundError:
        return target, _PRIVATE
    except OSError as error:
        raise _unusable(target, error) from error
    except ValueError as error:  # such as a null byte, on which the versions of Python differ
        raise InvalidInput(f"path: {shown(text)} is not a path: {error}") from error
    if stat.S_ISDIR(found):
        raise InvalidInput(f"path: {text!r} is a folder: name a file in it")
    if not stat.S_ISREG(found):
        # Replacing it would take a device or a pipe away from those who use it.
        raise InvalidInput(f"path: {text!r} is not a regular file: write to it from `stream()`")
    return target, stat.S_IMODE(found)


def _unusable(path: Path, error: OSError) -> InvalidInput:
    return InvalidInput(f"path: {error.strerror}: {str(path)!r}")
