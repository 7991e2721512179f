"""Which rows of a table to forget, and what has to be read again afterwards. Pure."""

from collections.abc import Iterable, Iterator

from toggl_async.export.mirror.store import Forget, UnreadPart
from toggl_async.export.mirror.tables import DAY, Table
from toggl_async.export.plan.datasets import DATASETS, ENTRIES
from toggl_async.export.rows import Stored

__all__ = ["condition_of", "parts_to_read"]


def condition_of(chosen: Forget, declared: Table, mark: str) -> tuple[str, list[Stored]]:
    """The condition for the rows of a table to forget, and its parameters; "" if there are none.

    Args:
        chosen: what to forget.
        declared: the table.
        mark: the placeholder of a parameter.
    """
    conditions, values = list[str](), list[Stored]()

    def add(condition: str, value: Stored) -> None:
        conditions.append(f"{condition} {mark}")
        values.append(value)

    if chosen.workspace_id is not None:
        if declared.name == "workspaces":
            add("id =", chosen.workspace_id)
        elif "workspace_id" in declared.place:
            add("workspace_id =", chosen.workspace_id)
    if chosen.user_id is not None:
        if declared.name == "users":
            add("id =", chosen.user_id)
        elif declared.name == ENTRIES.name:
            add("user_id =", chosen.user_id)
    if chosen.before is not None and declared.name == ENTRIES.name:
        add(f"{DAY} <", chosen.before.isoformat())
    return " OR ".join(conditions), values


def parts_to_read(chosen: Forget, workspaces: Iterable[int]) -> Iterator[UnreadPart]:
    """The parts that an update has to read as if they had never been read.

    An update asks for what changed, and for whole ranges as far back as the mirror has time entries. Neither
    returns what was forgotten. Old time entries are left out here, because they must not come back.

    Args:
        chosen: what to forget.
        workspaces: those in which the user has tracked time.
    """
    if chosen.workspace_id is not None:
        yield from ((name, chosen.workspace_id) for name in DATASETS)
    if chosen.user_id is not None:
        yield from ((ENTRIES.name, workspace_id) for workspace_id in workspaces)
