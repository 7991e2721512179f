"""The error tree: every error of its own that toggl_async raises.

::

    TogglError
    ├── InvalidInput                 refused before anything was sent (also a ValueError)
    │   ├── MissingCredentials       no credentials were given, or they are empty
    │   └── NotInPlan                the workspace's plan lacks this, and `plan_check` refused the call
    ├── BudgetError                  the budget cannot be used as it is configured
    ├── ClientClosed                 the client or its scheduler ended before the call did
    ├── WrongEventLoop               the client is in use by another event loop or process
    ├── MaxWaitExceeded              the call cannot be sent within its `max_wait`
    ├── RequestFailed                no answer came
    │   ├── ConnectionFailed         the connection was refused, reset or lost
    │   └── RequestTimeout           the answer took longer than the timeout
    ├── BulkEditInterrupted          a bulk edit stopped half-way; it knows how far it came
    ├── DecodeError                  an answer isn't a record, even with tolerance
    ├── PagingError                  the pages of a list do not add up
    ├── WebhookError                 a delivery to a webhook can't be trusted
    │   ├── InvalidSignature         it was not signed with the webhook's secret
    │   ├── MalformedDelivery        it isn't a JSON object
    │   ├── MisdirectedDelivery      it was meant for another address
    │   ├── OversizedDelivery        it is too long
    │   ├── SlowDelivery             it did not arrive in time
    │   └── StaleDelivery            it is too old, or from the future
    └── ResponseError                Toggl answered with a refusal
        ├── BadRequest               400  the input is wrong: never send it again unchanged
        ├── Unauthorized             401  no credentials arrived
        ├── PaymentRequired          402
        │   ├── QuotaExceeded             the hourly quota is used up: wait for `reset_at`
        │   └── FeatureUnavailable        the plan lacks this: wait for an upgrade
        ├── Forbidden                403  wrong credentials, or no right to this
        │   └── LoginRefused              wrong credentials: not tried again automatically
        ├── NotFound                 404
        ├── Conflict                 409
        ├── EndpointGone             410  never call this endpoint again
        ├── RateLimited              429  too many requests for the account's bucket
        └── ServerError              5xx  Toggl failed

Any module may import this one; it imports nothing from the package. No error contains a credential:
requests are named by method and path, never by headers or body.
"""

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from typing import ClassVar, Final, Required, TypedDict, Unpack

__all__ = [
    "BadRequest",
    "BudgetError",
    "BulkEditInterrupted",
    "ClientClosed",
    "Conflict",
    "ConnectionFailed",
    "DecodeError",
    "EndpointGone",
    "FeatureUnavailable",
    "Forbidden",
    "InvalidInput",
    "InvalidSignature",
    "LoginRefused",
    "MalformedDelivery",
    "MaxWaitExceeded",
    "MisdirectedDelivery",
    "MissingCredentials",
    "NotFound",
    "NotInPlan",
    "OversizedDelivery",
    "PagingError",
    "PaymentRequired",
    "QuotaExceeded",
    "RateLimited",
    "RequestFailed",
    "RequestTimeout",
    "ResponseError",
    "ServerError",
    "SlowDelivery",
    "StaleDelivery",
    "TogglError",
    "Unauthorized",
    "WebhookError",
    "WrongEventLoop",
]

_MANY: Final = 1e9  # seconds whose digits nobody reads
_QUOTED: Final = 80  # characters of a refused value that an error repeats


def shown(value: object) -> str:
    """Quote a value that was refused, however long it is; never one that might be secret."""
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 - Python writes no int of more than 4,300 digits, and a repr may be broken
        return f"a value of type {type(value).__name__}"
    return text if len(text) <= _QUOTED else f"{text[:_QUOTED]}… ({len(text):,} characters)"


def printable(text: str) -> str:
    """Escape the characters of a server's words that would forge a line of a log, or steer a terminal."""
    # Behind the control characters, white space is only that.
    spaced = "".join(" " if one.isspace() and one > "\x9f" else one for one in text)
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in spaced)


def figure(seconds: float) -> str:
    """Write seconds without a fraction, and without digits by the hundred."""
    return f"{seconds:.0f}" if seconds < _MANY else f"{seconds:.3g}"


class TogglError(Exception):
    """The base class of every error that toggl_async raises; each can be copied and pickled."""

    def __reduce__(self) -> tuple[object, ...]:
        return _restored, (type(self), self.args, self.__dict__)


def _restored(kind: type[TogglError], args: tuple[object, ...], state: Mapping[str, object]) -> TogglError:
    """Make an error again as it was, whatever its class takes to be built."""
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(state)
    return error


class InvalidInput(TogglError, ValueError):
    """An argument, option or setting was refused before anything was sent."""


class MissingCredentials(InvalidInput):
    """No credentials were given, or they are empty."""


class NotInPlan(InvalidInput):
    """A call needs a higher plan than its workspace has; ``plan_check="error"`` refused it.

    Attributes:
        operation: the name of the operation, for instance ``"workspace.projects.create"``.
        fields: the fields that the plan lacks; empty when it lacks the operation itself.
        needed: the lowest plan that includes all of it, for instance ``"starter"``.
        plan: the plan of the workspace or organization, if known.
    """

    def __init__(self, *, operation: str, fields: Mapping[str, str], needed: str, plan: str) -> None:
        wanting: dict[str, list[str]] = {}
        for field, least in fields.items():
            wanting.setdefault(least, []).append(field)
        parts = [
            f"{', '.join(names)} need{'s' if len(names) == 1 else ''} the {least.title()} plan"
            for least, names in wanting.items()
        ]
        what = f": {'; '.join(parts)}" if parts else f" needs the {needed.title()} plan"
        super().__init__(f"{operation}{what}, but the plan here is {plan.title()}")
        self.operation = operation
        self.fields: tuple[str, ...] = tuple(fields)
        self.needed = needed
        self.plan = plan


class BudgetError(TogglError):
    """A shared budget cannot be used as it is configured; nothing was sent.

    A store that is only away raises nothing: the process keeps its own pace until the store is back.
    """


class ClientClosed(TogglError):
    """The client, its scheduler, or a `Mirror` is closed, or was while the call waited or a read was made."""


class WrongEventLoop(TogglError, RuntimeError):
    """The client or its scheduler is in use by another event loop or process; nothing was sent."""


class MaxWaitExceeded(TogglError):
    """The scheduler cannot send the call within its `max_wait`; nothing was sent.

    Attributes:
        reason: what the call would have waited for, for instance ``"cool-down"``.
        wait: seconds until the call could have been sent.
        max_wait: seconds that the caller allowed.
        available_at: the UTC time at which the call could have been sent.
        cause: what made it wait, for instance ``"500 from GET /api/v9/me"``; "" if that isn't known.
    """

    def __init__(
        self, *, reason: str, wait: float, max_wait: float, available_at: dt.datetime, cause: str = ""
    ) -> None:
        after = f" after {cause}" if cause else ""
        super().__init__(
            f"the call would wait {figure(wait)} s ({reason}){after}, longer than max_wait={max_wait:g} s; "
            f"it could be sent at {available_at:%Y-%m-%d %H:%M:%S} UTC"
        )
        self.reason = reason
        self.wait = wait
        self.max_wait = max_wait
        self.available_at = available_at
        self.cause = cause


class RequestFailed(TogglError):
    """The request got no answer.

    Attributes:
        method: the HTTP method.
        path: the path of the request, without its query.
        maybe_applied: whether Toggl may have carried out the request anyway. If so, look up the entity before
            you send a write again.
    """

    def __init__(self, message: str, *, method: str, path: str, maybe_applied: bool) -> None:
        if maybe_applied:
            message = f"{message.rstrip('. ')}; it may have been applied"
        super().__init__(printable(f"{method} {path}: {message}"))
        self.method = method
        self.path = path
        self.maybe_applied = maybe_applied


class ConnectionFailed(RequestFailed):
    """The connection to Toggl was refused, reset or lost."""


class RequestTimeout(RequestFailed, TimeoutError):
    """The answer took longer than the timeout."""


class BulkEditInterrupted(TogglError):
    """A bulk edit with more ids than fit one request failed after its first request.

    The error itself, for instance a `QuotaExceeded`, is its ``__cause__``. If a bulk edit is cancelled
    half-way, a note on the cancellation says how far it came.

    Attributes:
        result: the results of the requests before, as the edit would have returned them.
        failed: the ids of the request that failed; the cause says whether they may have been changed.
        untouched: the ids for which nothing was sent.
    """

    def __init__(self, *, result: object, failed: Sequence[int], untouched: Sequence[int]) -> None:
        super().__init__(
            f"a bulk edit was interrupted; ids that failed: {len(failed)}, untouched: {len(untouched)}"
        )
        self.result = result
        self.failed: list[int] = list(failed)
        self.untouched: list[int] = list(untouched)


class DecodeError(TogglError):
    """An answer could not be turned into a record, not even with tolerance.

    Attributes:
        operation: the name of the operation, for instance ``"workspace.projects.list"``.
        field: the path of the field at fault, for instance ``"$[3].id"``.
        body: the answer as it came.
    """

    def __init__(self, message: str, *, operation: str, field: str, body: bytes) -> None:
        # "$" is the whole answer, which needs no name.
        where = operation if field == "$" else f"{operation}: {field}"
        super().__init__(printable(f"{where}: {message}"))
        self.operation = operation
        self.field = field
        self.body = body


class PagingError(TogglError):
    """The pages of a list do not add up: continuing would lose rows, or never end.

    Items yielded before are valid; fetch the rest with a narrower filter.
    """


class WebhookError(TogglError):
    """A delivery to a webhook can't be trusted; answer it with a 4xx."""


class InvalidSignature(WebhookError):
    """The delivery was not signed with the webhook's secret, or was changed in transit."""


class MalformedDelivery(WebhookError):
    """The delivery isn't a JSON object."""


class MisdirectedDelivery(WebhookError):
    """The delivery names another address: somebody passed it on."""


class OversizedDelivery(WebhookError):
    """The delivery is longer than its receiver accepts; the rest of it wasn't read."""


class SlowDelivery(WebhookError):
    """The body of the delivery takes longer to arrive than its receiver waits; the rest of it wasn't read."""


class StaleDelivery(WebhookError):
    """The delivery is older, or further in the future, than is tolerated: perhaps a replay.

    Attributes:
        age: seconds since it was sent; negative if it is from the future.
    """

    def __init__(self, message: str, *, age: float) -> None:
        super().__init__(message)
        self.age = age


class _Answered(TypedDict, total=False):
    """What `ResponseError` can be told of the answer beside its status."""

    request_id: str | None
    headers: Mapping[str, str] | None
    body: bytes
    from_memory: bool


class _Refused(_Answered, total=False):
    """What `ResponseError` is told of the answer."""

    status: Required[int]
    method: Required[str]
    path: Required[str]
    advice: str


class ResponseError(TogglError):
    """Toggl refused the request; after a 4xx, the same payload is never sent again.

    Attributes:
        status: the HTTP status.
        message: Toggl's own words, control characters escaped, or a short description if it sent none.
        method: the HTTP method.
        path: the path of the request, without its query.
        request_id: Toggl's id of the request, for its support; None when it sent none.
        headers: the headers of the answer, names in lower case; empty when from memory. Secrets such as
            cookies and tokens are blanked.
        body: the answer as it came; empty when from memory.
        from_memory: whether this repeats an earlier answer, without a new request.
    """

    _advice: ClassVar[str] = ""
    """What to do about it, for answers whose own words rarely say so."""

    def __init__(
        self,
        message: str,
        *,
        status: int,
        method: str,
        path: str,
        request_id: str | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        from_memory: bool = False,
        advice: str = "",
    ) -> None:
        details = f"{status} from {method} {path}"
        if request_id:
            details += f", request id {request_id}"
        if from_memory:
            details += ", from memory"
        advice = advice or self._advice
        super().__init__(printable(f"{message} ({details})") + (f": {advice}" if advice else ""))
        self.message = message
        self.status = status
        self.method = method
        self.path = path
        self.request_id = request_id
        self.headers: dict[str, str] = dict(headers or {})
        self.body = body
        self.from_memory = from_memory


class BadRequest(ResponseError):
    """400: the input is wrong."""


class Unauthorized(ResponseError):
    """401: no credentials arrived."""


class PaymentRequired(ResponseError):
    """402: the base class of the two refusals that share this status."""


class QuotaExceeded(PaymentRequired):
    """402, or known beforehand: the hourly quota of this user or organization is used up.

    Attributes:
        reset_at: the UTC time at which the quota resets.
        remaining: requests left in the window, by Toggl's count or ours.
        total: requests that a window allows; None if Toggl never said.
        organization_id: the organization whose quota it is; None for the user's own (``/me``), or if unknown.
    """

    def __init__(
        self,
        message: str,
        *,
        reset_at: dt.datetime,
        remaining: int,
        total: int | None,
        organization_id: int | None,
        method: str,
        path: str,
        **answered: Unpack[_Answered],
    ) -> None:
        super().__init__(message, status=402, method=method, path=path, **answered)
        self.reset_at = reset_at
        self.remaining = remaining
        self.total = total
        self.organization_id = organization_id


class FeatureUnavailable(PaymentRequired):
    """402: the workspace's plan lacks this; remembered until `forget_refusals()`."""


class Forbidden(ResponseError):
    """403: wrong credentials, or no right to this."""

    _advice = "the user may lack permission, or the workspace the feature: ask an admin"


class LoginRefused(Forbidden):
    """401, 403 or another 4xx: the credentials are wrong, or the account is locked.

    The login is not tried again before `TogglClient.forget_refusals()`, because Toggl locks an account for
    some minutes after a few wrong logins.

    Attributes:
        by_password: whether the credentials were an e-mail address and a password.
    """

    _advice = (
        "Toggl does not accept these credentials; the API token is at the bottom of "
        "https://track.toggl.com/profile, and changes when it is reset there"
    )
    _advice_on_passwords: ClassVar[str] = (
        "Toggl does not accept this e-mail address with this password; check both by logging in at "
        "https://track.toggl.com/login"
    )

    def __init__(self, message: str, *, by_password: bool = False, **refused: Unpack[_Refused]) -> None:
        if by_password:
            refused["advice"] = self._advice_on_passwords
        super().__init__(message, **refused)
        self.by_password = by_password

    @property
    def remaining_attempts(self) -> int | None:
        """How many logins may still fail before the lock; None when Toggl did not say."""
        text = self.headers.get("x-remaining-login-attempts", "").strip()
        return int(text) if re.fullmatch("[0-9]{1,9}", text) else None


class NotFound(ResponseError):
    """404: this does not exist, or not yet (new entities can lag a few seconds)."""


class Conflict(ResponseError):
    """409: the entity's state does not allow it, such as stopping a stopped time entry."""


class EndpointGone(ResponseError):
    """410: the endpoint has been taken away; remembered, and never called again."""


class RateLimited(ResponseError):
    """429: too many requests, and the call could not wait for the cool-down."""


class ServerError(ResponseError):
    """5xx: Toggl failed.

    Attributes:
        maybe_applied: whether Toggl may have carried out the request anyway.
    """

    def __init__(
        self,
        message: str,
        *,
        maybe_applied: bool,
        status: int,
        method: str,
        path: str,
        **answered: Unpack[_Answered],
    ) -> None:
        note = "; it may have been applied" if maybe_applied else ""
        super().__init__(
            (message.rstrip(". ") if note else message) + note,
            status=status,
            method=method,
            path=path,
            **answered,
        )
        self.maybe_applied = maybe_applied
