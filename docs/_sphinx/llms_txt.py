"""`llms.txt`, as llmstxt.org describes it: what the site holds, a line a page, for language models.

Links are relative, since nobody has told the site its address. `llms-full.txt` has the hand-written pages.
"""

import re
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

__all__ = ["setup"]

_SUMMARY = (
    "An asyncio client for the whole Toggl Track API, with a scheduler that keeps Toggl's rate limits and "
    "hourly quotas. Import `TogglClient` from `toggl_async`; every operation is a coroutine, such as "
    "`await toggl.workspace(id).projects.list()`; `iter` walks all pages."
)


def _write(app: Sphinx, failure: Exception | None) -> None:
    if failure is not None or app.builder.format != "html":
        return
    env = app.env
    lines = [f"# {app.config.project}", "", f"> {_SUMMARY}"]
    whole: list[str] = []
    for caption, pages in _chapters(env):
        lines += ["", f"## {caption}", ""]
        for page in pages:
            link = f"[{env.titles[page].astext()}]({app.builder.get_target_uri(page)})"
            lines.append(f"- {link}{_first_sentence(env, page)}")
            source = Path(env.doc2path(page))
            if source.suffix == ".md" and "{include}" not in (text := source.read_text("utf-8")):
                whole.append(text)
    out = Path(app.outdir)
    (out / "llms.txt").write_text("\n".join(lines) + "\n", "utf-8")
    (out / "llms-full.txt").write_text("\n\n".join(whole), "utf-8")


def _first_sentence(env: BuildEnvironment, page: str) -> str:
    """What a page says of itself first, after a colon; a module's page begins with its bare name."""
    for paragraph in env.get_doctree(page).findall(nodes.paragraph):
        text = " ".join(paragraph.astext().split())
        if " " in text:
            return f": {re.split(r'(?<=[.?]) ', text, maxsplit=1)[0].rstrip(':')}"
    return ""


def _chapters(env: BuildEnvironment) -> list[tuple[str, list[str]]]:
    """The tables of contents of the first page: caption, pages; that of the reference goes one deeper."""
    found = []
    for toctree in env.get_doctree(env.config.root_doc).findall(addnodes.toctree):
        pages = [page for _, page in toctree["entries"] if page in env.titles]
        deeper = [below for page in pages for below in env.toctree_includes.get(page, [])]
        found.append((str(toctree["caption"]), [*pages, *deeper]))
    return found


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect to Sphinx."""
    app.connect("build-finished", _write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
