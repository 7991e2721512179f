"""Identical GETs under way share one answer.

Thirty requests an hour do not allow two widgets to fetch the same thing. The first that asks leads:
it does the work itself, so that a call which nobody joins costs nothing more. Those who ask meanwhile
follow: they wait for what the leader gets.

Nobody is hurt by a neighbour who gives up. If the leader is cancelled, or runs out of its own time,
the follower that has waited longest goes on with the work where it stands, with its place in the
queue. A request that left when there were followers goes on; one that they joined on its way is taken
down by its caller, and asked again: no worse than asking alone, and it saves a task for each GET,
which is a fifth of what a GET costs.

A write breaks the sharing, when it is made and again when it has ended: whoever asks after a write
must see it, so he joins no GET that may have been answered before.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Hashable
from typing import Generic, TypeVar

from toggl_async.errors import MaxWaitExceeded, QuotaExceeded

__all__ = ["Coalescer", "Flight", "Work"]

T = TypeVar("T")


class Work(ABC, Generic[T]):
    """Something that one caller begins, and another can go on with."""

    __slots__ = ("is_followed",)

    is_followed: bool
    """Whether others have asked for its result; set by the group."""

    @abstractmethod
    async def run(self, asked_at: float) -> T:
        """Do what is left of it, for a caller that asked at that time of the loop."""

    @abstractmethod
    async def abandon(self) -> None:
        """Clean up, because nobody waits for it any more."""

    @abstractmethod
    def copier(self, result: T) -> Callable[[], T]:
        """Return what makes copies of the result, for those who did not get it themselves."""


class Flight(Generic[T]):
    """The callers that wait for one work: a leader, who does it, and followers."""

    __slots__ = ("_followers", "_key", "_peers", "_work")

    def __init__(self, work: Work[T], key: Hashable, peers: "dict[Hashable, Flight[T]]") -> None:
        self._work = work
        self._key = key
        self._peers = peers
        self._followers: list[asyncio.Future[Callable[[], T] | None]] = []

    def lead(self) -> Coroutine[object, object, T]:
        """Do the work, and give the followers what comes of it."""
        return self._lead(asyncio.get_running_loop().time())

    async def follow(self) -> T:
        """Wait for what the leader gets; lead in his place if he gives up."""
        loop = asyncio.get_running_loop()
        asked_at = loop.time()
        place: asyncio.Future[Callable[[], T] | None] = loop.create_future()
        self._followers.append(place)
        self._work.is_followed = True
        try:
            copy = await place
        except asyncio.CancelledError:
            if place in self._followers:
                self._followers.remove(place)
            elif not place.cancelled() and place.exception() is None and place.result() is None:
                await self._pass_on()  # it was to lead, and gave up in the same moment
            raise
        return await self._lead(asked_at) if copy is None else copy()

    async def _lead(self, asked_at: float) -> T:
        try:
            result = await self._work.run(asked_at)
        except (asyncio.CancelledError, MaxWaitExceeded, QuotaExceeded):
            await self._pass_on()  # the others may have more patience, or more time
            raise
        except Exception as error:
            for follower in self._dissolve():
                follower.set_exception(error)
            raise
        followers = self._dissolve()
        if followers:
            copy = self._work.copier(result)
            for follower in followers:
                follower.set_result(copy)
        return result

    async def _pass_on(self) -> None:
        """Let the first follower lead; without any, the work is over."""
        while self._followers:
            follower = self._followers.pop(0)
            if not follower.done():
                follower.set_result(None)
                return
        self._dissolve()
        await self._work.abandon()

    def _dissolve(self) -> "list[asyncio.Future[Callable[[], T] | None]]":
        """Let nobody join any more, and return the followers that still wait."""
        if self._peers.get(self._key) is self:
            del self._peers[self._key]
            if not self._peers:
                self._peers.clear()  # gives back its memory
        followers, self._followers = self._followers, []
        return [follower for follower in followers if not follower.done()]


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
