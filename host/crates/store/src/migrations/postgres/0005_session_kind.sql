-- Which sessions are deleted first when a brand exceeds its quota: 0 for a new visitor whose cookie has
-- not come back yet, 1 for an anonymous visitor, 2 for a customer. Rows from before are not known.
ALTER TABLE session ADD COLUMN kind SMALLINT NOT NULL DEFAULT 2;
-- When the session expires once the cookie has come back.
ALTER TABLE session ADD COLUMN lasts_until BIGINT NOT NULL DEFAULT 0;
CREATE INDEX session_by_kind ON session (brand, kind, created_at);
