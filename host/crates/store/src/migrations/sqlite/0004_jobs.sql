-- CRM writes that were acknowledged and are still to be applied.
CREATE TABLE job (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,   -- in the order in which jobs were made
    brand      TEXT NOT NULL,
    what       TEXT NOT NULL,                       -- for people; never a value
    write      BLOB NOT NULL,                       -- MessagePack; empty once it is done
    state      TEXT NOT NULL,                       -- waiting, parked, done
    is_late    INTEGER NOT NULL DEFAULT 0,
    tries      INTEGER NOT NULL DEFAULT 0,
    last_error TEXT,
    created_at INTEGER NOT NULL,
    due_at     INTEGER NOT NULL,
    ended_at   INTEGER
) STRICT;
CREATE INDEX job_waiting ON job (id) WHERE state = 'waiting';
CREATE INDEX job_by_state ON job (state, id);
CREATE INDEX job_done ON job (ended_at) WHERE state = 'done';

-- Where waiting jobs stand in line: a job runs once no earlier one has a line of its.
CREATE TABLE job_line (
    line   BLOB NOT NULL,                           -- 16 bytes: brand, entity, reference
    job_id INTEGER NOT NULL REFERENCES job (id) ON DELETE CASCADE,
    PRIMARY KEY (line, job_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX job_line_by_job ON job_line (job_id);
