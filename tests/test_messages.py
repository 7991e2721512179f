"""The list of messages is fresh, and says nothing that a native writer would not write."""

import re
import runpy
from pathlib import Path

import pytest

import toggl_async

DOCS = Path(__file__).parents[1] / "docs"
LISTED = (DOCS / "messages.txt").read_text("utf-8")
MESSAGES = [line.strip() for line in LISTED.splitlines() if line.startswith("    ")]

UNIDIOMATIC = {
    r"(?<!there )\bis no\b(?! longer)": "is not a",
    r"\bholds? (an?|no|the)\b": "contains",
    r"\bcame where\b|\bwhere an? .+ belongs\b": "expected X, got Y",
    r"(^|: )give (an?|ids|one|options)\b": "pass",
    r"\bso many\b": "this many",
    r"\bgoes on\b": "resumes, or: run the same command",
    r"\bexclude each other\b": "cannot be combined",
    r"\bgoes with .+ alone\b": "needs",
    r"\bwhoever\b": "a program that",
    r"\b(stands?|lies) (at|in|on)\b": "is",
    r"\banew\b": "again",
    r"\b(is|are) told\b": "the next run repeats",
    r"\b(makes|takes) no requests?\b": "sends no requests",
    r"\blooked at\b": "read",
    r"\bsub-?folders?\b": "subdirectory",
    r"\ball the same\b": "nevertheless",
}
"""What older messages said, and what is said instead."""

ALONE = re.compile(r"goes on alone")
"""What a process does without its shared budget."""


def test_the_list_is_fresh() -> None:
    written = runpy.run_path(str(DOCS / "messages.py"))
    assert written["render"](Path(toggl_async.__file__).parent) == LISTED, "run python docs/messages.py"
    assert len(MESSAGES) > 400


@pytest.mark.parametrize("phrase", UNIDIOMATIC)
def test_no_message_says_what_nobody_would(phrase: str) -> None:
    said = [text for text in MESSAGES if re.search(phrase, text) and not ALONE.search(text)]
    assert said == []


def test_a_message_is_one_line_of_text_with_what_is_filled_in(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text(
        '"""A docstring."""\n\nraise ValueError(f"{name} must be a number, "\n    f"not {value!r}")\n'
        'query = "SELECT name FROM tags"\n'
    )
    found = runpy.run_path(str(DOCS / "messages.py"))["messages"](module)
    assert list(found) == ["{name} must be a number, not {value}"]
