"""toggl_async: an asyncio client for the whole Toggl Track API, with a scheduler that keeps its limits.

This is the public front. Importing it loads no record and no endpoint module: these come with the
first touch of a scope, or from `toggl_async.records`.
"""

from msgspec import UNSET, UnsetType

from toggl_async.answer import Answer, capture_responses
from toggl_async.auth import ApiToken, Auth, EmailPassword, SessionCookie
from toggl_async.catalog import operations
from toggl_async.changes import changes
from toggl_async.client import TogglClient
from toggl_async.codec import DriftWarning
from toggl_async.errors import (
    BadRequest,
    BulkEditInterrupted,
    ClientClosed,
    Conflict,
    ConnectionFailed,
    DecodeError,
    EndpointGone,
    FeatureUnavailable,
    Forbidden,
    InvalidInput,
    InvalidSignature,
    LoginRefused,
    MalformedDelivery,
    MaxWaitExceeded,
    MisdirectedDelivery,
    MissingCredentials,
    NotFound,
    NotInPlan,
    PagingError,
    PaymentRequired,
    QuotaExceeded,
    RateLimited,
    RequestFailed,
    RequestTimeout,
    ResponseError,
    ServerError,
    StaleDelivery,
    TogglError,
    Unauthorized,
    WebhookError,
)
from toggl_async.files import Download
from toggl_async.operation import Operation, Plan
from toggl_async.options import ClientOptions, Cooldown, Pace, Priority, QuotaPolicy, Retry
from toggl_async.pagination import Pages
from toggl_async.plans import PlanWarning, plan_of
from toggl_async.transport import Lane, ScheduledTransport, Scheduler

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
    "capture_responses",
    "changes",
    "operations",
    "plan_of",
]
