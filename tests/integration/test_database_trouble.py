"""What goes wrong with databases while they are used, on each of them: clauses STORE-7, STORE-10, STORE-23."""

import dataclasses
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy import Engine, event

from superbin.catalog import open_catalog
from superbin.domain.search import Search
from superbin.errors import DatabaseError
from superbin.store import Store, engine
from superbin.store.engine import locate, open_engine

PASSWORD = "hunter2"


@contextmanager
def connected(database: str) -> Iterator[sa.Connection]:
    opened = open_engine(locate(database))
    try:
        with opened.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            yield connection
    finally:
        opened.dispose()


IMPORTS = """
import dataclasses, sys
from superbin.store import Store
name = sys.argv[2]
with Store(sys.argv[1]) as store:
    search = store.search("small")
    for i in range(4):
        store.add_search(dataclasses.replace(search, name=f"{name}-{i}"))
"""


def test_two_writers(database: str, small_search: Search) -> None:
    """STORE-7: two processes that import at once wait for each other, and nothing of either is lost."""
    with Store(database) as store:
        store.add_search(small_search)
        processes = [subprocess.Popen([sys.executable, "-c", IMPORTS, database, name]) for name in ("a", "b")]
        assert [process.wait(timeout=120) for process in processes] == [0, 0]
        names = [stored.name for stored in store.searches()]  # compared with the count that is kept
    assert names == [*(f"{name}-{i}" for name in ("a", "b") for i in range(4)), "small"]


REPLACES = """
import dataclasses, itertools, sys
from superbin.store import Store
with Store(sys.argv[1]) as store:
    search = store.search("small")
    print("ready", flush=True)
    for i in itertools.count(1):
        changed = dataclasses.replace(search, observed=search.observed + i, title=str(i))
        store.add_search(changed, replace=True, files={"third-moments.json": str(i).encode()})
"""


@pytest.mark.parametrize("delay", [0.02, 0.11])
def test_killed_while_replacing(database: str, small_search: Search, delay: float) -> None:
    """STORE-23: a process that is killed at any time leaves one whole state, which can be read and replaced."""
    with Store(database) as store:
        store.add_search(small_search)
    process = subprocess.Popen([sys.executable, "-c", REPLACES, database], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    time.sleep(delay)
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=60)
    process.stdout.close()
    with Store(database) as store:
        found = store.search("small")  # raises if it is not what was imported
        step = 0 if found.title == small_search.title else int(found.title)
        assert found.observed.tolist() == (small_search.observed + step).tolist()
        assert store.files("small") == (("third-moments.json",) if step else ())
        if step:
            assert store.file("small", "third-moments.json") == str(step).encode()
        store.add_search(small_search, replace=True)
        assert store.search("small").digest == small_search.digest


def test_full_disk(tmp_path: Path, small_search: Search) -> None:
    """STORE-10: what does not fit on the disk is refused with the cure, and the database is as it was."""
    path = tmp_path / "s.sqlite"
    with Store(path) as store:
        store.add_search(small_search)
    before = path.read_bytes()

    def limit(connection: object, _: object) -> None:
        connection.execute(f"PRAGMA max_page_count = {len(before) // 4096}")  # type: ignore[attr-defined]

    event.listen(Engine, "connect", limit)
    try:
        with (
            Store(path) as store,
            pytest.raises(DatabaseError, match="does not fit on its disk; free some space there, or"),
        ):
            new = dataclasses.replace(small_search, name="new")
            store.add_search(new, files={"workspace.json": secrets.token_bytes(100_000)})
    finally:
        event.remove(Engine, "connect", limit)
    with Store(path) as store:
        assert [stored.name for stored in store.searches()] == ["small"]


@pytest.mark.parametrize("database", ["postgresql", "mariadb"], indirect=True)
def test_lost_connection(database: str, small_search: Search) -> None:
    """STORE-23: a connection that the server closed while idle is made again; one lost while writing leaves nothing half-written."""
    with Store(database) as store:
        store.add_search(small_search)
        close_others(database)
        assert [stored.name for stored in store.searches()] == ["small"]

        def strike(connection: sa.Connection, cursor: object, statement: str, *_: object) -> None:
            del connection, cursor
            if statement.startswith("INSERT INTO estimates"):
                event.remove(Engine, "before_cursor_execute", strike)
                close_others(database)

        event.listen(Engine, "before_cursor_execute", strike)
        with pytest.raises(
            DatabaseError, match="was lost on the way .* as a whole or not at all: try again"
        ) as caught:
            store.add_search(dataclasses.replace(small_search, name="new"))
        assert "\n" not in str(caught.value)
        assert [stored.name for stored in store.searches()] == ["small"]
        store.add_search(dataclasses.replace(small_search, name="new"))


def close_others(database: str) -> None:
    """Let the server close every connection to the database but this one."""
    with connected(database) as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(
                sa.text(
                    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            )
            return
        query = (
            "SELECT id FROM information_schema.processlist WHERE db = database() AND id <> connection_id()"
        )
        for number in connection.scalars(sa.text(query)).all():
            connection.execute(sa.text(f"KILL {number}"))


@pytest.mark.parametrize("database", ["postgresql", "mariadb"], indirect=True)
def test_a_user_who_may_only_read(database: str, small_search: Search) -> None:
    """STORE-23: reads all there is; what would write says whom to ask, without the password."""
    open_catalog(database).close()
    reader = f"reader_{secrets.token_hex(4)}"
    kind = locate(database).get_backend_name()
    name = locate(database).database
    place = reader if kind == "postgresql" else f"{reader}@'127.0.0.1'"
    with connected(database) as connection:
        if kind == "postgresql":
            connection.execute(sa.text(f"CREATE ROLE {reader} LOGIN PASSWORD '{PASSWORD}'"))
            connection.execute(sa.text(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {reader}"))
        else:
            connection.execute(sa.text(f"CREATE USER {place} IDENTIFIED BY '{PASSWORD}'"))
            connection.execute(sa.text(f"GRANT SELECT ON {name}.* TO {place}"))
    url = locate(database).set(username=reader, password=PASSWORD).render_as_string(hide_password=False)
    try:
        with open_catalog(url) as catalog:
            assert len(catalog.searches()) == 2
            assert catalog.signal("cms-pas-sus-16-014", "T1bbbb", (1750, 1)).yields.size == 160
            with pytest.raises(
                DatabaseError, match="nothing was changed: .*; ask its owner for the right"
            ) as caught:
                catalog.add(small_search)
        assert PASSWORD not in str(caught.value)
        assert "\n" not in str(caught.value)
    finally:
        with connected(database) as connection:
            if kind == "postgresql":
                connection.execute(sa.text(f"DROP OWNED BY {reader}"))
                connection.execute(sa.text(f"DROP ROLE {reader}"))
            else:
                connection.execute(sa.text(f"DROP USER {place}"))


@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
def test_secrets_in_options(kind: str, server: Callable[[str], str]) -> None:
    """STORE-10: a password among the options of a URL is hidden as well, also in what a driver repeats."""
    url = locate(server(kind)).set(username="u", port=1).update_query_dict({"passwd_file": PASSWORD})
    with pytest.raises(DatabaseError) as caught:
        Store(url.render_as_string(hide_password=False))
    assert PASSWORD not in str(caught.value)


def test_what_drivers_say_is_cleaned() -> None:
    """STORE-10: every secret of a URL is taken out of what a driver says of it."""
    url = locate(f"postgresql://u:{PASSWORD}@h/d?sslpassword=other")
    assert engine.without_secrets(url, f'bad dsn "u:{PASSWORD} other"') == 'bad dsn "u:*** ***"'
