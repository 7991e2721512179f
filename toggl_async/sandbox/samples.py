"""Plausible answers to what the sandbox keeps no state of: made from the documents, the same each time.

A sample is what its document says, and contradicts no state: things that there are go by their own
ids and names. No row comes twice. (No library does this: those on PyPI make values at random, know
no real ids, and either disobey the documents, are not the same twice, or no longer run.)
"""

import datetime as dt
import functools
import itertools
import re
import zlib
from collections.abc import Callable, Mapping
from typing import Any, Final

import attrs

from toggl_async.sandbox import shapes, timestamps, words
from toggl_async.sandbox.call import ApiRequest
from toggl_async.sandbox.checking import fits
from toggl_async.sandbox.documents import Schema, child, schema_at

__all__ = ["Samples", "fields_of"]

_ROWS: Final = 2
_HOUR: Final = 3600
_DAY: Final = 24 * _HOUR
_GONE: Final = ("deleted_at", "suspended_at", "next_page_token", "next_cursor", "error_message")
"""Ends of names that mean that something is over, or that there is more; here nothing is."""

_CAPITAL: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")
"""Where a word begins in a name that is written with capitals; all else has underscores."""

_ROLES: Final = ("user", "creator", "creator_user", "owner", "member", "approver")
"""What a person can be to something, as the names of fields have it."""

_SCOPES: Final = ("organization_id", "workspace_id")
_LATER: Final = ("end", "stop", "due", "expires", "valid_until")
"""Beginnings of names of moments that come after others."""

_TEXTS: Final[tuple[tuple[str, Callable[[int], str]], ...]] = (
    ("email", lambda seed: f"sample{seed % 97}@example.com"),
    ("url", lambda seed: f"https://track.toggl.com/sample/{seed:08x}"),
    ("timezone", lambda seed: words.ZONES[seed % len(words.ZONES)]),
    ("color", lambda seed: words.COLORS[seed % len(words.COLORS)]),
    ("token", lambda seed: f"{seed:08x}" * 4),
    ("uuid", lambda seed: f"{seed:08x}-0000-4000-8000-{seed:012x}"),
    ("periodicity", lambda _: "weekly"),
    ("description", lambda seed: words.DESCRIPTIONS[seed % 64]),
)
"""Parts of names, and what is written where one of them stands."""

_NUMBERS: Final[tuple[tuple[str, int], ...]] = (
    ("_in_cents", 12_500),
    ("seconds", 3600),
    ("duration", 3600),
    ("minutes", 480),
    ("per_page", 50),
    ("page", 1),
)


@attrs.frozen
class Samples:
    """Makes up what one request is answered with.

    Attributes:
        call: the request: its path and the company tell the real ids.
        sent: the fields of its body, which come back where the answer has them.
        kept: whether they are all that is known of a row: what else it may have is null, false or zero.
    """

    call: ApiRequest
    sent: Mapping[str, Any]
    kept: bool = False

    def answer(self, where: str) -> Any:
        """Make up the whole answer, from the schema at this place."""
        where, schema = schema_at(where)
        if schema.get("type") != "array":
            return self._value(where, "", (), 0)
        made = [self._value(child(where, "items"), "", (f"row {row}",), row) for row in range(_ROWS)]
        return [value for place, value in enumerate(made) if value not in made[:place]]

    def record(self, where: str, number: int) -> Any:
        """Make up one row of a list, from its schema at this place."""
        return self._value(where, "", (f"row {number}",), number)

    def _goes_on(self) -> bool:
        """Tell whether another page than the first is asked for."""
        query = self.call.query
        return any(map(query.get, ("page_token", "cursor"))) or query.get("page_number", "1") != "1"

    def _value(self, where: str, name: str, way: tuple[str, ...], row: int) -> Any:
        """Make up a value; `way` leads to it from the answer's root, and tells it from all others."""
        where, schema = schema_at(where)
        own = self._own(where, row)
        if own is not None:
            return own
        for choice in schema.keys() & {"anyOf", "oneOf"}:
            if self.kept and {"type": "null"} in schema[choice]:
                return None
            index = next(at for at, option in enumerate(schema[choice]) if option != {"type": "null"})
            return self._value(child(where, choice, index), name, way, row)
        fields = fields_of(where)
        if fields:
            return self._object(fields, way, row)
        kinds = schema.get("type", "object")
        kind = kinds if isinstance(kinds, str) else next(one for one in kinds if one != "null")
        if kind != kinds and (self.kept or name.endswith(_GONE)):
            return None
        if kind == "array":
            # Time entries are state: a sample invents none.
            some = 0 if self.kept or self._goes_on() or name == "time_entries" else 1
            many = max(some, schema.get("minItems", 0))
            return [self._value(child(where, "items"), name, (*way, str(n)), row + n) for n in range(many)]
        if kind == "object":
            inner = (
                self._value(child(where, "additionalProperties"), name, way, row) if _mapped(schema) else {}
            )
            return {"1": inner} if _mapped(schema) else {}
        return self._plain(name, kind, schema, way, row)

    def _object(self, fields: Mapping[str, str], way: tuple[str, ...], row: int) -> Any:
        """Make up an object; what was sent, what the path says, and what there is goes before."""
        known = self.facts(row)
        if not way and "id" in fields:
            ids = [value for name, value in self.call.path.items() if name not in _SCOPES]
            known |= {"id": ids[-1]} if ids and isinstance(ids[-1], int) else {}
        thing = next(iter(fields)).removesuffix("_id")
        if f"{thing}_name" in known:  # an object that begins with the id of a thing is about that thing
            known |= {"name": known[f"{thing}_name"]}
        for name in self.sent:  # what gets a name is new, so there is no id of it that could be told
            known[f"{name.removesuffix('_name')}_id"] = None
        known |= self.sent
        made = {}
        for name, where in fields.items():
            value = known.get(_CAPITAL.sub("_", name).lower(), ...)
            if value is not ... and fits(value, where):
                made[name] = value
            elif value is not None and not (
                self.kept and name.endswith("_id")
            ):  # what isn't there is left out
                made[name] = self._value(where, name, (*way, name), row)
        return made

    def _plain(
        self, name: str, kind: str, schema: Schema, way: tuple[str, ...], row: int
    ) -> bool | float | str | None:
        """Make up a scalar value."""
        seed = zlib.crc32("/".join(way).encode())
        if "enum" in schema:
            allowed: list[Any] = [one for one in schema["enum"] if one is not None]
            choice: str = allowed[row % len(allowed)]
            return choice
        if kind == "boolean":
            return name.endswith("active") if self.kept else seed % 2 == 0
        if self.kept and kind in {"integer", "number"}:
            return float(schema.get("minimum", 0)) if kind == "number" else int(schema.get("minimum", 0))
        if kind == "integer":
            least: int = schema.get("minimum", 0)
            return max(self._whole(name, seed), least)
        if kind == "number":
            return seed % 10_000 / 100
        return self._text(name, schema.get("format"), seed, row)

    def _whole(self, name: str, seed: int) -> int:
        if name == "id" or name.endswith("_id"):
            return 10_000_000 + seed % 10_000_000
        return next((value for part, value in _NUMBERS if part in name), 1 + seed % 97)

    def _text(self, name: str, form: str | None, seed: int, row: int) -> str:
        moment = self._moment(row) + (_HOUR if name.startswith(_LATER) else 0)
        if form == "date-time":
            return timestamps.offset_utc(moment)
        if form == "date":
            return dt.datetime.fromtimestamp(moment, dt.UTC).date().isoformat()
        if self.kept:
            return ""
        return next((make(seed) for part, make in _TEXTS if part in name), f"sample {seed % 997}")

    def _moment(self, row: int) -> int:
        """Return a moment of one of the last days, the same all day long."""
        now = int(self.call.now)
        return now - now % _DAY - row * _DAY - 12 * _HOUR

    def _own(self, where: str, row: int) -> Any:
        """Return one of the person's own time entries, if that is what is wanted; None otherwise."""
        company = self.call.company
        if not where.endswith("/TimeEntry"):
            return None
        entries = [entry for entry in company.personal(self.call.person.id) if entry.reported]
        return shapes.entry(company, entries[row % len(entries)]) if entries else None

    def facts(self, row: int) -> dict[str, Any]:
        """Return what is true of the things that a row speaks of, by the names that fields have."""
        call, company = self.call, self.call.company
        space = company.workspaces[call.path.get("workspace_id", call.person.default_workspace_id)]
        organization = company.organizations[space.organization_id]
        with_tasks = {task.project_id for task in company.tasks_of(space.id)}
        projects = sorted(company.projects_of(space.id), key=lambda one: one.id not in with_tasks)
        facts: dict[str, Any] = {
            "workspace_id": space.id,
            "wid": space.id,
            "workspace_name": space.name,
            "organization_id": organization.id,
            "organization_name": organization.name,
            "currency": "EUR",
            **shapes.project_facts(company, self._at(projects, row, "project_id")),
        }
        people = [company.people[one] for one in space.members]
        for role in _ROLES:
            person = self._at(people, row, f"{role}_id")
            if person is not None:
                facts |= {f"{role}_id": person.id, f"{role}_name": person.name}
        person = self._at(people, row, "user_id")
        if person is not None:
            facts |= shapes.person_facts(person)
        entry = self._at(company.reported(space.id), row, "time_entry_id")
        if entry is not None:
            facts["time_entry_id"] = entry.id
        tag = self._at(company.tags_of(space.id), row, "tag_id")
        if tag is not None:
            facts |= {"tag_id": tag.id, "tag_ids": [tag.id], "tag_names": [tag.name], "tags": [tag.name]}
        group = self._at(company.groups_of(space.id), row, "group_id")
        if group is not None:
            facts |= {
                "group_id": group.id,
                "gid": group.id,
                "group_ids": [group.id],
                "group_name": group.name,
            }
        return {**facts, **call.path}

    def _at(self, rows: list[Any], place: int, name: str) -> Any:
        """Return the row that the request names by its id, or else the one at this place; None for none."""
        wanted = self.sent.get(name) or self.call.path.get(name)
        found = [row for row in rows if row.id == wanted] or ([] if self.kept else rows)
        return found[place % len(found)] if found else None


def _mapped(schema: Schema) -> bool:
    """Tell whether the schema says what the values of an object are, whatever their names."""
    return isinstance(schema.get("additionalProperties"), dict)


@functools.cache
def fields_of(where: str) -> Mapping[str, str]:
    """Gather the fields of an object from all of its parts, and where their schemas stand."""
    where, schema = schema_at(where)
    parts = (fields_of(child(where, "allOf", index)) for index in range(len(schema.get("allOf", ()))))
    own = {name: child(where, "properties", name) for name in schema.get("properties", ())}
    return dict(itertools.chain.from_iterable(part.items() for part in (*parts, own)))
