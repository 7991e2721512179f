"""What a request is: its route, the quota that it spends, whether it only reads.

Coroutines declare these facts. For requests of other httpx clients, they are derived from method and path:
``/me…`` spends the user's quota; paths of workspaces and organizations, including reports and insights, spend
the organization's; all others count as the user's, which is the stricter guess.
"""

import enum
import functools
import itertools
import math
import re
from collections.abc import Mapping
from typing import Final, NamedTuple
from urllib.parse import unquote

import attrs

from toggl_async.errors import InvalidInput
from toggl_async.options import Priority

__all__ = ["Lane", "RequestFacts", "facts_of", "quota_of", "shown_path", "window_of"]


class Lane(enum.StrEnum):
    """Which hourly quota a request spends."""

    USER = "user"
    """The user's own: ``/me`` and what belongs to nobody."""
    ORGANIZATION = "organization"
    """That of the organization which the path, or the workspace in it, belongs to."""


_PRIORITIES: Final = tuple(Priority)


def _priority(_instance: object, _attribute: object, value: object) -> None:
    # The queue takes it as a place in a list, and only when calls wait: too late to complain.
    if value not in _PRIORITIES:
        raise InvalidInput(f"priority must be a Priority, not {value!r}")


def _max_wait(_instance: object, _attribute: object, value: float | None) -> None:
    if value is not None and (math.isnan(value) or value < 0):
        raise InvalidInput(f"max_wait must be None or at least 0 s, not {value!r}")


@attrs.frozen(kw_only=True, cache_hash=True)  # a read under way is looked up four times by it
class RequestFacts:
    """What a request declares about itself.

    Attributes:
        route: method and path template, such as ``"GET /api/v9/workspaces/{workspace_id}/tags"``.
        lane: the hourly quota that it spends.
        reads: whether it changes nothing, so that repeating it is safe.
        workspace_id: the workspace that it concerns.
        organization_id: the organization that it concerns, if the path names it.
        priority: which call goes first when several wait.
        max_wait: seconds that the call may wait for its turns, in total; None for no limit.
        attempts: how often it is sent at most if it is safe to repeat; None for what the scheduler's options
            say.
        cooldowns: how often it is sent again after a 429; None for as often as `max_wait` allows.
        streams: leave the body of a 2xx answer unread; it occupies its slot until it is closed.
        coalesce: share one answer with identical reads that are under way.
        account: what identifies the account, if the credential in the headers changes while the account stays
            the same; kept as a keyed hash, like a credential.
        recalls: let a remembered 410, or 402 for a feature, answer it; otherwise Toggl is asked again.
    """

    route: str
    lane: Lane
    reads: bool
    workspace_id: int | None = None
    organization_id: int | None = None
    priority: Priority = attrs.field(default=Priority.NORMAL, validator=_priority)
    max_wait: float | None = attrs.field(default=600.0, validator=_max_wait)
    attempts: int | None = None
    cooldowns: int | None = None
    streams: bool = False
    coalesce: bool = True
    account: str | None = attrs.field(default=None, repr=False)
    recalls: bool = True


_TOKEN = 16
"""Characters that a token has at least, unless what stands before it tells that it is one."""
_IDENTITY = re.compile(
    r"[\d,.:TZ+-]*\d[\d,.:TZ+-]*"  # ids, lists of them, dates
    r"|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}(?:\.\w+)?"
    rf"|(?=[A-Za-z_.-]*\d)[\w.-]{{{_TOKEN},}}"  # tokens: long, with a digit in them
)
_WORDS = re.compile(rf"[a-z]{{1,{_TOKEN - 1}}}\d{{0,2}}(?:[_.-][a-z]{{1,{_TOKEN - 1}}}\d{{0,2}})*")
"""What a path has else: words, and ``v9``. No token, no e-mail address, and nothing escaped."""
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
_FILE = re.compile(rb"[./](?:csv|pdf|xlsx|zip)(?:\?|$)")
"""How the path of a file ends, or goes over into its query."""
_LONGEST_ID = 19
"""Digits that an id has at most: it is a signed integer of 64 bits."""
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_NUMBER = re.compile(rf"(?<=/)([0-9]{{1,{_LONGEST_ID}}})(?![^/])".encode())
"""A segment of a path that can be an id."""


class _Outline(NamedTuple):
    """What method and path tell of a request, whatever the numbers in the path."""

    route: str
    lane: Lane
    reads: bool
    workspace: int | None
    """Which of the numbers, counted from 0, is the workspace's id."""
    organization: int | None


_outlines: Final[dict[tuple[str | bytes, ...], _Outline]] = {}
"""Those of the paths that were asked for, by method and what stands between the numbers: a program asks for
few, and to take one apart costs as much as its turn."""
_MOST_OUTLINES: Final = 1_000


def facts_of(
    method: str, raw_path: bytes, *, max_wait: float | None = 600.0, coalesce: bool = True
) -> RequestFacts:
    """Return the facts of a request that declares none.

    Nothing tells whether its caller wants the body piece by piece, as ``client.stream(…)`` does. But that
    is for files, so answers that are files stay on the wire until they are read.

    Args:
        method: the HTTP method.
        raw_path: path and query as they are sent.
        max_wait: seconds that it may wait for its turn; None forever.
        coalesce: whether it may share its answer.
    """
    path = raw_path.partition(b"?")[0]
    parts = _NUMBER.split(path)
    numbers = parts[1::2]
    shape = method, *parts[::2]
    outline = _outlines.get(shape)
    if outline is None:
        outline = _outline(method, path)
        # Kept only if nothing but numbers is left out of the route: what else there is may be a token.
        if outline.route.count("{") == len(numbers) and len(_outlines) < _MOST_OUTLINES:
            _outlines[shape] = outline
    return _facts(
        outline.route,
        outline.lane,
        outline.reads,
        None if outline.workspace is None else int(numbers[outline.workspace]),
        None if outline.organization is None else int(numbers[outline.organization]),
        max_wait,
        _FILE.search(raw_path) is not None,
        coalesce,
    )


@functools.lru_cache(maxsize=1_000, typed=True)
def _facts(
    route: str,
    lane: Lane,
    reads: bool,
    workspace_id: int | None,
    organization_id: int | None,
    max_wait: float | None,
    streams: bool,
    coalesce: bool,
) -> RequestFacts:
    """Return facts, checked and hashed once for all requests that they are true of."""
    return RequestFacts(
        route=route,
        lane=lane,
        reads=reads,
        workspace_id=workspace_id,
        organization_id=organization_id,
        max_wait=max_wait,
        streams=streams,
        coalesce=coalesce,
    )


def _outline(method: str, path: bytes) -> _Outline:
    """Take method and path apart."""
    place = itertools.count()
    numbered = _NUMBER.sub(lambda _: b"%d" % next(place), path)  # so that an "id" says which number it is
    template, ids = _template(_segments(numbered))
    segments = template.split("/")
    reporting = "reports" in segments[:2] or "insights" in segments[:2]
    organizational = reporting or ("me" not in segments[:4] and bool(ids) and "webhooks" not in segments[:2])
    return _Outline(
        route=f"{method} {template}",
        lane=Lane.ORGANIZATION if organizational else Lane.USER,
        reads=method in _SAFE_METHODS or (method == "POST" and reporting),
        workspace=ids.get("workspace_id"),
        organization=ids.get("organization_id"),
    )


def window_of(facts: RequestFacts, organizations: Mapping[int, int]) -> str:
    """Return the name of the quota window that a request spends from.

    Args:
        facts: what the request is.
        organizations: the organization of each workspace that was seen.
    """
    if facts.lane is Lane.USER:
        return "user"
    organization_id = facts.organization_id
    if organization_id is None and facts.workspace_id is not None:
        organization_id = organizations.get(facts.workspace_id)
        if organization_id is None:
            return f"workspace:{facts.workspace_id}"
    return f"organization:{organization_id or 0}"


@functools.lru_cache(maxsize=1_000)
def quota_of(window: str) -> tuple[Lane, int | None, int | None]:
    """Return whose quota a window is: its lane, its organization and its workspace, where they are known."""
    kind, _, number = window.partition(":")
    if kind == "user":
        return Lane.USER, None, None
    if kind == "workspace":
        return Lane.ORGANIZATION, None, int(number)
    return Lane.ORGANIZATION, int(number) or None, None


def shown_path(route: str, raw_path: bytes) -> str:
    """Return the path of a request as errors may show it: as it was sent, but no codes and tokens in it.

    Whoever reads a log must not be able to open a shared report or to take an invitation.

    Args:
        route: method and path template.
        raw_path: path and query as they are sent.
    """
    template = route.partition(" ")[2].split("/")
    shown = _segments(raw_path)
    for place in range(1, min(len(shown), len(template)) + 1):  # a base URL may put more before it
        if _is_secret(template[-place], unquote(shown[-place])):
            shown[-place] = template[-place]
    return "/".join(shown)


def _segments(raw_path: bytes) -> list[str]:
    """Take a path apart as it was sent: an escaped slash belongs to its segment."""
    return raw_path.partition(b"?")[0].decode("ascii", "replace").split("/")


def _is_secret(pattern: str, value: str) -> bool:
    """Say whether a segment of a template, such as ``{uuid}.zip``, stands for a value not to be shown.

    Ids are shown if they look like one: in the place of a number there may be anything.
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
    return _WORDS.fullmatch(segment) is None or _IDENTITY.fullmatch(segment) is not None


def _is_validated(segments: list[str], position: int) -> bool:
    """Say whether a segment is the workspace, the webhook or the code that follow ``validate``."""
    return "validate" in segments[max(0, position - 3) : position]
