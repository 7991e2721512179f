"""``toggl-async sandbox``: a fake Toggl to try programs on."""

import asyncio
import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from toggl_async._client.catalog import operations
from toggl_async.cli.exits import Exit
from toggl_async.cli.output import complain, say

if TYPE_CHECKING:
    from toggl_async.sandbox import PlanName, RoleName, Sandbox, SandboxOptions

__all__ = ["MISSING", "sandbox"]

MISSING = (
    "{} is not installed; the sandbox needs the extra 'sandbox': python -m pip install 'toggl_async[sandbox]'"
)
"""What is said without the extra."""


@click.command()
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, help="Port to listen on; by default, a free one."
)
@click.option(
    "--speed",
    type=click.FloatRange(min=0, min_open=True, max=10_000),
    default=1.0,
    show_default=True,
    help="How many of Toggl's seconds pass in one real second.",
)
@click.option(
    "--plan",
    type=click.Choice(["free", "starter", "premium"]),
    default="starter",
    show_default=True,
    help="Plan of the made-up organization: 30, 240 or 600 requests an hour.",
)
@click.option(
    "--role",
    type=click.Choice(["owner", "admin", "user"]),
    default="owner",
    show_default=True,
    help="Role of the token's user; a plain user sees less.",
)
@click.option("--access-log", is_flag=True, help="Show each request on stderr.")
@click.option(
    "--operations",
    "listing",
    is_flag=True,
    help="List all operations and whether they are answered from state or with samples, and exit.",
)
def sandbox(
    port: int, speed: float, plan: "PlanName", role: "RoleName", *, access_log: bool, listing: bool
) -> int:
    """Run a fake Toggl on this machine, with made-up data, until Ctrl-C.

    It enforces Toggl's limits: the bucket of one request a second and both hourly quotas.
    """
    try:
        from toggl_async.sandbox import SandboxOptions, run_forever  # noqa: PLC0415
    except ModuleNotFoundError as missing:
        complain(MISSING.format(missing.name))
        return Exit.REFUSED

    if listing:
        say("\n".join(_table()))
        return Exit.DONE
    _show_log("toggl_async.sandbox", *(["uvicorn.access"] if access_log else []))
    options = SandboxOptions(port=port, speed=speed, plan=plan, role=role)
    try:
        asyncio.run(run_forever(options, lambda running: say(_how_to_use(running, options))))
    except OSError as error:
        complain(f"cannot listen on port {port}: {error.strerror}")
        return Exit.REFUSED
    except KeyboardInterrupt:
        pass  # the way to end it
    return Exit.DONE


def _show_log(*names: str) -> None:
    """Show what these loggers say on stderr."""
    handler = logging.StreamHandler()
    for name in names:
        logging.getLogger(name).addHandler(handler)
        logging.getLogger(name).setLevel(logging.INFO)


def _table() -> Iterator[str]:
    """Write all operations as a table in Markdown, each with its coroutine."""
    from toggl_async.sandbox import origins  # noqa: PLC0415

    names = {f"{one.method} {one.path}": one.name for one in operations()}
    yield "| operation | coroutine | answered |"
    yield "|---|---|---|"
    for route, origin in origins().items():
        yield f"| `{route}` | `{names[route]}` | {'from state' if origin == 'state' else 'by a sample'} |"


def _how_to_use(running: "Sandbox", options: "SandboxOptions") -> str:
    """Where the sandbox is, and what to paste into another shell; its token is made up for this run."""
    from toggl_async.sandbox import origins  # noqa: PLC0415

    answers = list(origins().values())
    return (
        f"The sandbox is listening on {running.base_url} "
        f"(plan {options.plan}, speed {options.speed:g}); press Ctrl-C to stop it. In another shell:\n"
        f"  export TOGGL_BASE_URL={running.base_url}\n"
        f"  export TOGGL_API_TOKEN={running.api_token}\n"
        "  toggl-async export --out toggl-export\n"
        f"It answers {answers.count('state')} of {len(answers)} operations from state, the rest with samples "
        "(toggl-async sandbox --operations lists them).\n"
        f"Move its time: curl -X POST -d '{{\"hours\": 1}}' {running.base_url}/sandbox/advance"
    )
