-- Why the last attempt failed, in the words of the authority.
ALTER TABLE acme_name ADD COLUMN problem TEXT NOT NULL DEFAULT '';
