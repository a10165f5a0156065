-- Handoff tokens that were used: each works once, on whichever host.
CREATE TABLE used_token (
    brand      TEXT NOT NULL,
    token_id   BLOB NOT NULL,               -- the token's UUID, 16 bytes
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (brand, token_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX used_token_by_expiry ON used_token (expires_at);
