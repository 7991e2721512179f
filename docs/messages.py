"""Writes messages.txt: everything that people read while a program runs, so that it can be read in one go.

Errors, warnings, log records, help texts and what the command says, by module, as they stand in the source;
what is filled in stands in braces. ``--check`` only says whether the file is fresh.
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

__all__ = ["PATH", "messages", "render"]

DOCS: Final = Path(__file__).parent
PATH: Final = DOCS / "messages.txt"
PACKAGE: Final = DOCS.parent / "toggl_async"
_NOT_OURS: Final = ("records", "scopes", "sandbox/routes", "sandbox/seeding.py", "sandbox/words.py")
"""What is generated, what Toggl says in the sandbox, and names of made-up things."""

_CODE: Final = re.compile(
    r"\s*(ALTER|BEGIN|CREATE|DELETE|DROP|INSERT|PRAGMA|REPLACE|SELECT|SET|UPDATE|WITH|AND|WHERE|FROM|ORDER|COPY"
    r"|GET|PATCH|POST|PUT|local|return|type|tuple)\b|.*(%Y|\| None$|\(\?|&str|&\w+=)",
    re.DOTALL,
)
"""SQL, routes, Lua, types, regular expressions, formats of dates."""

_WORD: Final = re.compile(r"[^\W\d_]{2}")

_HEADING: Final = """\
All messages of toggl_async: errors, warnings, logs, help texts. Written by docs/messages.py; don't edit it.
A message says what was wrong, what was expected and what to do, as one would say it to a colleague.
"""


def render(package: Path = PACKAGE) -> str:
    """What the file has to hold."""
    parts = [_HEADING]
    for path in sorted(package.rglob("*.py")):
        inside = path.relative_to(package).as_posix()
        if not inside.startswith(_NOT_OURS) and (found := list(dict.fromkeys(messages(path)))):
            parts.append("\n".join([f"{package.name}/{inside}", *(f"    {text}" for text in found)]))
    return "\n\n".join(part.rstrip("\n") for part in parts) + "\n"


def messages(path: Path) -> Iterator[str]:
    """The messages of a module, in the order in which they stand there, each on one line."""
    tree = ast.parse(path.read_text("utf-8"))
    silent = set(_silent(tree))
    for node in ast.walk(tree):
        decorators = map(ast.unparse, getattr(node, "decorator_list", ()))
        if isinstance(node, ast.FunctionDef) and any("command" in one for one in decorators):
            yield _one_line(ast.get_docstring(node) or "")
    for text in _texts(tree, silent):
        words = [word for word in re.sub(r"\{.*?\}", "", text).split() if _WORD.search(word)]
        if len(words) > 1 and not _CODE.match(text):
            yield _one_line(text)


def _texts(node: ast.AST, silent: set[int]) -> Iterator[str]:
    """The literals under a node, from the top down; an f-string is one."""
    if id(node) in silent:
        return
    if isinstance(node, ast.JoinedStr):
        yield _joined(node)
        # A text within what is filled in, such as a plural, stands where it is filled in.
        return
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    for child in ast.iter_child_nodes(node):
        yield from _texts(child, silent)


def _joined(node: ast.JoinedStr) -> str:
    return "".join(
        str(part.value) if isinstance(part, ast.Constant) else f"{{{ast.unparse(part.value)}}}"
        for part in node.values
        if isinstance(part, ast.Constant | ast.FormattedValue)
    )


def _silent(tree: ast.Module) -> Iterator[int]:
    """What nobody reads at run time: docstrings, and texts under attributes."""
    for node in ast.walk(tree):
        for statement in getattr(node, "body", ()) if not isinstance(node, ast.Lambda | ast.IfExp) else ():
            if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
                yield id(statement.value)
        if isinstance(node, ast.AnnAssign | ast.arg):
            yield id(node.annotation)


def _one_line(text: str) -> str:
    return " ".join(text.replace("\b", " ").split())


def main(arguments: list[str]) -> int:
    """Write the file, or compare it."""
    if arguments == ["--check"]:
        if PATH.read_text("utf-8") == render():
            return 0
        print("docs/messages.txt is stale: run docs/messages.py, and read what changed", file=sys.stderr)
        return 1
    PATH.write_text(render(), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
