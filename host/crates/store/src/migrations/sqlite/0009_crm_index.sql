-- The entity of an entry, so that the entries of an entity can be read in order. Processes of an earlier
-- version do not write it, so the database does.
ALTER TABLE crm_entry ADD COLUMN entity_id INTEGER;
UPDATE crm_entry SET entity_id = (SELECT entity_id FROM crm_reference r WHERE r.id = crm_entry.reference);
CREATE TRIGGER crm_entry_entity AFTER INSERT ON crm_entry BEGIN
    UPDATE crm_entry SET entity_id = (SELECT entity_id FROM crm_reference WHERE id = NEW.reference)
    WHERE id = NEW.id;
END;
CREATE INDEX crm_entry_by_entity ON crm_entry (entity_id, id);

-- Indexes of fields. Writers maintain an index from the moment at which it is here; it can be used once
-- every older entry is in it, too.
CREATE TABLE crm_field_index (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    entity_id   INTEGER NOT NULL REFERENCES crm_entity (id),
    key         TEXT NOT NULL,
    is_unique   INTEGER NOT NULL,
    is_ready    INTEGER NOT NULL DEFAULT 0,   -- every entry is in crm_index
    is_complete INTEGER NOT NULL DEFAULT 0,   -- so is every value in crm_unique, if it is unique
    is_blocked  INTEGER NOT NULL DEFAULT 0,   -- two entries have the same value; until crm.toml is applied again
    is_dropped  INTEGER NOT NULL DEFAULT 0,   -- its rows are being deleted
    built_to    BLOB NOT NULL DEFAULT x'',    -- the last entry that the build has reached
    violations  INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE UNIQUE INDEX crm_field_index_by_key ON crm_field_index (entity_id, key) WHERE NOT is_dropped;

-- One row for each entry of the entity. `value` sorts like the values; see `SortKey`.
CREATE TABLE crm_index (
    entry_id BLOB NOT NULL REFERENCES crm_entry (id) ON DELETE CASCADE,
    index_id INTEGER NOT NULL,
    value    BLOB NOT NULL,
    PRIMARY KEY (entry_id, index_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX crm_index_by_value ON crm_index (index_id, value, entry_id);

-- The values of unique fields, as hashes.
CREATE TABLE crm_unique (
    index_id INTEGER NOT NULL,
    digest   BLOB NOT NULL,
    entry_id BLOB NOT NULL REFERENCES crm_entry (id) ON DELETE CASCADE,
    PRIMARY KEY (index_id, digest)
) STRICT, WITHOUT ROWID;
CREATE INDEX crm_unique_by_entry ON crm_unique (entry_id, index_id);
