"""The catalog's tables, and how a collection's own full-text table is made."""

from __future__ import annotations

import sqlite3
from typing import Final

from rushhour.sqlite import Schema

# A name that comes back after `drop_collection` goes on counting where it stopped, so that whoever cached an
# answer under (name, version) never meets that pair again: hence `dropped`.
SCHEMA: Final = Schema(
    name="catalog",
    application=0x52486361,  # "RHca"
    survives_power_cut=False,  # what is lost is ingested again under the same ids; a flush a file would double its time
    steps=(
        """
        CREATE TABLE collections (
            key      INTEGER PRIMARY KEY AUTOINCREMENT,
            name     TEXT NOT NULL UNIQUE,
            embedder TEXT NOT NULL,
            version  INTEGER NOT NULL,
            created  INTEGER NOT NULL,
            files    INTEGER NOT NULL DEFAULT 0,
            chunks   INTEGER NOT NULL DEFAULT 0
        );
        CREATE TABLE dropped (name TEXT PRIMARY KEY, version INTEGER NOT NULL) WITHOUT ROWID;
        CREATE TABLE files (
            key         INTEGER PRIMARY KEY,
            collection  INTEGER NOT NULL REFERENCES collections (key),
            name        TEXT NOT NULL,
            fingerprint TEXT NOT NULL,
            title       TEXT NOT NULL,
            source      TEXT NOT NULL,
            bytes       INTEGER NOT NULL,
            chunks      INTEGER NOT NULL,
            updated     INTEGER NOT NULL,
            UNIQUE (collection, name)
        );
        CREATE TABLE chunks (
            key        INTEGER PRIMARY KEY,
            collection INTEGER NOT NULL,
            file       INTEGER NOT NULL REFERENCES files (key),
            id         TEXT NOT NULL,
            position   INTEGER NOT NULL,
            page       INTEGER,
            start      INTEGER NOT NULL,
            "end"      INTEGER NOT NULL,
            title      TEXT NOT NULL,
            heading    TEXT NOT NULL,
            source     TEXT NOT NULL,
            metadata   TEXT NOT NULL,
            text       TEXT NOT NULL,
            UNIQUE (collection, id)
        );
        CREATE INDEX chunks_of_file ON chunks (file)
        """,
        """
        ALTER TABLE files ADD COLUMN root TEXT NOT NULL DEFAULT '';
        ALTER TABLE files ADD COLUMN content TEXT NOT NULL DEFAULT '';
        CREATE TABLE garbage (
            collection INTEGER NOT NULL REFERENCES collections (key),
            file       TEXT NOT NULL,
            id         TEXT NOT NULL,
            PRIMARY KEY (collection, file, id)
        ) WITHOUT ROWID;
        CREATE TABLE claims (
            collection INTEGER NOT NULL REFERENCES collections (key),
            file       TEXT NOT NULL,
            owner      TEXT NOT NULL,
            PRIMARY KEY (collection, file)
        ) WITHOUT ROWID;
        CREATE TABLE jobs (
            key        INTEGER PRIMARY KEY AUTOINCREMENT,
            id         TEXT NOT NULL UNIQUE,
            collection TEXT NOT NULL,
            asked      TEXT NOT NULL,
            state      TEXT NOT NULL,
            reason     TEXT NOT NULL,
            created    INTEGER NOT NULL,
            began      INTEGER NOT NULL,
            ended      INTEGER NOT NULL,
            waiting    INTEGER NOT NULL DEFAULT 0,
            done       INTEGER NOT NULL DEFAULT 0,
            failed     INTEGER NOT NULL DEFAULT 0,
            parked     INTEGER NOT NULL DEFAULT 0,
            chunks     INTEGER NOT NULL DEFAULT 0,
            embedded   INTEGER NOT NULL DEFAULT 0,
            tokens     INTEGER NOT NULL DEFAULT 0,
            cost_usd   REAL NOT NULL DEFAULT 0
        );
        CREATE TABLE job_files (
            job      INTEGER NOT NULL REFERENCES jobs (key),
            name     TEXT NOT NULL,
            state    TEXT NOT NULL,
            outcome  TEXT NOT NULL DEFAULT '',
            reason   TEXT NOT NULL DEFAULT '',
            attempts INTEGER NOT NULL DEFAULT 0,
            next_try INTEGER NOT NULL DEFAULT 0,
            chunks   INTEGER NOT NULL DEFAULT 0,
            embedded INTEGER NOT NULL DEFAULT 0,
            kept     INTEGER NOT NULL DEFAULT 0,
            deleted  INTEGER NOT NULL DEFAULT 0,
            PRIMARY KEY (job, name)
        ) WITHOUT ROWID
        """,
        """
        CREATE INDEX files_by_age ON files (collection, updated);
        DROP INDEX chunks_of_file;
        CREATE INDEX chunks_by_place ON chunks (file, position);
        ALTER TABLE job_files DROP COLUMN next_try
        """,
    ),
)


def words_table(collection: int) -> str:
    """Name the full-text table of a collection, by its key."""
    return f"words_{int(collection)}"


def create_words(connection: sqlite3.Connection, collection: int) -> None:
    """Make a collection's full-text table: its own, so that the rarity of a word is the collection's own.

    Contentless: the text is in `chunks` already, and `forget_words` hands it back when a row leaves.
    """
    connection.execute(
        f"CREATE VIRTUAL TABLE {words_table(collection)} "
        "USING fts5(title, heading, text, content = '', tokenize = 'porter unicode61')"
    )


def drop_words(connection: sqlite3.Connection, collection: int) -> None:
    """Drop a collection's full-text table, if it is there."""
    connection.execute(f"DROP TABLE IF EXISTS {words_table(collection)}")


def learn_words(connection: sqlite3.Connection, collection: int, key: int, title: str, heading: str, text: str) -> None:
    """Index one chunk under its key."""
    connection.execute(
        f"INSERT INTO {words_table(collection)} (rowid, title, heading, text) VALUES (?, ?, ?, ?)",  # noqa: S608  # a number
        (key, title, heading, text),
    )


def forget_words(
    connection: sqlite3.Connection, collection: int, key: int, title: str, heading: str, text: str
) -> None:
    """Take one chunk out of the index; the texts must be those it was indexed with."""
    table = words_table(collection)
    connection.execute(
        f"INSERT INTO {table} ({table}, rowid, title, heading, text) VALUES ('delete', ?, ?, ?, ?)",  # noqa: S608  # a number
        (key, title, heading, text),
    )
