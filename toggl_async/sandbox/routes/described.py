"""Every operation that has no state here: answered from the API's documents, with what could be true."""

from collections.abc import Container, Iterator
from typing import Final

from toggl_async.sandbox import answers, files
from toggl_async.sandbox.answers import Reply
from toggl_async.sandbox.call import ApiRequest
from toggl_async.sandbox.checking import Checker
from toggl_async.sandbox.described import Described, documents
from toggl_async.sandbox.routing import Endpoint, Handler
from toggl_async.sandbox.samples import Samples

__all__ = ["remaining"]

_TARGET: Final = "https://track.toggl.com/sample"
"""Where redirects lead."""

_REDIRECT: Final = 302


def remaining(known: Container[str]) -> Iterator[Endpoint]:
    """Make the operations that the documents have and that are not known already."""
    for route, operation in documents().operations.items():
        if route not in known:
            yield Endpoint(route=route, handler=_handler(operation), words=operation.words)


def _handler(operation: Described) -> Handler:
    """Make what answers an operation: checks the request, then makes an answer up."""
    checker = Checker(documents())

    def answer(call: ApiRequest) -> Reply:
        if "workspace_id" in call.path:
            call.workspace()
        if "organization_id" in call.path:
            call.organization()
        sent = checker.check(operation, call)
        if operation.media:
            return answers.file(files.made(_media(operation, call)), _media(operation, call))
        if operation.status == _REDIRECT:
            return Reply(status=_REDIRECT, media=None, headers={"Location": _TARGET})
        if operation.answer is None:
            return answers.empty(status=operation.status)
        made = Samples(documents(), checker, call, sent).answer(operation.answer)
        return answers.json(made, status=operation.status)

    return answer


def _media(operation: Described, call: ApiRequest) -> str:
    """Choose the file's media type: where there are two, the path says which."""
    return files.XLSX if call.words.get("extension") == "xlsx" else operation.media[0]
