-- The history of stages. An entry counts all its moves; only the newest are kept as rows. Stages are never
-- deleted. A foreign key to them would let each change of a stage look through all histories.
ALTER TABLE crm_entry ADD COLUMN stage_moves BIGINT NOT NULL DEFAULT 0;

CREATE TABLE crm_stage_move (
    entry_id   BYTEA NOT NULL REFERENCES crm_entry (id) ON DELETE CASCADE,
    number     BIGINT NOT NULL,                             -- the first move of an entry is 1
    from_stage BIGINT,                                      -- NULL if the entry was in no stage
    to_stage   BIGINT NOT NULL,
    moved_at   BIGINT NOT NULL,
    PRIMARY KEY (entry_id, number)
);
