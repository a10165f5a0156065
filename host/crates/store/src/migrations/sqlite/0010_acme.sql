-- Certificates by ACME. Private keys and accounts are sealed with the application key.
CREATE TABLE acme_account (
    directory TEXT PRIMARY KEY NOT NULL,    -- the URL of the authority's directory
    sealed    BLOB NOT NULL
) STRICT;

-- The empty name is the authority itself, which has no certificate.
CREATE TABLE acme_name (
    directory   TEXT NOT NULL,
    name        TEXT NOT NULL,
    revision    INTEGER,                    -- random; the columns of a certificate are all set or all NULL
    not_before  INTEGER,
    not_after   INTEGER,
    chain       BLOB,                       -- PEM
    sealed_key  BLOB,
    failures    INTEGER NOT NULL DEFAULT 0, -- in a row
    next_at     INTEGER NOT NULL DEFAULT 0, -- no host tries before
    lease_by    BLOB,                       -- 16 bytes: the host that works on the name
    lease_until INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (directory, name)
) STRICT;

-- What any host answers to an authority while an order is in progress.
CREATE TABLE acme_answer (
    challenge  TEXT NOT NULL,
    asked      TEXT NOT NULL,               -- the token of http-01, the name of tls-alpn-01
    value      BLOB NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (challenge, asked)
) STRICT, WITHOUT ROWID;
CREATE INDEX acme_answer_by_expiry ON acme_answer (expires_at);
