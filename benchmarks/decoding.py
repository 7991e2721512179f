"""Decoding a page of 10,000 time entries from bytes to records: the codec against others, in one run.

Run it with ``nox -s bench -- decoding``. It publishes the ratios, which hold from
machine to machine where microseconds do not. Every contender is measured in turn, round after
round; a ratio is the median of those of the rounds, so that a busy moment hits both sides alike,
and microseconds are those of the best round. As always with `timeit`, the garbage collector rests
meanwhile.

The same answer is read in two shapes: into a record that has every field of it, which is what
msgspec is best at, and into the package's own `TimeEntry`, which leaves out five fields that say
the same twice and has a dozen that this answer lacks. Looking for those is what msgspec is slow at
with attrs classes, and what `toggl_async.codec.strict` spares it.
"""

import datetime as dt
import functools
import json
import operator
import statistics
import sys
import timeit
import types
import warnings
from collections.abc import Callable, Mapping
from typing import Any, Final, get_args, get_origin

import attrs
import cattrs.preconf.msgspec
import msgspec
import pydantic
from rig.report import machine, mark, publish, save, table

from toggl_async._operations.record import Moment, Record
from toggl_async.codec import Codec, DriftWarning
from toggl_async.codec.strict import fields_of, holds_records, is_record
from toggl_async.records import TimeEntry

ENTRIES: Final = 10_000
ROUNDS: Final = 21

ALONE: Final = "msgspec alone, into the same attrs records"
OURS: Final = "**toggl_async**"
ODD: Final = f"{OURS}, 1 % odd records"
PYDANTIC: Final = "pydantic 2"
CATTRS: Final = "cattrs alone"


@attrs.frozen(kw_only=True)
class Entry(Record):
    """A time entry with every field that ``GET /api/v9/me/time_entries`` sends, so that none is lost."""

    id: int
    workspace_id: int
    project_id: int | None = None
    task_id: int | None = None
    billable: bool | None = None
    start: Moment | None = None
    stop: Moment | None = None
    duration: int | None = None
    description: str | None = None
    tags: list[str] | None = None
    tag_ids: list[int] | None = None
    duronly: bool | None = None
    at: Moment | None = None
    server_deleted_at: Moment | None = None
    user_id: int | None = None
    uid: int | None = None
    wid: int | None = None
    pid: int | None = None
    tid: int | None = None


SHAPES: Final = {
    "Every field of the answer": Entry,
    "The package's own `TimeEntry`": TimeEntry,
}


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


def models_of(record: Any) -> Any:
    """Make a pydantic model with the very fields of a record, and of the records inside of it."""
    fields: dict[str, Any] = {
        field.name: (_modelled(field.form), ... if field.required else None) for field in fields_of(record)
    }
    return pydantic.create_model(record.__name__, **fields)


def _modelled(form: Any) -> Any:
    """Put models in place of the records in a type."""
    if is_record(form):
        return models_of(form)
    if not holds_records(form):
        return form
    arguments = [_modelled(argument) for argument in get_args(form)]
    if get_origin(form) is types.UnionType:
        return functools.reduce(operator.or_, arguments)
    return get_origin(form)[*arguments]


def contenders(record: Any, pages: Mapping[str, bytes]) -> dict[str, Callable[[], object]]:
    """Name what is measured; the first is what everything else is compared with."""
    plain = pages["plain"]
    strict = msgspec.json.Decoder(list[record])
    adapter: pydantic.TypeAdapter[Any] = pydantic.TypeAdapter(_modelled(list[record]))
    converter = cattrs.preconf.msgspec.make_converter()
    expected = strict.decode(plain)
    assert len(expected) == ENTRIES
    assert expected[0].start.utcoffset() == dt.timedelta(hours=3)
    assert Codec().decode(list[record], plain, operation="check") == expected
    assert Codec().decode(list[record], pages["odd"], operation="check") == expected
    assert converter.loads(plain, list[record]) == expected
    assert adapter.validate_json(plain)[-1].model_dump() == attrs.asdict(expected[-1])
    codec, keeping = Codec(), Codec(keep_unknown=True)
    return {
        ALONE: lambda: strict.decode(plain),
        OURS: lambda: codec.decode(list[record], plain, operation="plain"),
        ODD: lambda: codec.decode(list[record], pages["odd"], operation="odd"),
        f"{OURS}, unknown fields kept": lambda: keeping.decode(list[record], pages["new"], operation="new"),
        PYDANTIC: lambda: adapter.validate_json(plain),
        CATTRS: lambda: converter.loads(plain, list[record]),
    }


def measure(functions: Mapping[str, Callable[[], object]]) -> dict[str, list[float]]:
    """Measure the times of each, in seconds, in rounds."""
    times: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(ROUNDS):
        for name, function in functions.items():
            times[name].append(timeit.timeit(function, number=1))
    return times


def ratio(times: Mapping[str, list[float]], name: str, base: str) -> float:
    """How many times as long as `base` something takes: the median of the rounds."""
    return statistics.median(one / other for one, other in zip(times[name], times[base], strict=True))


@attrs.frozen
class Target:
    """One target, what was measured, and whether that meets it."""

    what: str
    measured: float
    met: bool


def judge(times: Mapping[str, list[float]]) -> list[Target]:
    """Hold the times of one shape against the targets."""
    ours, odd = ratio(times, OURS, ALONE), ratio(times, ODD, ALONE)
    pydantic_2, cattrs_alone = ratio(times, PYDANTIC, OURS), ratio(times, CATTRS, OURS)
    return [
        Target("at most 1.3 x msgspec alone", ours, ours <= 1.3),
        Target("with 1 % odd records at most 1.6 x msgspec alone", odd, odd <= 1.6),
        Target("at least 2.5 x as fast as pydantic 2", pydantic_2, pydantic_2 >= 2.5),
        Target("at least 4 x as fast as cattrs alone", cattrs_alone, cattrs_alone >= 4),
    ]


def tables(title: str, times: Mapping[str, list[float]], targets: list[Target]) -> str:
    """Write the tables of one shape."""
    measured = table(
        ("from bytes to records", "µs a record", "x msgspec alone"),
        [
            (name, f"{min(values) / ENTRIES * 1e6:.2f}", f"{ratio(times, name, ALONE):.2f}")
            for name, values in times.items()
        ],
    )
    judged = table(
        ("target", "measured", ""),
        [(target.what, f"{target.measured:.2f}", mark(met=target.met)) for target in targets],
    )
    return f"**{title}**\n\n{measured}\n\n{judged}"


def main() -> int:
    """Measure both shapes, print and publish their tables; return the exit code."""
    warnings.simplefilter("ignore", DriftWarning)
    pages = {"plain": page(), "odd": page(odd_every=100), "new": page(new_field=True)}
    times = {title: measure(contenders(record, pages)) for title, record in SHAPES.items()}
    targets = {title: judge(measured) for title, measured in times.items()}
    text = "\n\n".join(tables(title, times[title], targets[title]) for title in SHAPES)
    print(text)
    publish("decoding", text)
    save(
        "decoding",
        {
            "machine": machine(),
            "targets": {
                title: [attrs.asdict(target) for target in judged] for title, judged in targets.items()
            },
        },
    )
    return 0 if all(target.met for judged in targets.values() for target in judged) else 1


if __name__ == "__main__":
    sys.exit(main())
