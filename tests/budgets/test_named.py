import pytest

from toggl_async.errors import InvalidInput
from toggl_async.scheduler.budgets.file import FileBudget
from toggl_async.scheduler.budgets.named import VARIABLE, budget_from_env, budget_from_text
from toggl_async.scheduler.budgets.redis import RedisBudget


@pytest.mark.parametrize("text", ["redis://cache:6379/1", "rediss://:word@cache:6379/1"])
def test_a_url_names_a_redis(text: str) -> None:
    assert isinstance(budget_from_text(text), RedisBudget)


def test_a_path_names_a_file() -> None:
    found = budget_from_text("file:/var/lib/app/toggl.sqlite")
    assert isinstance(found, FileBudget)
    assert str(found.path) == "/var/lib/app/toggl.sqlite"


def test_file_alone_is_the_one_of_the_user() -> None:
    found = budget_from_text("file")
    assert isinstance(found, FileBudget)
    assert found.path == FileBudget().path


@pytest.mark.parametrize("text", ["none", "memory"])
def test_none_is_memory(text: str) -> None:
    assert budget_from_text(text) is None


@pytest.mark.parametrize("text", ["", "File", "file:", "Memory", "http://cache", "redis:6379:s3cret"])
def test_anything_else_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"must be none .or memory., file, file:PATH, redis://") as caught:
        budget_from_text(text)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("environ", [{}, {VARIABLE: ""}, {VARIABLE: "  "}])
def test_without_the_variable_it_is_what_the_caller_says(environ: dict[str, str]) -> None:
    assert budget_from_env(environ) is None
    assert isinstance(budget_from_env(environ, unset="file"), FileBudget)


def test_the_variable_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(budget_from_env({VARIABLE: " file "}), FileBudget)
    monkeypatch.setenv(VARIABLE, "file:/tmp/one")
    assert isinstance(budget_from_env(), FileBudget)
    assert budget_from_env({VARIABLE: "none"}, unset="file") is None
