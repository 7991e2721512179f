"""Lets httpx2 stand in for httpx, in every process that has this folder on its PYTHONPATH.

That has to happen before anything imports httpx, so Python runs this module first. It doesn't import httpx2
either, before somebody wants httpx: what httpx2 imports would be there before pytest can rewrite it.
"""

import importlib.abc
import importlib.util
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType


class _Aliasing(importlib.abc.MetaPathFinder):
    """Puts httpx2 into httpx's place when httpx or httpcore is looked for."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find a module."""
        if fullname not in {"httpx", "httpcore"}:
            return None
        sys.meta_path.remove(self)
        import httpx2  # noqa: PLC0415 - see above

        httpx2.alias_httpx()
        # An import that finds the module there takes the spec of its own, and loads httpx2 once more.
        del sys.modules["httpx"], sys.modules["httpcore"]
        found = (finder.find_spec(fullname, path, target) for finder in sys.meta_path)
        return next(spec for spec in found if spec is not None)


sys.meta_path.insert(0, _Aliasing())
