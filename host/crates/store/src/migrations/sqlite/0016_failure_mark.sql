-- Kinds of failures that operators have resolved or muted, on all hosts.
CREATE TABLE failure_mark (
    brand     TEXT NOT NULL,
    kind      TEXT NOT NULL,        -- a hash of the page, the outcome and the message
    page      TEXT NOT NULL,        -- the page's file, or the module of a job
    outcome   TEXT NOT NULL,
    message   TEXT NOT NULL,        -- without its numbers
    state     TEXT NOT NULL,        -- 'resolved' or 'muted'
    marked    INTEGER NOT NULL,     -- when an operator did it
    lasts     INTEGER,              -- until when it is muted; NULL: until an operator ends it
    operator  TEXT NOT NULL,
    seen      INTEGER NOT NULL,     -- when it failed last, as far as hosts have noted; 0 for never
    PRIMARY KEY (brand, kind)
) STRICT, WITHOUT ROWID;
CREATE INDEX failure_mark_by_time ON failure_mark (marked);
