"""From what a user names to an open engine, and from what a driver complains of to one clear line.

`locate` turns an option, the environment or nothing into an SQLAlchemy URL; `open_engine` connects to it with
foreign keys enforced and transactions that mean the same on every dialect; `reading`, `writing` and `migrating` are the
only ways to talk to it. Specified in ``specs/store.md``.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, func, make_url, select, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from superbin.errors import DatabaseError, MissingDependencyError, SuperbinError
from superbin.store import schema

__all__ = [
    "describe",
    "locate",
    "migrating",
    "open_engine",
    "reading",
    "retyped",
    "without_secrets",
    "writing",
]

_VARIABLE = "SUPERBIN_DATABASE"

_HIDDEN = "***"
_SECRET = re.compile("pass|pwd|secret|token|key", re.IGNORECASE)
"""Options in a URL whose value nobody should see."""

_STRING = re.compile(r"\b(password|passwd|pwd)\s*=", re.IGNORECASE)
_MEANT_AS_URL = re.compile(r"(postgres(ql)?|mysql|mariadb|sqlite)(\+\w+)?:", re.IGNORECASE)
"""How a URL begins that was mistyped; as the path of a file it would be repeated with its password."""

_CURE = f"choose another place with --database or {_VARIABLE}"

# SQLite's own wait for another process's write to end, in seconds.
_PATIENCE = 60

# SQLAlchemy's default driver differs between 2.0 and 2.1, so that a bare dialect names ours: (driver, package).
_DRIVERS = {
    "postgresql": ("postgresql+psycopg", "superbin[postgresql]"),
    "mysql": ("mysql+pymysql", "superbin[mariadb]"),
    "mariadb": ("mariadb+pymysql", "superbin[mariadb]"),
}

# By primary result code, https://sqlite.org/rescode.html
_SQLITE = {
    5: "is being written by another process; try again when that is done",
    8: f"cannot be written; make the file and its folder writable, or {_CURE}",
    10: f"cannot be read or written; check the disk and the permissions, or {_CURE}",
    11: "is damaged; restore it from a copy, or move it away and superbin makes a new one",
    13: f"does not fit on its disk; free some space there, or {_CURE}",
    14: f"cannot be opened; its folder must exist and be writable, or {_CURE}",
    26: "is not a SQLite database, or is damaged; restore it from a copy, or move it away and superbin makes a new one",
}

_MAY_NOT = f"ask its owner for the right to write, or {_CURE}"
_IS_BUSY = "another process was writing; try again"
_IS_FULL = f"its disk is full; free some space there, or {_CURE}"

# https://www.postgresql.org/docs/current/errcodes-appendix.html
_SQLSTATES = {
    "42501": _MAY_NOT,
    "25006": _MAY_NOT,  # a transaction that only reads, as on a replica
    "40001": _IS_BUSY,
    "40P01": _IS_BUSY,
    "55P03": _IS_BUSY,
    "53100": _IS_FULL,
}
# https://mariadb.com/kb/en/mariadb-error-code-reference/
_MARIADB = {
    **dict.fromkeys((1044, 1142, 1143, 1227, 1290, 1370, 1792, 1836), _MAY_NOT),
    **dict.fromkeys((1205, 1213), _IS_BUSY),
    **dict.fromkeys((3, 1021, 1114), _IS_FULL),
}


def locate(database: str | Path | None = None) -> URL:
    """Say which database is meant.

    Parameters
    ----------
    database : str or Path, optional
        An SQLAlchemy URL or the path of a SQLite file. By default the environment variable SUPERBIN_DATABASE;
        without that, ``superbin.sqlite`` in the user's data directory, whose folder is made.

    Raises
    ------
    DatabaseError
        If the URL cannot be parsed, a connection string of another form is given, or the data directory cannot be made.
    """
    chosen = str(database or os.environ.get(_VARIABLE) or _default_file())
    if "://" not in chosen and not _MEANT_AS_URL.match(chosen):
        if _STRING.search(chosen):
            raise DatabaseError(
                "the database is named by a connection string; write it as a URL, dialect://user:password@host:port/name"
            )
        return URL.create("sqlite", database=str(Path(chosen).expanduser().absolute()))
    try:
        url = make_url(chosen)
    except (ArgumentError, ValueError):
        # The text may hold a password, so that neither it nor the complaint is repeated, in a traceback either.
        raise DatabaseError(
            "the database URL cannot be parsed; it reads dialect://user:password@host:port/name, or is a file's path"
        ) from None
    driver, _ = _DRIVERS.get(url.drivername, (url.drivername, ""))
    return url.set(drivername=driver)


def describe(url: URL) -> str:
    """How an error or a listing names the database: a file's path, or the URL without its secrets."""
    if url.get_backend_name() == "sqlite" and url.database:
        return url.database
    hidden = {key: _HIDDEN for key in url.query if _SECRET.search(key)}
    return url.update_query_dict(hidden).render_as_string(hide_password=True)


def retyped(database: str) -> str:
    """How a command that is suggested names the database: as the user did, or where that has a secret, without it."""
    url = locate(database)
    return describe(url) if url.password or any(map(_SECRET.search, url.query)) else database


def without_secrets(url: URL, text: str) -> str:
    """What a driver says, with every secret of the URL hidden in it."""
    secrets = [value for key, value in url.query.items() if _SECRET.search(key)]
    values = [
        part
        for value in (url.password, *secrets)
        if value
        for part in ([value] if isinstance(value, str) else value)
    ]
    for value in sorted(values, key=len, reverse=True):
        text = text.replace(value, _HIDDEN)
    return text


def _default_file() -> Path:
    from platformdirs import user_data_path

    folder = user_data_path("superbin", appauthor=False)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DatabaseError(
            f"the data directory {folder} cannot be made ({error.strerror}); make it writable, or {_CURE}"
        ) from error
    return folder / "superbin.sqlite"


def open_engine(url: URL) -> Engine:
    """Make the engine; nothing is connected yet.

    Raises
    ------
    MissingDependencyError
        If the driver's package is not installed.
    DatabaseError
        If the dialect is unknown.
    """
    is_sqlite = url.get_backend_name() == "sqlite"
    try:
        # A server may have closed a connection that was idle: it is tried before it is used, and made again.
        engine = create_engine(
            url,
            connect_args={"timeout": _PATIENCE} if is_sqlite else {},
            pool_pre_ping=not is_sqlite,
            hide_parameters=True,
        )
    except ModuleNotFoundError as error:
        package = dict(_DRIVERS.values()).get(url.drivername, error.name)
        raise MissingDependencyError(
            f"database {describe(url)} needs a driver that is not installed; run: pip install '{package}'"
        ) from error
    except NoSuchModuleError as error:
        raise DatabaseError(
            f"database {describe(url)} is of an unknown kind; use a file's path, postgresql://, mysql:// or mariadb://"
        ) from error
    except (SQLAlchemyError, TypeError, ValueError) as error:
        raise _unusable(url, error) from error
    if is_sqlite:
        event.listen(engine, "connect", _configure_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def _configure_sqlite(connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
    # Without this the driver would begin transactions by itself, and leave CREATE TABLE out of them.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # A writer takes its lock at once: one that has read before it asks could only be refused.
    writes = connection.get_execution_options().get("superbin_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Open a transaction that sees one state of the database from beginning to end.

    Raises
    ------
    DatabaseError
        If the database cannot be reached or read.
    """
    is_sqlite = engine.dialect.name == "sqlite"  # whose transactions are so by nature
    options = {} if is_sqlite else {"isolation_level": "REPEATABLE READ"}
    with _translated(engine), _connect(engine).execution_options(**options) as connection, connection.begin():
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """Open a transaction that waits for other writers; it is kept whole, or undone if anything fails.

    Raises
    ------
    DatabaseError
        If the database cannot be reached or written.
    """
    with _translated(engine), _writer(engine) as connection, connection.begin():
        # Locking superbin's row is how writers wait for each other on a server.
        connection.execute(select(schema.database.c.id).with_for_update())
        yield connection


@contextmanager
def migrating(engine: Engine) -> Iterator[Connection]:
    """Open a transaction to make or change tables in; one process does so at a time, others wait.

    On MariaDB each statement that changes tables commits itself and what was before it, so that only the lock is whole.

    Raises
    ------
    DatabaseError
        If the database cannot be reached or written, or another process has changed it for longer than a minute.
    """
    with _translated(engine), _writer(engine) as connection, _alone(connection), connection.begin():
        yield connection


def _writer(engine: Engine) -> Connection:
    return _connect(engine).execution_options(superbin_writes=True)


@contextmanager
def _alone(connection: Connection) -> Iterator[None]:
    """Hold the lock for changes of the tables, which outlives transactions; SQLite's own transactions are one."""
    dialect = connection.dialect.name
    if dialect == "sqlite":
        yield
        return
    if dialect == "postgresql":  # whose locks are of one database
        key: Any = int.from_bytes(b"superbin")
        lock, unlock = func.pg_advisory_lock(key), func.pg_advisory_unlock(key)
        connection.execute(text(f"SET LOCAL lock_timeout = '{_PATIENCE}s'"))
    else:
        key = func.sha1(func.concat("superbin ", func.database()))
        lock, unlock = func.get_lock(key, _PATIENCE), func.release_lock(key)
    try:
        granted = connection.scalar(select(lock)) != 0
    finally:
        connection.commit()
    if not granted:
        raise DatabaseError(f"database {describe(connection.engine.url)} {_SQLITE[5]}")
    try:
        yield
    finally:
        connection.execute(select(unlock))
        connection.commit()


def _connect(engine: Engine) -> Connection:
    try:
        return engine.connect()
    except DBAPIError as error:
        rule = f"check that the server runs and that the URL is right, or {_CURE}"
        said = without_secrets(engine.url, _one_line(error.orig or error))
        raise _failed(engine.url, error, f"cannot be reached: {said}; {rule}") from error
    except (
        TypeError,
        ValueError,
    ) as error:  # what drivers make of an option in the URL that they do not know
        raise _unusable(engine.url, error) from error


@contextmanager
def _translated(engine: Engine) -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        raise _failed(engine.url, error, _complaint(engine.url, error)) from error
    except ValueError as error:
        if isinstance(error, SuperbinError):
            raise
        # A date or a text that the driver cannot decode.
        raise DatabaseError(f"database {describe(engine.url)} {_SQLITE[11]}") from error


def _complaint(url: URL, error: DBAPIError) -> str:
    """What went wrong on a server, and what to do."""
    said = without_secrets(url, _one_line(error.orig or error))
    if error.connection_invalidated:
        return f"was lost on the way ({said}); what was being written is there as a whole or not at all: try again"
    state, number = getattr(error.orig, "sqlstate", None), next(iter(getattr(error.orig, "args", ())), None)
    cure = _SQLSTATES.get(str(state)) or _MARIADB.get(number if isinstance(number, int) else -1)
    return f"answered with an error, and nothing was changed: {said}" + (f"; {cure}" if cure else "")


def _failed(url: URL, error: DBAPIError, otherwise: str) -> DatabaseError:
    code = getattr(error.orig, "sqlite_errorcode", None)
    return DatabaseError(
        f"database {describe(url)} {otherwise if code is None else _SQLITE.get(code & 0xFF, otherwise)}"
    )


def _unusable(url: URL, error: Exception) -> DatabaseError:
    return DatabaseError(
        f"database {describe(url)} cannot be used: {without_secrets(url, _one_line(error))}; {_CURE}"
    )


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())
