"""How the company lives on: what its people do in a day, the same for the same seed."""

import random
from collections.abc import Callable
from typing import Final

import attrs

from toggl_async.sandbox import shapes, words
from toggl_async.sandbox.call import Happening
from toggl_async.sandbox.entities import PersonRow, TimeEntryRow
from toggl_async.sandbox.state import State

__all__ = ["Workday", "live_a_day"]

_DAY: Final = 86_400
_REACH: Final = 60 * _DAY
"""Seconds that people look back when they change what they tracked."""


@attrs.frozen(kw_only=True)
class Workday:
    """What happened to time entries in a day, by their ids.

    Attributes:
        added: new ones.
        edited: those with another description, duration, project or tags.
        redated: those that now start on another day, some in another month.
        moved: those that are now in another workspace, without their project, task and tags.
        deleted: those that are gone.
    """

    added: tuple[int, ...]
    edited: tuple[int, ...]
    redated: tuple[int, ...]
    moved: tuple[int, ...]
    deleted: tuple[int, ...]


def live_a_day(
    state: State, rng: random.Random, now: float, publish: Callable[[Happening, PersonRow], None]
) -> Workday:
    """Let the company live the day that ends at `now`, and publish what webhooks are to hear."""
    return _Day(state, rng, int(now), publish).live()


class _Day:
    """One day: new entries of everybody, and changes to earlier ones, each of a different entry."""

    def __init__(
        self, state: State, rng: random.Random, now: int, publish: Callable[[Happening, PersonRow], None]
    ) -> None:
        self._state = state
        self._rng = rng
        self._now = now
        self._publish = publish

    def live(self) -> Workday:
        known = [
            entry
            for entry in self._state.entries.values()
            if entry.reported and self._now - _REACH < entry.start
        ]
        self._rng.shuffle(known)
        movable = [entry for entry in known if self._other_workspace(entry) is not None]
        moved = movable[: self._few(known)]
        rest = [entry for entry in known if entry not in moved]
        few = self._few(known)
        edited, redated, deleted = rest[: 3 * few], rest[3 * few : 4 * few], rest[4 * few : 5 * few]
        for change, entries in (
            (self._edit, edited),
            (self._redate, redated),
            (self._move, moved),
            (self._delete, deleted),
        ):
            for entry in entries:
                change(entry)
                self._touch(entry, "updated" if entry.deleted is None else "deleted")
        added = [self._add(person) for person in self._state.members if not person.inactive for _ in range(2)]
        return Workday(
            added=_ids(added),
            edited=_ids(edited),
            redated=_ids(redated),
            moved=_ids(moved),
            deleted=_ids(deleted),
        )

    def _few(self, known: list[TimeEntryRow]) -> int:
        return 1 + len(known) // 400

    def _touch(self, entry: TimeEntryRow, action: str) -> None:
        """Note that an entry has changed at some moment of the day."""
        self._state.touch(entry, self._rng.uniform(self._now - _DAY + 1, self._now - 1))
        happening = Happening(
            entity="time_entry",
            action=action,
            workspace_id=entry.workspace_id,
            payload=shapes.entry(self._state, entry, written=True),
        )
        self._publish(happening, self._state.people[entry.user_id])

    def _add(self, person: PersonRow) -> TimeEntryRow:
        """Let a person track something."""
        state, rng = self._state, self._rng
        space = rng.choice(state.workspaces_of(person))
        project = rng.choice([None, *(one for one in state.projects_of(space.id) if one.active)])
        tags = [tag.id for tag in state.tags_of(space.id)]
        seconds = rng.randrange(300, 7200)
        entry = TimeEntryRow(
            id=state.new_id("entry", rng.randrange(1, 50)),
            workspace_id=space.id,
            user_id=person.id,
            project_id=None if project is None else project.id,
            billable=project is not None and project.billable and state.paid,
            start=self._now - rng.randrange(seconds, _DAY),
            seconds=seconds,
            description=rng.choice(words.DESCRIPTIONS),
            tag_ids=tuple(rng.sample(tags, min(len(tags), rng.choice((0, 1, 2))))),
        )
        self._touch(entry, "created")
        return entry

    def _edit(self, entry: TimeEntryRow) -> None:
        """Change the time, the words, or the tags."""
        kind = self._rng.randrange(3)
        if kind == 0:
            entry.seconds = (entry.seconds or 0) + self._rng.randrange(60, 1800)
        elif kind == 1:
            entry.description = f"{entry.description} ({self._rng.choice(('again', 'done', 'checked'))})"
        else:
            tags = [tag.id for tag in self._state.tags_of(entry.workspace_id)]
            entry.tag_ids = tuple(self._rng.sample(tags, min(len(tags), 3)))

    def _redate(self, entry: TimeEntryRow) -> None:
        entry.start -= self._rng.choice((1, 2, 7, 31, 40)) * _DAY

    def _move(self, entry: TimeEntryRow) -> None:
        entry.workspace_id = self._other_workspace(entry) or entry.workspace_id
        entry.project_id = entry.task_id = None
        entry.billable, entry.tag_ids = False, ()

    def _delete(self, entry: TimeEntryRow) -> None:
        entry.deleted = self._now - self._rng.randrange(1, _DAY)

    def _other_workspace(self, entry: TimeEntryRow) -> int | None:
        """Return a workspace that an entry's owner could move it to."""
        spaces = self._state.workspaces_of(self._state.people[entry.user_id])
        return next((space.id for space in spaces if space.id != entry.workspace_id), None)


def _ids(entries: list[TimeEntryRow]) -> tuple[int, ...]:
    return tuple(entry.id for entry in entries)
