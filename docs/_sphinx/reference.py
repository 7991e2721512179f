"""Writes the API reference: every public module, operation and record, from docstrings and signatures.

The pages land in docs/reference/, which is not kept: they are made before each build. Modules are left to
autodoc. Operations and records are written here, since they are called by other names than they are
defined by: ``workspace.tags.list`` is a method of ``toggl_async.scopes.workspace.tags.Tags``.
"""

import functools
import importlib
import inspect
import shutil
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from sphinx.application import Sphinx
from sphinx.pycode import ModuleAnalyzer

__all__ = ["PUBLIC_MODULES", "operation_names", "public_names", "setup", "write"]

DOCS: Final = Path(__file__).parents[1]
_FROZEN: Final[Mapping[str, list[str]]] = tomllib.loads(
    (DOCS.parent / "tests" / "public_names.toml").read_text("utf-8")
)
PUBLIC_MODULES: Final = (*_FROZEN, "toggl_async.records")
"""What programs may import from, the front door first."""

_TITLES: Final[Mapping[str, str]] = {
    "toggl_async": "Main module",
    "toggl_async.errors": "Errors",
    "toggl_async.export": "Exports",
    "toggl_async.export.dlt": "Exports with dlt",
    "toggl_async.options": "Options",
    "toggl_async.sandbox": "Sandbox",
    "toggl_async.scheduler": "Scheduler",
    "toggl_async.scheduler.events": "Scheduler events",
    "toggl_async.timer": "Timer",
    "toggl_async.opentelemetry": "OpenTelemetry",
    "toggl_async.webhooks": "Webhooks",
    "toggl_async.webhooks.fastapi": "Webhooks in FastAPI",
    "toggl_async.writes": "Writes that are sent once",
}


@functools.cache
def public_names(module: str) -> tuple[str, ...]:
    """The public names of a module that are documented under it: each name has one page."""
    if module == "toggl_async.records":
        return tuple(sorted(importlib.import_module(module).__all__))
    if module == "toggl_async":
        elsewhere = {*_FROZEN["toggl_async.errors"], *_FROZEN["toggl_async.options"]}
        return tuple(name for name in _FROZEN[module] if name not in elsewhere)
    at_the_front = set(public_names("toggl_async"))
    inner = {name for other in _FROZEN if other.startswith(f"{module}.") for name in _FROZEN[other]}
    modules = {other.rsplit(".", 1)[-1] for other in _FROZEN if other.startswith(f"{module}.")}
    return tuple(name for name in _FROZEN[module] if name not in at_the_front | inner | modules)


@functools.cache
def operation_names() -> tuple[str, ...]:
    """How operations are called, the walks of their pages among them."""
    from operation_pages import coroutines  # noqa: PLC0415 - loads the whole API

    return tuple(one.name for one in coroutines())


_FRONT: Final = """\
What most programs import from: the client, its options, its errors, and every record. A name is loaded when
it is first asked for, so that ``import toggl_async`` costs next to nothing. Options, errors and records have
pages of their own.

.. py:data:: toggl_async.UNSET

   Says that an argument was not given; the default of everything that may be left out of a request. It is
   falsy, and compared by ``is``. ``None`` is something else: it is sent as null.

.. py:class:: toggl_async.UnsetType

   The type of :py:data:`UNSET <toggl_async.UNSET>`.
"""
"""The beginning of the front door's page; UNSET is msgspec's, and described there for its own purposes."""


def module_pages() -> Iterator[tuple[str, str]]:
    """A page for each public module that is written by hand."""
    for module in _FROZEN:
        lines = [_TITLES[module], "=" * len(_TITLES[module]), "", f"``{module}``", ""]
        lines += [_FRONT] if module == "toggl_async" else [f".. automodule:: {module}", "   :no-members:", ""]
        for name in public_names(module):
            if name not in {"UNSET", "UnsetType"}:
                lines += _directive(f"{module}.{name}", getattr(importlib.import_module(module), name))
        yield module, "\n".join(lines)


def _directive(name: str, value: object) -> list[str]:
    """What autodoc is told of a name."""
    if isinstance(value, type):
        bases = [] if value.__bases__ == (object,) else ["   :show-inheritance:"]
        return [f".. autoclass:: {name}", "   :members:", *bases, ""]
    if callable(value) and inspect.isfunction(inspect.unwrap(value)):
        return [f".. autofunction:: {name}", ""]
    module, _, constant = name.rpartition(".")
    head = [f".. py:data:: {constant}", f"   :module: {module}", ""]
    return [*head, *(f"   {line}" for line in _text_under(name)), ""]


def _text_under(name: str) -> list[str]:
    """The text under a constant, in the module that it comes from: autodoc would describe its type."""
    from names import linked  # noqa: PLC0415 - which imports this module

    package, _, constant = name.rpartition(".")
    homes = [package, *sorted(module for module in sys.modules if module.startswith(f"{package}."))]
    for home in homes:
        text = ModuleAnalyzer.for_module(home).find_attr_docs().get(("", constant))
        if text:
            return linked("\n".join(text)).split("\n")
    return []


def write(folder: Path) -> None:
    """Write all pages of the reference."""
    from operation_pages import pages as operation_pages  # noqa: PLC0415 - loads the whole API
    from record_pages import pages as record_pages  # noqa: PLC0415 - likewise

    shutil.rmtree(folder, ignore_errors=True)
    chapters = {"modules": module_pages(), "operations": operation_pages(), "records": record_pages()}
    for chapter, pages in chapters.items():
        (folder / chapter).mkdir(parents=True)
        for name, text in pages:
            (folder / chapter / f"{name}.rst").write_text(text, "utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect to Sphinx."""
    app.connect("builder-inited", lambda app: write(Path(app.srcdir) / "reference"))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
