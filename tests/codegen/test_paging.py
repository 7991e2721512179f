"""Every list that pages is walked: by the right scheme, with the largest page, whatever its parameters."""

from collections.abc import Mapping
from typing import Any, Final

import pytest

from codegen.model import Argument, Kind, OperationPlan, PagingPlan, Plain, RecordRef
from codegen.plan import plan
from support.own_documents import operation_plans
from support.pets import PETS, Folder, answer
from toggl_async._client.catalog import operations

POSITIONS: Final = frozenset(
    {
        "page", "page_number", "page_token", "cursor", "last_inv", "offset", "start_id", "start_project_id",
        "first_id", "first_row_number", "first_timestamp",
    }
)  # fmt: skip
"""Parameters that say which page is meant, wherever Toggl has them; `start` does where it is an id."""

SIZES: Final = frozenset({"per_page", "page_size", "limit", "users_per_project"})
"""Parameters that say how much a page holds."""

NOT_WALKED: Final = {
    "workspace.reports.detailed.csv": "the file holds all that the report does, whatever its page",
    "workspace.reports.detailed.pdf": "the file holds all that the report does, whatever its page",
    "shared_report.get": "no list: the report as a whole, in whichever of three shapes",
}
"""Operations with such a parameter and no walker, and why."""

EXPECTED: Mapping[str, tuple[str, int | None]] = {
    "me.projects.list_page": ("Keyset", 201),
    "me.tasks.list": ("Offset", None),
    "workspace.projects.list": ("PageNumber", 200),
    "workspace.tasks.list": ("WrappedPages", 200),
    "workspace.tasks.list_basic": ("WrappedPages", 200),
    "workspace.tasks.list_by_ids": ("MappedPages", 200),
    "workspace.tags.list": ("PageNumber", 200),
    "workspace.invoices.list": ("PageNumber", 200),
    "workspace.project_users.list_for_projects": ("PageNumber", None),
    "workspace.timesheets.list": ("WrappedPages", 1000),
    "workspace.goals.list": ("PageNumber", 100),
    "workspace.reports.saved.list": ("PageNumber", 200),
    "workspace.reports.detailed.search": ("ReportCursor", 1000),
    "workspace.reports.filters.clients": ("Keyset", None),
    "workspace.reports.filters.projects": ("Keyset", 201),
    "workspace.reports.filters.users": ("Keyset", None),
    "workspace.reports.filters.tasks": ("Keyset", 201),
    "workspace.reports.filters.project_groups": ("Keyset", None),
    "workspace.reports.filters.project_users": ("Keyset", None),
    "workspace.reports.search.clients": ("Keyset", None),
    "workspace.reports.search.projects": ("Keyset", 201),
    "workspace.reports.search.users": ("Keyset", None),
    "organization.users.list": ("HeaderPages", 200),
    "organization.users.list_detailed": ("HeaderPages", 200),
    "organization.workspace_users.list": ("PageNumber", 200),
    "organization.audit_logs.list": ("WrappedPages", 200),
    "organization.payment_records.list": ("Token", None),
    "calendar.calendars.list": ("Token", 250),
    "calendar.calendars.list_selected": ("Token", 250),
    "calendar.calendars.list_for_integration": ("Token", 250),
    "calendar.events.list": ("Token", 250),
    "calendar.events.list_for_calendar": ("Token", 250),
}
"""Each list that pages, with its scheme and the largest page that is known to be given."""


def sent(operation: OperationPlan) -> list[Argument]:
    body = (*operation.body.arguments, *operation.body.fields) if operation.body else ()
    return [*operation.query, *body]


def positions(operation: OperationPlan) -> set[str]:
    """Find the parameters of an operation that say which page is meant."""
    return {
        one.wire
        for one in sent(operation)
        if one.wire in POSITIONS or (one.wire == "start" and one.type == Plain(Kind.INTEGER))
    }


@pytest.mark.parametrize("name", [one.name for one in operations()])
def test_what_can_be_paged_is_walked_and_the_walk_chooses_the_page(name: str) -> None:
    operation = operation_plans()[name]
    places = positions(operation)
    if operation.name in NOT_WALKED:
        assert places
        assert operation.paging is None
        return
    assert (operation.paging is not None) == bool(places)
    if operation.paging is None:
        assert not SIZES & {one.wire for one in sent(operation)}
    else:
        assert places <= operation.paging.positions


def test_each_walk_has_the_scheme_and_the_page_that_it_should_have() -> None:
    found = {name: one.paging for name, one in operation_plans().items() if one.paging}
    assert {
        name: (paging.scheme, dict(paging.options).get("largest")) for name, paging in found.items()
    } == EXPECTED


@pytest.mark.parametrize("name", EXPECTED)
def test_a_walk_asks_for_pages_by_a_parameter_that_there_is(name: str) -> None:
    operation = operation_plans()[name]
    assert operation.paging is not None
    options = dict(operation.paging.options)
    usual = {"Token": "limit", "ReportCursor": "page_size"}.get(operation.paging.scheme, "per_page")
    sizes = SIZES & {one.wire for one in sent(operation)}
    assert sizes == ({options.get("size", usual)} - {None})


# From documents to plans


def paging_of(folder: Folder) -> PagingPlan | None:
    """Plan the pets, and return how their list pages."""
    result, faults = plan(folder.load())
    assert [str(fault) for fault in faults] == []
    return next(one.paging for one in result.operations if one.name == "workspace.pets.list")


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        (
            {"scheme": "page-number", "largest": 200},
            PagingPlan(
                scheme="PageNumber",
                options=(("largest", 200),),
                item=RecordRef("Pet"),
                positions=frozenset({"page"}),
            ),
        ),
        (
            {"scheme": "keyset", "parameter": "start_pet_id"},
            PagingPlan(
                scheme="Keyset",
                options=(("parameter", "start_pet_id"),),
                item=RecordRef("Pet"),
                positions=frozenset({"start", "start_pet_id"}),
            ),
        ),
    ],
)
def test_paging_over_a_list(folder: Folder, declared: dict[str, Any], expected: PagingPlan) -> None:
    folder.pets["get"]["x-toggl-paging"] = declared
    assert paging_of(folder) == expected


@pytest.mark.parametrize("scheme", ["wrapped-pages", "token"])
@pytest.mark.parametrize("in_list", [False, True], ids=["alone", "in a list"])
@pytest.mark.parametrize("kind", ["array", ["array", "null"]], ids=["list", "list or null"])
def test_paging_over_a_wrapper(folder: Folder, scheme: str, kind: object, *, in_list: bool) -> None:
    folder.schemas["PetPage"] = {
        "description": "A page.",
        "type": "object",
        "properties": {"data": {**PETS, "type": kind, "description": "The pets."}},
    }
    folder.names = folder.names.replace('["Pet"]', '["Pet", "PetPage"]')
    page = {"$ref": "#/components/schemas/PetPage"}
    folder.pets["get"] |= {
        "responses": answer({"type": "array", "items": page} if in_list else page),
        "x-toggl-paging": {"scheme": scheme},
    }
    paging = paging_of(folder)
    assert paging is not None
    assert paging.item == RecordRef("Pet")


def test_paging_over_a_map_of_lists(folder: Folder) -> None:
    folder.pets["get"] |= {
        "responses": answer({"type": "object", "additionalProperties": PETS}),
        "x-toggl-paging": {"scheme": "mapped-pages"},
    }
    paging = paging_of(folder)
    assert paging is not None
    assert (paging.scheme, paging.item) == ("MappedPages", RecordRef("Pet"))


def test_a_parameter_that_goes_beside_the_token_is_left_to_the_walk(folder: Folder) -> None:
    folder.pets["get"]["x-toggl-paging"] = {"scheme": "page-number", "last": "last_pet", "size": None}
    paging = paging_of(folder)
    assert paging is not None
    assert paging.options == (("last", "last_pet"), ("size", None))
    assert paging.positions == {"page", "last_pet"}


@pytest.mark.parametrize(
    ("scheme", "schema"),
    [
        ("page-number", {"type": "object", "additionalProperties": PETS}),
        ("page-number", {"$ref": "#/components/schemas/Pet"}),
        ("wrapped-pages", PETS),
        ("wrapped-pages", {"type": "string"}),
        ("mapped-pages", {"type": "object", "additionalProperties": {"type": "string"}}),
    ],
)
def test_answers_that_hold_no_list_do_not_page(folder: Folder, scheme: str, schema: dict[str, Any]) -> None:
    folder.pets["get"] |= {"responses": answer(schema), "x-toggl-paging": {"scheme": scheme}}
    where = "GET /api/v9/workspaces/{workspace_id}/pets"
    _, faults = plan(folder.load())
    assert f"{where}: pages, but its answer holds no list" in [str(fault) for fault in faults]
