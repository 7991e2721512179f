from collections.abc import Iterator
from pathlib import Path

import pytest

from support.postgres_server import PASSWORD, REASON, PostgresServer, is_missing, postgres_server
from support.stores import NewStore, new_postgres, new_sqlite


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A server for all tests of the session; whoever connects to it has its password from the environment."""
    if is_missing():
        pytest.skip(REASON)
    with postgres_server() as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("PGPASSWORD", PASSWORD)
        yield server


@pytest.fixture(scope="session", params=["sqlite", "postgres"])
def new_store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> NewStore:
    """Each kind of store: makes one of its own, or another of the same place."""
    if request.param == "sqlite":
        return new_sqlite(tmp_path_factory)
    return new_postgres(request.getfixturevalue("postgres"))


@pytest.fixture(params=["sqlite", "postgres"])
def mirror_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a place for a mirror, of each kind of store."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'mirror.sqlite'}"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.new_url()
