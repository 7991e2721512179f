"""``toggl-async export``: everything that a token can see, into files."""

import datetime as dt
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from toggl_async._client.auth import Auth, auth_from_env
from toggl_async._client.client import BASE_URL
from toggl_async.cli.accounts import read_accounts
from toggl_async.cli.dates import DATE
from toggl_async.cli.durations import Duration
from toggl_async.cli.exits import Exit
from toggl_async.cli.jobs import Job, MadeUp, run_jobs
from toggl_async.cli.made_up import days_lived
from toggl_async.cli.options import server_url
from toggl_async.cli.output import complain
from toggl_async.errors import InvalidInput
from toggl_async.export import DATASETS, FORMATS, ExportPlan
from toggl_async.export.mirror.destination import MIRROR, check_destination
from toggl_async.export.mirror.urls import refuse_password, store_of
from toggl_async.export.read.update import RECHECK_DAYS

__all__ = ["export"]

Command = TypeVar("Command", bound=Callable[..., Any])

_SANDBOX_SPEED = 20.0

_ALL = "all"

# \b keeps click from joining the lines.
_EXIT_CODES = """\b
Exit codes:
  0    done
  1    failed while running; run the same command to resume
  2    bad input, or the first requests failed; nothing was written for that account
  3    done, but the seconds differ from Toggl's own totals
  4    done, but incomplete: Toggl refused a part, or sent it in an unexpected shape
  130  Ctrl-C; run the same command to resume
  143  SIGTERM; run the same command to resume (--every ends with 0)
"""


class _Recheck(click.IntRange):
    """A number of days, or "all"."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read what was given."""
        return _ALL if value == _ALL else super().convert(value, param, ctx)


def _ids(name: str, variable: str, what: str) -> Callable[[Command], Command]:
    """An option that takes ids and may be repeated."""
    return click.option(name, variable, metavar="ID", type=int, multiple=True, help=what)


def _day(choice: Any) -> Any:
    """A choice as a plan has it: a moment as its day."""
    return choice.date() if isinstance(choice, dt.datetime) else choice


def _check_place(place: Path, url: str | None, *, subfolders: bool, dry_run: bool) -> None:
    """Refuse what can't be written to, before anything is asked for."""
    if url is not None:
        refuse_password(url)
        store_of(url)
    elif not dry_run:
        check_destination(place, subfolders=subfolders)


def _refuse_beside(option: str, value: object, *others: tuple[str, bool]) -> None:
    """Refuse options that were given beside one that excludes them."""
    for other, given in others:
        if value is not None and given:
            raise InvalidInput(f"{option} and {other} cannot be combined")


def _refuse_contradictions(given: Mapping[str, Any]) -> None:
    """Refuse options that exclude each other, or that need another one.

    Args:
        given: all options, by the names of the command's arguments.
    """
    url, every, recheck, dry_run = given["url"], given["every"], given["recheck"], given["dry_run"]
    several, served = given["accounts"] is not None, given["base_url"] is not None
    files = bool(given["destination"] or given["name"])
    updates = given["update"] or url is not None or every is not None
    _refuse_beside("--sandbox", given["sandbox"] or None, ("--base-url", served), ("--accounts", several))
    _refuse_beside("--to", url, ("--out or --format", files), ("--accounts", several))
    if given["excel"] and given["name"] != "csv":
        raise InvalidInput("--excel needs --format csv")
    if given["speed"] is not None and not given["sandbox"]:
        raise InvalidInput("--speed needs --sandbox")
    _refuse_beside("--every", every, ("--dry-run", dry_run), ("--recheck", recheck is not None))
    _refuse_beside("--max-wait", given["max_wait"], ("--dry-run", dry_run))
    if recheck is not None and not updates:
        raise InvalidInput("--recheck needs --update")
    if given["update"] and dry_run and url is None:
        raise InvalidInput(
            "--dry-run cannot be combined with --update: the cost of an update shows only as it runs"
        )
    if given["destination"] is None and url is None and not dry_run:
        raise InvalidInput("choose where to export to: --out DIR for files, or --to URL for a database")


@click.command(epilog=_EXIT_CODES)
@click.option(
    "--out",
    "destination",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Directory for the files: new, empty, or that of an export to resume.",
)
@click.option(
    "--format",
    "name",
    type=click.Choice(list(FORMATS)),
    help="Format of the files; parquet and duckdb need the extra of the same name.  "
    "[default: that of the export in DIR, otherwise jsonl]",
)
@click.option(
    "--excel",
    is_flag=True,
    help="With --format csv: write files that Excel opens directly, without running any text as a formula.",
)
@click.option(
    "--to",
    "url",
    metavar="URL",
    help="Instead of writing files, bring a database up to date: sqlite:///PATH or "
    "postgresql://USER@HOST/DATABASE (with the password in PGPASSWORD). It is created if it doesn't exist.",
)
@click.option("--update", is_flag=True, help="Bring the finished export in DIR up to date.")
@click.option(
    "--recheck",
    metavar="DAYS|all",
    type=_Recheck(min=0),
    help="With --update: how many days before the last run to read again in full, or all. Of older time "
    f"entries, only changes are read.  [default: {RECHECK_DAYS}]",
)
@click.option(
    "--every",
    metavar="DURATION",
    type=Duration(1),
    help="Keep the files or the database fresh until SIGTERM or Ctrl-C: an update every 10m, for instance.",
)
@click.option(
    "--max-wait",
    metavar="DURATION",
    type=Duration(0),
    help="How long to wait at a time for Toggl's limits, such as a used-up quota, before the run ends with "
    "exit code 1; run the same command to resume.  [default: as long as it takes]",
)
@click.option("--dry-run", is_flag=True, help="Only show what it would cost: requests, time, quota windows.")
@click.option("--json", "machine", is_flag=True, help="Write events as JSON lines to stdout.")
@click.option(
    "--accounts",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Export the accounts in FILE, each into a subdirectory. A line is NAME env:VARIABLE or "
    "NAME keyring:SERVICE/USER.",
)
@click.option("--sandbox", is_flag=True, help="Export a made-up company from a fake Toggl in this process.")
@click.option(
    "--speed",
    type=click.FloatRange(min=0, min_open=True, max=1000),
    help="With --sandbox: how many times faster time runs.  [default: 20]",
)
@_ids("--workspace", "workspaces", "Only this workspace.")
@click.option(
    "--dataset", "datasets", metavar="NAME", multiple=True, help=f"Only this dataset: {', '.join(DATASETS)}."
)
@click.option("--since", metavar="DATE", type=DATE, help="First day of time entries, as YYYY-MM-DD.")
@click.option("--until", metavar="DATE", type=DATE, help="Last day of time entries, inclusive.")
@click.option(
    "--everything",
    is_flag=True,
    help="Look for time entries wherever Toggl can hold them, from 2006 to 2030, even beyond empty years.",
)
@_ids("--user", "users", "Only time entries of this user.")
@_ids("--project", "projects", "Only time entries of this project.")
@_ids("--client", "clients", "Only time entries of this client's projects.")
@_ids("--tag", "tags", "Only time entries with this tag, or another tag of the same name.")
@click.option(
    "--billable/--not-billable", default=None, help="Only billable time entries, or only those that are not."
)
@click.option("--base-url", metavar="URL", help="URL of another server with Toggl's API.")
def export(
    destination: Path | None,
    *,
    name: str | None,
    excel: bool,
    url: str | None,
    update: bool,
    recheck: int | str | None,
    every: float | None,
    max_wait: float | None,
    dry_run: bool,
    machine: bool,
    accounts: Path | None,
    sandbox: bool,
    speed: float | None,
    base_url: str | None,
    **choices: Any,
) -> int:
    """Export every dataset of every workspace, or resume an interrupted export.

    The token is read from TOGGL_API_TOKEN, the server from TOGGL_BASE_URL unless --base-url is given.
    Repeat an option to give several values: --workspace 1 --workspace 2.
    """
    plan = ExportPlan(**{name: _day(choice) for name, choice in choices.items()})
    _refuse_contradictions(click.get_current_context().params)
    update = update or url is not None or every is not None
    days = RECHECK_DAYS if recheck is None else recheck if isinstance(recheck, int) else None
    place = destination or Path()
    _check_place(place, url, subfolders=accounts is not None, dry_run=dry_run)
    auths: list[tuple[str | None, Auth | None]] = [(None, None)]
    if accounts is not None:
        auths = [(account.name, account.auth) for account in read_accounts(accounts)]
    elif not sandbox:
        auths = [(None, auth_from_env())]
    jobs = [
        Job(
            name=account,
            auth=auth,
            plan=plan,
            destination=place if account is None else place / account,
            format=name,
            excel=excel or None,
            url=url,
            update=update,
            recheck=days,
            every=every,
            max_wait=max_wait,
        )
        for account, auth in auths
    ]
    server = BASE_URL if sandbox else server_url(base_url)
    made_up = None
    if sandbox:
        try:
            days = 0 if dry_run else days_lived(place / MIRROR if url is None else url, update=update)
        except OSError as error:
            complain(f"cannot open {place / MIRROR if url is None else url}: {error.strerror or error}")
            return Exit.FAILED
        made_up = MadeUp(speed=speed or _SANDBOX_SPEED, days=days)
    return run_jobs(jobs, server, made_up=made_up, dry_run=dry_run, machine=machine)
