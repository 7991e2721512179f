"""Every coroutine and walker against Prism: nothing sent or answered may violate the documents.

Not collected by a plain run, for it needs Node: ``nox -s contract``, or with `prism` on the PATH
``pytest tests/contract/every_operation.py``.
"""

import inspect
import json
import re
import typing
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Literal, TypeAlias
from urllib.parse import parse_qs

import attrs
import httpx
import pytest

from contract.prism import METHODS, merged, serving
from support.samples import arguments_of, reach
from toggl_async import ApiToken, ClientOptions, Pace, ResponseError, Retry, TogglClient, capture_responses
from toggl_async._client.answer import Answer
from toggl_async._client.catalog import operation, operations
from toggl_async._operations.files import Download
from toggl_async._operations.operation import Operation
from toggl_async._operations.record import Record

pytestmark = pytest.mark.anyio

Answers: TypeAlias = Literal["plain", "random-1", "random-2"]

DOCUMENT = merged(Path(__file__).parents[2] / "codegen" / "spec")
BOUND: Mapping[str, Any] = {"workspace": 71, "organization": 72, "shared_report": "t0ken"}
ADDRESSES: Mapping[str, Any] = dict.fromkeys(["email", "toggl_user_email"], "ada@example.com") | {
    "emails": ["ada@example.com"]
}
"""Arguments that are text of one form only."""
NAMES = [one.name for one in operations()]
OPTIONS = ClientOptions(pace=Pace(interval=0.001, margin=0), retry=Retry(attempts=1), keep_unknown=True)


class Network(httpx.AsyncHTTPTransport):
    """The network, which notes what is sent and says which answers it would like."""

    def __init__(self, answers: Answers) -> None:
        super().__init__(verify=False)  # no TLS on the way to Prism, so no certificates to load
        self._prefer = "" if answers == "plain" else f"dynamic=true, seed={answers}"
        self.requests: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        self.requests.append(request)
        if self._prefer:
            request.headers["Prefer"] = self._prefer
        return await super().handle_async_request(request)


def declared(called: Operation[object]) -> dict[str, Any]:
    """Look an operation up in the document."""
    found: dict[str, Any] = DOCUMENT["paths"][called.path][called.method.lower()]
    return found


def body_schema(called: Operation[object]) -> dict[str, Any] | None:
    """Look up what an operation's body of JSON is."""
    content = declared(called).get("requestBody", {}).get("content", {})
    found: dict[str, Any] | None = content.get("application/json", {}).get("schema")
    return found


@pytest.fixture(scope="session")
def prism(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(DOCUMENT, tmp_path_factory.mktemp("prism")) as address:
        yield address


def client_of(prism: str, network: Network) -> TogglClient:
    return TogglClient(ApiToken("a" * 32), base_url=prism, transport=network, options=OPTIONS)


def scope_of(client: TogglClient, name: str) -> object:
    scope = name.partition(".")[0]
    found = getattr(client, scope)
    return found(BOUND[scope]) if inspect.ismethod(found) else found


def call(found: Any, *, required_only: bool = False) -> Any:
    return found(**arguments_of(found, required_only=required_only, values=ADDRESSES))


def told(called: Operation[object]) -> AbstractContextManager[object]:
    """Expect that who calls an operation is told if Toggl is to drop it."""
    return pytest.warns(DeprecationWarning, match=called.name) if called.deprecated else nullcontext()


def violations(seen: Sequence[Answer]) -> list[str]:
    """What Prism says against calls: in a header, and in the body where it refuses."""
    refusals = [one.body.decode("utf-8", "replace") for one in seen if one.status >= 400]
    return [one.headers["sl-violations"] for one in seen if "sl-violations" in one.headers] + refusals


def undeclared(network: Network, called: Operation[object]) -> set[str]:
    """Name what is in a query or a form and not in the document; Prism lets it pass."""
    operation, shared = declared(called), DOCUMENT["components"]["parameters"]
    listed = DOCUMENT["paths"][called.path].get("parameters", []) + operation.get("parameters", [])
    parameters = [shared[one["$ref"].rpartition("/")[2]] if "$ref" in one else one for one in listed]
    known = {one["name"] for one in parameters if one["in"] == "query"}
    for kind, body in operation.get("requestBody", {}).get("content", {}).items():
        known |= set() if kind == "application/json" else body["schema"]["properties"].keys()
    return {name for one in network.requests for name in {*one.url.params, *form_names(one)} - known}


def form_names(request: httpx.Request) -> list[str]:
    """Name the fields of a form, of either kind."""
    kind, content = request.headers.get("content-type", ""), request.content
    if kind.startswith("multipart/form-data"):
        return [name.decode() for name in re.findall(rb'; name="([^"]*)"', content)]
    return list(parse_qs(content.decode())) if kind == "application/x-www-form-urlencoded" else []


def not_understood(value: object) -> set[str]:
    """Name the fields of an answer that its records, at any depth, have no place for."""
    if isinstance(value, list):
        return {name for one in value for name in not_understood(one)}
    if isinstance(value, dict):
        return {name for one in value.values() for name in not_understood(one)}
    if not isinstance(value, Record):
        return set()
    here = {f"{type(value).__name__}.{name}" for name in value.unknown.keys() - value.legacy_names}
    fields = attrs.fields(typing.cast("Any", type(value)))
    return here.union(*(not_understood(getattr(value, field.name)) for field in fields))


def test_what_is_called_is_what_the_documents_have() -> None:
    documented = {(method, path) for path, known in DOCUMENT["paths"].items() for method in known}
    documented = {(method.upper(), path) for method, path in documented if method in METHODS}
    assert documented == {(one.method, one.path) for one in operations()}
    assert len(NAMES) == len(operations())


@pytest.mark.parametrize(
    ("answers", "required_only"),
    [("plain", False), ("plain", True), ("random-1", False), ("random-2", False)],
    ids=["all", "required", "random-1", "random-2"],
)
@pytest.mark.parametrize("name", NAMES)
async def test_each_coroutine_keeps_the_contract(
    name: str, answers: Answers, required_only: bool, prism: str
) -> None:
    called, network = operation(name), Network(answers)
    async with client_of(prism, network) as client:
        coroutine = reach(scope_of(client, name), name)
        with told(called), capture_responses() as seen:
            try:
                result = await call(coroutine, required_only=required_only)
            except ResponseError as error:
                result = error
    complaints = [*violations(seen), *(f"undeclared: {one}" for one in undeclared(network, called))]
    assert not complaints, f"{name}, {called.method} {called.path}:\n" + "\n".join(complaints)
    assert len(seen) == 1
    assert not isinstance(result, ResponseError)
    if answers == "plain":  # the random ones have fields that nobody knows, to be left alone
        assert not_understood(result) == set()
    if called.redirects:
        assert result == seen[0].headers["location"]
    elif called.result is bytes:
        assert result == seen[0].body
    else:
        assert (result is None) <= (called.result is None or seen[0].body == b"null")


def walker_of(name: str) -> str:
    parent, _, verb = name.rpartition(".")
    whole = verb in {"list", "list_page", "search"}
    return f"{parent}.iter" if whole else f"{parent}.iter_{verb.removeprefix('list_')}"


@pytest.mark.parametrize("name", [one.name for one in operations() if one.paging])
async def test_each_walker_keeps_the_contract(name: str, prism: str) -> None:
    called, network = operation(name), Network("plain")
    async with client_of(prism, network) as client:
        walker = reach(scope_of(client, name), walker_of(name))
        with told(called), capture_responses() as seen:
            items = await call(walker).collect(limit=1)
    assert violations(seen) == []
    assert undeclared(network, called) == set()
    assert (len(seen), len(items)) == (1, 1)


@pytest.mark.parametrize("name", [one.name for one in operations() if one.result is bytes])
async def test_each_download_streams_to_a_file(name: str, prism: str, tmp_path: Path) -> None:
    async with client_of(prism, Network("plain")) as client:
        download = call(reach(scope_of(client, name), name))
        assert isinstance(download, Download)
        assert await download.save(tmp_path / "file") == (tmp_path / "file").stat().st_size > 0


class Meddling(Network):
    """A network that spoils bodies: by a field or an item that is not declared, or else all of it."""

    def __init__(self, *, is_free: bool) -> None:
        super().__init__("plain")
        self._is_free = is_free

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        match json.loads(await request.aread()):
            case list() as items:
                spoilt: object = [*items, {"no_such_field": 1}]
            case dict() as fields if not self._is_free:
                spoilt = {**fields, "no_such_field": 1}
            case whole:
                spoilt = [whole]
        content = json.dumps(spoilt).encode()
        request.headers["Content-Length"] = str(len(content))
        again = httpx.Request(
            request.method,
            request.url,
            headers=request.headers,
            content=content,
            extensions=request.extensions,
        )
        return await super().handle_async_request(again)


@pytest.mark.parametrize(
    "called", [one for one in operations() if body_schema(one)], ids=lambda one: one.name
)
async def test_prism_looks_into_each_body(called: Operation[object], prism: str) -> None:
    # Where a schema puzzles Prism, it lets all pass.
    is_free = (body_schema(called) or {}).get("additionalProperties") is True
    async with client_of(prism, Meddling(is_free=is_free)) as client:
        with capture_responses() as seen, pytest.raises(ResponseError):
            await call(reach(scope_of(client, called.name), called.name))
    assert '"body"' in "".join(violations(seen))


@pytest.mark.parametrize(
    ("method", "path", "params", "content", "complaint"),
    [
        ("GET", "/api/v9/nothing", {}, None, "NO_PATH_MATCHED_ERROR"),
        ("PATCH", "/api/v9/me", {}, None, "NO_METHOD_MATCHED_ERROR"),
        ("GET", "/api/v9/workspaces/word", {}, None, "workspace_id must be integer"),
        ("GET", "/api/v9/me", {"with_related_data": "perhaps"}, None, "must be boolean"),
        ("PUT", "/api/v9/me", {}, {"country_id": "word"}, "country_id must be integer"),
        ("PUT", "/api/v9/me", {}, {"full_name": "word"}, "must NOT have unevaluated properties"),
        ("PUT", "/api/v9/me", {}, None, "Body parameter is required"),
    ],
)
async def test_prism_notices_what_violates_the_contract(
    method: str, path: str, params: dict[str, str], content: Any, complaint: str, prism: str
) -> None:
    async with httpx.AsyncClient(auth=("a" * 32, "api_token"), trust_env=False) as plain:
        response = await plain.request(method, prism + path, params=params, json=content)
    assert complaint in response.text + response.headers.get("sl-violations", "")
