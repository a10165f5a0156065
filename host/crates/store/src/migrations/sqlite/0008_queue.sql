-- Jobs: functions of modules that scripts run later.
CREATE TABLE queue (
    seq           INTEGER PRIMARY KEY AUTOINCREMENT,    -- in the order in which jobs were made
    id            TEXT NOT NULL UNIQUE,                 -- the job's name, which scripts know
    brand         TEXT NOT NULL,
    module        TEXT NOT NULL,
    function      TEXT NOT NULL,
    payload       BLOB NOT NULL,                        -- MessagePack; empty once it is done
    state         TEXT NOT NULL,                        -- pending, running, parked, done
    tag           TEXT,
    key           TEXT,
    attempts      INTEGER NOT NULL DEFAULT 0,
    claims        INTEGER NOT NULL DEFAULT 0,           -- a host that claimed it earlier cannot end it
    scheduled_for INTEGER NOT NULL,
    due_at        INTEGER,                              -- if it is pending; the end of the claim if it runs
    created_at    INTEGER NOT NULL,
    ended_at      INTEGER,
    outcome       TEXT,
    last_error    TEXT,
    console       TEXT
) STRICT;
CREATE INDEX queue_due ON queue (brand, due_at, seq) WHERE due_at IS NOT NULL;
CREATE UNIQUE INDEX queue_key ON queue (brand, key) WHERE state = 'pending' AND key IS NOT NULL;
CREATE INDEX queue_tag ON queue (brand, tag) WHERE state = 'pending' AND tag IS NOT NULL;
CREATE INDEX queue_by_state ON queue (state, brand, seq);
CREATE INDEX queue_done ON queue (ended_at) WHERE state = 'done';
