"""What is said where an extra is not installed: one sentence with the command that brings it."""

import json
import subprocess
import sys

import pytest

EXTRAS = {
    "from toggl_async.sandbox import serve": ("uvicorn", "sandbox"),
    "from toggl_async.sandbox import origins": ("starlette", "sandbox"),
    "import toggl_async.opentelemetry": ("opentelemetry", "otel"),
    "import toggl_async.export.dlt": ("dlt", "dlt"),
    "import toggl_async.webhooks.fastapi": ("fastapi", "fastapi"),
    "from toggl_async.export import Batch; Batch(dataset='tags', workspace_id=1, rows=()).arrow()": (
        "pyarrow",
        "parquet",
    ),
    "from toggl_async.export import Mirror; Mirror('postgresql:///toggl')": ("psycopg", "postgres"),
    "from toggl_async import RedisBudget; RedisBudget('redis://127.0.0.1')": ("redis", "redis"),
}

PROGRAM = """
import json, sys

class Nothing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {missing}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Nothing())
said = {{}}
for statement in {statements}:
    try:
        exec(statement)
    except Exception as error:
        said[statement] = str(error)
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def said() -> dict[str, str]:
    """What each statement says, in one process without any extra."""
    missing = {package for package, _ in EXTRAS.values()}
    program = PROGRAM.format(missing=missing, statements=list(EXTRAS))
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    sentences: dict[str, str] = json.loads(run.stdout)
    return sentences


@pytest.mark.parametrize("statement", EXTRAS)
def test_a_missing_extra_is_named_with_the_command(statement: str, said: dict[str, str]) -> None:
    package, extra = EXTRAS[statement]
    sentence = said[statement]
    assert package in sentence
    assert f"pip install 'toggl_async[{extra}]'" in sentence
    assert "\n" not in sentence
