"""Markdown tables, the JSON of a run, and their places in the repository."""

import json
import os
import platform
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

__all__ = ["machine", "mark", "publish", "save", "table"]

ROOT: Final = Path(__file__).parents[2]
RESULTS: Final = ROOT / "benchmarks" / "results"
PAGES: Final = (ROOT / "docs" / "benchmarks.md", ROOT / "README.md")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def mark(*, met: bool) -> str:
    """Return how tables say whether a target is met."""
    return "✅" if met else "❌ missed"


def machine() -> dict[str, object]:
    """Describe what the figures were measured on."""
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processors": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
    }


def save(name: str, values: object) -> None:
    """Write figures to `benchmarks/results/NAME.json`."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(values, indent=1, ensure_ascii=False) + "\n", "utf-8")


def publish(section: str, text: str) -> None:
    """Put generated text in its place in `docs/benchmarks.md`, and in the README where it has one."""
    begin, end = f"<!-- begin {section} -->", f"<!-- end {section} -->"
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    contents = {path: path.read_text("utf-8") for path in PAGES}
    places = {path: content for path, content in contents.items() if pattern.search(content)}
    if not places:
        raise ValueError(f"there is no place for {section!r} in {PAGES[0].name}")
    for path, content in places.items():
        path.write_text(pattern.sub(lambda _: f"{begin}\n\n{text}\n\n{end}", content), "utf-8")
