"""``toggl-async forget``: erase a user, a workspace or old time entries from a mirror or an export."""

import datetime as dt
from pathlib import Path

import anyio
import click

from toggl_async.cli.dates import DATE
from toggl_async.cli.display import count
from toggl_async.cli.exits import Exit
from toggl_async.cli.output import complain, say
from toggl_async.errors import InvalidInput
from toggl_async.export.mirror.destination import MIRROR
from toggl_async.export.mirror.manifest import MANIFEST
from toggl_async.export.mirror.storage import MirrorDamaged
from toggl_async.export.mirror.store import Forget
from toggl_async.export.mirror.urls import refuse_password
from toggl_async.export.run.forget import ForgottenRows, forget_at, forget_in

__all__ = ["forget"]

_FILE = "sqlite:///"

_ID = click.IntRange(min=1)

_EXIT_CODES = """\b
Exit codes:
  0    done
  1    the mirror or the files cannot be written; run the same command again
  2    bad input; nothing was forgotten
"""


@click.command(epilog=_EXIT_CODES)
@click.argument("store", metavar="STORE|DIR")
@click.option("--user", metavar="ID", type=_ID, help="Forget this user and their time entries.")
@click.option("--workspace", metavar="ID", type=_ID, help="Forget this workspace and everything in it.")
@click.option(
    "--before",
    metavar="DAY",
    type=DATE,
    help="Forget time entries that began before this day, as YYYY-MM-DD. No update brings them back.",
)
@click.option(
    "--older-than",
    metavar="DAYS",
    type=click.IntRange(min=1, max=36_500),
    help="The same, as a number of days before today, in UTC: --older-than 730.",
)
def forget(
    store: str, *, user: int | None, workspace: int | None, before: dt.datetime | None, older_than: int | None
) -> int:
    """Erase a user, a workspace or old time entries from a mirror. Sends no requests.

    STORE is sqlite:///PATH, a path, or postgresql://USER@HOST/DATABASE; DIR is the directory of an export,
    whose files are written again without the rows. Only the key of each row is left, so that
    `toggl-async feed` can report it as deleted.

    Updates don't bring old time entries back, but they do bring back users and workspaces that Toggl still
    shows to the token: erase those in Toggl first.
    """
    choices = {"--user": user, "--workspace": workspace, "--before": before, "--older-than": older_than}
    given = [option for option, value in choices.items() if value is not None]
    if len(given) != 1:
        raise InvalidInput(
            f"choose one thing to forget: {', '.join(choices)}; got {' and '.join(given) or 'none'}"
        )
    first = None if before is None else before.date()
    if older_than is not None:
        first = dt.datetime.now(dt.UTC).date() - dt.timedelta(days=older_than)
    refuse_password(store)
    chosen, place = Forget(workspace_id=workspace, user_id=user, before=first), _place(store)
    try:
        forgotten = anyio.run(_forget, place, chosen)
    except MirrorDamaged as error:
        complain(f"cannot read {store} as a mirror: {error.strerror}")
        return Exit.FAILED
    except OSError as error:
        complain(f"not everything was forgotten: {error.strerror or error}; run the same command again")
        return Exit.FAILED
    say(f"{store}: forgot {count(forgotten.rows, 'row')}")
    if first is not None:
        as_before = (
            "" if forgotten.kept_from == first else f", as chosen before: {first} doesn't move that back"
        )
        kept = f"time entries are kept from {forgotten.kept_from} on{as_before}"
        say(f"{kept}; updates no longer read older ones")
    if user is not None or workspace is not None:
        say("what Toggl still shows to the token comes back with the next update")
    return Exit.DONE


def _place(store: str) -> Path | str:
    """The directory of an export, or else the mirror.

    Raises:
        InvalidInput: there is no such file: a mirror must not be made to forget something.
    """
    if "://" in store and not store.startswith(_FILE):
        return store
    path = Path(store.removeprefix(_FILE))
    if path.is_dir():
        path /= MIRROR
    if not path.exists():
        raise InvalidInput(f"there is no mirror at {path}")
    is_of_an_export = path.name == MIRROR and (path.parent / MANIFEST).exists()
    return path.parent if is_of_an_export else str(path.absolute())


async def _forget(place: Path | str, chosen: Forget) -> ForgottenRows:
    return await (forget_in(place, chosen) if isinstance(place, Path) else forget_at(place, chosen))
