"""Every generated coroutine and record, by table: what it sends, what it costs, how it is filed."""

import ast
import datetime as dt
import importlib
import inspect
import json
import pkgutil
import re
import subprocess
import sys
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import msgspec
import pytest
from msgspec import UNSET, UnsetType

import toggl_async
from codegen.model import Argument, Kind, OperationPlan, Plain, RecordRef
from support.own_documents import operation_plans, plan_and_faults, source
from support.samples import MOMENT, UNIX, arguments_of, deprecation, reach, sample
from toggl_async import records, scopes
from toggl_async._client.catalog import operation, operations
from toggl_async._operations.files import Download, Form
from toggl_async._operations.operation import Arguments, Operation, Resource
from toggl_async._operations.paging import Pages, Paging
from toggl_async._operations.record import Record
from toggl_async.errors import InvalidInput
from toggl_async.scheduler.core.route import Lane

pytestmark = pytest.mark.anyio

PACKAGE = Path(toggl_async.__file__).parent
# Tests are named after the code, so that to list them takes no look into the documents; that both name
# the same is a test of its own.
OPERATIONS = [one.name for one in operations()]
WALKED = [one.name for one in operations() if one.paging]
RECORDS = sorted(records.__all__)
PATCHES = [records.Patch(op="replace", path="/name", value="x")]
TODAY, DAY = MOMENT.date(), dt.timedelta(days=1)
ODD_FIELDS = [
    ("duration", "1"), ("duration", 1.5), ("duration", True), ("duration", None), ("duration", -5),
    ("tags", [1]), ("tags", 5), ("description", 5), ("billable", 1), ("meta", "yes"), ("tag_action", "zap"),
    ("created_with", None), ("start_date", None),
]  # fmt: skip
BOUND: Mapping[str, Any] = {"workspace_id": 71, "organization_id": 72, "report_token": "t0ken"}


@attrs.define
class Call:
    operation: Operation[Any]
    path: Mapping[str, object]
    query: Mapping[str, object]
    body: object
    item: type | None = None


@attrs.define
class FakeCaller:
    """Notes calls and answers with itself."""

    calls: list[Call] = attrs.field(factory=list)
    unknown: Mapping[str, object] = attrs.field(factory=dict)
    """Nothing, as of a record of which all is known."""

    success: range = range(-1000, 100_000)
    """As of a bulk edit that changed everything."""

    failure: tuple[()] = ()

    async def call(
        self,
        operation: Operation[Any],
        arguments: Arguments,
    ) -> Any:
        self.calls.append(Call(operation, arguments.path, arguments.query, arguments.body))
        return self

    def pages(
        self,
        operation: Operation[object],
        item: type[Any],
        arguments: Arguments,
    ) -> Pages[Any]:
        self.calls.append(Call(operation, arguments.path, arguments.query, arguments.body, item))
        return typing.cast("Pages[Any]", self)

    def download(
        self,
        operation: Operation[bytes],
        arguments: Arguments,
    ) -> Download:
        self.calls.append(Call(operation, arguments.path, arguments.query, arguments.body))
        return typing.cast("Download", self)

    def hint(self, resource: Resource, name: str) -> str:
        return ""


def scope(name: str, caller: FakeCaller) -> Resource:
    declared = source().names.scopes[name]
    made: Resource = getattr(scopes, declared.class_name)(caller, {key: BOUND[key] for key in declared.bound})
    return made


def method(name: str, caller: FakeCaller) -> Callable[..., Any]:
    """Reach a coroutine the way that a user does: attribute by attribute."""
    return reach(scope(name.split(".", maxsplit=1)[0], caller), name)


def sent_as(argument: Argument, given: Mapping[str, Any]) -> Any:
    if argument.bound is not None:
        return BOUND[argument.bound]
    value = given.get(argument.name, argument.default if argument.default is not None else UNSET)
    return UNIX if value is MOMENT and "unix" in str(argument.type).lower() else value


def check(call: Call, planned: OperationPlan, given: Mapping[str, Any], left_out: frozenset[str]) -> None:
    """Compare what was handed to the caller with what the documents say."""
    assert call.operation == operation(planned.name)
    in_path = re.findall(r"\{(\w+)\}", planned.path)
    assert sorted(call.path) == sorted(in_path)
    assert call.path.get("extension", "csv") == "csv"
    for argument in planned.ids:
        assert call.path[argument.wire] == given[argument.name]
    assert call.query == {one.wire: sent_as(one, given) for one in planned.query if one.wire not in left_out}
    if planned.body is None:
        assert call.body is UNSET
    elif planned.body.style == "whole":
        assert call.body == given[planned.body.arguments[0].name]
    else:
        shown = [one for one in planned.body.arguments if one.wire not in left_out]
        sent = call.body
        if planned.body.style != "fields":
            assert isinstance(sent, Form)
            assert sent.multipart == (planned.body.style == "multipart")
            files = [
                one.wire for one in shown if Plain(Kind.BYTES) in getattr(one.type, "options", [one.type])
            ]
            assert sent.files == tuple(files)
            sent = sent.fields
        assert sent == {one.wire: sent_as(one, given) for one in shown}


def test_the_documents_are_without_fault_and_cover_what_is_there() -> None:
    result, faults = plan_and_faults()
    assert faults == ()
    assert sorted(operation_plans()) == OPERATIONS
    assert sorted(name for name, one in operation_plans().items() if one.paging) == WALKED
    assert sorted(result.record_modules()) == RECORDS


@pytest.mark.parametrize("required_only", [True, False], ids=["required", "all"])
@pytest.mark.parametrize("name", OPERATIONS)
async def test_each_coroutine_hands_over_what_the_documents_say(name: str, required_only: bool) -> None:
    caller = FakeCaller()
    found = method(name, caller)
    given = arguments_of(found, required_only=required_only)
    with deprecation(operation(name)):
        answer = found(**given)
        if inspect.isawaitable(answer):
            answer = await answer
    (call,) = caller.calls
    # A bulk edit joins the answers of its chunks, so that a copy comes.
    assert answer == (None if call.operation.result is None else caller)
    check(call, operation_plans()[name], given, frozenset())


@pytest.mark.parametrize("required_only", [True, False], ids=["required", "all"])
@pytest.mark.parametrize("name", WALKED)
def test_each_walker_hands_over_all_but_the_page(name: str, required_only: bool) -> None:
    planned = operation_plans()[name]
    caller = FakeCaller()
    walker = method(f"{name.rpartition('.')[0]}.{planned.walker}", caller)
    given = arguments_of(walker, required_only=required_only)
    with deprecation(operation(name)):
        assert walker(**given) is caller
    assert planned.paging is not None
    (call,) = caller.calls
    item = planned.paging.item
    assert call.item == (getattr(records, item.record) if isinstance(item, RecordRef) else dict[str, Any])
    assert isinstance(call.operation.paging, Paging)
    check(call, planned, given, planned.paging.positions)


@pytest.mark.parametrize("name", OPERATIONS)
def test_each_operation_declares_what_the_documents_say(name: str) -> None:
    planned, declared = operation_plans()[name], operation(name)
    assert (declared.method, declared.path) == (planned.method, planned.path)
    assert declared.reads == (planned.method == "GET" if planned.reads is None else planned.reads)
    organizational = "{workspace_id}" in planned.path or "{organization_id}" in planned.path
    assert declared.lane == (planned.lane or (Lane.ORGANIZATION if organizational else Lane.USER))
    first = planned.path.split("/")[1]
    assert declared.family == {"api": "track"}.get(first, first)
    assert declared.redirects == planned.redirects
    assert declared.documented == planned.documented
    assert declared.deprecated == planned.deprecated
    assert declared.plan == planned.plan
    assert declared.workspaces == planned.workspaces
    assert type(declared.paging).__name__ == (planned.paging.scheme if planned.paging else "NoneType")


@pytest.mark.parametrize("name", OPERATIONS)
def test_each_coroutine_is_documented_and_takes_ids_first(name: str) -> None:
    found, planned = method(name, FakeCaller()), operation_plans()[name]
    text = inspect.getdoc(found) or ""
    assert f"``{planned.method} {planned.path}``" in text
    assert text.splitlines()[0].endswith(".")
    kinds = {one.name: one.kind for one in inspect.signature(found).parameters.values()}
    first = [*planned.ids, *(planned.body.arguments if planned.body else ())]
    ids = [one.name for one in first if one in planned.ids or one.positional]
    assert list(kinds)[: len(ids)] == ids
    for key, kind in kinds.items():
        expected = inspect.Parameter.POSITIONAL_OR_KEYWORD if key in ids else inspect.Parameter.KEYWORD_ONLY
        assert kind is expected
        assert key in ids or f"{key}: " in text


@pytest.mark.parametrize(
    ("name", "route"),
    [
        ("me.get", "GET /api/v9/me"),
        ("me.time_entries.list", "GET /api/v9/me/time_entries"),
        ("workspace.get", "GET /api/v9/workspaces/{workspace_id}"),
        ("workspace.projects.update", "PUT /api/v9/workspaces/{workspace_id}/projects/{project_id}"),
        (
            "workspace.reports.detailed.search",
            "POST /reports/api/v3/workspace/{workspace_id}/search/time_entries",
        ),
        ("organization.users.list", "GET /api/v9/organizations/{organization_id}/users"),
        ("service.status", "GET /api/v9/status"),
    ],
)
def test_names_stay_where_they_are(name: str, route: str) -> None:
    found = operation(name)
    assert f"{found.method} {found.path}" == route


async def test_null_and_left_out_are_two_things() -> None:
    caller = FakeCaller()
    await method("workspace.projects.update", caller)(5, client_id=None)
    (call,) = caller.calls
    assert isinstance(call.body, dict)
    assert call.body["client_id"] is None
    assert call.body["name"] is UNSET


async def test_moments_become_unix_seconds_where_toggl_takes_those() -> None:
    caller = FakeCaller()
    await method("me.clients.list", caller)(since=MOMENT)
    await method("me.clients.list", caller)(since=UNIX)
    assert [call.query["since"] for call in caller.calls] == [UNIX, UNIX]


async def test_moments_need_an_offset() -> None:
    caller = FakeCaller()
    with pytest.raises(InvalidInput, match="time zone"):
        await method("me.clients.list", caller)(since=MOMENT.replace(tzinfo=None))
    assert caller.calls == []


@pytest.mark.parametrize(
    ("name", "given", "argument"),
    [
        ("workspace.projects.delete", {"project_id": [1, 2]}, "project_id"),
        ("workspace.projects.delete", {"project_id": "1"}, "project_id"),
        ("workspace.time_entries.bulk_edit", {"time_entry_ids": "123", "patches": PATCHES}, "time_entry_ids"),
        ("workspace.time_entries.bulk_edit", {"time_entry_ids": [1], "patches": []}, "patches"),
        ("workspace.time_entries.bulk_edit", {"time_entry_ids": [1], "patches": [{}]}, "patches"),
        (
            "workspace.time_entries.bulk_edit",
            {"time_entry_ids": [1], "patches": [records.Patch(op="zap", path="/name")]},  # type: ignore[arg-type]
            "patches",
        ),
        ("workspace.tags.bulk_delete", {"tag_ids": "123"}, "tag_ids"),
        ("workspace.clients.bulk_delete", {"client_ids": 5}, "client_ids"),
        ("workspace.tasks.list", {"project_id": [1]}, "project_id"),
        ("workspace.time_entries.create", {"start": MOMENT.date()}, "start"),
        ("workspace.time_entries.create", {"start": MOMENT, "tags": "urgent"}, "tags"),
        ("workspace.reports.detailed.search", {"start_date": MOMENT}, "start_date"),
        *(
            ("workspace.time_entries.create", {"start": MOMENT, name: value}, name)
            for name, value in ODD_FIELDS
        ),
        ("workspace.projects.create", {"name": None}, "name"),
        ("workspace.projects.create", {"name": "x", "fixed_fee": "1"}, "fixed_fee"),
        ("workspace.projects.create", {"name": "x", "fixed_fee": float("nan")}, "fixed_fee"),
        ("workspace.projects.get", {"project_id": None}, "project_id"),
        ("workspace.projects.list", {"page": -1}, "page"),
        ("workspace.projects.iter", {"per_page": 0}, "per_page"),
        ("workspace.reports.detailed.search", {"start_date": TODAY, "end_date": TODAY - DAY}, "end_date"),
        ("workspace.reports.detailed.csv", {"start_date": TODAY, "end_date": TODAY + 367 * DAY}, "end_date"),
        ("me.clients.list", {"since": MOMENT.date()}, "since"),
        ("me.time_entries.list", {"before": MOMENT.replace(tzinfo=None)}, "before"),
    ],
)
async def test_what_is_not_of_the_declared_type_is_refused_before_anything_is_sent(
    name: str, given: dict[str, Any], argument: str
) -> None:
    caller = FakeCaller()
    with pytest.raises(InvalidInput, match=f"^{argument}: "):
        await method(name, caller)(**given)
    assert caller.calls == []


@pytest.mark.parametrize("extension", ["csv", "xlsx"])
def test_each_kind_of_file_has_a_method(extension: str) -> None:
    for name, planned in operation_plans().items():
        if planned.extensions:
            caller = FakeCaller()
            found = method(name.removesuffix("csv") + extension, caller)
            found(**arguments_of(found, required_only=True))
            assert caller.calls[0].path["extension"] == extension
    assert sum(bool(planned.extensions) for planned in operation_plans().values()) == 5


async def test_tasks_are_edited_in_chunks_beside_the_id_of_their_project() -> None:
    caller = FakeCaller()
    await method("workspace.tasks.bulk_edit", caller)(5, range(150), patches=PATCHES)
    assert [call.path["project_id"] for call in caller.calls] == [5, 5]
    assert [call.path["task_ids"] for call in caller.calls] == [list(range(100)), list(range(100, 150))]


def test_a_resource_is_made_once_and_keeps_what_is_bound() -> None:
    caller = FakeCaller()
    workspace: Any = scope("workspace", caller)
    assert workspace.reports.detailed is workspace.reports.detailed
    assert workspace.projects._bound == {"workspace_id": 71}


# Records


@pytest.mark.parametrize("name", RECORDS)
def test_each_record_is_frozen_lean_and_typed(name: str) -> None:
    record: Any = getattr(records, name)
    assert attrs.has(record)
    assert issubclass(record, Record)
    assert "__dict__" not in dir(record)
    one = sample(record)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        setattr(one, attrs.fields(record)[0].name, None)


@pytest.mark.parametrize("name", RECORDS)
def test_what_comes_from_toggl_may_be_missing_or_null_unless_it_is_an_identity(name: str) -> None:
    record = getattr(records, name)
    modules = plan_and_faults()[0].records
    (planned,) = (one for module in modules for one in module.records if one.name == name)
    hints = typing.get_type_hints(record)
    for field in attrs.fields(record):
        choices = typing.get_args(hints[field.name])
        if planned.sent:
            assert field.default in {UNSET, attrs.NOTHING}
        elif field.default is attrs.NOTHING:
            is_list = field.name == record.wraps
            assert is_list or field.name == "id" or field.name.endswith("_id")
            assert (
                (typing.get_origin(hints[field.name]) is list) if is_list else hints[field.name] in {int, str}
            )
        elif isinstance(field.default, attrs.Factory):  # type: ignore[arg-type]
            assert field.default.factory is list
            assert typing.get_origin(hints[field.name]) is list
        else:
            assert field.default is None
            assert hints[field.name] is Any or type(None) in choices
            assert UnsetType not in choices


@pytest.mark.parametrize("name", RECORDS)
def test_msgspec_reads_each_record_without_help(name: str) -> None:
    record: Any = getattr(records, name)
    hints = typing.get_type_hints(record)
    required = [field.name for field in attrs.fields(record) if field.default is attrs.NOTHING]
    given = {key: sample(hints[key]) for key in required}
    read = msgspec.json.decode(msgspec.json.encode([given]), type=typing.cast("type[Any]", list[record]))
    assert read == [record(**given)]


def test_secrets_are_in_no_representation() -> None:
    me = records.Me(id=1, default_workspace_id=2, api_token="s3cret", intercom_hash="s3cret")
    workspace = records.Workspace(id=1, organization_id=2, ical_url="/ical/s3cret")
    assert "s3cret" not in f"{me!r}{workspace!r}"


def test_names_that_say_the_same_twice_are_known_but_no_attributes() -> None:
    assert records.TimeEntry.legacy_names == {"duronly", "pid", "tid", "uid", "wid"}
    assert records.Client.wire_names == {"workspace_id": "wid"}
    assert "api_token" in records.Workspace.legacy_names


# Fronts and budgets


def run_python(code: str) -> Any:
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return json.loads(run.stdout)


GENERATED = (
    "[name for name in sys.modules if name.startswith(('toggl_async.records.', 'toggl_async.scopes.'))]"
)


def test_the_fronts_load_nothing() -> None:
    code = f"import json, sys, toggl_async.records, toggl_async.scopes; print(json.dumps({GENERATED}))"
    assert run_python(code) == []


def test_a_scope_loads_no_resource_and_a_resource_no_other() -> None:
    code = f"""if True:
        import json, sys
        from toggl_async.scopes import WorkspaceScope
        scope = WorkspaceScope(None, {{"workspace_id": 1}})
        before = {GENERATED}
        scope.tags
        print(json.dumps([before, {GENERATED}]))
    """
    before, after = run_python(code)
    assert [name for name in before if ".scopes." in name] == ["toggl_async.scopes.workspace"]
    assert set(after) - set(before) == {"toggl_async.records.tags", "toggl_async.scopes.workspace.tags"}


@pytest.mark.parametrize("front", [records, scopes])
def test_the_fronts_name_all_that_they_have(front: types.ModuleType) -> None:
    for name in front.__all__:
        assert getattr(front, name) is not None
    assert set(front.__all__) <= set(dir(front))
    with pytest.raises(AttributeError, match="has no attribute 'Nobody'"):
        _ = front.Nobody


def test_every_module_with_operations_is_registered() -> None:
    found = {
        name
        for _, name, _ in pkgutil.walk_packages(scopes.__path__, "toggl_async.scopes.")
        if any(isinstance(one, Operation) for one in vars(importlib.import_module(name)).values())
    }
    assert set(scopes.RESOURCE_MODULES) == found


def generated_files() -> Iterator[Path]:
    for directory in ("records", "scopes"):
        yield from (PACKAGE / directory).rglob("*.py")


@pytest.mark.parametrize(
    "path", list(generated_files()), ids=lambda path: path.relative_to(PACKAGE).as_posix()
)
def test_files_stay_small_and_say_where_they_come_from(path: Path) -> None:
    text = path.read_text("utf-8")
    classes = [node for node in ast.parse(text).body if isinstance(node, ast.ClassDef)]
    assert text.count("\n") <= 520
    assert len(classes) <= 25
    assert "Generated by ``python -m codegen``" in text


@pytest.mark.parametrize("name", WALKED)
def test_the_help_of_each_walker_names_its_arguments(name: str) -> None:
    planned = operation_plans()[name]
    walker = method(f"{name.rpartition('.')[0]}.{planned.walker}", FakeCaller())
    told = inspect.getdoc(walker) or ""
    assert [one for one in inspect.signature(walker).parameters if f"    {one}: " not in told] == []


def test_lines_for_each_operation_stay_few() -> None:
    lines = sum(path.read_text("utf-8").count("\n") for path in (PACKAGE / "scopes").rglob("*.py"))
    assert lines <= 32 * len(OPERATIONS)
