//! The statements on jobs of scripts that only operators cause.

pub(super) const LIST: &str = "SELECT id, brand, module, function, state, tag, key, attempts,
         length(payload) AS payload_bytes, created_at, scheduled_for, due_at, ended_at, outcome, last_error,
         console
     FROM queue WHERE (?1 IS NULL OR brand = ?1) AND (?2 IS NULL OR state = ?2) ORDER BY seq LIMIT ?3";

pub(super) const FIND: &str = "SELECT id, brand, module, function, state, tag, key, attempts,
         length(payload) AS payload_bytes, created_at, scheduled_for, due_at, ended_at, outcome, last_error,
         console
     FROM queue WHERE id = ?1";

pub(super) const COUNT_STATE: &str = "SELECT count(*) FROM queue WHERE state = ?1";

pub(super) const RETRY: &str =
    "UPDATE queue SET state = 'pending', due_at = ?4, ended_at = NULL, attempts = 0
     WHERE (?1 IS NULL OR id = ?1) AND (?2 IS NULL OR brand = ?2)
     AND (state = 'parked' OR (?3 AND state = 'pending'))
     AND (key IS NULL OR state = 'pending' OR NOT EXISTS (SELECT 1 FROM queue AS other
         WHERE other.brand = queue.brand AND other.key = queue.key AND other.seq <> queue.seq
         AND (other.state = 'pending' OR (other.state = 'parked' AND other.seq > queue.seq))))";

pub(super) const DROP: &str = "DELETE FROM queue WHERE (?1 IS NULL OR id = ?1) AND (?2 IS NULL OR brand = ?2)
     AND (state = 'parked' OR (?3 AND state = 'pending'))";
