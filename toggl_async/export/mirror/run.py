"""A run: its plan, its account, and the finished run that it updates. The store keeps it as JSON."""

import datetime as dt
from collections.abc import Collection, Mapping
from typing import Self, TypeVar
from urllib.parse import urlsplit

import attrs
import msgspec

from toggl_async.errors import InvalidInput
from toggl_async.export.mirror.manifest import (
    Changes,
    Failure,
    Manifest,
    ManifestEntry,
    Refusal,
    Stale,
    WholeList,
)
from toggl_async.export.mirror.storage import DAMAGED
from toggl_async.export.mirror.store import UnreadPart
from toggl_async.export.plan.datasets import ENTRIES
from toggl_async.export.plan.plan import EARLIEST, ExportPlan
from toggl_async.export.plan.survey import Survey

__all__ = ["OF_ACCOUNT", "TOTALS", "Previous", "Run", "decoded", "encoded", "kept_of", "refuse_other"]

T = TypeVar("T")

TOTALS = "totals"
"""The name of Toggl's sums of time entries in refusals and failures."""

OF_ACCOUNT = 0
"""The workspace id of refusals and failures that concern a list of the account."""

_HERE = ("127.0.0.1", "::1", "localhost")


@attrs.frozen(kw_only=True)
class Previous:
    """What an update needs to know of the previous run: a part of its manifest.

    Attributes:
        base_url: the server.
        user_id: whose token it was.
        plan: the plan.
        timezone: the time zone of the profile, in which days were counted; None if Toggl didn't say.
        workspaces: the ids of the workspaces that were read.
        datasets: each dataset, by name: above all how fresh it is.
        refused: what Toggl refused.
        failed: what could not be read.
        stale: what is older than its dataset says.
        changes: what it changed in each dataset.
        whole_lists: the lists of several pages that may be asked only for what changed.
    """

    base_url: str
    user_id: int
    plan: ExportPlan
    timezone: str | None
    workspaces: tuple[int, ...]
    datasets: Mapping[str, ManifestEntry]
    refused: tuple[Refusal, ...]
    failed: tuple[Failure, ...]
    stale: tuple[Stale, ...]
    changes: Mapping[str, Changes] = attrs.field(factory=dict)
    whole_lists: tuple[WholeList, ...] = ()

    def without(self, parts: Collection[UnreadPart]) -> Self:
        """The same run, as if it had not read some parts."""
        missing = [Failure(dataset=name, workspace_id=number, message="forgotten") for name, number in parts]
        older = [one for one in self.stale if (one.dataset, one.workspace_id) not in parts]
        return attrs.evolve(self, failed=(*self.failed, *missing), stale=tuple(older))

    def read_at(self, dataset: str, workspace_id: int) -> dt.datetime | None:
        """The server's time at which rows, or their changes, were last read; None if never."""
        for one in self.stale:
            if (one.dataset, one.workspace_id) == (dataset, workspace_id):
                return one.as_of
        lacking: tuple[Refusal | Failure, ...] = (*self.refused, *self.failed)
        missing = {(one.dataset, one.workspace_id) for one in lacking}
        if workspace_id not in (OF_ACCOUNT, *self.workspaces) or (dataset, workspace_id) in missing:
            return None
        found = self.datasets.get(dataset)
        return None if found is None else found.as_of

    def whole_list(self, dataset: str, workspace_id: int) -> WholeList | None:
        """The entry that lets a list be asked only for what changed; None if there is none."""
        for one in self.whole_lists:
            if (one.dataset, one.workspace_id) == (dataset, workspace_id):
                return one
        return None


@attrs.frozen(kw_only=True)
class Run:
    """A run under way.

    Attributes:
        base_url: the server.
        plan: the plan.
        account: the answers to the first requests.
        started_at: when it began, UTC.
        previous: the finished run that it brings up to date; None if it is the first.
        read_from: for an update, the first of the days whose time entries are all read again.
        kept_from: the first day of time entries that the mirror keeps; None for all.
        datasets: for an update, the datasets that it reads; None for all of the plan.
        older: whether an update looks for changes of the time entries before `read_from`.
        all_lists: whether an update reads every list in full.
        revision: the latest revision of the mirror when it began.
        before: how many rows each dataset had then.
    """

    base_url: str
    plan: ExportPlan
    account: Survey
    started_at: dt.datetime
    previous: Previous | None = None
    read_from: dt.date | None = None
    kept_from: dt.date | None = None
    datasets: tuple[str, ...] | None = None
    older: bool = True
    all_lists: bool = False
    revision: int = 0
    before: Mapping[str, int] = attrs.field(factory=dict)

    @property
    def taken(self) -> ExportPlan:
        """The plan, without the time entries that the mirror no longer keeps."""
        return kept_of(self.plan, self.kept_from)

    def reads(self, dataset: str) -> bool:
        """Whether it reads a dataset; the others stay as the previous run left them.

        Toggl's totals, which refusals and failures know as ``"totals"``, are all compared only if older
        time entries are read.
        """
        if self.previous is None:
            return True
        if dataset == TOTALS:
            return self.older and self.reads(ENTRIES.name)
        return self.datasets is None or dataset in self.datasets


def kept_of(plan: ExportPlan, first: dt.date | None) -> ExportPlan:
    """A plan without the time entries that a mirror doesn't keep.

    Args:
        plan: the plan.
        first: the first day of time entries that the mirror keeps; None for all.

    Raises:
        InvalidInput: the plan takes none of those that it keeps.
    """
    if first is None or (plan.since or EARLIEST) >= first:
        return plan
    if plan.until is not None and plan.until < first:
        raise InvalidInput(
            f"the mirror keeps time entries from {first} on, but the plan ends at {plan.until}; "
            "name another mirror"
        )
    return attrs.evolve(plan, since=first)


def encoded(what: Run | Manifest) -> bytes:
    """Encode a run, or its result, for a store."""
    return msgspec.json.encode(what)


def decoded(name: str, saved: bytes | None, kind: type[T]) -> T | None:
    """Decode what `encoded` made; None if there is nothing.

    Args:
        name: what the store is called.
        saved: the JSON in the store.
        kind: the type.

    Raises:
        InvalidInput: it can't be decoded.
    """
    if saved is None:
        return None
    try:
        return msgspec.json.decode(saved, type=kind)
    except (msgspec.DecodeError, ValueError) as error:
        raise InvalidInput(f"cannot read {name}: {error}; {DAMAGED}") from error


def refuse_other(name: str, held: Run | Previous | Manifest, *, plan: ExportPlan, base_url: str) -> None:
    """Refuse a store of another server or plan.

    Args:
        name: what the store is called.
        held: the run in it.
        plan: the plan of this run.
        base_url: the server.
    """
    if _server(held.base_url) != _server(base_url):
        raise InvalidInput(f"{name} contains an export from {held.base_url}, not {base_url}")
    asked = plan
    if not isinstance(held, Run):  # each run decides how far to look
        asked = attrs.evolve(plan, everything=held.plan.everything)
    if held.plan != asked:
        differing = [
            field.name
            for field in attrs.fields(ExportPlan)
            if getattr(held.plan, field.name) != getattr(asked, field.name)
        ]
        raise InvalidInput(
            f"{name} contains an export with another choice of {', '.join(differing)}; "
            "use the same options, or name another directory"
        )


def _server(base_url: str) -> str:
    """A URL for comparison: without the last slash, and with one name for all addresses of this machine."""
    parts = urlsplit(base_url.rstrip("/"))
    if parts.hostname not in _HERE:
        return parts.geturl()
    return parts._replace(netloc=_HERE[0]).geturl()
