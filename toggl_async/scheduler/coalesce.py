"""Identical reads under way share one answer.

With thirty requests an hour, two widgets should not both fetch the same thing. The first caller leads: it
does the work itself, so that a call that nobody joins costs nothing extra. Callers that ask meanwhile follow:
they wait for the leader's result.

A caller that gives up doesn't harm the others. If the leader is cancelled, or runs out of its own time (then
it returns what it has so far, perhaps a 429), the follower that has waited longest continues the work where
it is, with the leader's place in the queue. A request that was sent while there were followers continues. One
that followers joined after it was sent is cancelled with its caller, and sent again: that is no worse than
asking alone, and it saves a task for each read, which is a fifth of the cost of a read.

A write ends the sharing, when it is made and again when it has ended: a caller that reads after a write must
see it, so it may not join a GET that may have been answered before.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

import anyio

__all__ = ["Coalescer", "Flight", "Work"]

T = TypeVar("T")


class Work(ABC, Generic[T]):
    """Something that one caller begins, and another can go on with."""

    __slots__ = ("is_followed", "ran_out")

    is_followed: bool
    """Whether others have asked for its result; set by the group."""
    ran_out: bool
    """Whether `run` returned because its caller ran out of time, with work left to do."""

    @abstractmethod
    async def run(self, asked_at: float) -> T:
        """Do what is left of it, for a caller that asked at that time of the loop."""

    @abstractmethod
    def abandon(self) -> None:
        """Clean up, because nobody waits for it any more."""

    @abstractmethod
    def copier(self, result: T) -> Callable[[], T]:
        """Return what makes copies of the result, for those who did not get it themselves."""


class _Place(Generic[T]):
    """Where a follower waits: for the answer, or to lead."""

    __slots__ = ("_event", "copy", "error", "is_filled")

    def __init__(self) -> None:
        self._event = anyio.Event()
        self.copy: Callable[[], T] | None = None
        """Makes the follower's answer; None where it is to lead."""
        self.error: Exception | None = None
        self.is_filled: bool = False

    def fill(self, copy: Callable[[], T] | None = None, error: Exception | None = None) -> None:
        """Say what becomes of the follower."""
        self.copy, self.error, self.is_filled = copy, error, True
        self._event.set()

    async def wait(self) -> None:
        """Wait until that is known."""
        await self._event.wait()


class Flight(Generic[T]):
    """The callers that wait for one work: a leader, who does it, and followers."""

    __slots__ = ("_followers", "_key", "_peers", "_work")

    def __init__(self, work: Work[T], key: Hashable, peers: "dict[Hashable, Flight[T]]") -> None:
        self._work = work
        self._key = key
        self._peers = peers
        self._followers: list[_Place[T]] = []

    async def follow(self, asked_at: float) -> T:
        """Wait for what the leader gets; take over if it gives up."""
        place: _Place[T] = _Place()
        self._followers.append(place)
        self._work.is_followed = True
        try:
            await place.wait()
        except anyio.get_cancelled_exc_class():
            if place in self._followers:
                self._followers.remove(place)
            elif place.copy is None and place.error is None:
                self._pass_on()  # it was to lead, and gave up in the same moment
            raise
        if place.error is not None:
            raise place.error
        return await self.lead(asked_at) if place.copy is None else place.copy()

    async def lead(self, asked_at: float) -> T:
        """Do the work, and give the followers what comes of it.

        Args:
            asked_at: the loop's time at which this caller asked.
        """
        try:
            result = await self._work.run(asked_at)
        except anyio.get_cancelled_exc_class():
            self._pass_on()  # the others may have more patience
            raise
        except Exception as error:
            if self._work.ran_out:
                self._pass_on()  # the others may have more time
                raise
            for follower in self._dissolve():
                follower.fill(error=error)
            raise
        if self._work.ran_out:
            self._pass_on()
            return result
        followers = self._dissolve()
        if followers:
            copy = self._work.copier(result)
            for follower in followers:
                follower.fill(copy)
        return result

    def _pass_on(self) -> None:
        """Let the first follower lead; without any, the work is over."""
        if self._followers:
            self._followers.pop(0).fill()
            return
        self._dissolve()
        self._work.abandon()

    def _dissolve(self) -> "list[_Place[T]]":
        """Let nobody join any more, and return the followers that still wait."""
        peers, key = self._peers, self._key
        found = peers.pop(key, None)
        if found is not None and found is not self:
            peers[key] = found  # begun after a write broke this one up
        if not peers:
            peers.clear()  # gives back its memory
        followers, self._followers = self._followers, []
        return followers


class Coalescer(Generic[T]):
    """The groups of one account, by what was asked for."""

    __slots__ = ("_groups",)

    def __init__(self) -> None:
        self._groups: dict[Hashable, Flight[T]] = {}

    def find(self, key: Hashable) -> Flight[T] | None:
        """Return the group whose answer a newcomer can share."""
        return self._groups.get(key)

    def begin(self, key: Hashable, work: Work[T]) -> Flight[T]:
        """Make a group around a work that somebody is about to begin."""
        group = self._groups[key] = Flight(work, key, self._groups)
        return group

    def break_up(self) -> None:
        """Let nobody join the work under way any more; it goes on for those who wait for it."""
        self._groups.clear()
