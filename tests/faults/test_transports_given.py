"""What is given in place of a transport, a scheduler or options is refused where it is given."""

from typing import Any

import httpx
import pytest

from toggl_async import ApiToken, InvalidInput, ScheduledTransport, Scheduler, TogglClient

TRANSPORT = "transport must be asynchronous, for instance httpx.AsyncHTTPTransport()"
SCHEDULER = "scheduler must be a Scheduler"
OPTIONS = "options must be a ClientOptions"
SYNCHRONOUS = httpx.HTTPTransport()

WRONG: list[tuple[dict[str, Any], str]] = [
    *(({"transport": one}, TRANSPORT) for one in ("", 5, object(), SYNCHRONOUS, httpx.AsyncHTTPTransport)),
    *(({"scheduler": one}, SCHEDULER) for one in (5, "", Scheduler)),
    ({"options": 5}, OPTIONS),
    ({"options": {}, "scheduler": Scheduler()}, OPTIONS),
]


@pytest.mark.parametrize(("given", "words"), WRONG)
def test_it_is_refused_with_what_was_expected(given: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        TogglClient(ApiToken("a" * 32), **given)
    assert words in str(caught.value)
    others = {"inner" if name == "transport" else name: value for name, value in given.items()}
    with pytest.raises(InvalidInput) as caught:
        ScheduledTransport(**others)
    assert words in str(caught.value)
