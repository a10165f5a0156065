-- The history of stages. An entry counts all its moves; only the newest are kept as rows. Stages are never
-- deleted. A foreign key to them would let each change of a stage look through all histories.
ALTER TABLE crm_entry ADD COLUMN stage_moves INTEGER NOT NULL DEFAULT 0;

CREATE TABLE crm_stage_move (
    entry_id   BLOB NOT NULL REFERENCES crm_entry (id) ON DELETE CASCADE,
    number     INTEGER NOT NULL,                            -- the first move of an entry is 1
    from_stage INTEGER,                                     -- NULL if the entry was in no stage
    to_stage   INTEGER NOT NULL,
    moved_at   INTEGER NOT NULL,
    PRIMARY KEY (entry_id, number)
) STRICT, WITHOUT ROWID;
