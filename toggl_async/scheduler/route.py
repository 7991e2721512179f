"""What the scheduler has to know of a request: its route, the quota it spends, whether it only reads.

Coroutines declare these facts; for requests of foreign httpx clients they are read off the URL
(`/me…` spends the user's quota; workspace and organization paths, reports and insights included,
spend the organization's; what belongs to nobody is counted to the user, the stricter guess).
"""

import enum
import math
import re
from typing import Final
from urllib.parse import unquote

import attrs
import httpx

from toggl_async.errors import InvalidInput
from toggl_async.options import Priority

__all__ = ["EXTENSION", "Lane", "RequestFacts", "facts_of", "shown_path"]

EXTENSION: Final = "toggl_async"
"""The key of `httpx.Request.extensions` under which a client hands over its `RequestFacts`."""


class Lane(enum.StrEnum):
    """Which hourly quota a request spends."""

    USER = "user"
    """The user's own: ``/me`` and what belongs to nobody."""
    ORGANIZATION = "organization"
    """That of the organization which the path, or the workspace in it, belongs to."""


_PRIORITIES: Final = tuple(Priority)


def _priority(_instance: object, _attribute: "attrs.Attribute[Priority]", value: object) -> None:
    # The queue takes it as a place in a list, and only when calls wait: too late to complain.
    if value not in _PRIORITIES:
        raise InvalidInput(f"priority must be a Priority, not {value!r}")


def _max_wait(_instance: object, _attribute: "attrs.Attribute[float]", value: float) -> None:
    if math.isnan(value) or value < 0:
        raise InvalidInput(f"max_wait must be at least 0 s, not {value!r}")


@attrs.frozen(kw_only=True)
class RequestFacts:
    """What a request declares about itself.

    Attributes:
        route: method and path template, such as ``"GET /api/v9/workspaces/{workspace_id}/tags"``.
        lane: the hourly quota that it spends.
        reads: whether it changes nothing, so that repeating it is safe.
        workspace_id: the workspace that it concerns.
        organization_id: the organization that it concerns, where the path names it.
        priority: who goes first when calls wait.
        max_wait: seconds that the call may wait for its turn, all its waits together.
        streams: leave the body of a 2xx answer unread; its slot is held until it is closed.
        coalesce: share one answer with identical GETs under way.
        account: what the account is known by in place of the credential in the headers, where that
            changes while the account stays the same; kept as a keyed hash, like a credential.
    """

    route: str
    lane: Lane
    reads: bool
    workspace_id: int | None = None
    organization_id: int | None = None
    priority: Priority = attrs.field(default=Priority.NORMAL, validator=_priority)
    max_wait: float = attrs.field(default=600.0, validator=_max_wait)
    streams: bool = False
    coalesce: bool = True
    account: str | None = attrs.field(default=None, repr=False)


_LONGEST_ID = 19
"""Digits that an id has at most: it is a signed integer of 64 bits."""
_TOKEN = 16
"""Characters that a token has at least, unless what stands before it tells that it is one."""
_IDENTITY = re.compile(
    r"[\d,.:TZ+-]*\d[\d,.:TZ+-]*"  # ids, lists of them, dates
    r"|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}(?:\.\w+)?"
    rf"|(?=[A-Za-z_.-]*\d)[\w.-]{{{_TOKEN},}}"  # tokens: long, with a digit in them
)
_PUBLIC = re.compile(r"[\d,.:TZ+-]+")
"""Ids, lists of them, and dates."""
_PARENTS = {
    "workspace": "workspace_id",
    "workspaces": "workspace_id",
    "organization": "organization_id",
    "organizations": "organization_id",
    "audit_logs": "organization_id",
}
_WEBHOOK_PARENTS = frozenset({"limits", "ping", "subscriptions", "validate"})
_SECRET_PARENTS = frozenset(
    {
        "data",
        "disable_product_emails",
        "disable_weekly_report",
        "invitations",
        "invoices",
        "purchase_orders",
        "shared",
        "workspace_user",
    }
)
"""Segments that a code or token follows, be it ever so short."""
_SECRET_WORDS = frozenset({"code", "token", "uid", "uuid"})
"""How the names of parameters end whose values open something."""
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def facts_of(request: httpx.Request, *, max_wait: float = 600.0, coalesce: bool = True) -> RequestFacts:
    """Return the facts that a request carries, or derive them from its method and URL.

    Args:
        request: the request, with `RequestFacts` in its extension `EXTENSION` or without.
        max_wait: seconds that a request without declared facts may wait.
        coalesce: whether a request without declared facts may share its answer.
    """
    declared = request.extensions.get(EXTENSION)
    if isinstance(declared, RequestFacts):
        return declared
    template, ids = _template(_segments(request.url))
    segments = template.split("/")
    reporting = "reports" in segments[:2] or "insights" in segments[:2]
    organizational = reporting or ("me" not in segments[:4] and bool(ids) and "webhooks" not in segments[:2])
    return RequestFacts(
        route=f"{request.method} {template}",
        lane=Lane.ORGANIZATION if organizational else Lane.USER,
        reads=request.method in _SAFE_METHODS or (request.method == "POST" and reporting),
        workspace_id=ids.get("workspace_id"),
        organization_id=ids.get("organization_id"),
        max_wait=max_wait,
        coalesce=coalesce,
    )


def shown_path(request: httpx.Request) -> str:
    """Return the path of a request as errors may show it: as it was sent, but no codes and tokens in it.

    Whoever reads a log must not be able to open a shared report or to take an invitation.
    """
    template = facts_of(request).route.partition(" ")[2].split("/")
    shown = _segments(request.url)
    for place in range(1, min(len(shown), len(template)) + 1):  # a base URL may put more before it
        if _is_secret(template[-place], unquote(shown[-place])):
            shown[-place] = template[-place]
    return "/".join(shown)


def _segments(url: httpx.URL) -> list[str]:
    """Take a path apart as it was sent: an escaped slash belongs to its segment."""
    return url.raw_path.partition(b"?")[0].decode("ascii").split("/")


def _is_secret(pattern: str, value: str) -> bool:
    """Say whether a segment of a template, such as ``{uuid}.zip``, stands for a value not to be shown.

    Ids are shown if they look like one: what stands in the place of a number may be anything.
    """
    before, braced, rest = pattern.partition("{")
    if not braced:
        return False
    name, _, after = rest.partition("}")
    kind = name.rpartition("_")[2]
    if kind in {"id", "ids"}:
        return not _PUBLIC.fullmatch(value.removeprefix(before).removesuffix(after))
    return kind in _SECRET_WORDS


def _template(segments: list[str]) -> tuple[str, dict[str, int]]:
    """Put names in place of the identities in a path, and return those of its parents."""
    ids: dict[str, int] = {}
    hooks, validates = "webhooks" in segments[:2], "validate" in segments
    shown = list(segments)
    for position in range(1, len(segments)):
        parent, segment = segments[position - 1], segments[position]
        is_id = segment.isdecimal() and len(segment) <= _LONGEST_ID
        if hooks and parent in _WEBHOOK_PARENTS and is_id:
            name = "workspace_id"
        elif parent in _PARENTS and is_id:
            name = _PARENTS[parent]
        elif segment and (_is_identity(segment, parent) or (validates and _is_validated(segments, position))):
            shown[position] = "{id}"
            continue
        else:
            continue
        shown[position] = f"{{{name}}}"
        ids.setdefault(name, int(segment))
    return "/".join(shown), ids


def _is_identity(segment: str, parent: str) -> bool:
    """Say whether a segment names one thing of many, by its looks or by what stands before it."""
    if segment.isdecimal() or parent in _SECRET_PARENTS:
        return True
    if len(segment) < _TOKEN and segment[0].islower():
        return False  # as most segments are: words, and "v9"
    is_word = segment.replace("_", "").isalpha()
    return not is_word and _IDENTITY.fullmatch(unquote(segment)) is not None


def _is_validated(segments: list[str], position: int) -> bool:
    """Say whether a segment is the workspace, the webhook or the code that follow ``validate``."""
    return "validate" in segments[max(0, position - 3) : position]
