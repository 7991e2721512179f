"""Names in docstrings and signatures, resolved to what the site documents.

Docstrings name things in single backticks: `max_wait`, `Pages`, `workspace.tags.list`. Where the site
documents exactly that, it becomes a link; elsewhere it is code. Annotations name a class by the module
that defines it, which may be private; the link leads to the public name.
"""

import builtins
import collections.abc
import importlib
import inspect
import re
import typing
from collections.abc import Iterator, Mapping
from functools import cache, cached_property
from types import FunctionType
from typing import Any, Literal, TypeAlias, cast

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.directives import ObjectDescription
from sphinx.domains.python import PythonDomain
from sphinx.ext.napoleon import Config
from sphinx.ext.napoleon.docstring import GoogleDocstring
from sphinx.util.nodes import find_pending_xref_condition

from reference import PUBLIC_MODULES, operation_names, public_names

__all__ = ["linked", "parsed", "setup"]

_ELSEWHERE = re.compile(
    r"(anyio|asyncio|attrs?|builtins|collections|contextlib|datetime|dlt|dt|enum|fastapi|httpx|httpx2|msgspec|opentelemetry|os|pathlib|polars"
    r"|pyarrow|random|starlette|types|typing)(\.\w+)*(\[\[\]?)?"
    r"|[A-Z]\w*T(_co)?|[KTV]"  # the letters of generics
    rf"|{'|'.join(name for name in dir(builtins) if name.isalpha())}"
    rf"|{'|'.join((*typing.__all__, *collections.abc.__all__))}"
    r"|Path|PathLike|date|datetime|pa\.Table|timedelta|tzinfo"
    r"|\w+Scope"  # what it holds stands on the pages of the operations
)
"""Names in signatures that are documented elsewhere, by projects whose inventories we do not fetch."""

Kind: TypeAlias = Literal[
    "attribute", "class", "data", "exception", "function", "method", "module", "property"
]
"""What autodoc says that a docstring belongs to."""

_CONFIG = Config(napoleon_numpy_docstring=False, napoleon_use_ivar=True)
_BACKTICKS = re.compile(r"(?<![`:\w])`([^`\n]+)`(?!`)")


@cache
def documented() -> Mapping[str, str]:
    """What the site documents: each way that a docstring writes a name, to the full name."""
    found: dict[str, str] = {}
    for module in reversed(PUBLIC_MODULES):
        found[module] = module
        for name in public_names(module):
            full = f"{module}.{name}"
            value = getattr(importlib.import_module(module), name)
            found[name] = found[full] = full
            if inspect.isclass(value):
                found[f"{value.__module__}.{value.__qualname__}"] = full
                found.update((f"{name}.{member}", f"{full}.{member}") for member in _members(value))
    found.update({name: name for name in operation_names()})
    return found


def _members(kind: type[object]) -> Iterator[str]:
    """What has a place of its own on the page of a class: its methods, and the fields of a record."""
    for name, value in vars(kind).items():
        if not name.startswith("_") and (
            kind.__module__.startswith("toggl_async.records") or _has_text(value)
        ):
            yield name


def _has_text(value: object) -> bool:
    return isinstance(value, (property, cached_property, classmethod, staticmethod, FunctionType)) and bool(
        value.__doc__
    )


def linked(text: str) -> str:
    """Turn the single backticks of a docstring into links and code."""

    def replace(match: re.Match[str]) -> str:
        name = match[1].removesuffix("()")
        if name in documented():
            return f":py:obj:`{match[1]} <{documented()[name]}>`"
        return f"``{match[1]}``"

    return _BACKTICKS.sub(replace, text)


def parsed(text: str, what: Kind) -> list[str]:
    """A docstring in Google's style as reStructuredText, line by line."""
    text = re.sub(r"^( *)Raises \(.+\):$", r"\1Raises:", linked(text), flags=re.MULTILINE)
    return GoogleDocstring(text, cast("Any", _CONFIG), what=what).lines()


def _process(
    _app: Sphinx, what: Kind, _name: str, _value: object, _options: object, lines: list[str]
) -> None:
    text = "\n".join(lines)
    # Napoleon would take what stands before a colon in the docstring of an attribute for its type.
    lines[:] = linked(text).split("\n") if what in {"attribute", "data", "property"} else parsed(text, what)


def _resolve(_app: Sphinx, doctree: nodes.document) -> None:
    """Say of each name in a signature what it is; Sphinx would look among thousands for what ends so.

    A name of this package that is not public is shown without a link. One that nobody knows is left to
    Sphinx, which reports it. So is each name that a page or a docstring links to on purpose.
    """
    for node in list(doctree.findall(addnodes.pending_xref)):
        if node.get("refdomain") != "py" or node.get("refexplicit"):
            continue
        target: str = node["reftarget"].removeprefix("~")
        full = documented().get(target) or documented().get(target.rsplit(".", 1)[-1])
        if full is not None and (target.startswith("toggl_async.") or "." not in target):
            node["reftarget"] = full
            node["reftype"] = "obj"
            node.attributes.pop("refspecific", None)
        elif target.startswith(("toggl_async.", "'")) or _ELSEWHERE.fullmatch(target):
            shown = find_pending_xref_condition(node, "resolved") or node
            node.replace_self(shown.children)


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect to Sphinx."""
    described = cast("type[ObjectDescription[str]]", PythonDomain.directives["class"])
    for field in described.doc_field_types:
        if field.name == "variable":
            field.label = "Attributes"  # "Variables", says Sphinx, also of options and events
    app.connect("autodoc-process-docstring", _process, priority=400)
    app.connect("doctree-read", _resolve)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
