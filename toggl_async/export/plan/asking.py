"""How an export asks Toggl: whose token it is, and anything else without waiting for ever for one part of it.

A 429 means that the account is too fast, so the scheduler stops all of it for minutes, then sends what was
refused first. Where Toggl, or a proxy before it, answers 429 to one operation whatever the pace, that would
never end, and nothing else would be sent any more.
"""

import datetime as dt
import email.utils
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeAlias, TypeVar

import msgspec

from toggl_async._client.answer import Answer
from toggl_async._client.client import TogglClient
from toggl_async.errors import RateLimited, RequestFailed, ServerError
from toggl_async.export.intake import json_of, reading
from toggl_async.export.plan.datasets import DATASETS, SET_ASIDE, operation, raise_for_account
from toggl_async.export.plan.plan import EARLIEST
from toggl_async.options import Priority

__all__ = ["ME", "Asker", "Id", "Target", "decoded", "identify", "target_of", "time_of"]

T = TypeVar("T")

ME = DATASETS["workspaces"].operation
"""The operation that says whose token it is."""

Id: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]
"""An id of Toggl's; what can't be one doesn't name an account, a workspace or an organization."""

Target: TypeAlias = tuple[str, frozenset[tuple[str, int]]]
"""An operation, and what its path names."""

_COOLDOWNS = 1
"""Cool-downs after which another request is sent, to see whether it is the account that is refused."""

_ROUNDS = 3
"""How often in a row that must have been answered. Once may be a coincidence, because other programs use the
account, too."""

_LATEST_CLOCK = dt.date(2100, 1, 1)
"""A server that says it is later than this is taken to be wrong."""

_NOTHING: Mapping[str, Any] = {}


class _Identity(msgspec.Struct):
    id: Id


async def identify(client: TogglClient) -> tuple[int, dt.datetime]:
    """Ask only who the token belongs to; return the user's id and the server's time.

    Raises:
        Forbidden: the credentials are wrong.
        DecodeError: the answer isn't an account.
        TogglError: whatever else became of the request.
    """
    answer = await client.fetch(operation(ME), path={})
    return decoded(_Identity, answer.body, ME).id, time_of(answer)


class Asker:
    """Calls the operations of a run, and gives up those to which Toggl answers 429 and to no other.

    Args:
        client: asks, patiently.
        spend: is told of requests that aren't among the attempts of an answer, nor the one of an error.
    """

    def __init__(self, client: TogglClient, spend: Callable[[int], None]) -> None:
        self._client = client
        self._spend = spend
        self._rounds: Counter[str] = Counter()
        """How often in a row an operation was refused while others were answered."""
        self._given_up: dict[Target, RateLimited] = {}

    async def ask(
        self,
        name: str,
        *,
        path: Mapping[str, int] = _NOTHING,
        query: Mapping[str, Any] = _NOTHING,
        body: Any = msgspec.UNSET,
        recalls: bool = True,
    ) -> Answer:
        """Call an operation.

        Args:
            name: the operation.
            path: as for `TogglClient.fetch`.
            query: likewise.
            body: likewise.
            recalls: likewise.

        Raises:
            RateLimited: it is given up.
            TogglError: whatever else became of the call.
        """
        target = target_of(name, path)
        while True:
            if target in self._given_up:
                raise self._given_up[target]
            # It may be one workspace that is refused. So each other one gets a request of its own.
            cooldowns = _COOLDOWNS if self._rounds[name] < _ROUNDS else 0
            try:
                answer = await self._client.fetch(
                    operation(name), path=path, query=query, body=body, recalls=recalls, cooldowns=cooldowns
                )
            except RateLimited as error:
                self._spend(cooldowns)
                self._rounds[name] += 1
                if self._rounds[name] >= _ROUNDS:
                    self._given_up[target] = _given_up(error, from_memory=True)
                    raise _given_up(error) from error
            else:
                del self._rounds[name]
                return answer
            self._spend(1)  # the request that ended the round
            await self._await_any_answer()
            self._spend(1)

    async def _await_any_answer(self) -> None:
        """Wait until Toggl answers a request that every token may send, however long the account has to rest.

        It goes before the calls of the run, which may all be of the operation that is refused.
        """
        try:
            await identify(self._client.with_options(priority=Priority.NORMAL))
        except (RequestFailed, ServerError):
            raise
        except SET_ASIDE as error:
            raise_for_account(error)  # else it is an answer, if not as it should be


def target_of(name: str, path: Mapping[str, int]) -> Target:
    """An operation, and what its path names."""
    return name, frozenset(path.items())


def _given_up(error: RateLimited, *, from_memory: bool = False) -> RateLimited:
    """The error of an operation that isn't asked for any more."""
    return RateLimited(
        f"{error.message.rstrip('. ')}, again and again, while Toggl answered other requests",
        status=error.status,
        method=error.method,
        path=error.path,
        request_id=error.request_id,
        headers=error.headers,
        body=error.body,
        from_memory=from_memory,
    )


def decoded(kind: type[T], body: bytes | msgspec.Raw, name: str) -> T:
    """Decode what must be known of an answer, or say which field is at fault."""
    with reading(name, bytes(body)):
        return msgspec.json.decode(json_of(bytes(body)), type=kind)


def time_of(answer: Answer) -> dt.datetime:
    """The server's time: ours may be wrong, and a sandbox has its own; ours if that cannot be."""
    try:
        told = email.utils.parsedate_to_datetime(answer.headers["date"]).astimezone(dt.UTC)
        if EARLIEST <= told.date() <= _LATEST_CLOCK:
            return told
    except (KeyError, ValueError, OverflowError):
        pass
    return dt.datetime.now(dt.UTC).replace(microsecond=0)
