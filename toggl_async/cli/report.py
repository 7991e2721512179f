"""What the command says at the end, and beforehand: verdicts and estimates, in plain lines. Pure."""

import datetime as dt
import json
import os
import shlex
import subprocess
from pathlib import Path
from urllib.parse import parse_qsl, urlencode

from toggl_async.cli.display import count, place_of, spell
from toggl_async.cli.exits import Exit
from toggl_async.export import Estimate, Failure, Manifest, Refusal

__all__ = ["changed", "estimate_lines", "freshness", "next_steps", "summary", "verdict"]

_HOURS = "SELECT {0}, ROUND(SUM(seconds) / 3600.0, 1) AS hours FROM {1} GROUP BY {0} ORDER BY 2 DESC"
_VIEW = "time_entries_named"

_PROGRAMS = {
    "jsonl": "import pandas; print(pandas.read_json({file}, lines=True))",
    "csv": "import pandas; print(pandas.read_csv({file}))",
    "parquet": "import polars; print(polars.read_parquet({file}))",
}
"""What opens the time entries of a format in Python; the file's name is put in as text in quotes."""


def next_steps(place: str, mirror: Path, manifest: Manifest) -> list[str]:
    """What was looked at, where the rows are, and what to do with them.

    Args:
        place: where it went, in words.
        mirror: the file of its mirror.
        manifest: what came of it.
    """
    lines = []
    if manifest.ranges:
        first = min(check.first for check in manifest.ranges)
        last = max(check.last for check in manifest.ranges)
        ended = manifest.plan.everything or (manifest.plan.since and manifest.plan.until)
        beyond = "" if ended else "; --everything looks beyond empty years, too"
        lines.append(f"time entries from {first} to {last} were read{beyond}")
    if manifest.format != "mirror":
        lines.append(f"the rows and their changes are in {mirror}; --update brings it up to date")
    if "time_entries" in manifest.datasets:
        lines.append(f"next: {_opening(place, manifest)}")
        lines.append(f"next: {_line('toggl-async', 'report', place)}")
    return lines


def _opening(place: str, manifest: Manifest) -> str:
    """How to open an export, by its format."""
    name = manifest.format
    if manifest.excel:
        return f"open {Path(place) / 'time_entries.csv'} in Excel"
    if name in _PROGRAMS:
        file = json.dumps(str(Path(place) / f"time_entries.{name}"), ensure_ascii=False)
        return _line("python", "-c", _PROGRAMS[name].format(file=file))
    if name != "mirror":
        tool = {"sqlite": "sqlite3", "duckdb": "duckdb"}[name]
        return _line(tool, str(Path(place) / f"toggl.{name}"), _HOURS.format("current_project_name", _VIEW))
    if "://" not in place:
        return _line("sqlite3", place, _HOURS.format("project_name", _VIEW))
    address, _, query = place.partition("?")
    others = [(key, value) for key, value in parse_qsl(query) if key != "schema"]
    schema = dict(parse_qsl(query)).get("schema")
    view = _VIEW if schema is None else '"{}".{}'.format(schema.replace('"', '""'), _VIEW)
    url = f"{address}?{urlencode(others)}" if others else address
    return _line("psql", url, "-c", _HOURS.format("project_name", view))


def _line(*words: str) -> str:
    """A line for the shell."""
    return subprocess.list2cmdline(words) if os.name == "nt" else shlex.join(words)


def summary(destination: str, manifest: Manifest) -> str:
    """The last line: what is there, what it cost, whether it agrees."""
    # Empty ranges are compared, too, but aren't worth telling.
    checked = sum(check.agrees is not None and bool(check.rows) for check in manifest.ranges)
    agreement = {
        None: "no totals to compare",
        True: f"totals agree with Toggl's ({count(checked, 'range')})",
        False: "totals differ from Toggl's",
    }[manifest.totals_agree]
    return (
        f"{destination}: {count(manifest.rows, 'row')} in {count(len(manifest.datasets), 'dataset')}, "
        f"{count(manifest.requests, 'request')}, {agreement}"
    )


def changed(manifest: Manifest) -> list[str]:
    """What a run changed, such as ``"tags: 1 added, 2 edited"`` for each dataset that changed."""
    return [
        f"{name}: "
        + ", ".join(
            f"{number:,} {what}"
            for number, what in ((one.added, "added"), (one.edited, "edited"), (one.deleted, "deleted"))
            if number
        )
        for name, one in manifest.changes.items()
    ]


def freshness(manifest: Manifest) -> list[str]:
    """How fresh each dataset is after an update, and what in it is less so; nothing otherwise."""
    if not manifest.update:
        return []
    moments: dict[dt.datetime | None, list[str]] = {}
    for name, entry in manifest.datasets.items():
        moments.setdefault(entry.as_of, []).append(name)
    lines = [f"as of {_moment(as_of)}: {', '.join(names)}" for as_of, names in moments.items()]
    entries = manifest.datasets.get("time_entries")
    if entries is not None and entries.read_from is not None:
        before = f"time_entries before {entries.read_from}"
        if entries.older_edits_as_of != entries.as_of:
            edits = _moment(entries.older_edits_as_of)
            lines.append(
                f"{before}: edits that change no total as of {edits}; --recheck all reads them again"
            )
        names = _moment(entries.older_read_at)
        lines.append(f"{before}: names of projects, clients, tasks and tags as of {names} or later")
    lines += [
        f"{place_of(one)}: as of {_moment(one.as_of)}; could not be read since" for one in manifest.stale
    ]
    return lines


def _moment(moment: dt.datetime | None) -> str:
    """A moment in UTC, to the second."""
    return "never" if moment is None else f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def verdict(manifest: Manifest) -> tuple[Exit, list[str]]:
    """The exit code of an export that came to its end, and what is wrong with it."""
    wrong = [check for check in manifest.ranges if check.agrees is False]
    lines = [
        f"workspace {check.workspace_id}, {check.first} to {check.last}: {check.seconds} s in the rows, "
        f"but {check.server_seconds} s in Toggl's total"
        + ("; time entries are missing" if check.is_short else "")
        for check in wrong
    ]
    stale = {(one.dataset, one.workspace_id) for one in manifest.stale}
    refused = [one for one in manifest.refused if one not in manifest.not_in_plan]
    lacking: list[Refusal | Failure] = [*refused, *manifest.failed]
    for one in lacking:
        state = _STATE[isinstance(one, Failure), (one.dataset, one.workspace_id) in stale]
        lines.append(f"{place_of(one)} {state}: {one.message}")
    if lacking:
        return Exit.INCOMPLETE, lines
    return (Exit.DIFFERS if wrong else Exit.DONE), lines


_STATE = {
    (False, False): "are missing",
    (False, True): "were left as they were",
    (True, False): "are incomplete",
    (True, True): "were not brought up to date",
}
"""What became of a part that was refused, or failed, without and with rows of an earlier run."""


def estimate_lines(estimate: Estimate, now: dt.datetime) -> list[str]:
    """What an export will cost, in lines.

    Args:
        estimate: the estimate.
        now: the local time, in whose zone the end is shown.
    """
    lines = [f"{'dataset':<14}{'rows':>12}{'requests':>10}"]
    for part in estimate.datasets:
        rows = "?" if part.rows is None else f"{part.rows:,}"
        lines.append(f"{part.dataset:<14}{rows:>12}{part.requests:>10}")
    lines.append(f"{'all':<14}{'':>12}{estimate.requests:>10}")
    for quota in estimate.quotas:
        whose = "user" if quota.organization_id is None else f"organization {quota.organization_id}"
        left = "unknown" if quota.remaining is None else f"{quota.remaining} of {quota.total} left"
        windows = count(quota.windows, "window")
        lines.append(f"quota of the {whose}: {count(quota.requests, 'request')}, {left}, {windows}")
    ends = estimate.ends_at.astimezone(now.tzinfo)
    lines.append(
        f"about {spell(estimate.seconds)} at {estimate.pace:g} s a request, until {ends:%Y-%m-%d %H:%M:%S}"
    )
    return [*lines, *estimate.warnings]
