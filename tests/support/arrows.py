"""Arrows: which parts of a package import which, counted.

A part is a direct child of a package, with all that it holds; an arrow is an ordered pair of parts with at
least one import between them. The package's own ``__init__`` doesn't count as a part.

    python tests/support/arrows.py [PACKAGE …]
"""

import sys
from collections.abc import Iterator, Mapping

import attrs
import grimp

__all__ = ["SHEETS", "Sheet", "graph", "sheet"]

SHEETS = ("toggl_async", "toggl_async.scheduler", "toggl_async.export")
"""The packages of which a picture is drawn."""


@attrs.frozen
class Sheet:
    """One package, drawn.

    Attributes:
        package: its name.
        below: each part to those that it imports.
    """

    package: str
    below: Mapping[str, frozenset[str]]

    @property
    def arrows(self) -> int:
        """How many arrows there are."""
        return sum(map(len, self.below.values()))

    def layers(self) -> list[list[str]]:
        """Put each part above all that it imports, as low as that lets it stand; from the top down.

        Raises:
            ValueError: parts import each other in a circle.
        """
        heights: dict[str, int] = {}
        left = {part: set(below) for part, below in self.below.items()}
        height = 0
        while left:
            lowest = sorted(part for part, below in left.items() if not below - heights.keys())
            if not lowest:
                raise ValueError(f"a circle among {', '.join(sorted(left))}")
            heights |= dict.fromkeys(lowest, height)
            height += 1
            for part in lowest:
                del left[part]
        return [
            sorted(part for part, at in heights.items() if at == level) for level in reversed(range(height))
        ]

    def __str__(self) -> str:
        lines = [f"{self.package}: {len(self.below)} parts, {self.arrows} arrows"]
        lines += [
            f"  {part} -> {', '.join(sorted(self.below[part])) or 'nothing'}"
            for layer in self.layers()
            for part in layer
        ]
        return "\n".join(lines)


def graph() -> grimp.ImportGraph:
    """Read the imports of the whole library; those for type checkers alone count as well."""
    return grimp.build_graph("toggl_async", cache_dir=None)


def sheet(imports: grimp.ImportGraph, package: str) -> Sheet:
    """Draw a package."""
    below: dict[str, set[str]] = {}
    for part, module in _within(imports.modules, package):
        targets = imports.find_modules_directly_imported_by(module)
        below.setdefault(part, set()).update(target for target, _ in _within(targets, package))
    return Sheet(package, {part: frozenset(targets - {part}) for part, targets in below.items()})


def _within(modules: set[str], package: str) -> Iterator[tuple[str, str]]:
    """Pair the modules below a package with their parts."""
    for module in modules:
        if module.startswith(f"{package}."):
            yield module.removeprefix(f"{package}.").partition(".")[0], module


if __name__ == "__main__":
    everything = graph()
    print(*(sheet(everything, name) for name in sys.argv[1:] or SHEETS), sep="\n\n")  # noqa: T201
