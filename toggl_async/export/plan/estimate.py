"""What an export will cost, before it starts: requests, time, and windows of the hourly quotas.

The first requests (`survey`) tell how long the lists are. For time entries, Toggl gives sums but no count;
the summary report does list their ids, however, all of a range in one answer. So an estimate costs one
request for each range, one for the quotas, and the two first ones.
"""

import asyncio
import datetime as dt
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from types import NoneType

import attrs
import msgspec

from toggl_async._client.client import TogglClient
from toggl_async.export.intake import reading
from toggl_async.export.plan.arguments import check_client, check_instance
from toggl_async.export.plan.datasets import ENTRIES, EXACT, REFUSALS, Dataset, Source, operation
from toggl_async.export.plan.plan import DateRange, ExportPlan
from toggl_async.export.plan.survey import Survey, SurveyedWorkspace, survey
from toggl_async.export.tasks import ungrouped
from toggl_async.options import Priority

__all__ = ["QUOTAS", "DatasetEstimate", "Estimate", "QuotaEstimate", "estimate", "list_requests"]

_SUMMARY = "workspace.reports.summary.search"
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
    """

    datasets: tuple[DatasetEstimate, ...]
    quotas: tuple[QuotaEstimate, ...]
    requests: int
    pace: float
    seconds: int
    ends_at: dt.datetime
    spent: int


class _Group(msgspec.Struct):
    ids: list[int] | None = None


class _Outer(msgspec.Struct):
    sub_groups: list[_Group] | None = None


class _Summary(msgspec.Struct):
    groups: list[_Outer] | None = None


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
    counted: dict[tuple[int, DateRange], int | None] = {}
    if ENTRIES.name in plan:
        with ungrouped():
            async with asyncio.TaskGroup() as tasks:
                for workspace in account.workspaces:
                    tasks.create_task(_count(patient, plan, account, workspace, counted))
    answer = await patient.fetch(operation(QUOTAS), path={})
    with reading(QUOTAS, answer.body):
        quotas = msgspec.json.decode(answer.body, type=list[_Quota] | None) or []
    datasets = [_dataset(dataset, account, counted) for dataset in plan.chosen()]
    options = client.scheduler.options
    return _estimate(
        account,
        datasets,
        _lanes(plan, account, counted),
        {quota.organization_id: quota for quota in quotas},
        pace=options.pace.interval * (1 + options.pace.margin),
        spent=spent + len(counted) + 1,
    )


async def _count(
    client: TogglClient,
    plan: ExportPlan,
    account: Survey,
    workspace: SurveyedWorkspace,
    counted: dict[tuple[int, DateRange], int | None],
) -> None:
    """Count the time entries of a workspace range by range, as the export will read them."""
    ranges = plan.ranges(workspace.created, account.today)
    async with asyncio.TaskGroup() as tasks:
        found = [tasks.create_task(_entries(client, plan, workspace, days)) for days in ranges]
    rows = [task.result() for task in found]
    counted.update({(workspace.id, days): count for days, count in zip(ranges, rows, strict=True)})
    older = ranges[-1].older() if plan.open_ended and rows[-1] else None
    while older is not None:
        count = counted[workspace.id, older] = await _entries(client, plan, workspace, older)
        older = older.older() if count else None


async def _entries(
    client: TogglClient, plan: ExportPlan, workspace: SurveyedWorkspace, days: DateRange
) -> int | None:
    """How many time entries a range has; None when Toggl refuses to say."""
    try:
        answer = await client.fetch(
            operation(_SUMMARY),
            path={"workspace_id": workspace.id},
            body={
                "start_date": days.first,
                "end_date": days.last,
                "grouping": "users",
                "sub_grouping": "projects",
                "include_time_entry_ids": True,
                **EXACT,
                **plan.filters,
            },
        )
    except REFUSALS:
        return None
    with reading(_SUMMARY, answer.body):
        summary = msgspec.json.decode(answer.body, type=_Summary)
    return sum(len(inner.ids or ()) for outer in summary.groups or () for inner in outer.sub_groups or ())


def _dataset(
    dataset: Dataset, account: Survey, counted: Mapping[tuple[int, DateRange], int | None]
) -> DatasetEstimate:
    """What one dataset takes."""
    match dataset.source:
        case Source.ACCOUNT:
            return DatasetEstimate(dataset=dataset.name, rows=len(account.rows(dataset.name)), requests=1)
        case Source.WORKSPACE:
            known = account.counts.get(dataset.name)
            counts = [known.get(space.id, 0) for space in account.workspaces] if known is not None else None
            return DatasetEstimate(
                dataset=dataset.name,
                rows=None if counts is None else sum(counts),
                requests=sum(list_requests(dataset, account, workspace) for workspace in account.workspaces),
            )
        case _:
            return DatasetEstimate(
                dataset=dataset.name,
                rows=sum(count or 0 for count in counted.values()),
                requests=1 + sum(map(_range_requests, counted.values())),
            )


def list_requests(dataset: Dataset, account: Survey, workspace: SurveyedWorkspace) -> int:
    """Requests for a list of a workspace."""
    paging = operation(dataset.operation).paging
    return 1 if paging is None else paging.requests(account.counts.get(dataset.name, {}).get(workspace.id, 0))


def _range_requests(rows: int | None) -> int:
    """Requests for a range of the report, and for its total; one that is refused has none."""
    return 1 if rows is None else max(1, math.ceil(rows / _REPORT_PAGE)) + 1


def _lanes(
    plan: ExportPlan, account: Survey, counted: Mapping[tuple[int, DateRange], int | None]
) -> Counter[int | None]:
    """How many requests spend each quota: the user's own (None), and those of organizations."""
    lanes: Counter[int | None] = Counter()
    lanes[None] = account.requests + (ENTRIES.name in plan)
    for workspace in account.workspaces:
        for dataset in plan.chosen():
            if dataset.source is Source.WORKSPACE:
                lanes[workspace.organization_id] += list_requests(dataset, account, workspace)
        lanes[workspace.organization_id] += sum(
            _range_requests(rows)
            for (workspace_id, _), rows in counted.items()
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
