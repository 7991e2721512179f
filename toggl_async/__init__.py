"""toggl_async: an asyncio client for the whole Toggl Track API, with a scheduler that keeps its limits.

This is the public front. Each name is loaded from its module when it is first asked for, so that
importing the package costs nothing; records and endpoint modules come with the first touch of a
scope, or from `toggl_async.records`.
"""

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from msgspec import UNSET as UNSET
    from msgspec import UnsetType as UnsetType

    from toggl_async._client.answer import Answer as Answer
    from toggl_async._client.answer import capture_responses as capture_responses
    from toggl_async._client.auth import ApiToken as ApiToken
    from toggl_async._client.auth import Auth as Auth
    from toggl_async._client.auth import EmailPassword as EmailPassword
    from toggl_async._client.auth import SessionCookie as SessionCookie
    from toggl_async._client.catalog import operations as operations
    from toggl_async._client.client import TogglClient as TogglClient
    from toggl_async._client.plans import PlanWarning as PlanWarning
    from toggl_async._client.plans import plan_of as plan_of
    from toggl_async._operations.changes import changes as changes
    from toggl_async._operations.files import Download as Download
    from toggl_async._operations.operation import Operation as Operation
    from toggl_async._operations.operation import Plan as Plan
    from toggl_async._operations.paging import Pages as Pages
    from toggl_async.codec import DriftWarning as DriftWarning
    from toggl_async.errors import BadRequest as BadRequest
    from toggl_async.errors import BulkEditInterrupted as BulkEditInterrupted
    from toggl_async.errors import ClientClosed as ClientClosed
    from toggl_async.errors import Conflict as Conflict
    from toggl_async.errors import ConnectionFailed as ConnectionFailed
    from toggl_async.errors import DecodeError as DecodeError
    from toggl_async.errors import EndpointGone as EndpointGone
    from toggl_async.errors import FeatureUnavailable as FeatureUnavailable
    from toggl_async.errors import Forbidden as Forbidden
    from toggl_async.errors import InvalidInput as InvalidInput
    from toggl_async.errors import InvalidSignature as InvalidSignature
    from toggl_async.errors import LoginRefused as LoginRefused
    from toggl_async.errors import MalformedDelivery as MalformedDelivery
    from toggl_async.errors import MaxWaitExceeded as MaxWaitExceeded
    from toggl_async.errors import MisdirectedDelivery as MisdirectedDelivery
    from toggl_async.errors import MissingCredentials as MissingCredentials
    from toggl_async.errors import NotFound as NotFound
    from toggl_async.errors import NotInPlan as NotInPlan
    from toggl_async.errors import PagingError as PagingError
    from toggl_async.errors import PaymentRequired as PaymentRequired
    from toggl_async.errors import QuotaExceeded as QuotaExceeded
    from toggl_async.errors import RateLimited as RateLimited
    from toggl_async.errors import RequestFailed as RequestFailed
    from toggl_async.errors import RequestTimeout as RequestTimeout
    from toggl_async.errors import ResponseError as ResponseError
    from toggl_async.errors import ServerError as ServerError
    from toggl_async.errors import StaleDelivery as StaleDelivery
    from toggl_async.errors import TogglError as TogglError
    from toggl_async.errors import Unauthorized as Unauthorized
    from toggl_async.errors import WebhookError as WebhookError
    from toggl_async.errors import WrongEventLoop as WrongEventLoop
    from toggl_async.options import ClientOptions as ClientOptions
    from toggl_async.options import Cooldown as Cooldown
    from toggl_async.options import Pace as Pace
    from toggl_async.options import Priority as Priority
    from toggl_async.options import QuotaPolicy as QuotaPolicy
    from toggl_async.options import Retry as Retry
    from toggl_async.scheduler import Lane as Lane
    from toggl_async.scheduler import ScheduledTransport as ScheduledTransport
    from toggl_async.scheduler import Scheduler as Scheduler

    __version__: str

__all__ = [
    "UNSET",
    "Answer",
    "ApiToken",
    "Auth",
    "BadRequest",
    "BulkEditInterrupted",
    "ClientClosed",
    "ClientOptions",
    "Conflict",
    "ConnectionFailed",
    "Cooldown",
    "DecodeError",
    "Download",
    "DriftWarning",
    "EmailPassword",
    "EndpointGone",
    "FeatureUnavailable",
    "Forbidden",
    "InvalidInput",
    "InvalidSignature",
    "Lane",
    "LoginRefused",
    "MalformedDelivery",
    "MaxWaitExceeded",
    "MisdirectedDelivery",
    "MissingCredentials",
    "NotFound",
    "NotInPlan",
    "Operation",
    "Pace",
    "Pages",
    "PagingError",
    "PaymentRequired",
    "Plan",
    "PlanWarning",
    "Priority",
    "QuotaExceeded",
    "QuotaPolicy",
    "RateLimited",
    "RequestFailed",
    "RequestTimeout",
    "ResponseError",
    "Retry",
    "ScheduledTransport",
    "Scheduler",
    "ServerError",
    "SessionCookie",
    "StaleDelivery",
    "TogglClient",
    "TogglError",
    "Unauthorized",
    "UnsetType",
    "WebhookError",
    "WrongEventLoop",
    "capture_responses",
    "changes",
    "operations",
    "plan_of",
]

_HOMES: Final[Mapping[str, str]] = {
    "UNSET": "msgspec",
    "UnsetType": "msgspec",
    "Answer": "toggl_async._client.answer",
    "capture_responses": "toggl_async._client.answer",
    "ApiToken": "toggl_async._client.auth",
    "Auth": "toggl_async._client.auth",
    "EmailPassword": "toggl_async._client.auth",
    "SessionCookie": "toggl_async._client.auth",
    "operations": "toggl_async._client.catalog",
    "changes": "toggl_async._operations.changes",
    "TogglClient": "toggl_async._client.client",
    "DriftWarning": "toggl_async.codec",
    "BadRequest": "toggl_async.errors",
    "BulkEditInterrupted": "toggl_async.errors",
    "ClientClosed": "toggl_async.errors",
    "Conflict": "toggl_async.errors",
    "ConnectionFailed": "toggl_async.errors",
    "DecodeError": "toggl_async.errors",
    "EndpointGone": "toggl_async.errors",
    "FeatureUnavailable": "toggl_async.errors",
    "Forbidden": "toggl_async.errors",
    "InvalidInput": "toggl_async.errors",
    "InvalidSignature": "toggl_async.errors",
    "LoginRefused": "toggl_async.errors",
    "MalformedDelivery": "toggl_async.errors",
    "MaxWaitExceeded": "toggl_async.errors",
    "MisdirectedDelivery": "toggl_async.errors",
    "MissingCredentials": "toggl_async.errors",
    "NotFound": "toggl_async.errors",
    "NotInPlan": "toggl_async.errors",
    "PagingError": "toggl_async.errors",
    "PaymentRequired": "toggl_async.errors",
    "QuotaExceeded": "toggl_async.errors",
    "RateLimited": "toggl_async.errors",
    "RequestFailed": "toggl_async.errors",
    "RequestTimeout": "toggl_async.errors",
    "ResponseError": "toggl_async.errors",
    "ServerError": "toggl_async.errors",
    "StaleDelivery": "toggl_async.errors",
    "TogglError": "toggl_async.errors",
    "Unauthorized": "toggl_async.errors",
    "WebhookError": "toggl_async.errors",
    "WrongEventLoop": "toggl_async.errors",
    "Download": "toggl_async._operations.files",
    "Operation": "toggl_async._operations.operation",
    "Plan": "toggl_async._operations.operation",
    "ClientOptions": "toggl_async.options",
    "Cooldown": "toggl_async.options",
    "Pace": "toggl_async.options",
    "Priority": "toggl_async.options",
    "QuotaPolicy": "toggl_async.options",
    "Retry": "toggl_async.options",
    "Pages": "toggl_async._operations.paging",
    "PlanWarning": "toggl_async._client.plans",
    "plan_of": "toggl_async._client.plans",
    "Lane": "toggl_async.scheduler",
    "ScheduledTransport": "toggl_async.scheduler",
    "Scheduler": "toggl_async.scheduler",
}


def __getattr__(name: str) -> object:
    """Load a public name from its module, or the version from what is installed."""
    if name == "__version__":
        from importlib.metadata import version  # noqa: PLC0415 - reading it takes milliseconds

        return version(__name__)
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(importlib.import_module(home), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(globals().keys() | _HOMES.keys())
