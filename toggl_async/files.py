"""Files in both directions: forms that carry them to Toggl, and downloads that bring them.

Imported by `operation`, the generated coroutines and the session; of the package it imports
`errors` alone.
"""

import os
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

        content = await workspace.reports.detailed.csv(start_date=…)             # bytes
        await workspace.reports.detailed.csv(start_date=…).save("report.csv")    # never whole in memory

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

        Args:
            path: where to; what is there is replaced.

        Returns:
            The size in bytes.

        Raises:
            OSError: the path cannot be written to.
        """
        target = anyio.Path(path)
        partial = target.with_name(f"{target.name}.partial")
        size = 0
        async with self.stream() as chunks:
            try:
                async with await partial.open("wb") as file:
                    async for chunk in chunks:
                        size += await file.write(chunk)
                await partial.replace(target)
            except BaseException:
                with anyio.CancelScope(shield=True):
                    await partial.unlink(missing_ok=True)
                raise
        return size
