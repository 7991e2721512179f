"""Values that may be of several types, such as ids beside the records that they name."""

import warnings

import attrs

from toggl_async._operations.record import Record
from toggl_async.codec import Codec


@attrs.frozen(kw_only=True)
class Person(Record):
    id: int
    name: str | None = None


@attrs.frozen(kw_only=True)
class Statistics(Record):
    admins: list[int | Person] | None = None


def test_each_member_is_read_as_what_it_is_and_keeps_what_is_unknown() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read = Codec(keep_unknown=True).decode(
            Statistics, b'{"admins": [7, {"id": 8, "since": 2024}], "new": true}', operation="test"
        )
    assert read.admins == [7, Person(id=8)]
    assert read.admins[1].unknown == {"since": 2024}
    assert read.unknown == {"new": True}
