"""One dict of filters for all reports: what each of them takes, and nothing that one doesn't."""

import datetime as dt
import inspect
from collections.abc import Callable
from typing import Any, Final, get_type_hints

import httpx
import pytest

from toggl_async import ApiToken, ReportFilters, TogglClient
from toggl_async.scopes.workspace.reports import detailed, summary, weekly

REPORTS: Final[dict[str, Callable[..., Any]]] = {
    f"{kind.__name__}.{name}": coroutine
    for kind in (detailed.DetailedReports, summary.SummaryReports, weekly.WeeklyReports)
    for name, coroutine in vars(kind).items()
    if name in {"csv", "iter", "pdf", "search", "totals", "xlsx"}
}


def arguments(coroutine: Callable[..., Any]) -> dict[str, Any]:
    return {name: one.annotation for name, one in inspect.signature(coroutine).parameters.items()}


@pytest.mark.parametrize("name", REPORTS)
def test_each_report_takes_all_filters_as_they_are_typed(name: str) -> None:
    filters = get_type_hints(ReportFilters)
    assert filters.items() <= arguments(REPORTS[name]).items()


def test_what_all_reports_take_is_among_the_filters() -> None:
    assert len(REPORTS) == 13
    common = set.intersection(*(set(arguments(coroutine)) for coroutine in REPORTS.values()))
    assert common - {"self"} == set(get_type_hints(ReportFilters))


@pytest.mark.anyio
async def test_one_dict_filters_several_reports() -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, json={"groups": []} if "summary" in request.url.path else [])

    filters: ReportFilters = {"start_date": dt.date(2026, 3, 1), "project_ids": [7, None], "billable": True}
    async with TogglClient(ApiToken("x" * 32), transport=httpx.MockTransport(answer)) as toggl:
        reports = toggl.workspace(3).reports
        await reports.detailed.iter(**filters).collect()
        await reports.summary.search(**filters)
    bodies = [request.content for request in asked]
    assert len(bodies) == 2
    for body in bodies:
        for part in (b'"start_date":"2026-03-01"', b'"project_ids":[7,null]', b'"billable":true'):
            assert part in body
