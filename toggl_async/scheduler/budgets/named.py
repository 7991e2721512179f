"""Budgets by name, as in the environment variable ``TOGGL_BUDGET``."""

import logging
import os
from collections.abc import Mapping
from typing import Final

from toggl_async.errors import BudgetError, InvalidInput
from toggl_async.scheduler.budgets import Budget

__all__ = ["VARIABLE", "budget_from_env", "budget_from_text"]

VARIABLE: Final = "TOGGL_BUDGET"

_IN_MEMORY: Final = ("none", "memory")
_FILE: Final = "file:"
_URLS: Final = ("redis://", "rediss://")

_logger = logging.getLogger("toggl_async.budget")


def budget_from_env(environ: Mapping[str, str] | None = None, *, unset: str = "none") -> Budget | None:
    """Return the budget that ``TOGGL_BUDGET`` names; None for one in memory.

    Args:
        environ: the environment; that of the process if None.
        unset: what to use if the variable is missing or empty.

    Raises:
        InvalidInput: it names no budget.
        BudgetError: what it names needs an extra that is not installed.
    """
    found = (os.environ if environ is None else environ).get(VARIABLE, "").strip()
    try:
        return budget_from_text(found or unset)
    except BudgetError as error:
        if found:
            raise
        # Nobody asked for it, so doing without it is no error.
        _logger.warning("%s: this process keeps its own pace", error)
        return None


def budget_from_text(text: str) -> Budget | None:
    """Return the budget of a name: ``none``, ``file``, ``file:PATH``, ``redis://…`` or ``rediss://…``.

    ``memory`` is another word for ``none``. A ``~`` at the beginning of a path is the user's home.

    Raises:
        InvalidInput: it is not the name of a budget.
        BudgetError: it needs an extra that is not installed.
    """
    # Imported only if named: SQLite and redis-py would slow the start of a client that needs neither.
    if text in _IN_MEMORY:
        return None
    if text == "file" or (text.startswith(_FILE) and len(text) > len(_FILE)):
        from toggl_async.scheduler.budgets.file import FileBudget  # noqa: PLC0415

        return FileBudget(text.removeprefix(_FILE) if text != "file" else None)
    if text.startswith(_URLS):
        from toggl_async.scheduler.budgets.redis import RedisBudget  # noqa: PLC0415

        return RedisBudget(text)
    # The text may be a URL with a password, so it is not repeated.
    raise InvalidInput(
        f"{VARIABLE} must be none (or memory), file, file:PATH, redis://HOST:PORT/DB or rediss://HOST:PORT/DB"
    )
