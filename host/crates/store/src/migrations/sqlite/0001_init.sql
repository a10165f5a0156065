-- Times are unix milliseconds. STRICT: a column holds what its type says.

CREATE TABLE session (
    row_id     BLOB PRIMARY KEY NOT NULL,   -- 16 random bytes; outlives changes of id_hash
    brand      TEXT NOT NULL,
    id_hash    BLOB NOT NULL,               -- SHA-256 of the cookie's id
    sealed     BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    UNIQUE (brand, id_hash)
) STRICT;
CREATE INDEX session_by_expiry ON session (expires_at);

-- AUTOINCREMENT: ids that scripts may have written down are never given again.
CREATE TABLE crm_entity (
    id    INTEGER PRIMARY KEY AUTOINCREMENT,
    brand TEXT NOT NULL,
    slug  TEXT NOT NULL,
    name  TEXT NOT NULL,
    mode  TEXT NOT NULL,
    UNIQUE (brand, slug)
) STRICT;

CREATE TABLE crm_field (
    entity_id INTEGER NOT NULL REFERENCES crm_entity (id),
    key       TEXT NOT NULL,
    position  INTEGER NOT NULL,
    label     TEXT NOT NULL,
    type      TEXT NOT NULL,
    options   TEXT NOT NULL,                -- JSON array
    PRIMARY KEY (entity_id, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE crm_pipeline (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    entity_id INTEGER NOT NULL REFERENCES crm_entity (id),
    slug      TEXT NOT NULL,
    position  INTEGER NOT NULL,
    name      TEXT NOT NULL,
    UNIQUE (entity_id, slug)
) STRICT;

CREATE TABLE crm_stage (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    pipeline_id INTEGER NOT NULL REFERENCES crm_pipeline (id),
    slug        TEXT NOT NULL,
    position    INTEGER NOT NULL,
    name        TEXT NOT NULL,
    color       TEXT,
    status      TEXT,
    UNIQUE (pipeline_id, slug)
) STRICT;

-- One row for each thing that has entries. Entries and values name it by a number,
-- and a database with row locks has one row here to lock for each reference.
CREATE TABLE crm_reference (
    id           INTEGER PRIMARY KEY,
    entity_id    INTEGER NOT NULL REFERENCES crm_entity (id),
    type         TEXT NOT NULL,
    reference_id BLOB NOT NULL,             -- UTF-8; a BLOB because NUL is allowed in it
    UNIQUE (entity_id, type, reference_id)
) STRICT;

CREATE TABLE crm_entry (
    id         BLOB PRIMARY KEY NOT NULL,   -- 16 bytes, ascending with creation in a reference
    reference  INTEGER NOT NULL REFERENCES crm_reference (id),
    stage_id   INTEGER REFERENCES crm_stage (id),   -- the pipeline follows from the stage
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
-- The newest entries of a reference.
CREATE INDEX crm_entry_by_reference ON crm_entry (reference, id);
CREATE INDEX crm_entry_by_stage ON crm_entry (stage_id) WHERE stage_id IS NOT NULL;

-- One row for each value, so that writers of different keys never meet and a key can
-- be looked for. MessagePack and not JSON text or a JSON column: it keeps -0.0, every
-- double, the order of keys and NUL without a parser's help (PostgreSQL's jsonb keeps
-- none of these), so a value moves between databases as the bytes it is.
CREATE TABLE crm_value (
    entry_id  BLOB NOT NULL REFERENCES crm_entry (id) ON DELETE CASCADE,
    key       TEXT NOT NULL,
    reference INTEGER NOT NULL,             -- the entry's, repeated for the index
    value     BLOB NOT NULL,
    PRIMARY KEY (entry_id, key)
) STRICT, WITHOUT ROWID;
-- "The newest entry of a reference that has the key" is the last row of one range,
-- however many entries there are.
CREATE INDEX crm_value_by_key ON crm_value (reference, key, entry_id);

CREATE TABLE crm_usage (
    brand TEXT PRIMARY KEY NOT NULL,
    bytes INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
