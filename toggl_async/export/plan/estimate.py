"""What an export will cost, before it starts: requests, time, and windows of the hourly quotas.

The first requests (`survey`) tell how long the lists are. For time entries, Toggl gives sums but no count;
the summary report does list their ids, however, all of a range in one answer. So an estimate costs one
request for each range, one for the quotas, and the two first ones.
"""

import asyncio
import datetime as dt
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from types import NoneType
from typing import TypeAlias

import attrs
import msgspec

from toggl_async._client.client import TogglClient
from toggl_async.export.intake import json_of, reading
from toggl_async.export.plan.arguments import check_client, check_instance
from toggl_async.export.plan.asking import Asker
from toggl_async.export.plan.datasets import (
    ENTRIES,
    EXACT,
    SET_ASIDE,
    Dataset,
    Source,
    operation,
    raise_for_account,
)
from toggl_async.export.plan.plan import DateRange, ExportPlan
from toggl_async.export.plan.survey import Survey, SurveyedWorkspace, survey
from toggl_async.export.rows import totals_of
from toggl_async.export.tasks import ungrouped
from toggl_async.options import Priority

__all__ = ["QUOTAS", "DatasetEstimate", "Estimate", "QuotaEstimate", "estimate", "list_requests"]

_SUMMARY = "workspace.reports.summary.search"
_TOTALS = "workspace.reports.detailed.totals"
QUOTAS = "me.quota"
"""The operation that says what is left of each quota."""
_WINDOW = 3600
_REPORT_PAGE = 1000


@attrs.frozen(kw_only=True)
class DatasetEstimate:
    """The cost of a dataset.

    Attributes:
        dataset: its name.
        rows: how many rows it has; None if only reading can tell.
        requests: requests to read it, including totals.
    """

    dataset: str
    rows: int | None
    requests: int


@attrs.frozen(kw_only=True)
class QuotaEstimate:
    """The cost of an export for one hourly quota.

    Attributes:
        organization_id: the organization whose quota it is; None for the user's own.
        requests: requests that spend it.
        remaining: requests left in the current window; None if unknown.
        total: requests that a window allows; None if unknown.
        resets_in: seconds until the window ends.
        windows: how many windows the requests need.
        seconds: seconds until the last of them can be sent, as far as this quota goes.
    """

    organization_id: int | None
    requests: int
    remaining: int | None
    total: int | None
    resets_in: int
    windows: int
    seconds: int


@attrs.frozen(kw_only=True)
class Estimate:
    """What an export will cost; times are in seconds.

    Attributes:
        datasets: the cost of each dataset of the plan.
        quotas: the cost for each hourly quota that it spends.
        requests: all requests, including the first ones, which `survey` sends.
        pace: seconds between two requests.
        seconds: how long it takes, at this pace, including waits for quotas.
        ends_at: when it will end, UTC, if it starts now.
        spent: requests that the estimate itself sent.
        warnings: what could not be counted, and why; the export may take more requests then.
    """

    datasets: tuple[DatasetEstimate, ...]
    quotas: tuple[QuotaEstimate, ...]
    requests: int
    pace: float
    seconds: int
    ends_at: dt.datetime
    spent: int
    warnings: tuple[str, ...] = ()


class _Group(msgspec.Struct):
    ids: list[int]


class _Outer(msgspec.Struct):
    sub_groups: list[_Group]


class _Summary(msgspec.Struct):
    groups: list[_Outer] | None


@attrs.frozen(kw_only=True)
class _Counted:
    """What Toggl said of how many time entries a range has.

    Attributes:
        rows: how many; None if it didn't say.
        why: why it didn't; None if it did.
        requests: how many requests that took.
    """

    rows: int | None = None
    why: str | None = None
    requests: int = 1


_Ranges: TypeAlias = Mapping[tuple[int, DateRange], _Counted]
"""What was counted of each range of each workspace."""


class _Quota(msgspec.Struct):
    organization_id: int | None = None
    remaining: int | None = None
    resets_in_secs: int | None = None
    total: int | None = None


async def estimate(client: TogglClient, plan: ExportPlan, *, account: Survey | None = None) -> Estimate:
    """Estimate what an export of this plan will cost; nothing is written.

    Args:
        client: whose account is exported.
        plan: what to export.
        account: the result of `survey`, if you have it already.

    Raises:
        InvalidInput: an argument can't be used, or the plan names a workspace that is not there.
        TogglError: whatever became of a request.
    """
    check_client(client)
    check_instance(ExportPlan, plan, "plan", "an ExportPlan")
    check_instance((Survey, NoneType), account, "account", "the result of survey, or None")
    patient = client.with_options(priority=Priority.BULK, max_wait=math.inf)
    spent = 0 if account is not None else 1
    account = account or await survey(patient, plan)
    spent *= account.requests
    counted: dict[tuple[int, DateRange], _Counted] = {}
    extra: list[int] = []
    asker = Asker(patient, extra.append)
    if ENTRIES.name in plan:
        with ungrouped():
            async with asyncio.TaskGroup() as tasks:
                for workspace in account.workspaces:
                    tasks.create_task(_count(asker, plan, account, workspace, counted))
    quotas = await _quotas(asker)
    datasets = [_dataset(dataset, account, counted) for dataset in plan.chosen()]
    options = client.scheduler.options
    return _estimate(
        account,
        datasets,
        _lanes(plan, account, counted),
        {quota.organization_id: quota for quota in quotas},
        pace=options.pace.interval * (1 + options.pace.margin),
        spent=spent + sum(one.requests for one in counted.values()) + sum(extra) + 1,
        warnings=tuple(_warnings(account, counted)),
    )


async def _quotas(asker: Asker) -> list[_Quota]:
    """What is left of each quota, as far as Toggl says."""
    try:
        answer = await asker.ask(QUOTAS)
        with reading(QUOTAS, answer.body):
            return msgspec.json.decode(json_of(answer.body), type=list[_Quota] | None) or []
    except SET_ASIDE as error:
        raise_for_account(error)
        return []


def _warnings(account: Survey, counted: _Ranges) -> Iterator[str]:
    """What could not be counted, and why."""
    if account.organizations_unread is not None:
        yield (
            "the organizations could not be read, so the estimate may not reach back as far as they do: "
            f"{account.organizations_unread.message}"
        )
    causes: dict[int, str] = {}
    for (workspace_id, _), one in counted.items():
        if one.why is not None:
            causes.setdefault(workspace_id, one.why)
    for workspace_id, why in causes.items():
        yield (
            f"the time entries of workspace {workspace_id} could not be counted, so the export may take more "
            f"requests: {why}"
        )


async def _count(
    asker: Asker,
    plan: ExportPlan,
    account: Survey,
    workspace: SurveyedWorkspace,
    counted: dict[tuple[int, DateRange], _Counted],
) -> None:
    """Count the time entries of a workspace range by range, as the export will read them."""
    ranges = plan.ranges(workspace.created, account.today)
    async with asyncio.TaskGroup() as tasks:
        found = [tasks.create_task(_entries(asker, plan, workspace, days)) for days in ranges]
    results = [task.result() for task in found]
    counted.update({(workspace.id, days): one for days, one in zip(ranges, results, strict=True)})
    older = ranges[-1].older() if plan.open_ended and results[-1].rows else None
    while older is not None:
        one = counted[workspace.id, older] = await _entries(asker, plan, workspace, older)
        older = older.older() if one.rows else None


async def _entries(asker: Asker, plan: ExportPlan, workspace: SurveyedWorkspace, days: DateRange) -> _Counted:
    """How many time entries a range has, if Toggl says so."""
    path = {"workspace_id": workspace.id}
    body = {"start_date": days.first, "end_date": days.last, **EXACT, **plan.filters}
    grouped = {"grouping": "users", "sub_grouping": "projects", "include_time_entry_ids": True}
    requests = 1
    try:
        answer = await asker.ask(_SUMMARY, path=path, body=body | grouped)
        with reading(_SUMMARY, answer.body):
            groups = msgspec.json.decode(json_of(answer.body), type=_Summary).groups
        if groups is None:  # may stand for an empty list, but then the total has to agree
            requests += 1
            answer = await asker.ask(_TOTALS, path=path, body=body)
            with reading(_TOTALS, answer.body):
                seconds, _ = totals_of(answer.body)
            if seconds:
                return _Counted(
                    why=f"{_SUMMARY}: got no groups, but the total is not zero", requests=requests
                )
    except SET_ASIDE as error:
        raise_for_account(error)
        return _Counted(why=str(error), requests=requests)
    rows = sum(len(inner.ids) for outer in groups or () for inner in outer.sub_groups)
    return _Counted(rows=rows, requests=requests)


def _dataset(dataset: Dataset, account: Survey, counted: _Ranges) -> DatasetEstimate:
    """What one dataset takes."""
    match dataset.source:
        case Source.ACCOUNT:
            rows = len(account.rows(dataset.name))
            unread = dataset.name == "organizations" and account.organizations_unread is not None
            return DatasetEstimate(dataset=dataset.name, rows=None if unread else rows, requests=1)
        case Source.WORKSPACE:
            known = account.counts.get(dataset.name)
            counts = [known.get(space.id, 0) for space in account.workspaces] if known is not None else None
            return DatasetEstimate(
                dataset=dataset.name,
                rows=None if counts is None else sum(counts),
                requests=sum(list_requests(dataset, account, workspace) for workspace in account.workspaces),
            )
        case _:
            ranges = [one.rows for one in counted.values()]
            known_rows = [count for count in ranges if count is not None]
            return DatasetEstimate(
                dataset=dataset.name,
                rows=sum(known_rows) if len(known_rows) == len(ranges) else None,
                requests=1 + sum(map(_range_requests, ranges)),
            )


def list_requests(dataset: Dataset, account: Survey, workspace: SurveyedWorkspace) -> int:
    """Requests for a list of a workspace."""
    paging = operation(dataset.operation).paging
    return 1 if paging is None else paging.requests(account.counts.get(dataset.name, {}).get(workspace.id, 0))


def _range_requests(rows: int | None) -> int:
    """Requests for a range of the report, and for its total; one that is refused has none."""
    return 1 if rows is None else max(1, math.ceil(rows / _REPORT_PAGE)) + 1


def _lanes(plan: ExportPlan, account: Survey, counted: _Ranges) -> Counter[int | None]:
    """How many requests spend each quota: the user's own (None), and those of organizations."""
    lanes: Counter[int | None] = Counter()
    lanes[None] = account.requests + (ENTRIES.name in plan)
    for workspace in account.workspaces:
        for dataset in plan.chosen():
            if dataset.source is Source.WORKSPACE:
                lanes[workspace.organization_id] += list_requests(dataset, account, workspace)
        lanes[workspace.organization_id] += sum(
            _range_requests(one.rows)
            for (workspace_id, _), one in counted.items()
            if workspace_id == workspace.id
        )
    return lanes


def _estimate(
    account: Survey,
    datasets: Sequence[DatasetEstimate],
    lanes: Mapping[int | None, int],
    quotas: Mapping[int | None, _Quota],
    *,
    pace: float,
    spent: int,
    warnings: tuple[str, ...],
) -> Estimate:
    """Put it together: everything goes at one pace, and each quota may hold its own requests up."""
    windows = tuple(
        _quota(lane, requests, quotas.get(lane) or _Quota(), pace) for lane, requests in lanes.items()
    )
    requests = sum(lanes.values())
    seconds = math.ceil(max([requests * pace, *(window.seconds for window in windows)]))
    return Estimate(
        datasets=tuple(datasets),
        quotas=windows,
        requests=requests,
        pace=pace,
        seconds=seconds,
        ends_at=account.asked_at + dt.timedelta(seconds=seconds),
        spent=spent,
        warnings=warnings,
    )


def _quota(lane: int | None, requests: int, quota: _Quota, pace: float) -> QuotaEstimate:
    """How far the requests of one quota stretch."""
    resets_in = quota.resets_in_secs or _WINDOW
    windows, seconds = 1, requests * pace
    if quota.remaining is not None and quota.total and requests > quota.remaining:
        left = requests - max(0, quota.remaining)
        windows += math.ceil(left / quota.total)
        seconds = resets_in + (windows - 2) * _WINDOW + ((left - 1) % quota.total + 1) * pace
    return QuotaEstimate(
        organization_id=lane,
        requests=requests,
        remaining=quota.remaining,
        total=quota.total,
        resets_in=resets_in,
        windows=windows,
        seconds=math.ceil(seconds),
    )
