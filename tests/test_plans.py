"""Plans: read off records, learned as they pass by, and kept to."""

import json
import logging
import warnings
from typing import Any

import attrs
import httpx
import pytest
from msgspec import UNSET

from toggl_async import (
    ApiToken,
    ClientOptions,
    InvalidInput,
    NotInPlan,
    Plan,
    PlanWarning,
    TogglClient,
    operations,
    plan_of,
)
from toggl_async._client.plans import KnownPlans
from toggl_async._operations.files import Form
from toggl_async._operations.operation import Arguments, Operation
from toggl_async._operations.record import Json, Record
from toggl_async.options import PlanCheck
from toggl_async.records import Organization, Project, Tag, Workspace
from toggl_async.records.organizations import OrganizationSubscription, SubscriptionTrial

pytestmark = [pytest.mark.anyio, pytest.mark.jump]

CREATE: Operation[Project] = Operation.declare(
    "workspace.projects.create",
    "POST /api/v9/workspaces/{workspace_id}/projects",
    Project,
    gated={Plan.STARTER: "billable rate", Plan.PREMIUM: "fixed_fee"},
)
TASKS: Operation[None] = Operation.declare(
    "workspace.tasks.list", "GET /api/v9/workspaces/{workspace_id}/tasks", plan=Plan.STARTER
)


def workspace(**fields: Any) -> Workspace:
    return Workspace(id=3, organization_id=11, **fields)


def organization(**fields: Any) -> Organization:
    return Organization(id=11, **fields)


def subscription(**fields: Any) -> Organization:
    return organization(subscription=OrganizationSubscription(**fields))


@pytest.mark.parametrize(
    ("record", "plan"),
    [
        (workspace(premium=False, business_ws=False), Plan.FREE),
        (workspace(premium=True, business_ws=False), Plan.STARTER),
        (workspace(premium=True), Plan.STARTER),
        (workspace(premium=True, business_ws=True), Plan.PREMIUM),
        (workspace(), None),
        (organization(pricing_plan_id=0, pricing_plan_name=""), Plan.FREE),
        (organization(pricing_plan_name="Free"), Plan.FREE),
        (organization(pricing_plan_id=7, pricing_plan_name="Starter monthly"), Plan.STARTER),
        (organization(pricing_plan_id=7, pricing_plan_name="Premium"), Plan.PREMIUM),
        (organization(pricing_plan_id=7, pricing_plan_enterprise=True), Plan.ENTERPRISE),
        (organization(pricing_plan_id=7), None),
        (subscription(plan="starter"), Plan.STARTER),
        (subscription(plan_name="Toggl Premium"), Plan.PREMIUM),
        (subscription(plan="premium", enterprise=True), Plan.ENTERPRISE),
        (subscription(plan="free", trial=SubscriptionTrial(active=True, plan="premium")), Plan.PREMIUM),
        (subscription(plan="free", trial=SubscriptionTrial(active=False, plan="premium")), Plan.FREE),
    ],
)
def test_the_plan_is_read_off_a_record(record: Record, plan: Plan | None) -> None:
    assert plan_of(record) is plan


def test_other_records_have_no_plan() -> None:
    with pytest.raises(InvalidInput, match="not to Tag"):
        plan_of(Tag(id=1, name="a"))


def test_fields_that_need_a_plan_are_declared_with_their_operation() -> None:
    assert CREATE.gated == {"billable": "starter", "rate": "starter", "fixed_fee": "premium"}
    found = {one.name: one.gated for one in operations()}
    assert found["workspace.projects.create"]["rate"] is Plan.STARTER
    assert found["workspace.projects.create"]["recurring"] is Plan.PREMIUM
    assert found["workspace.time_entries.create"] == {"billable": Plan.STARTER}
    assert found["workspace.tags.list"] == {}
    assert hash(CREATE) == hash(CREATE)


def known(check: PlanCheck, *records: Record) -> KnownPlans:
    plans = KnownPlans(check=check)
    for record in records:
        plans.learn(record)
    return plans


def allow(
    plans: KnownPlans, operation: Operation[Any], *, path: dict[str, Any], query: dict[str, Any], body: Any
) -> tuple[Any, Any]:
    """What is left of query and body."""
    allowed = plans.allow(operation, Arguments(path, query, body))
    return allowed.query, allowed.body


FREE = workspace(premium=False, business_ws=False)
BODY = {"name": "Apollo", "billable": None, "rate": 5.0, "fixed_fee": UNSET}


def test_fields_that_the_plan_lacks_are_left_out_with_one_warning() -> None:
    plans = known("drop", FREE)
    with pytest.warns(PlanWarning, match="left out billable, rate, which the Free plan lacks") as caught:
        query, body = allow(plans, CREATE, path={"workspace_id": 3}, query={"rate": 1}, body=BODY)
    assert allow(plans, CREATE, path={"workspace_id": 3}, query={}, body=BODY)[1] == body
    assert body == {"name": "Apollo", "fixed_fee": UNSET}
    assert query == {}
    (warning,) = (one.message for one in caught)
    assert isinstance(warning, PlanWarning)
    assert (warning.operation, warning.fields, warning.plan) == (
        "workspace.projects.create",
        ("billable", "rate"),
        Plan.FREE,
    )


def test_or_refused() -> None:
    with pytest.raises(
        NotInPlan, match="create: billable, rate need the Starter plan, but the plan here is Free"
    ) as caught:
        allow(known("error", FREE), CREATE, path={"workspace_id": 3}, query={}, body=BODY)
    error = caught.value
    assert (error.fields, error.needed, error.plan) == (("billable", "rate"), "starter", "free")
    assert isinstance(error, InvalidInput)


def test_an_operation_that_the_plan_lacks_is_refused_but_never_left_out() -> None:
    with pytest.raises(NotInPlan, match=r"tasks\.list needs the Starter plan, but the plan here is Free"):
        allow(known("error", FREE), TASKS, path={"workspace_id": 3}, query={}, body=UNSET)
    found = allow(known("drop", FREE), TASKS, path={"workspace_id": 3}, query={"a": 1}, body=UNSET)
    assert found == ({"a": 1}, UNSET)


@pytest.mark.parametrize(
    ("plans", "path"),
    [
        (known("off", FREE), {"workspace_id": 3}),
        (known("error"), {"workspace_id": 3}),
        (known("error", FREE), {"workspace_id": 4}),
        (known("error", FREE), {}),
        (known("error", workspace(premium=True)), {"workspace_id": 4}),
        (known("error", workspace()), {"workspace_id": 3}),
        (known("error", workspace(premium=True, business_ws=True)), {"workspace_id": 3}),
        (known("error", workspace(), organization(pricing_plan_enterprise=True)), {"workspace_id": 3}),
        (known("error", organization()), {"organization_id": 11}),
    ],
)
def test_what_is_not_known_or_allowed_goes_as_it_is(plans: KnownPlans, path: dict[str, int]) -> None:
    query = {"rate": 1}
    body = {"fixed_fee": 1}
    assert allow(plans, CREATE, path=path, query=query, body=body) == (query, body)


def test_what_is_not_known_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "toggl_async.plans")
    plans = known("error")
    for path in ({"workspace_id": 3}, {"workspace_id": 3}, {"organization_id": 11}, {}):
        allow(plans, CREATE, path=path, query={}, body=BODY)
    assert caplog.messages == [
        "workspace.projects.create: the plan of workspace 3 is unknown, so nothing is checked",
        "workspace.projects.create: the plan of organization 11 is unknown, so nothing is checked",
    ]


def test_premium_by_a_workspace_may_be_enterprise() -> None:
    gated: Operation[None] = Operation.declare(
        "workspace.x", "PUT /x/{workspace_id}", gated={Plan.ENTERPRISE: "many"}
    )
    plans = known("error", workspace(premium=True, business_ws=True))
    assert allow(plans, gated, path={"workspace_id": 3}, query={}, body={"many": 1})[1] == {"many": 1}
    plans = known("error", workspace(), organization(pricing_plan_name="Premium"))
    with pytest.raises(NotInPlan):
        allow(plans, gated, path={"workspace_id": 3}, query={}, body={"many": 1})


def test_plans_are_learned_from_lists_and_forgotten() -> None:
    plans = known("error")
    plans.learn([FREE, attrs.evolve(FREE, id=4)])
    plans.learn([organization(pricing_plan_id=0)])
    plans.learn([])
    plans.learn([Tag(id=3, name="a")])
    plans.learn(None)
    for path in ({"workspace_id": 4}, {"organization_id": 11}):
        with pytest.raises(NotInPlan):
            allow(plans, CREATE, path=path, query={}, body=BODY)
    plans.forget()
    assert allow(plans, CREATE, path={"workspace_id": 4}, query={}, body=BODY)[1] == BODY


@attrs.frozen(kw_only=True)
class ProjectFields(Record):
    """A body of its own."""

    wire_names = {"fee": "fixed_fee"}  # noqa: RUF012

    name: str
    fee: float | Json = UNSET
    rate: float | Json = UNSET


def test_records_and_forms_are_thinned_as_well() -> None:
    plans = known("drop", FREE)
    with pytest.warns(PlanWarning, match="left out fixed_fee,"):
        _, record = allow(
            plans, CREATE, path={"workspace_id": 3}, query={}, body=ProjectFields(name="Apollo", fee=5)
        )
    assert record == ProjectFields(name="Apollo")
    form = Form({"rate": 5, "name": "Apollo"})
    with pytest.warns(PlanWarning, match="left out rate,"):
        _, thinned = allow(plans, CREATE, path={"workspace_id": 3}, query={}, body=form)
    assert thinned == Form({"name": "Apollo"})


def test_a_body_that_is_a_list_stays_as_it_is() -> None:
    plans = known("drop", FREE)
    with pytest.warns(PlanWarning, match="left out rate,"):
        _, body = allow(plans, CREATE, path={"workspace_id": 3}, query={"rate": 1}, body=[1])
    assert body == [1]


def network(sent: list[Any]) -> httpx.MockTransport:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            sent.append(json.loads(request.content))
            return httpx.Response(200, json={"id": 5})
        plan = {"premium": False, "business_ws": False}
        if request.url.path == "/api/v9/me":
            nested = {"id": 3, "organization_id": 11, **plan}
            return httpx.Response(200, json={"id": 7, "default_workspace_id": 3, "workspaces": [nested]})
        return httpx.Response(200, json=[{"id": 3, "organization_id": 11, **plan}])

    return httpx.MockTransport(answer)


async def test_a_client_keeps_to_the_plan_once_it_has_seen_it() -> None:
    sent: list[Any] = []
    options = ClientOptions(plan_check="drop")
    async with TogglClient(ApiToken("a" * 32), transport=network(sent), options=options) as toggl:
        projects = toggl.workspace(3).projects
        await projects.create(name="Apollo", billable=True)
        await toggl.me.get(with_related_data=True)
        with pytest.warns(PlanWarning) as caught:
            await toggl.with_options(timeout=5).workspace(3).projects.create(name="Apollo", billable=True)
        assert caught[0].filename == __file__
        toggl.forget_refusals()
        await projects.create(name="Apollo", billable=True)
    full = {"name": "Apollo", "billable": True}
    assert sent == [full, {"name": "Apollo"}, full]


async def test_a_client_refuses_before_it_sends() -> None:
    sent: list[Any] = []
    options = ClientOptions(plan_check="error")
    async with TogglClient(ApiToken("a" * 32), transport=network(sent), options=options) as toggl:
        await toggl.me.workspaces.list()
        with pytest.raises(NotInPlan):
            await toggl.workspace(3).projects.create(name="Apollo", billable=True)
        with pytest.raises(NotInPlan):
            await toggl.workspace(3).clients.archive(5)
    assert sent == []


async def test_left_to_itself_a_client_sends_what_it_is_given() -> None:
    sent: list[Any] = []
    async with TogglClient(ApiToken("a" * 32), transport=network(sent)) as toggl:
        await toggl.me.workspaces.list()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            await toggl.workspace(3).projects.create(name="Apollo", billable=None)
    assert sent == [{"name": "Apollo", "billable": None}]


def test_the_option_is_checked() -> None:
    with pytest.raises(InvalidInput, match="plan_check must be 'drop', 'error' or 'off', not 'maybe'"):
        ClientOptions(plan_check="maybe")  # type: ignore[arg-type]
