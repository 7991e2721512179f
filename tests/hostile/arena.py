"""One call against one hostile answer, and what came of it."""

import asyncio
import inspect
import ssl
import tempfile
import warnings
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, get_origin

import attrs
import httpx

from hostile.answers import JSON, Answer
from hostile.documents import Raw, is_record
from hostile.kinds import UNREADABLE, Case, Subject
from hostile.oracle import Told, losses
from hostile.server import PATIENCE, LeapLoop, Reply, Request, serve
from support.samples import arguments_of, reach
from toggl_async import (
    ApiToken,
    ClientOptions,
    Cooldown,
    DriftWarning,
    InvalidInput,
    Pace,
    Retry,
    TogglClient,
    TogglError,
)

__all__ = ["Arena", "Outcome", "options"]

_BOUND: Final[Mapping[str, int | str]] = {"workspace": 10, "organization": 1, "shared_report": "7f3a"}
_TLS: Final = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""What no test uses and every transport makes: the server speaks plain HTTP."""

_RUNAWAY: Final = 12
"""Requests that no single call has a reason for."""


def options(*, keep_unknown: bool) -> ClientOptions:
    """What a client needs to be quick: no pace to speak of, and no wait that would be real."""
    return ClientOptions(
        pace=Pace(interval=1e-6, margin=0),
        retry=Retry(attempts=2, minimum=0, maximum=0),
        cooldown=Cooldown(minimum=0.02, maximum=0.02),
        max_wait=0.05,
        timeout=PATIENCE,
        keep_unknown=keep_unknown,
    )


@attrs.frozen(kw_only=True)
class Outcome:
    """What came of a call.

    Attributes:
        name: "value", or the class of the error.
        wrong: what is wrong with that; empty when nothing is.
    """

    name: str
    wrong: tuple[str, ...] = ()


class Arena:
    """A server and a loop; each call has a client of its own, which remembers nothing."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner(loop_factory=LeapLoop)
        self._stack = AsyncExitStack()
        self._hostile = Answer()
        self._first: tuple[str, str, bytes] | None = None
        self.asked = 0
        self._no_more = b"[]"

    def __enter__(self) -> Self:
        self._runner.__enter__()
        self._url: str = self._runner.run(self._stack.enter_async_context(serve(self._answer)))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._runner.run(self._stack.aclose())
        self._runner.__exit__(kind, error, traceback)

    async def _answer(self, request: Request) -> Reply:
        """Give the hostile answer, and an honest empty one where the next page is asked for."""
        self.asked += 1
        asked = (request.path, request.query, request.body)
        self._first = self._first or asked
        if asked == self._first and self.asked <= _RUNAWAY:
            return self._hostile.reply()
        return Answer(body=self._no_more, headers=(JSON,)).reply()

    def run(self, subject: Subject, case: Case) -> Outcome:
        """Make one call, and one more that is answered honestly where the first could spoil it."""
        return self._runner.run(self._run(subject, case))

    async def _run(self, subject: Subject, case: Case) -> Outcome:
        self._hostile, self._first, self.asked = case.answer, None, 0
        origin: Any = get_origin(subject.form)
        wraps = is_record(subject.form) and subject.form.wraps
        self._no_more = b"[]" if wraps or origin is list else b"{}"
        told: list[warnings.WarningMessage]
        transport = httpx.AsyncHTTPTransport(verify=_TLS, trust_env=False)
        async with TogglClient(
            ApiToken("0" * 32),
            base_url=self._url,
            transport=transport,
            options=options(keep_unknown=case.keep_unknown),
        ) as toggl:
            with warnings.catch_warnings(record=True) as told:
                warnings.simplefilter("always")
                try:
                    value = await self._call(toggl, subject)
                except TogglError as error:
                    outcome = Outcome(
                        name=type(error).__name__, wrong=tuple(_wrong_with_error(error, subject, case))
                    )
                except Exception as error:  # noqa: BLE001 - that is what is looked for
                    shown = f"{type(error).__name__}: {str(error)[:200]}"
                    outcome = Outcome(name="untyped", wrong=(f"untyped exception: {shown}",))
                else:
                    outcome = _of_value(value, subject, case, told)
            runaway = self.asked > _RUNAWAY
            wrong = [*outcome.wrong, *(f"{self.asked} requests for one call" for _ in range(runaway))]
            if case.answer.status in {200, 201, 204} and not wrong:
                wrong += await self._next(toggl)
        return attrs.evolve(outcome, wrong=tuple(wrong))

    async def _next(self, toggl: TogglClient) -> list[str]:
        """Whether the client is as good as before: an odd answer is nobody else's concern."""
        self._hostile, self._first = Answer(body=b"[]"), None
        try:
            await toggl.me.tags.list()
        except Exception as error:  # noqa: BLE001 - whatever it is
            return [f"the next call failed: {type(error).__name__}: {str(error)[:200]}"]
        return []

    async def _call(self, toggl: TogglClient, subject: Subject) -> Any:
        """Get an answer the way that a program does."""
        name = subject.operation.name
        scope = getattr(toggl, name.partition(".")[0])
        if inspect.ismethod(scope):
            scope = scope(_BOUND[name.partition(".")[0]])
        if subject.way == "walk":
            parent, _, verb = name.rpartition(".")
            name = f"{parent}.{'iter' if verb in _LISTING else 'iter_' + verb.removeprefix('list_')}"
        coroutine = reach(scope, name)
        called = coroutine(**_arguments_that_do(coroutine))
        if subject.way == "walk":
            return await called.collect()
        if subject.way == "save":
            with tempfile.TemporaryDirectory() as folder:
                target = Path(folder) / "saved"
                try:
                    size = await called.save(target)
                except BaseException:
                    assert not list(Path(folder).iterdir()), "a part of a file was left behind"
                    raise
                content = target.read_bytes()
                assert size == len(content)
                return content
        return await called


_LISTING: Final = {"list", "list_page", "search"}


def _arguments_that_do(coroutine: Callable[..., Any]) -> dict[str, Any]:
    """The arguments without which it cannot be called, a report's beginning among them."""
    arguments = arguments_of(coroutine, required_only=True)
    every = inspect.signature(coroutine).parameters
    wanted = [name for name in ("start_date", "profile") if name in every and name not in arguments]
    return {**arguments, **{name: arguments_of(coroutine, required_only=False)[name] for name in wanted}}


def _wrong_with_error(error: TogglError, subject: Subject, case: Case) -> list[str]:
    """What an error lacks: it has to say what came, and not what did not."""
    said, wrong = str(error), []
    if isinstance(error, InvalidInput):
        wrong.append(f"refused before it was sent: {said}")
    if case.honest:
        wrong.append(f"an honest answer was refused: {said[:200]}")
    if case.says and case.says not in said.lower():
        wrong.append(f"the error doesn't say {case.says!r}: {said[:200]}")
    if "truncated" in said and case.answer.cut is None and case.tree is not UNREADABLE:
        wrong.append(f"nothing was truncated: {said[:200]}")
    body = getattr(error, "body", None)
    if body is not None and case.answer.coding == "identity" and case.answer.cut is None:
        encoded = any(name == "Content-Encoding" for name, _ in case.answer.headers)
        if body != case.answer.body and not encoded and subject.way != "save":
            wrong.append(f"the error holds {len(body)} bytes of {len(case.answer.body)}")
    applied = getattr(error, "maybe_applied", None)
    if applied is not None and applied is subject.operation.reads:
        wrong.append(f"maybe_applied={applied} after a {subject.operation.method}")
    return wrong


def _of_value(
    value: Any,
    subject: Subject,
    case: Case,
    warned: list[warnings.WarningMessage],
) -> Outcome:
    """Hold a value against what was sent."""
    drift = [one.message for one in warned if isinstance(one.message, DriftWarning)]
    wrong = [
        f"{one.category.__name__}: {one.message}"
        for one in warned
        if not issubclass(one.category, DriftWarning | DeprecationWarning)
    ]
    if case.honest:
        wrong += [f"an honest answer was warned of: {one}" for one in drift]
    if case.tree is UNREADABLE:
        wrong.append(f"silent loss: became {_shown(value)}")
    elif (case.suspect or case.says) and not drift and not _shows(case.tree, value):
        wrong.append(f"silent loss: an error was believed, and became {_shown(value)}")
    elif subject.form is None:
        wrong += [f"became {value!r}"] if value is not None else []
    else:
        told = Told(
            fields=frozenset(one.field for one in drift),
            keeps=case.keep_unknown,
            documented=subject.operation.documented,
        )
        lost = _lost(value, subject, case.tree, told)
        if lost and case.mended is not None and "$" in told.fields:
            lost = _lost(value, subject, case.mended, told)
        wrong += [f"silent loss: {one[:300]}" for one in lost[:3]]
    return Outcome(name="value", wrong=tuple(wrong))


def _lost(value: Any, subject: Subject, tree: Any, told: Told) -> list[str]:
    """What a value lacks; of a walk, what its items lack."""
    if subject.operation.redirects:
        return [] if value == tree else [f"{tree!r} became {value!r}"]
    if subject.way != "walk":
        return list(losses(subject.form, tree, value, told))
    # A walk gives items; what holds them beside is of no use to it. They are gathered as JSON texts,
    # wherever they stand: whoever asks for rows gets all that are in the answer.
    return _walked(tree, value, subject, told)


def _walked(tree: Any, rows: list[Any], subject: Subject, told: Told) -> list[str]:
    """What the rows of a walk lack."""
    lists = [[one for one in found if one is not None] for found in _lists(tree, subject)]
    sent = [row for found in lists for row in found]
    identity = subject.operation.paging.identity if subject.operation.paging else None
    keys = {
        str(row.get(identity, index)) if isinstance(row, dict) else index for index, row in enumerate(sent)
    }
    if len(rows) < len(keys):
        return [f"{len(sent)} rows became {len(rows)}: {_shown(tree)}"]
    if not sent and tree not in (None, [], {}) and not rows and not _is_empty_page(tree, subject):
        return [f"{_shown(tree)} became no rows"]
    return []


def _lists(tree: Any, subject: Subject) -> list[list[Any]]:
    """The lists in which rows stand, by what the operation's paging says of them."""
    field = getattr(subject.operation.paging, "data", None)
    if field is not None:
        wrappers = tree if isinstance(tree, list) else [tree]
        found = [one.get(field) for one in wrappers if isinstance(one, dict)]
    elif type(subject.operation.paging).__name__ == "MappedPages":
        found = list(tree.values()) if isinstance(tree, dict) else []
    else:
        found = [tree]
    return [one for one in found if isinstance(one, list)]


def _is_empty_page(tree: Any, subject: Subject) -> bool:
    """Whether a page says that it has no rows: its list is there, and empty or null."""
    field = getattr(subject.operation.paging, "data", None)
    following = getattr(subject.operation.paging, "next", None)
    if type(subject.operation.paging).__name__ == "MappedPages":
        return isinstance(tree, dict) and all(rows in (None, []) for rows in tree.values())
    wrappers = tree if isinstance(tree, list) else [tree]
    return field is not None and all(
        isinstance(one, dict)
        and (not one or (field not in one and following in one) or one.get(field, ...) in (None, []))
        for one in wrappers
    )


def _shows(tree: Any, value: Any) -> bool:
    """Whether a value is the free JSON that was sent, for everyone to see."""
    return not isinstance(value, str) and bool(tree == value) and not isinstance(tree, Raw)


def _shown(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) < 200 else f"{shown[:200]}…"
