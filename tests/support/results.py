"""What tests measured, as JSON that documents quote: a test gives its figures to `record_property`."""

import json
import os
import platform
from pathlib import Path
from typing import Any

import pytest


class Results:
    """A plugin that collects figures, also from the processes of pytest-xdist.

    Args:
        file: where they are written when every test has passed.
        examples: how many examples each property was given.
    """

    def __init__(self, file: Path, examples: int) -> None:
        self._file = file.resolve()
        self._examples = examples
        self._tests: dict[str, dict[str, Any]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the figures of a test that passed."""
        if report.when == "call" and report.passed:
            self._tests[report.nodeid] = {
                "seconds": round(report.duration, 1),
                **dict(report.user_properties),
            }

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        """Write all figures."""
        if exitstatus != pytest.ExitCode.OK:
            return
        found = {
            "machine": {
                "python": platform.python_version(),
                "system": f"{platform.system()} {platform.machine()}",
                "processors": os.cpu_count(),
            },
            "examples": self._examples,
            "tests": dict(sorted(self._tests.items())),
        }
        self._file.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", "utf-8")
