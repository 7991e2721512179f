"""Events for machines: one JSON object per line on stdout, while messages for people stay on stderr."""

import datetime as dt
import re
from collections.abc import Mapping
from typing import Any

import attrs
import msgspec

from toggl_async.cli.output import json_text, say
from toggl_async.export import ExportEvent
from toggl_async.scheduler.events import Paused, SchedulerEvent

__all__ = ["MachineDisplay", "emit"]

_ANNOUNCED = 1.0
"""Seconds from which on a wait is worth an event."""


def emit(event: str, facts: Mapping[str, Any], *, account: str | None = None) -> None:
    """Write an event."""
    named = {"event": event, **({"account": account} if account is not None else {}), **facts}
    say(json_text(msgspec.json.encode(named)))


class MachineDisplay:
    """Writes what happens as events; see the module.

    Args:
        account: the name of the account, where there are several.
    """

    def __init__(self, *, account: str | None = None) -> None:
        self._account = account
        self._announced = 0.0

    def on_scheduler(self, event: SchedulerEvent) -> None:
        """Tell of a long wait, once."""
        if not isinstance(event, Paused):
            return
        wait = event.until - event.at
        if wait >= _ANNOUNCED and event.until > self._announced:
            self._announced = event.until
            emit(
                "waiting",
                {
                    "reason": event.reason.value,
                    "seconds": None if wait == float("inf") else round(wait, 3),
                    "waiting": event.waiting,
                    "at": dt.datetime.now(dt.UTC),
                },
                account=self._account,
            )

    def on_export(self, event: ExportEvent) -> None:
        """Tell of an event of the export, with its fields."""
        name = re.sub(r"(?<!^)(?=[A-Z])", "_", type(event).__name__).lower()
        emit(name, attrs.asdict(event), account=self._account)
