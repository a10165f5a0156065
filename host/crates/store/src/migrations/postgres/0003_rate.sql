-- Requests of one visitor to one page in one window; `key` is a hash of both. Not logged:
-- after a crash of the server the windows of that moment begin anew, and counting a
-- request does not wait for the disk.
CREATE UNLOGGED TABLE rate (
    key       BYTEA NOT NULL,
    starts_at BIGINT NOT NULL,
    ends_at   BIGINT NOT NULL,
    requests  INTEGER NOT NULL,
    PRIMARY KEY (key, starts_at)
);
CREATE INDEX rate_by_end ON rate (ends_at);
