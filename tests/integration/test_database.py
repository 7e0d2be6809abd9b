"""The store on every database it is made for; ``conftest.py`` says which."""

import dataclasses
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from sqlalchemy import Engine, event
from sqlalchemy.exc import IntegrityError, OperationalError

from superbin.catalog import open_catalog
from superbin.domain.bundle import Bundle
from superbin.domain.search import Estimate, Process, Search
from superbin.domain.signal import SignalModel
from superbin.errors import DatabaseError, OutputError
from superbin.store import Store
from superbin.store.engine import locate, open_engine
from superbin.store.schema import metadata

CMS = "cms-pas-sus-16-014"


@contextmanager
def connected(database: str) -> Iterator[sa.Connection]:
    """A connection that knows nothing of superbin but foreign keys."""
    engine = open_engine(locate(database))
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


def dump(database: str) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table."""
    with connected(database) as connection:
        return {
            table.name: sorted(map(tuple, connection.execute(sa.select(table))), key=repr)
            for table in metadata.sorted_tables
        }


def test_real_content_comes_back(database: str, cms_search: Search, t1bbbb: SignalModel) -> None:
    """STORE-2, STORE-5: the packaged search and signal, filled on first use, on each database."""
    for _ in range(2):
        with open_catalog(database) as catalog:
            assert catalog.search(CMS).digest == cms_search.digest
            assert catalog.signal(CMS, "T1bbbb", (1750, 1)).digest == t1bbbb.digest
            listed = catalog.searches()[0]
            assert (listed.n_bins, listed.n_signals, listed.packaged) == (160, 1, True)


def test_any_number_comes_back(database: str) -> None:
    """STORE-2: numbers that need all their digits, the largest, the smallest and subnormal ones; any text."""
    rng = np.random.default_rng(1)
    bits = rng.integers(0, 0x7FEF_FFFF_FFFF_FFFF, size=(5, 200))
    special = [0.0, 5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, 0.1, 1 / 3, 2.0**53 + 2]
    numbers = np.hstack([bits.view(np.float64), np.tile(special, (5, 1))])
    n = numbers.shape[1]
    text = "H_T^{miss} ≥ 300 GeV, $\\not\\!p$, 'quoted', \"so\", % ; -- 𝜒̃⁰ \t line\nbreak"
    search = Search(
        name="Any",
        title=text,
        reference=text,
        luminosity_fb=0.1 + 0.2,
        sqrt_s_tev=5e-324,
        observables=(),
        low=np.zeros((n, 0)),
        high=np.zeros((n, 0)),
        processes=(Process("é", text, Estimate(*numbers)),),
        observed=np.full(n, 1e300),
        source=text,
    )
    signal = SignalModel("T1", {"µ": -1e-300}, "Any", numbers[0], numbers[1], text, 1e-320)
    with Store(database) as store:
        store.add_search(search, signals=[signal])
        back, signal_back = store.search("Any"), store.signal("Any", "T1", (-1e-300,))
    assert back.digest == search.digest
    assert (back.title, back.reference, back.source) == (text, text, text)
    assert signal_back.digest == signal.digest
    assert (signal_back.source, signal_back.cross_section_pb) == (text, 1e-320)


def test_names_differ_by_case(database: str, small_search: Search) -> None:
    """STORE-12: names are compared letter by letter on every database."""
    upper = dataclasses.replace(small_search, name="SMALL", title="Upper")
    points = [SignalModel(m, {"x": 1.0}, "small", np.ones(4), np.ones(4)) for m in ("T1tttt", "T1TTTT")]
    with Store(database) as store:
        store.add_search(small_search, signals=points)
        store.add_search(upper)
        assert [s.title for s in (store.search("small"), store.search("SMALL"))] == [
            "A small search",
            "Upper",
        ]
        assert store.signal("small", "T1TTTT", (1,)).model == "T1TTTT"


# Each is wrong in exactly one way; the database is asked directly, past superbin's own checks.
VIOLATIONS = {
    "negative events": "UPDATE estimates SET nominal = -1",
    "negative uncertainty": "UPDATE estimates SET syst_down = -0.5",
    "fraction of an event": "UPDATE observations SET events = 2.5",
    "negative count": "UPDATE observations SET events = -1",
    "missing number": "UPDATE estimates SET stat_up = NULL",
    "upper edge below lower": "UPDATE bin_ranges SET low = 600 WHERE high = 500",
    "no luminosity": "UPDATE searches SET luminosity_fb = 0",
    "no energy": "UPDATE searches SET sqrt_s_tev = -13",
    "bin zero": "INSERT INTO bins (search_id, number) SELECT id, 0 FROM searches",
    "bin twice": "INSERT INTO bins (search_id, number) SELECT search_id, number FROM bins",
    "estimate in no bin": "UPDATE estimates SET bin = 5 WHERE bin = 4",
    "estimate of no process": "UPDATE estimates SET process = 9 WHERE process = 0",
    "count in no bin": "UPDATE observations SET bin = 5 WHERE bin = 4",
    "range of no observable": "UPDATE bin_ranges SET observable = 7 WHERE observable = 0",
    "group of no process": "UPDATE shared_stat_members SET process = 7",
    "process name twice": "UPDATE processes SET name = 'a'",
    "observable name twice": "UPDATE observables SET name = 'a'",
    "search name twice": "INSERT INTO searches (name, title, reference, luminosity_fb, sqrt_s_tev, provenance_id) "
    "SELECT name, title, reference, luminosity_fb, sqrt_s_tev, 99 FROM searches",
    "search without provenance": "UPDATE searches SET provenance_id = 99",
    "unknown origin": "UPDATE provenance SET origin = 'dreamt'",
    "negative yield": "UPDATE signal_yields SET events = -1",
    "negative error": "UPDATE signal_yields SET error = -1",
    "yield in no bin": "UPDATE signal_yields SET bin = 5 WHERE bin = 4",
    "yield in another search": "UPDATE signal_yields SET search_id = 99",
    "signal of no search": "UPDATE signals SET search_id = 99",
    "free of charge": "UPDATE signals SET cross_section_pb = 0",
    "parameter name twice": "UPDATE signal_parameters SET name = 'm'",
    "second marker": "INSERT INTO superbin (id, schema_version) VALUES (2, 2)",
}


def test_the_database_itself_refuses(database: str, small_search: Search, small_signal: SignalModel) -> None:
    """STORE-3: constraints and foreign keys are in the database, not only in Python."""
    with Store(database) as store:
        store.add_search(small_search, signals=[small_signal])
    before = dump(database)

    def accepted(statement: str) -> bool:
        try:
            with connected(database) as connection:
                connection.execute(sa.text(statement))
        except (IntegrityError, OperationalError):  # the latter is how MariaDB reports a broken CHECK
            return False
        return True

    assert [what for what, statement in VIOLATIONS.items() if accepted(statement)] == []
    assert dump(database) == before


def test_deleting_provenance_undoes_an_import(
    database: str, small_search: Search, small_signal: SignalModel
) -> None:
    """STORE-1: nothing stays behind in any table."""
    with Store(database) as store:
        empty = dump(database)
        store.add_search(small_search, signals=[small_signal])
    with connected(database) as connection:
        connection.execute(sa.text("DELETE FROM provenance"))
    left = dump(database)
    for content in (empty, left):
        del content["superbin"]  # which says how many searches there should be
    assert left == empty


class _InjectedError(Exception):
    pass


@contextmanager
def failing_at(step: int) -> Iterator[list[int]]:
    """Let the statement of this number fail on its way to the database, the commit counting as the last one."""
    seen: list[int] = []

    def strike(*_: object) -> None:
        seen.append(1)
        if len(seen) == step:
            raise _InjectedError

    event.listen(Engine, "before_cursor_execute", strike)
    event.listen(Engine, "commit", strike)
    try:
        yield seen
    finally:
        event.remove(Engine, "before_cursor_execute", strike)
        event.remove(Engine, "commit", strike)


def _writes(search: Search, signal: SignalModel) -> dict[str, Callable[[Store], None]]:
    points = [dataclasses.replace(signal, parameters={"m_mother": m, "m_lsp": 1.0}) for m in (1.0, 2.0, 3.0)]
    new = dataclasses.replace(search, name="new")
    changed = dataclasses.replace(search, title="New")
    return {
        "import": lambda store: store.add_search(new),
        "replace": lambda store: store.add_search(changed, signals=[signal], replace=True),
        "signals": lambda store: store.add_signals(points),
        "refresh": lambda store: store.fill_packaged(
            [Bundle(new, (dataclasses.replace(signal, search="new"),))], digest="new"
        ),
    }


@pytest.mark.parametrize("what", ["import", "replace", "signals", "refresh"])
def test_failure_at_any_statement_changes_nothing(
    database: str,
    small_search: Search,
    small_signal: SignalModel,
    what: str,
) -> None:
    """STORE-7: an import that fails at any statement, or at the commit, leaves every table as it was."""
    write = _writes(small_search, small_signal)[what]
    with Store(database) as store:
        store.add_search(small_search, signals=[small_signal])
        before = dump(database)
        step, steps = 0, 1
        while step < steps:
            step += 1
            with failing_at(step) as seen:
                try:
                    write(store)
                except _InjectedError:
                    steps = step + 1
            if steps > step:
                assert dump(database) == before, f"after a failure at statement {step}"
        assert len(seen) == step - 1 > 10  # the last round had nothing left to fail at, and went through
        assert dump(database) != before


CHILD = """
import sys
from superbin.catalog import open_catalog
from superbin.store import schema
print("ready", flush=True)
sys.stdin.readline()
with open_catalog(sys.argv[1]) as catalog:
    search = catalog.search("cms-pas-sus-16-014")
    signal = catalog.signal(search.name, "T1bbbb", (1750, 1))
print(search.digest, signal.digest)
"""


def test_first_use_by_four_processes(database: str, cms_search: Search, t1bbbb: SignalModel) -> None:
    """STORE-5: four processes that find no database each get the whole content, and it is there once."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", CHILD, database],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        out, err = process.communicate(timeout=120)
        assert (out, err) == (f"{cms_search.digest} {t1bbbb.digest}\n", "")
    content = dump(database)
    assert [len(content[table]) for table in ("superbin", "searches", "signals", "provenance")] == [
        1,
        2,
        1,
        3,
    ]


KILLED = """
import os, sys
from sqlalchemy import Engine, event
from superbin.catalog import open_catalog
def strike(connection, cursor, statement, *_):
    if statement.startswith("INSERT INTO signal_yields"):
        os._exit(9)
event.listen(Engine, "before_cursor_execute", strike)
open_catalog(sys.argv[1])
"""


def test_killed_while_filling(database: str, cms_search: Search) -> None:
    """STORE-5: a process that dies in the middle of the first use leaves nothing the next one trips over."""
    killed = subprocess.run([sys.executable, "-c", KILLED, database], check=False, timeout=60)
    assert killed.returncode == 9
    with Store(database) as store:
        assert store.searches() == ()
    with open_catalog(database) as catalog:
        assert catalog.search(CMS).digest == cms_search.digest
        assert len(catalog.signals()) == 1


def test_a_second_connection_sees_the_import(database: str, small_search: Search) -> None:
    """STORE-8: what one store has committed, another that is open meanwhile finds there."""
    with Store(database) as store, Store(database) as other:
        store.add_search(small_search)
        with pytest.raises(OutputError, match="stored already"):
            other.add_search(small_search)
        assert [s.name for s in other.searches()] == ["small"]


def test_readers_see_one_state(database: str, small_search: Search) -> None:
    """STORE-7: a search that is replaced while it is read comes out whole, old or new, never mixed."""
    script = (
        "import dataclasses, sys; from superbin.store import Store\n"
        "with Store(sys.argv[1]) as store:\n"
        "    search = store.search('small')\n"
        "    for i in range(15):\n"
        "        store.add_search(dataclasses.replace(search, observed=search.observed + i), replace=True)\n"
    )
    with Store(database) as store:
        store.add_search(small_search)
        writer = subprocess.Popen([sys.executable, "-c", script, database])
        while writer.poll() is None:
            store.search("small")  # raises if parts of two states were mixed
        assert writer.returncode == 0
        assert store.search("small").observed[0] == small_search.observed[0] + 14


def test_newer_schema(database: str) -> None:
    """STORE-11: on each database."""
    Store(database).close()
    with connected(database) as connection:
        connection.execute(sa.text("UPDATE superbin SET schema_version = 7"))
    with pytest.raises(
        DatabaseError, match="has schema version 7; superbin .* reads version 6: install a newer"
    ):
        Store(database)


def test_other_tables(database: str) -> None:
    """STORE-10: a database in use for something else is not touched."""
    with connected(database) as connection:
        connection.execute(sa.text("CREATE TABLE beasts (id INTEGER)"))
    with pytest.raises(DatabaseError, match=r"holds other tables \(beasts\), and is not superbin's"):
        Store(database)
    with connected(database) as connection:
        assert sa.inspect(connection).get_table_names() == ["beasts"]


@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
def test_unreachable_server(kind: str, server: Callable[[str], str]) -> None:
    """STORE-10: a server that does not answer is named without the password."""
    url = locate(server(kind)).set(username="u", password="hunter2", port=1)
    with pytest.raises(DatabaseError, match="cannot be reached: .*; check that the server runs") as caught:
        Store(url.render_as_string(hide_password=False))
    assert "hunter2" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
def test_missing_database(kind: str, server: Callable[[str], str]) -> None:
    """STORE-10: a database that the server does not have."""
    url = locate(server(kind)).set(database="no_such_thing")
    with pytest.raises(DatabaseError, match="cannot be reached: .*no_such_thing"):
        Store(url.render_as_string(hide_password=False))


@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
def test_unknown_option(kind: str, server: Callable[[str], str]) -> None:
    """STORE-10: an option in the URL that the driver does not have."""
    url = locate(server(kind)).update_query_dict({"colour": "blue"})
    with pytest.raises(DatabaseError, match="cannot be .*colour"):
        Store(url.render_as_string(hide_password=False))


@pytest.mark.parametrize("database", ["postgresql", "mariadb"], indirect=True)
def test_name_too_long(database: str, small_search: Search) -> None:
    """STORE-12: what a server cannot hold is refused in one line, and nothing is stored."""
    with Store(database) as store:
        before = dump(database)
        with pytest.raises(DatabaseError, match="nothing was changed"):
            store.add_search(dataclasses.replace(small_search, name="n" * 256))
        assert dump(database) == before
