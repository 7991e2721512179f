import os

import pytest


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bring nothing to the disk for good: a test's files need not outlive the machine."""
    monkeypatch.setattr(os, "fsync", lambda number: None)
