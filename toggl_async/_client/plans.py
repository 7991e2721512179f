"""Plans: which one a workspace has, and what to do with fields that it lacks.

Toggl asks programs to leave out fields that the workspace's plan lacks; if they are sent anyway, even as
null, the call may be refused. The generated operations say which fields those are (`Operation.gated`).

A client learns the plan of a workspace from the records that it reads anyway, and never sends a request for
it, because requests are counted. So nothing is checked for a workspace that it hasn't seen. One request
beforehand shows the plans of all workspaces, for the creates and updates that follow::

    await toggl.me.workspaces.list()

Imported by the session; from the package it imports `errors`, `files`, `operation`, `options` and `record`.
"""

import inspect
import logging
import warnings
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, cast

import attrs
from msgspec import UNSET

from toggl_async._operations.files import Form
from toggl_async._operations.operation import Arguments, Operation, PathValue, Plan, Value
from toggl_async._operations.record import Record
from toggl_async.errors import InvalidInput, NotInPlan
from toggl_async.options import PlanCheck

if TYPE_CHECKING:
    from toggl_async.records import Workspace

__all__ = ["KnownPlans", "PlanWarning", "plan_of"]

_ORDER: Final = (*Plan,)

_PAID: Final = tuple(reversed(_ORDER[1:]))
"""Plans to look for in a name, the highest first."""

_PACKAGE: Final = __name__.partition(".")[0] + "."


_log = logging.getLogger("toggl_async.plans")


class PlanWarning(UserWarning):
    """Fields were left out of a call, because the workspace's plan lacks them.

    Attributes:
        operation: the name of the operation, for instance ``"workspace.projects.create"``.
        fields: their names on the wire.
        plan: the plan that lacks them.
    """

    def __init__(self, *, operation: str, fields: tuple[str, ...], plan: Plan) -> None:
        super().__init__(f"{operation}: left out {', '.join(fields)}, which the {plan.title()} plan lacks")
        self.operation = operation
        self.fields = fields
        self.plan = plan


def plan_of(record: Record) -> Plan | None:
    """Return the plan of a workspace or an organization, as its record says.

    Args:
        record: a `Workspace` or an `Organization`.

    Returns:
        The plan, or that of a running trial. A workspace's record doesn't distinguish Enterprise from
        Premium, so both are Premium. None if the record doesn't say.

    Raises:
        InvalidInput: it is another kind of record.
    """
    if hasattr(record, "business_ws"):
        return _of_workspace(record)
    if hasattr(record, "pricing_plan_id"):
        return _of_organization(record)
    raise InvalidInput(f"a plan belongs to a workspace or an organization, not to {type(record).__name__}")


def _of_workspace(workspace: Record) -> Plan | None:
    if getattr(workspace, "business_ws", None):
        return Plan.PREMIUM
    premium = getattr(workspace, "premium", None)
    if premium is None:
        return None
    return Plan.STARTER if premium else Plan.FREE


def _of_organization(organization: Record) -> Plan | None:
    """Ask the subscription first, which is new, then the fields that were there before."""
    subscription = getattr(organization, "subscription", None)
    trial = getattr(subscription, "trial", None)
    found = [
        _named(getattr(subscription, "plan", None)) or _named(getattr(subscription, "plan_name", None)),
        _named(getattr(trial, "plan", None)) if getattr(trial, "active", None) else None,
        _named(getattr(organization, "pricing_plan_name", None)),
        Plan.FREE if getattr(organization, "pricing_plan_id", None) == 0 else None,
    ]
    if getattr(subscription, "enterprise", None) or getattr(organization, "pricing_plan_enterprise", None):
        return Plan.ENTERPRISE
    return max((plan for plan in found if plan), key=_ORDER.index, default=None)


def _named(text: str | None) -> Plan | None:
    """Find a plan in its name, such as ``"Starter monthly"``."""
    words = (text or "").lower()
    return next((plan for plan in (*_PAID, Plan.FREE) if plan.value in words), None)


class KnownPlans:
    """The plans that a client has seen, and what follows from them.

    Args:
        check: what to do about fields that a plan lacks; see `ClientOptions.plan_check`.
    """

    def __init__(self, *, check: PlanCheck) -> None:
        self.check = check
        self._workspaces: dict[int, Plan] = {}
        self._organizations: dict[int, Plan] = {}
        self._homes: dict[int, int] = {}
        self._told: set[tuple[str, tuple[str, ...]]] = set()
        self._unknown: set[str] = set()

    def learn(self, result: object) -> None:
        """Take note of an answer that is, or lists, workspaces or organizations."""
        records: list[Any] = result if isinstance(result, list) else [result]
        # The rows of a list are of one kind, and most lists are of another.
        if self.check == "off" or not records or not isinstance(records[0], Record):
            return
        if hasattr(records[0], "business_ws"):
            for record in records:
                self._learn_workspace(record)
        elif hasattr(records[0], "pricing_plan_id"):
            for record in records:
                _note(self._organizations, record.id, plan_of(record))

    def forget(self) -> None:
        """Forget all plans, for instance after an upgrade."""
        self._workspaces.clear()
        self._organizations.clear()

    def allow(
        self,
        operation: Operation[object],
        arguments: Arguments,
    ) -> Arguments:
        """Return what the plan allows of the arguments of a call.

        Raises:
            NotInPlan: the plan lacks the operation or a field of it, and that is to be refused.
        """
        if self.check == "off" or not (operation.gated or operation.plan is not Plan.FREE):
            return arguments
        path, query, body = arguments.path, arguments.query, arguments.body
        plan = self._plan(path)
        if plan is None:
            self._say_unknown(operation.name, path)
            return arguments
        if self.check == "error" and _is_above(operation.plan, plan):
            raise NotInPlan(operation=operation.name, fields={}, needed=operation.plan, plan=plan)
        given = {*_given(query), *_given(body)}
        lacking = {
            name: needed
            for name, needed in operation.gated.items()
            if name in given and _is_above(needed, plan)
        }
        if not lacking:
            return arguments
        if self.check == "error":
            needed = max(lacking.values(), key=_ORDER.index)
            raise NotInPlan(operation=operation.name, fields=lacking, needed=needed, plan=plan)
        self._warn(operation.name, tuple(lacking), plan)
        return Arguments(path, _thinned(query, lacking), _without(body, lacking))

    def _learn_workspace(self, workspace: "Workspace") -> None:
        plan = plan_of(workspace)
        # It may be Enterprise: what a workspace cannot tell apart must not be refused.
        _note(self._workspaces, workspace.id, Plan.ENTERPRISE if plan is Plan.PREMIUM else plan)
        self._homes[workspace.id] = workspace.organization_id

    def _plan(self, path: Mapping[str, PathValue]) -> Plan | None:
        """Return the highest plan that the workspace or organization in a path may have."""
        workspace_id, organization_id = path.get("workspace_id"), path.get("organization_id")
        if isinstance(workspace_id, int):
            organization_id = self._homes.get(workspace_id)
            if workspace_id in self._workspaces:
                return self._workspaces[workspace_id]
        return self._organizations.get(organization_id) if isinstance(organization_id, int) else None

    def _say_unknown(self, operation: str, path: Mapping[str, PathValue]) -> None:
        """Log, once for each workspace or organization, that its plan is not known."""
        home = next((name for name in ("workspace_id", "organization_id") if name in path), None)
        if home is not None and (what := f"{home.removesuffix('_id')} {path[home]}") not in self._unknown:
            self._unknown.add(what)
            _log.debug("%s: the plan of %s is unknown, so nothing is checked", operation, what)

    def _warn(self, operation: str, fields: tuple[str, ...], plan: Plan) -> None:
        """Warn of fields that are left out, once for each operation and set of fields."""
        if (operation, fields) not in self._told:
            self._told.add((operation, fields))
            warning = PlanWarning(operation=operation, fields=fields, plan=plan)
            warnings.warn(warning, stacklevel=_outside())


def _outside() -> int:
    """Count the frames up to the caller of the package, whom a warning is charged to."""
    level, frame = 0, inspect.currentframe()
    while frame is not None and frame.f_globals.get("__name__", "").startswith(_PACKAGE):
        level, frame = level + 1, frame.f_back
    return level


def _note(plans: dict[int, Plan], key: int, plan: Plan | None) -> None:
    if plan is not None:
        plans[key] = plan


def _is_above(needed: Plan, plan: Plan) -> bool:
    return _ORDER.index(needed) > _ORDER.index(plan)


def _given(values: Value) -> Iterable[str]:
    """Name the fields that would be sent, by their names on the wire."""
    if isinstance(values, Form):
        return _given(values.fields)
    if isinstance(values, Mapping):
        return (name for name, value in values.items() if value is not UNSET)
    if isinstance(values, Record):
        return (wire for name, wire in _wires(values).items() if getattr(values, name) is not UNSET)
    return ()


def _without(body: Value, names: Iterable[str]) -> Value:
    """Return a body without some of its fields."""
    if isinstance(body, Form):
        return attrs.evolve(body, fields=_thinned(body.fields, names))
    if isinstance(body, Mapping):
        return _thinned(body, names)
    if isinstance(body, Record):
        dropped = {name: UNSET for name, wire in _wires(body).items() if wire in names}
        return attrs.evolve(cast(Any, body), **dropped)
    return body


def _thinned(values: Mapping[str, Value], names: Iterable[str]) -> Mapping[str, Value]:
    return {name: value for name, value in values.items() if name not in names}


def _wires(record: Record) -> dict[str, str]:
    """Attribute to name on the wire."""
    fields = attrs.fields(cast("type[attrs.AttrsInstance]", type(record)))
    return {field.name: record.wire_names.get(field.name, field.name) for field in fields}
