-- Cached answers that scripts and operators have dropped, for all hosts.
CREATE TABLE page_purge (
    brand      TEXT COLLATE "C" NOT NULL,
    tag        TEXT COLLATE "C" NOT NULL,       -- empty for all answers of the brand
    version    BIGINT NOT NULL,                 -- how often they were dropped
    purged_at  BIGINT NOT NULL,
    PRIMARY KEY (brand, tag)
);
CREATE INDEX page_purge_by_time ON page_purge (purged_at);
