"""Small valid files of every kind that Toggl makes: PDF, CSV, XLSX, ZIP and calendars."""

import csv
import io
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

__all__ = ["CALENDAR", "CSV", "PDF", "XLSX", "ZIP", "archive", "made", "pdf", "sheet", "table"]

CALENDAR: Final = "text/calendar"
CSV: Final = "text/csv"
PDF: Final = "application/pdf"
XLSX: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
ZIP: Final = "application/zip"

_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a ZIP can hold: the same content makes the same file."""

_XML: Final = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
_PACKAGE: Final = "http://schemas.openxmlformats.org/package/2006"
_OFFICE: Final = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_MAIN: Final = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"

_SHEET_PARTS: Final[Mapping[str, str]] = {
    "[Content_Types].xml": (
        f'<Types xmlns="{_PACKAGE}/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{XLSX}.main+xml"/>'
        '<Override PartName="/xl/worksheets/sheet1.xml" ContentType="'
        'application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/></Types>'
    ),
    "_rels/.rels": (
        f'<Relationships xmlns="{_PACKAGE}/relationships">'
        f'<Relationship Id="r1" Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>'
    ),
    "xl/workbook.xml": (
        f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets>'
        '<sheet name="Report" sheetId="1" r:id="r1"/></sheets></workbook>'
    ),
    "xl/_rels/workbook.xml.rels": (
        f'<Relationships xmlns="{_PACKAGE}/relationships">'
        f'<Relationship Id="r1" Type="{_OFFICE}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>'
    ),
    "xl/worksheets/sheet1.xml": (
        f'<worksheet xmlns="{_MAIN}"><sheetData><row r="1"><c r="A1" t="inlineStr"><is><t>Report</t></is></c>'
        "</row></sheetData></worksheet>"
    ),
}

_CALENDAR: Final = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//toggl_async//sandbox//EN\r\nEND:VCALENDAR\r\n"


_PDF: Final = (
    b"%PDF-1.4\n"
    b"1 0 obj\n"
    b"<< /Type /Catalog /Pages 2 0 R >>\n"
    b"endobj\n"
    b"2 0 obj\n"
    b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>\n"
    b"endobj\n"
    b"3 0 obj\n"
    b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] >>\n"
    b"endobj\n"
    b"xref\n"
    b"0 4\n"
    b"0000000000 65535 f \n"
    b"0000000009 00000 n \n"
    b"0000000058 00000 n \n"
    b"0000000115 00000 n \n"
    b"trailer\n"
    b"<< /Size 4 /Root 1 0 R >>\n"
    b"startxref\n"
    b"186\n"
    b"%%EOF\n"
)
"""One empty page."""


def pdf() -> bytes:
    """Make a PDF file of one empty page."""
    return _PDF


def table(rows: Iterable[Sequence[object]]) -> bytes:
    """Make a CSV file, of a header and rows, in UTF-8 with the mark that Toggl's files begin with."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue().encode("utf-8-sig")


def archive(files: Mapping[str, bytes]) -> bytes:
    """Make a ZIP file."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in files.items():
            packed.writestr(zipfile.ZipInfo(name, _EPOCH), content)
    return target.getvalue()


def sheet() -> bytes:
    """Make an XLSX file of one cell."""
    return archive({name: f"{_XML}{text}".encode() for name, text in _SHEET_PARTS.items()})


_MAKERS: Final[Mapping[str, Callable[[], bytes]]] = {
    CALENDAR: _CALENDAR.encode,
    CSV: lambda: table([("Description", "Duration"), ("Review the backlog", "01:00:00")]),
    PDF: pdf,
    XLSX: sheet,
    ZIP: lambda: archive({"profile.json": b"{}"}),
}


def made(media: str) -> bytes:
    """Make a small file of a media type."""
    return _MAKERS[media]()
