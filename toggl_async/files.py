"""Files in both directions: forms that carry them to Toggl, and downloads that bring them.

Imported by `operation`, the generated coroutines and the session; of the package it imports
`errors` alone.
"""

import errno
import os
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import anyio
import anyio.to_thread
import attrs
import msgspec

from toggl_async.errors import InvalidInput

__all__ = ["Download", "FileContent", "Form"]

FileContent: TypeAlias = str | os.PathLike[str] | bytes | BinaryIO
"""A file to send: its path, its bytes, or an open file in binary mode."""


@attrs.frozen
class Form:
    """A body of form fields, as few operations take it in place of JSON.

    Attributes:
        fields: names to values; UNSET is left out.
        files: the names of those fields that are files (`FileContent`).
        multipart: whether it goes as ``multipart/form-data``, as files have to; else urlencoded.
    """

    fields: Mapping[str, object] = attrs.field(repr=False)
    files: tuple[str, ...] = ()
    multipart: bool = attrs.field(
        kw_only=True, default=attrs.Factory(lambda form: bool(form.files), takes_self=True)
    )

    async def parts(self) -> tuple[dict[str, object], dict[str, tuple[str, bytes]]]:
        """Take the fields that are no files, and read those that are: name and content.

        Raises:
            InvalidInput: a file cannot be read, or is none.
        """
        given = {name: value for name, value in self.fields.items() if value is not msgspec.UNSET}
        files = {name: await _read(name, given.pop(name)) for name in self.files if name in given}
        return given, files


async def _read(field: str, content: object) -> tuple[str, bytes]:
    """Name a file and read it, off the event loop where that can take long."""
    if isinstance(content, bytes):
        return field, content
    if isinstance(content, str | os.PathLike):
        path = anyio.Path(content)
        try:
            return path.name, await path.read_bytes()
        except OSError as error:
            raise InvalidInput(f"{field}: {error.strerror}: {path.name!r}") from error
    read = getattr(content, "read", None)
    found = await anyio.to_thread.run_sync(read) if callable(read) else None
    if not isinstance(found, bytes):
        raise InvalidInput(f"{field}: give a path, bytes, or a file opened in binary mode")
    name = getattr(content, "name", field)
    return Path(name).name if isinstance(name, str) else field, found


class Download:
    """A file that Toggl makes: a PDF, CSV, XLSX, ZIP or calendar.

    Nothing is sent before it is used, in one of these ways::

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
        """Open the file: ``async with download.stream() as chunks`` gives chunks of bytes."""
        return self._stream()

    async def save(self, path: str | os.PathLike[str]) -> int:
        """Write the file to a path, chunk by chunk; it is there whole or not at all.

        Nothing is sent before it is clear that the path can be written to: a report costs quota.

        Args:
            path: where to; what is there is replaced.

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
        file = await partial.open("xb")
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
