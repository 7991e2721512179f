"""Refusals that asking again would not change: keyed by what was refused, for a day."""

import msgspec
import pytest

from toggl_async.errors import EndpointGone, FeatureUnavailable
from toggl_async.scheduler.core import memory
from toggl_async.scheduler.core.memory import (
    DAY,
    SHARED_LOGIN,
    Belongs,
    Forgotten,
    Memories,
    RefusalMet,
    RememberedRefusal,
    error_from_memory,
    key_of,
)
from toggl_async.scheduler.core.outcome import OutcomeKind

STATUS = {OutcomeKind.GONE: 410, OutcomeKind.FEATURE: 402, OutcomeKind.LOGIN: 403}

GET = ("GET", "/api/v9/workspaces/7/projects/9", b"", b"")


def remember(
    memories: Memories, kind: OutcomeKind, *request: object, now: int = 0, shared: bool = False
) -> bool:
    key = key_of(kind, *(request or GET))  # type: ignore[arg-type]
    return memories.take(RefusalMet(kind, key, STATUS[kind], "no", "abc"), now, shared=shared)


def recalled(memories: Memories, *request: object, now: int = 0) -> int | None:
    found = memories.recall(*(request or GET), now)  # type: ignore[arg-type, call-arg]
    return None if found is None else found.status


def test_a_410_of_one_thing_says_nothing_of_others() -> None:
    memories = Memories()
    assert recalled(memories) is None
    assert remember(memories, OutcomeKind.GONE)
    assert not remember(memories, OutcomeKind.GONE), "told once"
    assert recalled(memories) == 410
    assert recalled(memories, "GET", GET[1], b"page=2", b"x") == 410
    assert recalled(memories, "DELETE", *GET[1:]) is None
    assert recalled(memories, "GET", "/api/v9/workspaces/7/projects/8", b"", b"") is None


def test_a_feature_is_refused_with_its_payload() -> None:
    memories = Memories()
    request = "POST", "/api/v9/workspaces/7/time_entries", b"", b'{"billable":true}'
    assert remember(memories, OutcomeKind.FEATURE, *request)
    assert recalled(memories, *request) == 402
    assert recalled(memories, *request[:3], b"{}") is None
    assert recalled(memories, *request[:3], None) is None, "a stream: its payload isn't known"
    assert remember(memories, OutcomeKind.GONE, *request)
    assert recalled(memories, *request) == 410


def test_they_last_a_day() -> None:
    memories = Memories()
    remember(memories, OutcomeKind.GONE)
    assert recalled(memories, now=DAY - 1) == 410
    assert recalled(memories, now=DAY) is None
    memories.sweep(DAY - 1)
    assert memories.refusals
    assert remember(memories, OutcomeKind.GONE, now=DAY), "news again"
    memories.sweep(2 * DAY)
    assert not memories.refusals


def test_refused_credentials_end_everything() -> None:
    memories = Memories()
    assert remember(memories, OutcomeKind.LOGIN)
    assert not remember(memories, OutcomeKind.LOGIN)
    assert recalled(memories, now=400 * DAY) == 403, (
        "in memory for ever: other credentials are another account"
    )
    assert memories.take(Forgotten(), 0)
    assert not memories.take(Forgotten(), 0)
    assert recalled(memories) is None
    assert remember(memories, OutcomeKind.LOGIN, shared=True)
    assert recalled(memories, now=SHARED_LOGIN - 1) == 403
    assert recalled(memories, now=SHARED_LOGIN) is None
    assert remember(memories, OutcomeKind.LOGIN, now=SHARED_LOGIN, shared=True)


def test_there_is_an_end_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "LIMIT", 3)
    memories = Memories()
    for number in range(5):
        remember(memories, OutcomeKind.GONE, "GET", f"/{number}", b"", b"")
    assert [recalled(memories, "GET", f"/{number}", b"", b"") for number in range(5)] == [
        None,
        None,
        410,
        410,
        410,
    ]
    assert memories.take(Forgotten(), 0)
    assert not memories.take(Forgotten(), 0)
    assert not memories.refusals


def test_organizations_are_learned_once() -> None:
    memories = Memories()
    assert memories.take(Belongs(7, 5), 0)
    assert not memories.take(Belongs(7, 5), 0)
    assert not memories.take(Forgotten(), 0)
    assert memories.organizations == {7: 5}


def test_they_can_be_stored() -> None:
    memories = Memories()
    remember(memories, OutcomeKind.GONE)
    remember(memories, OutcomeKind.LOGIN)
    memories.take(Belongs(7, 5), 0)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(memories), type=Memories) == memories


@pytest.mark.parametrize(("status", "kind"), [(410, EndpointGone), (402, FeatureUnavailable)])
def test_the_error_says_that_it_is_from_memory(status: int, kind: type) -> None:
    error = error_from_memory(RememberedRefusal(status, "no", "abc", None), method="GET", path="/x")
    assert type(error) is kind
    assert (error.status, error.from_memory, error.request_id, error.path) == (status, True, "abc", "/x")


def test_a_login_that_others_read_of_is_swept_out_after_a_quarter_of_an_hour() -> None:
    memories = Memories()
    assert remember(memories, OutcomeKind.LOGIN, shared=True)
    memories.sweep(SHARED_LOGIN - 1)
    assert memories.login is not None
    memories.sweep(SHARED_LOGIN)
    assert memories.login is None
