"""Decoding a page of 10,000 time entries from bytes to records: the codec against others, in one run.

Run it with ``nox -s bench -- decoding``. It prints a Markdown table of the ratios, which hold from
machine to machine where microseconds do not. Every contender is measured in turn, round after
round, and its best round counts, so that a busy moment hits all of them alike; as always with
`timeit`, the garbage collector rests meanwhile.
"""

import datetime as dt
import json
import timeit
import warnings
from collections.abc import Callable
from typing import Any, Final

import attrs
import cattrs.preconf.msgspec
import msgspec
import pydantic

from toggl_async.codec import Codec, DriftWarning
from toggl_async.record import Record

ENTRIES: Final = 10_000
ROUNDS: Final = 15


@attrs.frozen(kw_only=True)
class Entry(Record):
    """A time entry with every field that ``GET /api/v9/me/time_entries`` sends, so that none is lost."""

    id: int
    workspace_id: int
    project_id: int | None = None
    task_id: int | None = None
    billable: bool | None = None
    start: dt.datetime | None = None
    stop: dt.datetime | None = None
    duration: int | None = None
    description: str | None = None
    tags: list[str] | None = None
    tag_ids: list[int] | None = None
    duronly: bool | None = None
    at: dt.datetime | None = None
    server_deleted_at: dt.datetime | None = None
    user_id: int | None = None
    uid: int | None = None
    wid: int | None = None
    pid: int | None = None
    tid: int | None = None


def rows() -> list[dict[str, object]]:
    """Make entries in the shapes of the real API: offsets, fractions, long ids, nulls, legacy twins."""
    start = dt.datetime(2024, 1, 1, 8, tzinfo=dt.timezone(dt.timedelta(hours=3)))
    return [
        {
            "id": 3_700_000_000 + number,
            "workspace_id": 7_000_000,
            "project_id": 200_000_000 + number % 40,
            "task_id": None,
            "billable": number % 3 == 0,
            "start": (start + dt.timedelta(hours=number)).isoformat(),
            "stop": (start + dt.timedelta(hours=number, minutes=55)).isoformat(),
            "duration": 3300,
            "description": f"Drawing the façade, part {number}",
            "tags": ["design", "site"],
            "tag_ids": [17_000_001, 17_000_002],
            "duronly": True,
            "at": "2024-12-12T11:00:00.123456Z",
            "server_deleted_at": None,
            "user_id": 9_000_000,
            "uid": 9_000_000,
            "wid": 7_000_000,
            "pid": 200_000_000 + number % 40,
            "tid": None,
        }
        for number in range(ENTRIES)
    ]


def page(*, odd_every: int | None = None, new_field: bool = False) -> bytes:
    """Write the page as Toggl would, if asked with odd records or a field that no record knows."""
    entries = rows()
    for entry in entries[:: odd_every or ENTRIES + 1][1:]:
        entry["duration"] = str(entry["duration"])
    if new_field:
        entries = [entry | {"new_field": 1} for entry in entries]
    return json.dumps(entries, ensure_ascii=False).encode()


def models_of(record: type[attrs.AttrsInstance]) -> Any:
    """Make the type of a list of pydantic models with the very fields of a record."""
    fields: dict[str, Any] = {
        field.name: (field.type, ... if field.default is attrs.NOTHING else field.default)
        for field in attrs.fields(record)
    }
    model: Any = pydantic.create_model(record.__name__, **fields)
    return list[model]


def contenders() -> dict[str, Callable[[], object]]:
    """Name what is measured; the first is what everything else is compared with."""
    plain, odd, new = page(), page(odd_every=100), page(new_field=True)
    codec, keeping = Codec(), Codec(keep_unknown=True)
    strict = msgspec.json.Decoder(list[Entry])
    adapter: pydantic.TypeAdapter[Any] = pydantic.TypeAdapter(models_of(Entry))
    converter = cattrs.preconf.msgspec.make_converter()
    assert codec.decode(list[Entry], plain, operation="check") == strict.decode(plain)
    assert codec.decode(list[Entry], odd, operation="check") == strict.decode(plain)
    assert converter.loads(plain, list[Entry]) == strict.decode(plain)
    assert adapter.validate_json(plain)[-1].model_dump() == attrs.asdict(strict.decode(plain)[-1])
    return {
        "msgspec alone, into the same attrs records": lambda: strict.decode(plain),
        "**toggl_async**": lambda: codec.decode(list[Entry], plain, operation="plain"),
        "**toggl_async**, 1 % odd records": lambda: codec.decode(list[Entry], odd, operation="odd"),
        "**toggl_async**, unknown fields kept": lambda: keeping.decode(list[Entry], new, operation="new"),
        "pydantic 2": lambda: adapter.validate_json(plain),
        "cattrs alone": lambda: converter.loads(plain, list[Entry]),
    }


def measure(functions: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Measure the best time of each, in seconds."""
    best = dict.fromkeys(functions, float("inf"))
    for _ in range(ROUNDS):
        for name, function in functions.items():
            best[name] = min(best[name], timeit.timeit(function, number=1))
    return best


def main() -> None:
    """Measure, and print the table."""
    warnings.simplefilter("ignore", DriftWarning)
    best = measure(contenders())
    alone, ours, odd, _, pydantic_2, cattrs_alone = best.values()
    print("| from bytes to records | µs a record | x msgspec alone |\n|---|---|---|")
    for name, seconds in best.items():
        print(f"| {name} | {seconds / ENTRIES * 1e6:.2f} | {seconds / alone:.2f} |")
    print("\n| target | measured | |\n|---|---|---|")
    for target, measured, met in (
        ("at most 1.3 x msgspec alone", ours / alone, ours / alone <= 1.3),
        ("with 1 % odd records at most 1.6 x msgspec alone", odd / alone, odd / alone <= 1.6),
        ("at least 2.5 x as fast as pydantic 2", pydantic_2 / ours, pydantic_2 / ours >= 2.5),
        ("at least 4 x as fast as cattrs alone", cattrs_alone / ours, cattrs_alone / ours >= 4),
    ):
        print(f"| {target} | {measured:.2f} | {'met' if met else 'missed'} |")


if __name__ == "__main__":
    main()
