"""What is left of the hourly quotas.

What Toggl does: it counts requests by user and organization, and those of ``/me`` by user alone. A
window opens with its first request and is full again an hour later. Every answer may say how much
is left of *the window that it was counted in*, without naming it; a 402 says that nothing is. The
user's other programs spend from the same windows.

What we do: one `Window` for each quota that an account was seen to spend. The server's word always
replaces the model's; between two words, requests under way are counted as spent, so that eight at
once do not overrun three remaining. A window that answered 402 stays shut until its reset. After
the reset it is taken to be full: by its total if that is known, else without a number.

Answers overtake each other, so the word on the request that was sent last is the one that counts;
an older one can only lower it. That holds for the reset, too: one wrong word is corrected by the next.

Which organization a workspace belongs to is not in its URL. Until a record passes by that says so
(`Organizations.learn`), its window is keyed by the workspace; then it merges into the
organization's, and the requests under way with it.
"""

import math
from collections.abc import Callable, Iterator
from typing import Final, TypeAlias

from toggl_async.options import QuotaPolicy
from toggl_async.scheduler.outcome import RESET_MARGIN, UNKNOWN_RESET, WINDOW
from toggl_async.scheduler.route import Lane, RequestFacts

__all__ = ["WINDOW", "Organizations", "QuotaWindows", "Window"]

_SAME: Final = 30.0
"""Seconds by which two announcements of one reset may differ (slow answers make them late)."""

_NONE: Final[frozenset[int]] = frozenset()

WindowKey: TypeAlias = tuple[str, int | None]


class Window:
    """One hourly quota of one account.

    Requests are known by tickets, numbers that grow in the order of sending. A word of the server's
    includes the requests sent before the one that it answers, so two sums follow from it: `left`
    takes everything under way as not included, and decides what may be sent; `hope` takes only what
    was sent later, and decides what may still be waited for.
    """

    __slots__ = (
        "_into",
        "_opener",
        "_settled",
        "_shut",
        "_word",
        "key",
        "remaining",
        "reserve",
        "reset_at",
        "total",
        "under_way",
    )

    def __init__(self, key: WindowKey, *, reserve: int) -> None:
        self.key: WindowKey = key
        self.reserve: int = reserve
        self.remaining: int | None = None
        """Requests left by Toggl's last word, less those answered since; None when unknown."""
        self.reset_at: float | None = None
        """The loop's time of the reset; None when unknown."""
        self.total: int | None = None
        """Requests that a whole window allows; None when unknown."""
        self.under_way: dict[int, bool] = {}
        """The tickets of requests granted and not yet answered, and whether they have left."""
        self._opener: int | None = None
        """The ticket of the request that is thought to have opened the window; None once Toggl said more."""
        self._word = -1
        self._settled = _NONE
        self._shut = False
        self._into: Window | None = None

    @property
    def lane(self) -> Lane:
        """Whose quota it is."""
        return Lane.USER if self.key[0] == "user" else Lane.ORGANIZATION

    @property
    def organization_id(self) -> int | None:
        """The organization, where known."""
        return self.key[1] if self.key[0] == "organization" else None

    @property
    def workspace_id(self) -> int | None:
        """The workspace that stands for an organization not known yet."""
        return self.key[1] if self.key[0] == "workspace" else None

    def current(self) -> "Window":
        """Return the window that this one has become part of, or itself."""
        window = self
        while window._into is not None:
            window = window._into
        return window

    def left(self, now: float) -> int | None:
        """Return how many more requests may be sent now; None when that is unknown."""
        self._roll(now)
        if self.remaining is None:
            return None
        return max(0, self.remaining - len(self.under_way) - self._kept())

    def hope(self, now: float) -> int | None:
        """Return how many more requests may go before the reset; None when that is unknown."""
        self._roll(now)
        if self.remaining is None:
            return None
        later = sum(ticket > self._word or not gone for ticket, gone in self.under_way.items())
        return max(0, self.remaining - later - self._kept())

    def opens_at(self, now: float) -> float:
        """Return when the next request may be sent: `now`, or the reset; infinity if an answer decides."""
        if self.left(now) != 0:
            return now
        if self.hope(now) or self.reset_at is None:
            return math.inf
        return self.reset_at

    def overdrawn(self, now: float, ticket: int) -> bool:
        """Say whether a request that is under way, but has not left, finds nothing left for it."""
        self._roll(now)
        if self.remaining is None:
            return False
        before = sum(gone and other > self._word for other, gone in self.under_way.items() if other != ticket)
        return before >= self.remaining - self._kept()

    def spend(self, ticket: int) -> None:
        """Count a request as under way."""
        self.under_way[ticket] = False

    def depart(self, now: float, ticket: int, new: int) -> None:
        """Renumber a request that leaves, so that tickets grow in the order of sending.

        The first one opens the window, for all we know: other programs may have been there before.
        """
        self._roll(now)
        if self.under_way.pop(ticket, None) is not None:
            self.under_way[new] = True
            if self.reset_at is None and self.remaining is not None:
                self.reset_at, self._opener = now + WINDOW + RESET_MARGIN, new

    def settle(self, ticket: int, *, counted: bool) -> None:
        """Count a request as no longer under way; `counted` if Toggl will have counted it."""
        self.under_way.pop(ticket, None)
        if counted and self.remaining is not None and ticket > self._word:
            self.remaining = max(0, self.remaining - 1)
        # Words can still come from requests under way, and from this one: what was settled after them
        # must be known.
        if not self.under_way:
            self.under_way.clear()  # gives back its memory
        if self._settled or (counted and self.under_way):
            oldest = min([ticket, *self.under_way])
            known = {*self._settled, ticket} if counted else self._settled
            self._settled = frozenset(other for other in known if other > oldest) or _NONE

    def learn(self, now: float, ticket: int, *, remaining: int, resets_in: float) -> None:
        """Take the server's word from the answer to a request that has been settled.

        Args:
            now: the loop's time.
            ticket: the request.
            remaining: requests left; negative while Toggl does not enforce the quota.
            resets_in: whole seconds until the reset.
        """
        self._roll(now)
        if remaining < 0:
            self.remaining = self.reset_at = None
            return
        remaining = max(0, remaining - sum(other > ticket for other in self._settled))
        reset_at = now + resets_in + RESET_MARGIN
        is_later = ticket >= max(self._word, self._opener or 0)
        known = None if self._opener is not None and ticket >= self._opener else self.reset_at
        if known is None or abs(reset_at - known) > _SAME:
            if known is not None and not is_later:
                return  # the word of another window than the one that a later request told of
            self._shut = False
        else:
            reset_at = min(reset_at, known)
            if self._shut:
                remaining = 0
            elif not is_later and self.remaining is not None:
                remaining = min(remaining, self.remaining)
        self.remaining, self.reset_at = remaining, reset_at
        self._opener = None
        self._word = max(self._word, ticket)

    def state(self, now: float, *, remaining: int, resets_in: float, total: int | None) -> None:
        """Take a row of ``GET /me/quota``: it is about the present, and overrules everything."""
        self.total = total
        self._shut = False
        self._opener = None
        if remaining < 0:
            self.remaining = self.reset_at = None
        else:
            self.remaining, self.reset_at = remaining, now + resets_in + RESET_MARGIN
            self._word = max(self.under_way, default=self._word)

    def exhaust(self, now: float, resets_in: float | None, ticket: int) -> None:
        """Take a quota 402, the answer to a request with that ticket: shut until the reset."""
        self._roll(now)
        reset_at = now + (UNKNOWN_RESET if resets_in is None else resets_in) + RESET_MARGIN
        if self.reset_at is not None and (resets_in is None or self._shut):
            reset_at = self.reset_at if resets_in is None else min(reset_at, self.reset_at)
        self.remaining, self.reset_at, self._shut = 0, reset_at, True
        self._opener = None
        self._word = max(self._word, ticket)

    def absorb(self, other: "Window") -> None:
        """Become one with a window that turned out to be the same quota."""
        other._into = self  # noqa: SLF001 - a window of its own class
        self.under_way |= other.under_way
        self._settled |= other._settled  # noqa: SLF001
        self._shut |= other._shut  # noqa: SLF001
        self._word = min(self._word, other._word)  # noqa: SLF001
        self.total = self.total if other.total is None else other.total
        if self.remaining is None or (other.remaining is not None and other.remaining < self.remaining):
            self.remaining = other.remaining
        if self.reset_at is None or (other.reset_at is not None and other.reset_at > self.reset_at):
            self.reset_at, self._opener = other.reset_at, other._opener  # noqa: SLF001

    def _kept(self) -> int:
        """Return the reserve; never all of a window, or nothing would ever go."""
        return self.reserve if self.total is None else min(self.reserve, max(0, self.total - 1))

    def _roll(self, now: float) -> None:
        """Begin the next window once the reset has come."""
        if self.reset_at is not None and now >= self.reset_at:
            self.remaining = self.total
            self.reset_at = None
            self._shut = False


class Organizations:
    """Which organization each workspace belongs to, for all accounts of a scheduler."""

    __slots__ = ("_known", "_waiting")

    def __init__(self) -> None:
        self._known: dict[int, int] = {}
        self._waiting: dict[int, set[QuotaWindows]] = {}

    def of(self, workspace_id: int) -> int | None:
        """Return the organization of a workspace, if it has been seen."""
        return self._known.get(workspace_id)

    def learn(self, workspace_id: int, organization_id: int) -> None:
        """Take note of it, and merge the windows of the accounts that waited for it."""
        if self._known.get(workspace_id) == organization_id:
            return
        self._known[workspace_id] = organization_id
        for quota in self._waiting.pop(workspace_id, ()):
            quota.merge(workspace_id, organization_id)

    def await_news(self, workspace_id: int, quota: "QuotaWindows") -> None:
        """Have `quota` told once the organization of a workspace is known."""
        self._waiting.setdefault(workspace_id, set()).add(quota)

    def withdraw(self, workspace_id: int, quota: "QuotaWindows") -> None:
        """Tell `quota` nothing: its account is being forgotten."""
        waiting = self._waiting.get(workspace_id)
        if waiting is not None:
            waiting.discard(quota)
            if not waiting:
                del self._waiting[workspace_id]


class QuotaWindows:
    """The windows of one account."""

    __slots__ = ("_merged", "_organizations", "_policy", "_windows")

    def __init__(
        self, policy: QuotaPolicy, organizations: Organizations, merged: Callable[[Window, Window], None]
    ) -> None:
        """Start without any window.

        Args:
            policy: the reserve.
            organizations: what is known of workspaces.
            merged: is told of two windows that turned out to be one: the old, then the lasting one.
        """
        self._policy = policy
        self._organizations = organizations
        self._merged = merged
        self._windows: dict[WindowKey, Window] = {}

    def __iter__(self) -> Iterator[Window]:
        return iter(self._windows.values())

    def window(self, facts: RequestFacts) -> Window:
        """Return the window that a request spends from."""
        return self._at(self._key(facts))

    def tell(
        self, now: float, organization_id: int | None, *, remaining: int, resets_in: float, total: int | None
    ) -> Window:
        """Take one row of ``GET /me/quota``; `organization_id` is None for the user's own window."""
        window = self._at(("user", None) if organization_id is None else ("organization", organization_id))
        window.state(now, remaining=remaining, resets_in=resets_in, total=total)
        return window

    def merge(self, workspace_id: int, organization_id: int) -> None:
        """Put the window of a workspace into that of its organization."""
        old = self._windows.pop(("workspace", workspace_id), None)
        if old is not None:
            lasting = self._at(("organization", organization_id))
            lasting.absorb(old)
            self._merged(old, lasting)

    def forget(self) -> None:
        """Leave the registry of organizations."""
        for window in self._windows.values():
            if window.workspace_id is not None:
                self._organizations.withdraw(window.workspace_id, self)

    def _key(self, facts: RequestFacts) -> WindowKey:
        if facts.lane is Lane.USER:
            return "user", None
        organization_id = facts.organization_id
        if organization_id is None and facts.workspace_id is not None:
            organization_id = self._organizations.of(facts.workspace_id)
            if organization_id is None:
                return "workspace", facts.workspace_id
        return "organization", organization_id

    def _at(self, key: WindowKey) -> Window:
        window = self._windows.get(key)
        if window is None:
            window = self._windows[key] = Window(key, reserve=self._policy.reserve)
            if key[0] == "workspace" and key[1] is not None:
                self._organizations.await_news(key[1], self)
        return window
