-- Values that scripts keep for their brand. `number` is set if the value is a number, and then `value` is
-- empty.
CREATE TABLE storage (
    brand      TEXT COLLATE "C" NOT NULL,
    namespace  TEXT COLLATE "C" NOT NULL,
    key        TEXT COLLATE "C" NOT NULL,
    value      BYTEA NOT NULL,              -- MessagePack
    digest     BYTEA NOT NULL,              -- SHA-256 of what the value is worth as JSON
    number     DOUBLE PRECISION,
    size       BIGINT NOT NULL,             -- what the row counts toward the brand's quota
    expires_at BIGINT,
    PRIMARY KEY (brand, namespace, key)
);
CREATE INDEX storage_by_expiry ON storage (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX storage_by_brand ON storage (brand, expires_at) WHERE expires_at IS NOT NULL;

-- What a brand's values count is the sum over its slots, so that its writers seldom wait for each other.
CREATE TABLE storage_usage (
    brand TEXT COLLATE "C" NOT NULL,
    slot  SMALLINT NOT NULL DEFAULT 0,
    keys  BIGINT NOT NULL,
    bytes BIGINT NOT NULL,
    PRIMARY KEY (brand, slot)
);

-- The same for values that may be forgotten. Not logged: after a crash of the server, they are.
CREATE UNLOGGED TABLE cache (
    brand      TEXT COLLATE "C" NOT NULL,
    namespace  TEXT COLLATE "C" NOT NULL,
    key        TEXT COLLATE "C" NOT NULL,
    value      BYTEA NOT NULL,
    digest     BYTEA NOT NULL,
    number     DOUBLE PRECISION,
    size       BIGINT NOT NULL,
    expires_at BIGINT,
    PRIMARY KEY (brand, namespace, key)
);
CREATE INDEX cache_by_expiry ON cache (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX cache_by_brand ON cache (brand, expires_at);

CREATE UNLOGGED TABLE cache_usage (
    brand TEXT COLLATE "C" NOT NULL,
    slot  SMALLINT NOT NULL DEFAULT 0,
    keys  BIGINT NOT NULL,
    bytes BIGINT NOT NULL,
    PRIMARY KEY (brand, slot)
);
