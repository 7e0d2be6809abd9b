"""The tables, as SQLAlchemy Core objects. Their meaning clause by clause is ``specs/store.md``.

Everything about a search hangs on its row in `searches`, and is keyed by that row and a position or a published
bin number. The composite foreign keys therefore make it impossible to give one search an estimate in a bin of
another. Positions exist because order is part of the content: legends, tables and digests follow it.
"""

from typing import Any

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects import mysql
from sqlalchemy.schema import SchemaItem

__all__ = [
    "OPTIONS",
    "SCHEMA_VERSION",
    "bin_ranges",
    "bins",
    "bundle_files",
    "database",
    "estimates",
    "metadata",
    "observables",
    "observations",
    "processes",
    "provenance",
    "scan_parameters",
    "scan_points",
    "scans",
    "searches",
    "shared_stat_groups",
    "shared_stat_members",
    "signal_parameters",
    "signal_variation_yields",
    "signal_variations",
    "signal_yields",
    "signals",
]

SCHEMA_VERSION = 6
"""The newest revision in ``migrations/versions``, which brings every older version here."""

# MariaDB wants lengths, and at most 3072 bytes in a key.
_NAME = 255
_POINT = 500
_DIGEST = 64

# MariaDB's TEXT ends at 64 kB, less than the result of an aggregate of many hundred bins may need.
_DOCUMENT = Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")

# BLOB ends there as well.
_CONTENT = LargeBinary().with_variant(mysql.LONGBLOB(), "mysql", "mariadb")

metadata = MetaData()

# MariaDB compares text without regard to case and may store less than Unicode unless told; other dialects
# ignore these options.
_MYSQL = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}
OPTIONS: dict[str, Any] = {
    **_MYSQL,
    **{key.replace("mysql", "mariadb"): value for key, value in _MYSQL.items()},
}


def _table(name: str, *items: SchemaItem) -> Table:
    return Table(name, metadata, *items, **OPTIONS)


def _of_search() -> Column[int]:
    """A key column that ties a row to its search and goes with it."""
    return Column(
        "search_id",
        Integer,
        ForeignKey("searches.id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    )


def _provenance() -> Column[int]:
    """Every imported thing has its own row of provenance; deleting that row undoes the import."""
    return Column(
        "provenance_id", Integer, ForeignKey("provenance.id", ondelete="CASCADE"), nullable=False, unique=True
    )


def _key(name: str) -> Column[int]:
    return Column(name, Integer, primary_key=True, autoincrement=False)


def _events(name: str) -> Column[float]:
    return Column(name, Double, CheckConstraint(f"{name} >= 0"), nullable=False)


def _record_digest() -> Column[str]:
    """SHA-256 over all that is read back of a record (`superbin.store.records`); empty matches no content."""
    return Column("record_digest", String(_DIGEST), nullable=False, server_default=text("''"))


def _count(name: str) -> Column[int]:
    """How many rows belong here, so that one that is missing is noticed."""
    return Column(name, Integer, nullable=False, server_default=text("0"))


def _cascade(columns: list[str], targets: list[str]) -> ForeignKeyConstraint:
    return ForeignKeyConstraint(columns, targets, ondelete="CASCADE")


database = _table(
    "superbin",
    Column("id", Integer, CheckConstraint("id = 1"), primary_key=True, autoincrement=False),
    Column("schema_version", Integer, nullable=False),
    Column("packaged_digest", String(64)),
    _count("n_searches"),
)

provenance = _table(
    "provenance",
    Column("id", Integer, primary_key=True),
    Column("origin", String(8), CheckConstraint("origin IN ('packaged', 'imported')"), nullable=False),
    Column("source", Text, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("superbin_version", String(64), nullable=False),
    Column("imported_utc", DateTime, nullable=False),
    _record_digest(),
)

searches = _table(
    "searches",
    Column("id", Integer, primary_key=True),
    Column("name", String(_NAME), nullable=False, unique=True),
    Column("title", Text, nullable=False),
    Column("reference", Text, nullable=False),
    Column("luminosity_fb", Double, CheckConstraint("luminosity_fb > 0"), nullable=False),
    Column("sqrt_s_tev", Double, CheckConstraint("sqrt_s_tev > 0"), nullable=False),
    _provenance(),
    _count("n_signals"),
    _count("n_scans"),
)

observables = _table(
    "observables",
    _of_search(),
    _key("position"),
    Column("name", String(_NAME), nullable=False),
    Column("label", Text, nullable=False),
    Column("unit", String(_NAME), nullable=False),
    Column("discrete", Boolean, nullable=False),
    UniqueConstraint("search_id", "name"),
)

bins = _table(
    "bins",
    _of_search(),
    Column("number", Integer, CheckConstraint("number >= 1"), primary_key=True, autoincrement=False),
)

bin_ranges = _table(
    "bin_ranges",
    _key("search_id"),
    _key("bin"),
    _key("observable"),
    Column("low", Double, nullable=False),
    Column("high", Double),
    # A discrete range may be one value, so equality is for `Search` to judge.
    CheckConstraint("high >= low"),
    _cascade(["search_id", "bin"], ["bins.search_id", "bins.number"]),
    _cascade(["search_id", "observable"], ["observables.search_id", "observables.position"]),
)

observations = _table(
    "observations",
    _key("search_id"),
    _key("bin"),
    Column("events", Double, CheckConstraint("events >= 0 AND events = ROUND(events)"), nullable=False),
    _cascade(["search_id", "bin"], ["bins.search_id", "bins.number"]),
)

processes = _table(
    "processes",
    _of_search(),
    _key("position"),
    Column("name", String(_NAME), nullable=False),
    Column("label", Text, nullable=False),
    UniqueConstraint("search_id", "name"),
)

estimates = _table(
    "estimates",
    _key("search_id"),
    _key("process"),
    _key("bin"),
    _events("nominal"),
    _events("stat_up"),
    _events("stat_down"),
    _events("syst_up"),
    _events("syst_down"),
    _cascade(["search_id", "process"], ["processes.search_id", "processes.position"]),
    _cascade(["search_id", "bin"], ["bins.search_id", "bins.number"]),
)

bundle_files = _table(
    "bundle_files",
    _of_search(),
    Column("name", String(_NAME), primary_key=True),
    Column("digest", String(_DIGEST), nullable=False),
    Column("content", _CONTENT, nullable=False),
)

shared_stat_groups = _table("shared_stat_groups", _of_search(), _key("position"))

shared_stat_members = _table(
    "shared_stat_members",
    _key("search_id"),
    _key("stat_group"),
    _key("position"),
    Column("process", Integer, nullable=False),
    _cascade(["search_id", "stat_group"], ["shared_stat_groups.search_id", "shared_stat_groups.position"]),
    _cascade(["search_id", "process"], ["processes.search_id", "processes.position"]),
)

signals = _table(
    "signals",
    Column("id", Integer, primary_key=True),
    Column("search_id", Integer, ForeignKey("searches.id", ondelete="CASCADE"), nullable=False),
    Column("model", String(_NAME), nullable=False),
    # The parameters' values in one text, so that the database itself refuses a second copy of a point.
    Column("point", String(_POINT), nullable=False),
    Column("cross_section_pb", Double, CheckConstraint("cross_section_pb > 0")),
    _provenance(),
    Column(
        "relative_error",
        Double,
        CheckConstraint("relative_error >= 0"),
        nullable=False,
        server_default=text("0"),
    ),
    UniqueConstraint("search_id", "model", "point"),
    UniqueConstraint("id", "search_id"),  # the target of signal_yields' foreign key
)

signal_parameters = _table(
    "signal_parameters",
    Column(
        "signal_id",
        Integer,
        ForeignKey("signals.id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    _key("position"),
    Column("name", String(_NAME), nullable=False),
    Column("value", Double, nullable=False),
    UniqueConstraint("signal_id", "name"),
)

signal_yields = _table(
    "signal_yields",
    _key("signal_id"),
    _key("bin"),
    Column("search_id", Integer, nullable=False),
    _events("events"),
    _events("error"),
    _cascade(["signal_id", "search_id"], ["signals.id", "signals.search_id"]),
    _cascade(["search_id", "bin"], ["bins.search_id", "bins.number"]),
)

signal_variations = _table(
    "signal_variations",
    Column(
        "signal_id",
        Integer,
        ForeignKey("signals.id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    _key("position"),
    Column("name", String(_NAME), nullable=False),
    UniqueConstraint("signal_id", "name"),
)

signal_variation_yields = _table(
    "signal_variation_yields",
    _key("signal_id"),
    _key("variation"),
    _key("bin"),
    _events("events_up"),
    _events("events_down"),
    _cascade(["signal_id", "variation"], ["signal_variations.signal_id", "signal_variations.position"]),
    _cascade(["signal_id", "bin"], ["signal_yields.signal_id", "signal_yields.bin"]),
)

scans = _table(
    "scans",
    Column("id", Integer, primary_key=True),
    Column("search_id", Integer, ForeignKey("searches.id", ondelete="CASCADE"), nullable=False),
    # Of everything below and the search's content: what makes two scans the same.
    Column("digest", String(_DIGEST), nullable=False, unique=True),
    Column("search_digest", String(_DIGEST), nullable=False),
    Column("model", String(_NAME), nullable=False),
    Column("options", Text, nullable=False),
    Column("superbin_version", String(64), nullable=False),
    Column("started_utc", DateTime, nullable=False),
    _count("n_done"),
    _count("n_failed"),
    _record_digest(),
)

scan_parameters = _table(
    "scan_parameters",
    Column(
        "scan_id", Integer, ForeignKey("scans.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    ),
    _key("position"),
    Column("name", String(_NAME), nullable=False),
    UniqueConstraint("scan_id", "name"),
)

scan_points = _table(
    "scan_points",
    Column(
        "scan_id", Integer, ForeignKey("scans.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    ),
    Column("signal_digest", String(_DIGEST), primary_key=True),
    Column("point", String(_POINT), nullable=False),
    Column("cross_section_pb", Double, CheckConstraint("cross_section_pb > 0")),
    Column("cross_section_error", Double, CheckConstraint("cross_section_error >= 0")),
    Column("status", String(8), nullable=False),
    Column("reason", Text),
    Column("result", _DOCUMENT),
    Column("seconds", Double, CheckConstraint("seconds >= 0"), nullable=False),
    Column("finished_utc", DateTime, nullable=False),
    _record_digest(),
    CheckConstraint(
        "(status = 'done' AND result IS NOT NULL AND reason IS NULL)"
        " OR (status = 'failed' AND result IS NULL AND reason IS NOT NULL)"
    ),
)
