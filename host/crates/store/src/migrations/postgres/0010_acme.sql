-- Certificates by ACME. Private keys and accounts are sealed with the application key.
CREATE TABLE acme_account (
    directory TEXT COLLATE "C" PRIMARY KEY, -- the URL of the authority's directory
    sealed    BYTEA NOT NULL
);

-- The empty name is the authority itself, which has no certificate.
CREATE TABLE acme_name (
    directory   TEXT COLLATE "C" NOT NULL,
    name        TEXT COLLATE "C" NOT NULL,
    revision    BIGINT,                     -- random; the columns of a certificate are all set or all NULL
    not_before  BIGINT,
    not_after   BIGINT,
    chain       BYTEA,                      -- PEM
    sealed_key  BYTEA,
    failures    BIGINT NOT NULL DEFAULT 0,  -- in a row
    next_at     BIGINT NOT NULL DEFAULT 0,  -- no host tries before
    lease_by    BYTEA,                      -- 16 bytes: the host that works on the name
    lease_until BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (directory, name)
);

-- What any host answers to an authority while an order is in progress.
CREATE TABLE acme_answer (
    challenge  TEXT COLLATE "C" NOT NULL,
    asked      TEXT COLLATE "C" NOT NULL,   -- the token of http-01, the name of tls-alpn-01
    value      BYTEA NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (challenge, asked)
);
CREATE INDEX acme_answer_by_expiry ON acme_answer (expires_at);
