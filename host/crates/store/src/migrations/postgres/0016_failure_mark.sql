-- Kinds of failures that operators have resolved or muted, on all hosts.
CREATE TABLE failure_mark (
    brand     TEXT COLLATE "C" NOT NULL,
    kind      TEXT COLLATE "C" NOT NULL,    -- a hash of the page, the outcome and the message
    page      TEXT NOT NULL,                -- the page's file, or the module of a job
    outcome   TEXT NOT NULL,
    message   TEXT NOT NULL,                -- without its numbers
    state     TEXT COLLATE "C" NOT NULL,    -- 'resolved' or 'muted'
    marked    BIGINT NOT NULL,              -- when an operator did it
    lasts     BIGINT,                       -- until when it is muted; NULL: until an operator ends it
    operator  TEXT NOT NULL,
    seen      BIGINT NOT NULL,              -- when it failed last, as far as hosts have noted; 0 for never
    PRIMARY KEY (brand, kind)
);
CREATE INDEX failure_mark_by_time ON failure_mark (marked);
