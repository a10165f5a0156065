-- Handoff tokens that were used: each works once, on whichever host.
CREATE TABLE used_token (
    brand      TEXT COLLATE "C" NOT NULL,
    token_id   BYTEA NOT NULL,              -- the token's UUID, 16 bytes
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (brand, token_id)
);
CREATE INDEX used_token_by_expiry ON used_token (expires_at);
