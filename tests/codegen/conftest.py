from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import pytest

from codegen.plan import plan
from support.pets import DOCUMENT, Folder


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "codegen", deepcopy(DOCUMENT))


@pytest.fixture
def faults(folder: Folder) -> Callable[[], list[str]]:
    """Plan the folder as it is by then, and list what is wrong."""
    return lambda: [str(fault) for fault in plan(folder.load())[1]]
