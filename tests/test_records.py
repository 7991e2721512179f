"""Records as values: copied and pickled without losing anything."""

import copy
import datetime as dt
import pickle
from collections.abc import Callable

import pytest

from toggl_async.codec import Codec
from toggl_async.records import Me, Project

WORKSPACE = b'{"id": 3, "organization_id": 11, "name": "Mill", "new": true}'
BODY = b'{"id": 7, "default_workspace_id": 3, "new": {"a": [1]}, "workspaces": [' + WORKSPACE + b"]}"
COPIES: list[Callable[[Me], Me]] = [
    copy.copy,
    copy.deepcopy,
    lambda record: pickle.loads(pickle.dumps(record)),
]


def me(*, keep_unknown: bool, ask: bool = False) -> Me:
    found: Me = Codec(keep_unknown=keep_unknown).decode(Me, BODY, operation="me.get")
    if ask:
        assert found.unknown
    return found


@pytest.mark.parametrize("ask", [True, False])
@pytest.mark.parametrize("copied", COPIES)
def test_a_copy_loses_nothing(copied: Callable[[Me], Me], ask: bool) -> None:
    found = me(keep_unknown=True, ask=ask)
    again = copied(found)
    assert again == found
    assert again.unknown == {"new": {"a": [1]}}
    assert again.workspaces is not None
    assert again.workspaces[0].unknown == {"new": True}


@pytest.mark.parametrize("copied", COPIES)
def test_a_copy_invents_nothing(copied: Callable[[Me], Me]) -> None:
    assert copied(me(keep_unknown=False)).unknown == {}


def test_a_deep_copy_shares_nothing_that_changes() -> None:
    found = me(keep_unknown=True)
    again = copy.deepcopy(found)
    again.unknown["new"]["a"].append(2)
    assert found.unknown == {"new": {"a": [1]}}


def test_moments_and_attributes_with_other_names_survive() -> None:
    project = Project(id=5, name="Apollo", at=dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
    assert pickle.loads(pickle.dumps(project)) == project
