"""``toggl-async sandbox``: a fake Toggl to try programs on."""

import asyncio
from typing import TYPE_CHECKING

import click

from toggl_async.cli.exits import Exit, complain

if TYPE_CHECKING:
    from toggl_async.sandbox import PlanName, Sandbox, SandboxOptions

__all__ = ["MISSING", "sandbox"]

MISSING = (
    "{} is not installed; the sandbox needs the extra 'sandbox': python -m pip install 'toggl_async[sandbox]'"
)
"""What is said without the extra."""


@click.command()
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, help="Port to listen on; a free one if left out."
)
@click.option(
    "--speed",
    type=click.FloatRange(min=0, min_open=True, max=10_000),
    default=1.0,
    show_default=True,
    help="Toggl seconds to a real one.",
)
@click.option(
    "--plan",
    type=click.Choice(["free", "starter", "premium"]),
    default="starter",
    show_default=True,
    help="Plan of the made-up organization: 30, 240 or 600 requests an hour.",
)
def sandbox(port: int, speed: float, plan: "PlanName") -> int:
    """Run a fake Toggl on this machine, with made-up data, until Ctrl-C.

    It enforces Toggl's limits: the bucket of one request a second and both hourly quotas.
    """
    try:
        from toggl_async.sandbox import SandboxOptions, run_forever  # noqa: PLC0415
    except ModuleNotFoundError as missing:
        complain(MISSING.format(missing.name))
        return Exit.REFUSED

    options = SandboxOptions(port=port, speed=speed, plan=plan)
    try:
        asyncio.run(run_forever(options, lambda running: click.echo(_how_to_use(running, options))))
    except OSError as error:
        complain(f"cannot listen on port {port}: {error.strerror}")
        return Exit.REFUSED
    except KeyboardInterrupt:
        pass  # the way to end it
    return Exit.DONE


def _how_to_use(running: "Sandbox", options: "SandboxOptions") -> str:
    """Where the sandbox is, and what to paste into another shell; its token is made up for this run."""
    return (
        f"A sandbox of Toggl listens on {running.base_url} "
        f"(plan {options.plan}, speed {options.speed:g}); Ctrl-C ends it. In another shell:\n"
        f"  export TOGGL_BASE_URL={running.base_url}\n"
        f"  export TOGGL_API_TOKEN={running.api_token}\n"
        "  toggl-async export --out toggl-export"
    )
