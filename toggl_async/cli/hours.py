"""``toggl-async report``: hours from a mirror, as a table, CSV or JSON."""

import csv
import datetime as dt
import io
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import click
import msgspec
from rich.cells import cell_len

from toggl_async.cli.dates import DATE
from toggl_async.cli.exits import Exit
from toggl_async.cli.mirrors import store_at
from toggl_async.cli.output import complain, json_text, on_one_line, remark, say
from toggl_async.cli.texts import TEXT
from toggl_async.export.mirror.hours import Grouping, Hours, HoursBy, Label, groupings, hours_by

__all__ = ["report"]


@click.command()
@click.argument("mirror", metavar="DIR|URL")
@click.option(
    "--by",
    metavar="WHAT",
    type=TEXT,
    default=Grouping.PROJECT.value,
    show_default=True,
    help=f"What to add up by, separated by commas: {', '.join(Grouping)}.",
)
@click.option("--since", metavar="DAY", type=DATE, help="The first day, as YYYY-MM-DD.")
@click.option("--until", metavar="DAY", type=DATE, help="The last day, inclusive.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "csv", "json"]),
    default="table",
    show_default=True,
    help="Format of the output.",
)
def report(mirror: str, by: str, since: dt.datetime | None, until: dt.datetime | None, form: str) -> int:
    """Add up the hours in an export, or in any other mirror. Sends no requests.

    DIR is the directory of an export; URL names a mirror made with `toggl-async export --to`.

    A time entry counts for the day on which it began, in the profile's time zone, as in Toggl's own reports.
    Weeks begin on Mondays. Names are the current ones. A time entry with several tags counts for each of
    them, but only once in the total. Running time entries aren't counted.
    """
    chosen = groupings(part.strip() for part in by.split(","))
    days = [None if one is None else one.date() for one in (since, until)]
    try:
        with store_at(mirror).snapshot() as snapshot:
            found = hours_by(snapshot, chosen, since=days[0], until=days[1])
    except OSError as error:
        complain(f"cannot read {mirror} as a mirror: {error.strerror or error}")
        return Exit.FAILED
    say(_WRITTEN[form](found))
    for doubt in found.doubts:
        remark(f"toggl-async: {doubt}")
    return Exit.DONE


def _as_table(found: HoursBy) -> str:
    """A table for people, with a total."""
    head = [*found.by, "entries", "hours", "billable", "share"]
    rows = [[*(_shown(label.name) for label in row.labels), *_figures(row)] for row in found.rows]
    total = [*["total", *[""] * (len(found.by) - 1)], *_figures(found.total)]
    table = [head, *rows, total]
    widths = [max(cell_len(row[place]) for row in table) for place in range(len(head))]
    lines = []
    for row in table:
        cells = []
        for place, (cell, width) in enumerate(zip(row, widths, strict=True)):
            space = " " * (width - cell_len(cell))
            cells.append(cell + space if place < len(found.by) else space + cell)
        lines.append("  ".join(cells))
    if found.running:
        entries = "entry" if found.running == 1 else "entries"
        lines.append(f"not counted: {found.running:,} running time {entries}")
    return "\n".join(lines)


def _figures(row: Hours) -> list[str]:
    share = row.billable_share
    return [
        str(row.entries),
        f"{row.hours:.2f}",
        f"{row.billable_hours:.2f}",
        "-" if share is None else f"{share:.0%}",
    ]


def _shown(name: str | None) -> str:
    """A name in one line; what would steer the terminal is escaped as in JSON."""
    return "(none)" if name is None else on_one_line(name)


def _fields(by: Sequence[Grouping], row: Hours) -> dict[str, int | float | str | None]:
    """A row for machines: ids, names and figures."""
    fields: dict[str, int | float | str | None] = {}
    for one, label in zip(by, row.labels, strict=True):
        if not one.is_time:
            fields[f"{one}_id"] = label.id
        fields[str(one)] = label.name
    share = row.billable_share
    return fields | {
        "entries": row.entries,
        "seconds": row.seconds,
        "hours": round(row.hours, 4),
        "billable_seconds": row.billable_seconds,
        "billable_hours": round(row.billable_hours, 4),
        "billable_share": None if share is None else round(share, 4),
    }


def _as_csv(found: HoursBy) -> str:
    """A header and a line for each row; the total is left to the reader."""
    nothing = Hours(labels=(Label(None, None),) * len(found.by), entries=0, seconds=0, billable_seconds=0)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(_fields(found.by, nothing)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(_fields(found.by, row) for row in found.rows)
    return text.getvalue().removesuffix("\n")


def _as_json(found: HoursBy) -> str:
    """An object: the rows, their total, how many time entries are running, and why hours may be missing."""
    answer = msgspec.json.encode(
        {
            "by": found.by,
            "rows": [_fields(found.by, row) for row in found.rows],
            "total": _fields((), found.total),
            "running": found.running,
            "doubts": found.doubts,
        }
    )
    return json_text(answer)


_WRITTEN: Mapping[str, Callable[[HoursBy], str]] = MappingProxyType(
    {"table": _as_table, "csv": _as_csv, "json": _as_json}
)
