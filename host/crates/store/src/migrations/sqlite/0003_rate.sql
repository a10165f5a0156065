-- Requests of one visitor to one page in one window; `key` is a hash of both.
CREATE TABLE rate (
    key BLOB NOT NULL,
    starts_at INTEGER NOT NULL,
    ends_at INTEGER NOT NULL,
    requests INTEGER NOT NULL,
    PRIMARY KEY (key, starts_at)
) STRICT, WITHOUT ROWID;

CREATE INDEX rate_ends_at ON rate (ends_at);
