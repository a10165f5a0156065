-- Values that scripts keep for their brand. `number` is set if the value is a number, and then `value` is
-- empty. ANY keeps the number as it is, -0 included.
CREATE TABLE storage (
    brand      TEXT NOT NULL,
    namespace  TEXT NOT NULL,
    key        TEXT NOT NULL,
    value      BLOB NOT NULL,               -- MessagePack
    digest     BLOB NOT NULL,               -- SHA-256 of what the value is worth as JSON
    number     ANY,
    size       INTEGER NOT NULL,            -- what the row counts toward the brand's quota
    expires_at INTEGER,
    PRIMARY KEY (brand, namespace, key)
) STRICT;
CREATE INDEX storage_by_expiry ON storage (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX storage_by_brand ON storage (brand, expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE storage_usage (
    brand TEXT PRIMARY KEY NOT NULL,
    keys  INTEGER NOT NULL,
    bytes INTEGER NOT NULL
) STRICT;

-- The same for values that may be forgotten.
CREATE TABLE cache (
    brand      TEXT NOT NULL,
    namespace  TEXT NOT NULL,
    key        TEXT NOT NULL,
    value      BLOB NOT NULL,
    digest     BLOB NOT NULL,
    number     ANY,
    size       INTEGER NOT NULL,
    expires_at INTEGER,
    PRIMARY KEY (brand, namespace, key)
) STRICT;
CREATE INDEX cache_by_expiry ON cache (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX cache_by_brand ON cache (brand, expires_at);

CREATE TABLE cache_usage (
    brand TEXT PRIMARY KEY NOT NULL,
    keys  INTEGER NOT NULL,
    bytes INTEGER NOT NULL
) STRICT;
