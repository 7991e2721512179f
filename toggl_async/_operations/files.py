"""Files in both directions: forms that upload them to Toggl, and downloads.

Imported by `operation`, the generated coroutines and the session; it imports only `errors` from the package.
"""

import errno
import mimetypes
import os
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeAlias

import anyio
import anyio.to_thread
import attrs
import msgspec

from toggl_async.errors import InvalidInput

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
            return path.name, await path.read_bytes()
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
    return Path(name).name if isinstance(name, str) else field, found


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

        Before anything is sent, the path is checked to be writable, because a report costs quota.

        Args:
            path: where to save it; an existing file is replaced.

        Returns:
            The size in bytes.

        Raises:
            OSError: the path cannot be written to, for instance because it is a directory.
        """
        target = anyio.Path(path)
        if not target.name or await target.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(target))
        # A name of its own: others may be saving to the same path.
        partial = target.with_name(f".{target.name}.{secrets.token_hex(4)}.partial")
        size = 0
        try:
            file = await partial.open("xb")
        except OSError as error:
            # The caller knows nothing of the other name.
            raise type(error)(error.errno, error.strerror, str(target)) from None
        try:
            async with file:
                async with self.stream() as chunks:
                    async for chunk in chunks:
                        size += await file.write(chunk)
                await file.flush()
                # Or a crash could leave the new name with nothing behind it.
                await anyio.to_thread.run_sync(os.fsync, file.wrapped.fileno())
            await partial.replace(target)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await partial.unlink(missing_ok=True)
            raise
        return size
