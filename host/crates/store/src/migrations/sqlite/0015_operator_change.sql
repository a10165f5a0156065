-- What operators have changed with the admin listener, and their logins: the newest, of all hosts.
CREATE TABLE operator_change (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    at        INTEGER NOT NULL,     -- when the request arrived
    took      INTEGER NOT NULL,     -- how many milliseconds it took
    class     TEXT NOT NULL,        -- 'change' or 'login': each has a number of rows of its own
    operator  TEXT NOT NULL,        -- 'token', or the name of a console session
    client    TEXT NOT NULL,        -- the address of the client, or empty
    brand     TEXT NOT NULL,        -- empty if it is of no brand
    action    TEXT NOT NULL,        -- 'limit.set'
    target    TEXT NOT NULL,        -- the path of a page, the entity and the id of an entry, a job …
    item      TEXT NOT NULL,        -- the part of it: the name of a limit, the keys of fields …
    was       TEXT NOT NULL,
    becomes   TEXT NOT NULL,
    outcome   TEXT NOT NULL,        -- 'done', 'refused' or 'failed'
    status    INTEGER NOT NULL,
    said      TEXT NOT NULL         -- why it was refused or failed
) STRICT;
CREATE INDEX operator_change_by_class ON operator_change (class, id);
CREATE INDEX operator_change_by_target ON operator_change (brand, target, id);
