-- Cached answers that scripts and operators have dropped, for all hosts.
CREATE TABLE page_purge (
    brand      TEXT NOT NULL,
    tag        TEXT NOT NULL,       -- empty for all answers of the brand
    version    INTEGER NOT NULL,    -- how often they were dropped
    purged_at  INTEGER NOT NULL,
    PRIMARY KEY (brand, tag)
) STRICT, WITHOUT ROWID;
CREATE INDEX page_purge_by_time ON page_purge (purged_at);
