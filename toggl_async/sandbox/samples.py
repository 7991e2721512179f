"""Plausible answers, made from the documents: the right types, real ids, the same each time."""

import datetime as dt
import zlib
from collections.abc import Callable, Mapping
from typing import Any, Final

import attrs

from toggl_async.sandbox import timestamps, words
from toggl_async.sandbox.call import ApiRequest
from toggl_async.sandbox.checking import Checker
from toggl_async.sandbox.described import Documents, Schema

__all__ = ["Samples"]

_DAY: Final = 86_400
_GONE: Final = ("deleted_at", "suspended_at", "next_page_token", "next_cursor", "error_message")
"""Ends of names that mean that something is over, or that there is more; here nothing is."""

_SHORT: Final[Mapping[str, str]] = {
    "wid": "workspace_id",
    "pid": "project_id",
    "tid": "task_id",
    "uid": "user_id",
    "cid": "client_id",
    "gid": "group_id",
    "creator_id": "user_id",
    "owner_id": "user_id",
}

_TEXTS: Final[tuple[tuple[str, Callable[[int], str]], ...]] = (
    ("email", lambda seed: f"person{seed % 12 + 1}@example.com"),
    ("url", lambda seed: f"https://track.toggl.com/sample/{seed:08x}"),
    ("currency", lambda _: "EUR"),
    ("timezone", lambda seed: words.ZONES[seed % len(words.ZONES)]),
    ("color", lambda seed: words.COLORS[seed % len(words.COLORS)]),
    ("token", lambda seed: f"{seed:08x}" * 4),
    ("uuid", lambda seed: f"{seed:08x}-0000-4000-8000-{seed:012x}"),
    ("user_name", lambda seed: words.PEOPLE[seed % len(words.PEOPLE)]),
    ("fullname", lambda seed: words.PEOPLE[seed % len(words.PEOPLE)]),
    ("client_name", lambda seed: words.CLIENTS[seed % len(words.CLIENTS)]),
    ("name", lambda seed: words.PROJECTS[seed % len(words.PROJECTS)]),
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
        documents: the schemas.
        checker: tells whether what was sent can be sent back.
        call: the request: its path and the company tell the real ids.
        sent: the fields of its body, which come back where the answer has them.
    """

    documents: Documents
    checker: Checker
    call: ApiRequest
    sent: Mapping[str, Any]

    def answer(self, schema: Schema) -> Any:
        """Make up the whole answer; a page after the first is empty."""
        schema = self.documents.resolved(schema)
        if "items" in schema:
            return [] if self._goes_on() else [self._value("", schema["items"], (str(n),)) for n in (1, 2)]
        return self._value("", schema, ("",))

    def _goes_on(self) -> bool:
        """Tell whether another page than the first is asked for."""
        asked = {**self.sent, **self.call.query}
        pages = (str(asked.get(name) or 1) for name in ("page", "page_number"))
        places = (str(asked.get(name) or 0) for name in ("start", "start_id", "start_project_id", "offset"))
        return (
            any(page != "1" for page in pages)
            or any(place.isdecimal() and place != "0" for place in places)
            or bool(asked.get("page_token"))
        )

    def _value(self, name: str, schema: Schema, way: tuple[str, ...]) -> Any:
        """Make up a value; `way` leads to it from the answer's root, and tells it from all others."""
        way = (*way, name or "item")
        if "record" in schema and f"<{schema['record']}>" in way:
            return None  # a record in itself
        if "record" in schema:
            way = (*way, f"<{schema['record']}>")
        schema = self.documents.resolved(schema)
        if "oneOf" in schema:
            return self._value(name, schema["oneOf"][0], way)
        if "fields" in schema:
            return {key: self._field(key, inner, way) for key, inner in schema["fields"].items()}
        kinds = schema.get("type", "object")
        kind = kinds if isinstance(kinds, str) else next(one for one in kinds if one != "null")
        if kind != kinds and name.endswith(_GONE):
            return None
        if kind == "array":
            many = 0 if self._goes_on() else max(1, schema.get("minItems", 0))
            return [self._value(name, schema.get("items", {}), (*way, str(place))) for place in range(many)]
        if kind == "object":
            return {"1": self._value(name, schema["values"], way)} if "values" in schema else {}
        return self._plain(name, kind, schema, zlib.crc32("/".join(way).encode()))

    def _field(self, name: str, schema: Schema, way: tuple[str, ...]) -> Any:
        """Make up a field, or give back what was sent for it."""
        if name in self.sent and self.checker.fits(self.sent[name], schema):
            return self.sent[name]
        return self._value(name, schema, way)

    def _plain(self, name: str, kind: str, schema: Schema, seed: int) -> bool | float | str | None:
        """Make up a value that holds no other."""
        if "enum" in schema:
            known: str | int = schema["enum"][0]
            return known
        if kind == "boolean":
            return seed % 2 == 0
        if kind == "integer":
            return self._whole(name, seed)
        if kind == "number":
            return seed % 10_000 / 100
        return self._text(name, schema.get("format"), seed)

    def _whole(self, name: str, seed: int) -> int:
        known = _SHORT.get(name, name)
        if known in self.call.path:
            return self.call.path[known]
        found = self._real_id(known)
        if found is not None:
            return found
        if known.endswith(("_at", "timestamp")):
            return int(self.call.now)
        if known == "id" or known.endswith("_id"):
            return 10_000_000 + seed % 10_000_000
        return next((value for part, value in _NUMBERS if part in known), 1 + seed % 97)

    def _real_id(self, name: str) -> int | None:
        """Return the id of something that there is."""
        company, person = self.call.company, self.call.person
        workspace_id = self.call.path.get("workspace_id", person.default_workspace_id)
        tables: Mapping[str, Callable[[], list[int]]] = {
            "workspace_id": lambda: [workspace_id],
            "organization_id": lambda: list(company.organizations),
            "user_id": lambda: [person.id],
            "project_id": lambda: [row.id for row in company.projects_of(workspace_id)],
            "client_id": lambda: [row.id for row in company.clients_of(workspace_id)],
            "task_id": lambda: [row.id for row in company.tasks_of(workspace_id)],
            "tag_id": lambda: [row.id for row in company.tags_of(workspace_id)],
            "group_id": lambda: [row.id for row in company.groups_of(workspace_id)],
        }
        found = tables[name]() if name in tables else []
        return found[0] if found else None

    def _text(self, name: str, form: str | None, seed: int) -> str:
        moment = int(self.call.now) - seed % 30 * _DAY
        if form == "date-time":
            return timestamps.offset_utc(moment)
        if form == "date":
            return dt.datetime.fromtimestamp(moment, dt.UTC).date().isoformat()
        return next((make(seed) for part, make in _TEXTS if part in name), f"sample {seed % 97}")
