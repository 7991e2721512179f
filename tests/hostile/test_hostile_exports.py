"""Exports and their updates against hostile answers to any request that they make, over a real socket.

Nothing is lost that Toggl still has: an answer that cannot be believed ends the run with a typed error
or is told of, and rows that were there before stay; the next run, with honest answers, has everything.
"""

import asyncio
import json
import re
import shutil
import ssl
import sys
import warnings
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import attrs
import httpx
import pytest
from hypothesis import settings
from hypothesis import strategies as st

from hostile.answers import JSON, Answer
from hostile.arena import options
from hostile.documents import Raw
from hostile.explore import SAMPLE, explore, nightly
from hostile.kinds import KINDS, Case, Exchange, cases_of
from hostile.server import LeapLoop, Reply, Request, serve
from hostile.tally import record
from support.export_company import Company
from support.export_written import FORMATS, rows
from support.pairs import first_of
from toggl_async import ApiToken, TogglClient, TogglError, operations
from toggl_async.export import DATASETS, ExportPlan, Manifest, export

T = TypeVar("T")

_TLS: Final = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
_RUNAWAY: Final = 300
"""Requests that no export of this company has a reason for; it takes some twenty."""

KEYED: Final = tuple(DATASETS)
TOLD_BY_HEADERS: Final = ("x-next-row-number", "date")


def operation_of(request: Request) -> Any:
    """The operation that a request is for, by the operations' own paths."""
    for one in operations():
        pattern = re.sub(r"\\{\w+\\}", "[^/]+", re.escape(one.path))
        if one.method == request.method and re.fullmatch(pattern, request.path):
            return one
    raise AssertionError(f"{request.method} {request.path} is no operation")


class Toggl:
    """A company behind a socket, one of whose answers may be hostile; keeps what was said."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner(loop_factory=LeapLoop)
        self.company = Company(12, days=40)
        self.hostile: tuple[Exchange, Case] | None = None
        self.asked = 0
        self.exchanges: dict[tuple[str, str, bytes], Exchange] | None = None

    def __enter__(self) -> Self:
        self._runner.__enter__()
        self._serving = serve(self._answer)
        self._url = self._runner.run(self._serving.__aenter__())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._runner.run(self._serving.__aexit__(None, None, None))
        self._runner.__exit__(kind, error, traceback)

    async def _answer(self, request: Request) -> Reply:
        self.asked += 1
        key = (request.path, request.query, request.body)
        if self.hostile is not None and self.hostile[0].key == key and self.asked <= _RUNAWAY:
            return self.hostile[1].answer.reply()
        asked = httpx.Request(
            request.method, f"http://toggl{request.path}?{request.query}", content=request.body
        )
        answer = await self.company.handle_async_request(asked)
        headers = tuple((name, answer.headers[name]) for name in TOLD_BY_HEADERS if name in answer.headers)
        if self.exchanges is not None:
            self.exchanges[key] = Exchange(
                operation=operation_of(request), key=key, tree=json.loads(answer.content), headers=headers
            )
        return Answer(body=answer.content, headers=(JSON, *headers)).reply()

    def export(self, folder: Path, form: str) -> Manifest:
        """Export into a folder, or bring up to date what is there."""
        return self.run(lambda client: export(client, ExportPlan(), folder, format=form, update=True))

    def run(self, work: Callable[[TogglClient], Awaitable[T]]) -> T:
        """Let a client of its own do something."""
        return self._runner.run(self._run(work))

    async def _run(self, work: Callable[[TogglClient], Awaitable[T]]) -> T:
        self.asked = 0
        transport = httpx.AsyncHTTPTransport(verify=_TLS, trust_env=False)
        async with TogglClient(
            ApiToken("0" * 32),
            base_url=self._url,
            transport=transport,
            options=options(keep_unknown=False),
        ) as client:
            return await work(client)

    def overheard(self, folder: Path) -> list[Exchange]:
        """Export honestly, and say what was asked and answered."""
        self.exchanges = {}
        try:
            self.export(folder, "jsonl")
            return list(self.exchanges.values())
        finally:
            self.exchanges = None


@pytest.fixture(scope="module")
def toggl() -> Iterator[Toggl]:
    with Toggl() as toggl:
        yield toggl


@attrs.frozen
class Ground:
    """Honest exports, to be copied and updated, and all that is asked on the way.

    Attributes:
        folder: where they stand, each by the name of its format; see `honest`.
        exchanges: what a first export asks (False), and what an update does (True).
        whole: the ids of each dataset.
    """

    folder: Path
    exchanges: Mapping[bool, list[Exchange]]
    whole: Mapping[str, list[int]]

    def honest(self, toggl: Toggl, form: str) -> Path:
        """An honest export in a format."""
        if not (self.folder / form).exists():
            toggl.export(self.folder / form, form)
        return self.folder / form


@pytest.fixture(scope="module")
def ground(toggl: Toggl, tmp_path_factory: pytest.TempPathFactory) -> Ground:
    trial = tmp_path_factory.mktemp("overheard")
    exchanges = {False: toggl.overheard(trial), True: toggl.overheard(trial)}
    return Ground(tmp_path_factory.mktemp("honest"), exchanges, held(trial, "jsonl"))


@pytest.fixture(autouse=True, scope="module")
def numbers_of_any_length() -> Iterator[None]:
    """Files keep the numbers that came; Python's own reader refuses the longest of them."""
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0)
    yield
    sys.set_int_max_str_digits(before)


def held(folder: Path, form: str, *, told: bool = False) -> dict[str, list[int]]:
    """The ids of each dataset.

    Args:
        folder: where they stand.
        form: their format.
        told: whether the manifest says that something is wrong with them, so that rows can have no id.

    Raises:
        Unreadable: something stands in it that is no row.
    """
    found = {}
    for name in KEYED:
        try:
            listed = [row["id"] for row in rows(folder, form, name) if not told or _is_whole(row.get("id"))]
            found[name] = sorted(map(int, listed))
        except (ValueError, TypeError, KeyError) as error:
            raise Unreadable(f"{name} holds what is no row: {type(error).__name__}: {error}") from error
    return found


def _is_whole(value: object) -> bool:
    return re.fullmatch(r"-?\d{1,19}", str(value)) is not None


class Unreadable(Exception):
    """A file of an export holds what is no row."""


@attrs.frozen(kw_only=True)
class Trial:
    """One export, or update of one, with one hostile answer."""

    form: str
    update: bool
    exchange: Exchange
    case: Case


def trials(
    ground: Ground, kind: str, *, form: str | None = None, update: bool | None = None
) -> st.SearchStrategy[Trial]:
    """Draw a format, a request and a hostile answer to it, made from the honest one."""
    updates = st.booleans() if update is None else st.just(update)
    return updates.flatmap(
        lambda update: st.sampled_from(ground.exchanges[update]).flatmap(
            lambda exchange: st.builds(
                Trial,
                form=st.sampled_from(FORMATS) if form is None else st.just(form),
                update=st.just(update),
                exchange=st.just(exchange),
                case=cases_of(kind, exchange),
            )
        )
    )


def may_go(trial: Trial) -> set[int]:
    """The ids that the hostile answer leaves out in good form: whoever sends that has deleted them.

    Of a report that is so only where another id stands in place of each: what it leaves out would lack
    in the totals.
    """
    before, after = _rows(trial.exchange, trial.exchange.tree), _rows(trial.exchange, trial.case.tree)
    if (
        before is None
        or after is None
        or not all(isinstance(row, dict) and _is_id(row.get("id")) for row in after)
    ):
        return set()
    if _is_report(trial.exchange) and len(before) != len(after):
        return set()
    return {row["id"] for row in before} - {_number(row["id"]) for row in after}


def _is_report(exchange: Exchange) -> bool:
    return exchange.key[0].startswith("/reports/")


def _rows(exchange: Exchange, tree: Any) -> list[Any] | None:
    """The rows with ids that an answer holds, if it has the shape that it should have; null is none."""
    if tree is None:
        return []
    wrapped = isinstance(exchange.tree, dict)
    if wrapped and isinstance(tree, dict):
        tree = tree.get("data", ...)
    elif wrapped:
        return None
    if tree is None:
        return []
    if not isinstance(tree, list):
        return None
    if not _is_report(exchange):
        return tree
    held = [row.get("time_entries") if isinstance(row, dict) else None for row in tree]
    return [entry for entries in held for entry in entries or [None]] if all(map(_is_list, held)) else None


def _is_list(value: object) -> bool:
    return isinstance(value, list)


def _is_id(value: object) -> bool:
    number = _number(value)
    return number is not None and 0 < number < 2**63


def _number(value: object) -> int | None:
    if isinstance(value, Raw):
        return int(value.text) if re.fullmatch(r"\d{1,19}", value.text) else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def attempt(toggl: Toggl, ground: Ground, folder: Path, trial: Trial) -> tuple[str, tuple[str, ...]]:
    """Run a trial, and then an honest update."""
    shutil.rmtree(folder, ignore_errors=True)
    if trial.update:
        toggl.hostile = None
        shutil.copytree(ground.honest(toggl, trial.form), folder)
    answer = trial.case.answer
    told = {name.lower() for name, _ in answer.headers}
    headers = (*answer.headers, *(one for one in trial.exchange.headers if one[0] not in told))
    toggl.hostile = (
        trial.exchange,
        attrs.evolve(trial.case, answer=attrs.evolve(answer, headers=headers)),
    )
    wrong: list[str] = []
    manifest: Manifest | None = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            manifest = toggl.export(folder, trial.form)
            name = "complete" if manifest.complete and not manifest.refused else "incomplete"
        except TogglError as error:
            name = type(error).__name__
        except Exception as error:  # noqa: BLE001 - that is what is looked for
            name = "untyped"
            wrong.append(f"untyped exception: {type(error).__name__}: {str(error)[:200]}")
        finally:
            toggl.hostile = None
        # An export waits for as long as Toggl says that it has to.
        if toggl.asked > _RUNAWAY and trial.case.answer.status != HTTPStatus.TOO_MANY_REQUESTS:
            wrong.append(f"{toggl.asked} requests")
        gone = may_go(trial)
        if manifest is not None:
            wrong += _missing(ground, folder, trial, manifest, gone)
        wrong += _afterwards(toggl, ground, folder, trial)
    return name, tuple(wrong)


def _missing(ground: Ground, folder: Path, trial: Trial, manifest: Manifest, gone: set[int]) -> list[str]:
    """What is not there after a run that came to its end."""
    if not trial.update and not (manifest.complete and not manifest.refused):
        return []
    try:
        after = held(folder, trial.form, told=not manifest.complete)
    except Unreadable as error:
        return [str(error)]
    return [
        f"{'removed' if trial.update else 'complete without'} {name} {sorted(missing)[:5]}"
        for name in KEYED
        if (missing := set(ground.whole[name]) - set(after[name]) - gone)
    ]


def _afterwards(toggl: Toggl, ground: Ground, folder: Path, trial: Trial) -> list[str]:
    """What an honest update cannot make good any more; an export of somebody else's is not its business."""
    me = trial.case.tree.get("id") if isinstance(trial.case.tree, dict) else None
    if trial.exchange.operation.name == "me.get" and _is_id(me) and me != trial.exchange.tree["id"]:
        return []
    try:
        toggl.export(folder, trial.form)
        after = held(folder, trial.form)
    except Unreadable as error:
        return [f"for good, {error}"]
    except Exception as error:  # noqa: BLE001 - whatever it is, somebody is stuck
        return [f"the next update failed: {type(error).__name__}: {str(error)[:200]}"]
    return [
        f"lost for good: {name} {sorted(missing)[:5]}"
        for name in KEYED
        if (missing := set(ground.whole[name]) - set(after[name]))
    ]


@pytest.mark.parametrize("update", first_of([True, False]))
def test_an_export_loses_nothing(update: bool, toggl: Toggl, ground: Ground, tmp_path: Path) -> None:
    found = explore(
        st.sampled_from(list(KINDS)).flatmap(lambda kind: trials(ground, kind, form="jsonl", update=update)),
        lambda trial: attempt(toggl, ground, tmp_path / "export", trial),
        within=SAMPLE,
        outcomes=Counter(),
    )
    assert not found, found


@pytest.mark.nightly
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_format_of_every_export_loses_nothing(
    kind: str, form: str, toggl: Toggl, ground: Ground, tmp_path: Path
) -> None:
    outcomes: Counter[str] = Counter()
    found = explore(
        trials(ground, kind, form=form),
        lambda trial: attempt(toggl, ground, tmp_path / "export", trial),
        within=settings(nightly(), max_examples=3 * nightly().max_examples),
        outcomes=outcomes,
    )
    record(f"exports, {form}", kind, outcomes)
    assert not found, found
