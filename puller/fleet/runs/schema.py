"""The tables of the store, for SQLite and PostgreSQL, and the connection to them."""

import os
import sqlite3
import stat
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Engine,
    Float,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    create_engine,
    event,
    inspect,
    select,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from puller.errors import UsageError
from puller.system import directories
from puller.system.paths import state_home
from puller.text import clean, plain_error

VERSION = 2
"""The version of the tables; a store of another version is refused."""
_LOCKED_SECONDS = 30.0
_LOCKED_PAUSE = 0.05
_METADATA = MetaData()

versions = Table("fleet_version", _METADATA, Column("version", Integer, primary_key=True))
runs = Table(
    "fleet_runs", _METADATA,
    Column("name", Text, primary_key=True),
    Column("created", Float, nullable=False),
    Column("expires", Float, nullable=False),
    Column("ended", Float),
    Column("state", Text, nullable=False),
    Column("halted", Text, nullable=False, default=""),
    Column("withdraw", Boolean, nullable=False, default=False),
    Column("version", Integer, nullable=False, default=0),
    Column("holder", Text),
    Column("held_until", Float),
    Column("options", Text, nullable=False),
    Column("details", Text, nullable=False),
    Column("rejected", Text, nullable=False, default="[]"),
)  # fmt: skip
images = Table(
    "fleet_images", _METADATA,
    Column("run", Text, primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("reference", Text, nullable=False),
    Column("listed", Text, nullable=False),
    Column("requested", Text, nullable=False),
    Column("platform", Text),
    Column("if_missing", Boolean, nullable=False),
)  # fmt: skip
hosts = Table(
    "fleet_hosts", _METADATA,
    Column("run", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("position", Integer, nullable=False),
    Column("url", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("changed", Boolean, nullable=False, default=False),
    Column("wave", Integer),
    Column("began", Float),
    Column("ended", Float),
    Column("heard", Float),
    Column("checked", Float),
)  # fmt: skip
pulls = Table(
    "fleet_pulls", _METADATA,
    Column("run", Text, primary_key=True),
    Column("host", Text, primary_key=True),
    Column("image", Integer, primary_key=True),
    Column("status", Text, nullable=False),
    Column("attempt", Integer, nullable=False, default=1),
    Column("lost", Integer, nullable=False, default=0),
    Column("sent", Float),
    Column("ended", Float),
    Column("outcome", Text),
    Index("fleet_pulls_status", "run", "status"),
)  # fmt: skip
"""The current state of each image on each host."""
attempts = Table(
    "fleet_attempts", _METADATA,
    Column("run", Text, primary_key=True),
    Column("host", Text, primary_key=True),
    Column("image", Integer, primary_key=True),
    Column("attempt", Integer, primary_key=True),
    Column("at", Float, nullable=False),
    Column("outcome", Text, nullable=False),
)  # fmt: skip
"""Every result, once."""
decisions = Table(
    "fleet_decisions", _METADATA,
    Column("run", Text, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("host", Text),
    Column("state", Text),
)  # fmt: skip
"""Which host began (no state), what became of it, and that the run goes on after a halt (no host), in order."""


def default_url() -> str:
    """Return the URL of the user's own store."""
    return f"sqlite:///{state_home() / 'fleet.db'}"


def open_engine(url: str) -> Engine:
    """Connect to a store, and make its tables if there are none; raises UsageError with what to do."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise UsageError("--store is not a URL such as sqlite:///fleet.db or postgresql://user@host/name") from None
    kind = parsed.get_backend_name()
    if kind not in ("sqlite", "postgresql"):
        raise UsageError(f"--store: {clean(kind, 40)} is neither sqlite nor postgresql")
    if kind == "postgresql" and parsed.drivername == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    shown = clean(parsed.render_as_string(hide_password=True))
    try:
        engine = _sqlite(parsed) if kind == "sqlite" else create_engine(parsed, pool_pre_ping=True)
    except ModuleNotFoundError as error:
        raise UsageError(f"{shown} needs the package {error.name}: pip install 'psycopg[binary]'") from None
    except OSError as error:
        raise UsageError(f"the store cannot be used: {plain_error(error)}") from None
    try:
        with engine.begin() as connection:
            _prepare(connection)
    except SQLAlchemyError as error:
        engine.dispose()
        raise UsageError(f"the store {shown} cannot be used: {reason(error)}") from None
    except UsageError:
        engine.dispose()
        raise
    return engine


def reason(error: SQLAlchemyError) -> str:
    """Return an error of the database in words, without the statement and its values."""
    return clean(str(getattr(error, "orig", None) or error), 300)


def _sqlite(url: Any) -> Engine:
    """Let only the user read the file, and take the lock for writing when a transaction begins."""
    if url.database and url.database != ":memory:":
        _make_file(Path(url.database).absolute())
    engine = create_engine(url, connect_args={"timeout": _LOCKED_SECONDS})

    @event.listens_for(engine, "connect")
    def connected(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # else the driver begins transactions by itself, later
        _use_wal(connection)
        connection.execute("PRAGMA synchronous=FULL")

    @event.listens_for(engine, "begin")
    def begun(connection: Connection) -> None:
        reads = connection.get_execution_options().get("reads")
        connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")

    return engine


def _use_wal(connection: sqlite3.Connection) -> None:
    """Choose the journal; for this alone SQLite itself does not wait while another process writes to a new store."""
    ends = monotonic() + _LOCKED_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or monotonic() > ends:
                raise
            sleep(_LOCKED_PAUSE)
        else:
            return


def _make_file(path: Path) -> None:
    """Make the file, and its directory if there is none; raises OSError, also if another user owns the file."""
    if not path.parent.is_dir():
        directories.make_directory(path.parent)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    try:
        node = os.fstat(descriptor)
        mine = stat.S_ISREG(node.st_mode) and node.st_uid == os.geteuid()
        directories.require(mine, f"{path} is not a file of this user")
    finally:
        os.close(descriptor)


def _prepare(connection: Connection) -> None:
    if inspect(connection).has_table(versions.name):
        found = connection.execute(select(versions.c.version)).scalar()
        if found != VERSION:
            raise UsageError(f"the store has version {found}, and this puller uses {VERSION}: install that version")
        return
    _METADATA.create_all(connection)
    connection.execute(versions.insert().values(version=VERSION))
