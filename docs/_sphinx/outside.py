"""What stands outside docs/: pages that are shown here as well, and links that lead out.

The same files are read on the hosting site, where their links work as they are.
"""

import re
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

__all__ = ["setup"]

_INCLUDE = re.compile(r"```\{include\} \.\./((?:\.github/)?\w+\.md)\n```\n")
_LINK = re.compile(r"(?<!!)\[([^\]]+)\]\((?!https?:|#)([^)#\s]+)((?:#[^)]+)?)\)")


def _from_docs(match: re.Match[str]) -> str:
    """A link of a page at the top level or in .github/, as it has to be written in docs/."""
    text, target, anchor = match.groups()
    target = target.removeprefix("../").removeprefix(".github/")
    if target.startswith("docs/"):
        target = target.removeprefix("docs/")
    elif "/" not in target and target.endswith(".md"):
        target = target.lower()
    else:
        target = f"../{target}"
    return f"[{text}]({target}{anchor})"


def _adapt(app: Sphinx, docname: str, source: list[str]) -> None:
    """Put a page of the top level in; keep of a link to a folder, which nothing can show, its text."""
    folder = (Path(app.srcdir) / docname).parent
    if included := _INCLUDE.fullmatch(source[0]):
        page = folder.parent / included[1]
        app.env.note_dependency(page)
        source[0] = _LINK.sub(_from_docs, page.read_text("utf-8"))

    def without_folders(match: re.Match[str]) -> str:
        return match[1] if (folder / match[2]).is_dir() else match[0]

    source[0] = _LINK.sub(without_folders, source[0])


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect to Sphinx."""
    app.connect("source-read", _adapt)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
