"""Databases of every kind: SQLite always, PostgreSQL and MariaDB where a server is named.

A server is named by SUPERBIN_TEST_POSTGRESQL_URL or SUPERBIN_TEST_MARIADB_URL, whose user may create databases
(``.ci/servers.sh`` starts both). Where none is named the test skips, unless SUPERBIN_REQUIRE_SERVERS is 1.
"""

import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from superbin.store.engine import locate, open_engine


def _server(kind: str) -> str:
    url = os.environ.get(f"SUPERBIN_TEST_{kind.upper()}_URL")
    if url is None:
        reason = f"no {kind} server: set SUPERBIN_TEST_{kind.upper()}_URL, or source .ci/servers.sh"
        if os.environ.get("SUPERBIN_REQUIRE_SERVERS") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return url


@pytest.fixture
def server() -> Callable[[str], str]:
    """The URL of a test server by its kind, or a skip that CI turns into a failure."""
    return _server


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database of its own."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'superbin.sqlite'}"
        return
    url = locate(_server(request.param))
    name = f"superbin_test_{uuid.uuid4().hex[:12]}"
    engine = open_engine(url)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    try:
        yield url.set(database=name).render_as_string(hide_password=False)
    finally:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(sa.text(f"DROP DATABASE {name}"))
        engine.dispose()
