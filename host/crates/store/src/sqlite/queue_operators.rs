//! The statements on jobs of scripts that only operators cause.

use sluice_queue::{PAYLOAD_HEAD_MAX, QueueChoice, State};

const COLUMNS: &str =
    "id, brand, module, function, state, tag, key, attempts, length(payload) AS payload_bytes,
         created_at, scheduled_for, due_at, ended_at, outcome, last_error, console";

/// The statement that lists jobs. The parameters are the brand, the state and the most jobs. Without statistics,
/// SQLite would go through the whole table if one statement did for every choice.
pub(super) fn list(has_brand: bool, state: Option<State>) -> String {
    let brand = if has_brand { "brand = ?1" } else { "?1 IS NULL" };
    let of_state = match state {
        Some(_) => "state = ?2",
        None => "?2 IS NULL AND state IN ('pending', 'running', 'parked', 'done')",
    };
    let order = if state.is_some_and(State::is_due_sometime) { "due_at, seq" } else { "seq" };
    let head = head();
    format!("SELECT {COLUMNS}, {head} FROM queue WHERE {brand} AND {of_state} ORDER BY {order} LIMIT ?3")
}

pub(super) fn find() -> String {
    format!("SELECT {COLUMNS}, {} FROM queue WHERE id = ?1", head())
}

/// Of an empty payload, `substr` makes NULL.
fn head() -> String {
    format!("coalesce(substr(payload, 1, {PAYLOAD_HEAD_MAX}), x'') AS payload_head")
}

/// Which jobs are chosen. `?1` is the id or the brand.
fn chosen(which: &QueueChoice) -> (&'static str, Option<&str>) {
    match which {
        QueueChoice::One(id) => ("id = ?1 AND state IN ('parked', 'pending')", Some(id.as_str())),
        QueueChoice::Parked { brand: None } => ("?1 IS NULL AND state = 'parked'", None),
        QueueChoice::Parked { brand: Some(brand) } => ("brand = ?1 AND state = 'parked'", Some(brand)),
        QueueChoice::All { brand } => ("brand = ?1 AND state IN ('parked', 'pending')", Some(brand)),
    }
}

/// The statement that makes chosen jobs due at `?2`, and its first parameter.
pub(super) fn retry(which: &QueueChoice) -> (String, Option<&str>) {
    let (chosen, of_choice) = chosen(which);
    let sql = format!(
        "UPDATE queue SET state = 'pending', due_at = ?2, ended_at = NULL, attempts = 0 WHERE {chosen}
         AND (key IS NULL OR state = 'pending' OR NOT EXISTS (SELECT 1 FROM queue AS other
             WHERE other.brand = queue.brand AND other.key = queue.key AND other.seq <> queue.seq
             AND (other.state = 'pending' OR (other.state = 'parked' AND other.seq > queue.seq))))"
    );
    (sql, of_choice)
}

/// The statement that deletes chosen jobs, and its parameter.
pub(super) fn drop(which: &QueueChoice) -> (String, Option<&str>) {
    let (chosen, of_choice) = chosen(which);
    (format!("DELETE FROM queue WHERE {chosen}"), of_choice)
}

pub(super) const COUNT_PARKED: &str =
    "SELECT brand, count(*) FROM queue WHERE state = 'parked' GROUP BY brand
     ORDER BY 2 DESC, 1 LIMIT ?1";

pub(super) const COUNT_STATE: &str = "SELECT count(*) FROM queue WHERE state = ?1";

#[cfg(test)]
mod tests {
    use sluice_queue::JobId;

    use super::*;
    use crate::sqlite::migrate;

    #[test]
    fn statements_of_operators_use_an_index() {
        let mut conn = rusqlite::Connection::open_in_memory().unwrap();
        migrate::apply(&mut conn).unwrap();
        let brand = || "acme".to_owned();
        let mut statements = vec![find(), list(true, Some(State::Pending)), list(true, Some(State::Parked))];
        statements.extend([list(false, Some(State::Parked)), list(true, None), COUNT_PARKED.to_owned()]);
        for which in [
            QueueChoice::One(JobId::random().unwrap()),
            QueueChoice::Parked { brand: Some(brand()) },
            QueueChoice::Parked { brand: None },
            QueueChoice::All { brand: brand() },
        ] {
            statements.extend([retry(&which).0, drop(&which).0]);
        }
        for sql in statements {
            let mut plan = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let mut steps = plan.raw_query();
            while let Some(step) = steps.next().unwrap() {
                let step: String = step.get(3).unwrap();
                assert!(!step.starts_with("SCAN"), "{step}\n{sql}");
            }
        }
    }
}
