"""Files that are sent: under which name and type they go, and several of one field."""

import datetime as dt
import io
from pathlib import Path
from typing import Any

import pytest

from support.answers import Answers
from toggl_async import InvalidInput

pytestmark = pytest.mark.anyio

PNG = b"\x89PNG\r\n\x1a\n..."
NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


async def sent(files: Any) -> str:
    server = Answers(b"")
    async with server.client() as toggl:
        await toggl.service.feedback.send(toggl_version="1", date=NOW, details="x", files=files)
    return server.asked[0].content.decode(errors="replace")


@pytest.mark.parametrize(
    ("files", "name", "kind"),
    [
        (PNG, "files.png", "image/png"),
        (b"\xff\xd8\xff..", "files.jpg", "image/jpeg"),
        (b"RIFF....WEBPVP8 ", "files.webp", "image/webp"),
        (b"%PDF-1.7", "files.pdf", "application/pdf"),
        (bytearray(b"GIF89a"), "files.gif", "image/gif"),
        (b"anything", "files", "application/octet-stream"),
        (io.BytesIO(PNG), "files.png", "image/png"),
        (("me.png", b"no picture"), "me.png", "image/png"),
        (("me", PNG), "me", "image/png"),
        (("log.txt", io.BytesIO(b"x"), "text/x-log"), "log.txt", "text/x-log"),
    ],
)
async def test_a_file_goes_by_its_name_and_type(files: object, name: str, kind: str) -> None:
    body = await sent(files)
    assert f'name="files"; filename="{name}"\r\n' in body
    assert f"Content-Type: {kind}\r\n" in body


async def test_several_files_go_in_one_request(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("from the disk")
    body = await sent([PNG, ("a.log", b"first"), path])
    names = ["files.png", "a.log", "notes.txt"]
    assert [name for name in names if f'name="files"; filename="{name}"' in body] == names
    assert "from the disk" in body


@pytest.mark.parametrize(
    "files",
    [7, (), ("only",), ("a", b"", "b", "c"), (5, b""), ("", b""), ("a\n", b""), ("a", b"", "x\r\ny: z")],
)
async def test_what_is_no_file_is_refused_before_anything_is_sent(files: object) -> None:
    with pytest.raises(InvalidInput, match=r"^files: "):
        await sent(files)
