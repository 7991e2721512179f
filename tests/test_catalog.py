import pytest

from toggl_async import InvalidInput, Plan, operations
from toggl_async._client.catalog import operation


def test_the_catalog_lists_every_operation_once_and_in_order() -> None:
    names = [one.name for one in operations()]
    assert names == sorted(set(names))
    assert len({(one.method, one.path) for one in operations()}) == len(names)


def test_an_operation_says_what_it_is() -> None:
    found = operation("workspace.reports.detailed.search")
    assert (found.scope, found.resource, found.coroutine) == ("workspace", "reports.detailed", "search")
    assert (found.method, found.family, found.reads, found.plan) == ("POST", "reports", True, Plan.FREE)
    assert operation("workspace.get").resource == ""


def test_an_unknown_operation_is_said_as_such() -> None:
    with pytest.raises(InvalidInput, match=r"there is no operation 'workspace\.get_all'"):
        operation("workspace.get_all")
