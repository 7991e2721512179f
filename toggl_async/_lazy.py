"""The one table of the front door: each public name, and the module that it is loaded from.

Programs import from `toggl_async` itself, which is empty: `load` fetches a name on first use. Type checkers
and editors find the names in the stub ``__init__.pyi``, which is generated from `FRONT` and from the names of
the records; ``python -m codegen --check`` fails while it is stale.
"""

import importlib
from collections.abc import Mapping
from typing import Final

from toggl_async.records import __all__ as record_names

__all__ = ["FRONT", "HOMES", "MODULES", "NAMES", "load"]

FRONT: Final[Mapping[str, tuple[str, ...]]] = {
    "msgspec": ("UNSET", "UnsetType"),
    "toggl_async._client.answer": ("Answer", "capture_responses"),
    "toggl_async._client.auth": ("ApiToken", "Auth", "EmailPassword", "SessionCookie"),
    "toggl_async._client.catalog": ("operations",),
    "toggl_async._client.client": ("TogglClient",),
    "toggl_async._client.middleware": ("Middleware", "Send"),
    "toggl_async._client.plans": ("PlanWarning", "plan_of"),
    "toggl_async._operations.changes": ("changes",),
    "toggl_async._operations.files": ("Download", "FileContent", "Form"),
    "toggl_async._operations.filters": ("ReportFilters",),
    "toggl_async._operations.operation": ("Operation", "Plan"),
    "toggl_async._operations.paging": ("Bookmark", "Pages"),
    "toggl_async._operations.record": ("Record",),
    "toggl_async.codec": ("DriftWarning",),
    "toggl_async.errors": (
        "BadRequest", "BudgetError", "BulkEditInterrupted", "ClientClosed", "Conflict", "ConnectionFailed",
        "DecodeError", "EndpointGone", "FeatureUnavailable", "Forbidden", "InvalidInput",
        "InvalidSignature", "LoginRefused", "MalformedDelivery", "MaxWaitExceeded",
        "MisdirectedDelivery", "MissingCredentials", "NotFound", "NotInPlan", "OversizedDelivery",
        "PagingError", "PaymentRequired", "QuotaExceeded", "RateLimited", "RequestFailed", "RequestTimeout",
        "ResponseError", "ServerError", "SlowDelivery", "StaleDelivery", "TogglError", "Unauthorized",
        "WebhookError", "WrongEventLoop",
    ),
    "toggl_async.options": ("ClientOptions", "Cooldown", "Pace", "Priority", "QuotaPolicy", "Retry"),
    "toggl_async.scheduler": ("Lane", "MemoryBudget", "ScheduledTransport", "Scheduler"),
    "toggl_async.scheduler.budgets.file": ("FileBudget",),
    "toggl_async.scheduler.budgets.redis": ("RedisBudget",),
}  # fmt: skip
"""Module to the names that are public through the front door; the records come on top of them."""

MODULES: Final = ("errors", "export", "options", "records", "scheduler", "timer", "webhooks", "writes")
"""The public modules, which are attributes without being imported.

Those that need an extra aren't: tools that look at every attribute would fail where it is missing."""

HOMES: Final[Mapping[str, str]] = {
    **dict.fromkeys(record_names, "toggl_async.records"),
    **{name: home for home, names in FRONT.items() for name in names},
}
"""Every name of the front door to the module that it is loaded from."""

NAMES: Final = sorted(HOMES, key=lambda name: (not name.isupper(), not name[0].isupper(), name))
"""The names in the order of ``__all__``: constants, classes, functions."""


def load(name: str) -> object:
    """Load a public name from its module, or a public module.

    Raises:
        AttributeError: the front door has no such name.
    """
    if name in MODULES:
        return importlib.import_module(f"toggl_async.{name}")
    home = HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'toggl_async' has no attribute {name!r}")
    found: object = getattr(importlib.import_module(home), name)
    return found
