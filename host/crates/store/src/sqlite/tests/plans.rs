//! Every statement that a page can cause finds its rows by an index. SQLite plans without
//! statistics, so the plan does not depend on the number of rows.

use sluice_storage::Area;

use super::super::migrate;
use crate::storage_rows::for_area;

/// The files with the statements that pages cause. Those of operators are in other files.
const SOURCES: [(&str, &str); 16] = [
    ("session.rs", include_str!("../session.rs")),
    ("token.rs", include_str!("../token.rs")),
    ("rate.rs", include_str!("../rate.rs")),
    ("usage.rs", include_str!("../usage.rs")),
    ("crm.rs", include_str!("../crm.rs")),
    ("crm/by_id.rs", include_str!("../crm/by_id.rs")),
    ("crm/history.rs", include_str!("../crm/history.rs")),
    ("crm/index.rs", include_str!("../crm/index.rs")),
    ("crm/search.rs", include_str!("../crm/search.rs")),
    ("crm/load.rs", include_str!("../crm/load.rs")),
    ("crm/schema.rs", include_str!("../crm/schema.rs")),
    ("crm/write.rs", include_str!("../crm/write.rs")),
    ("job_queue.rs", include_str!("../job_queue.rs")),
    ("queue.rs", include_str!("../queue.rs")),
    ("storage.rs", include_str!("../storage.rs")),
    ("jobs/run.rs", include_str!("../jobs/run.rs")),
];

/// What a step may scan: the keys of a call, the index of the writes that are not done, the brands that have
/// jobs, the first of them, the jobs of a brand up to its quota, the list of declared indexes, and rows that
/// another step has found.
const SHORT: [&str; 7] =
    ["asked", "job_waiting", "step", "subquery", "CONSTANT ROW", "queue_due", "crm_field_index"];

/// The string literals of a Rust source that are SQL statements.
fn statements(source: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = source;
    while let Some(start) = rest.find('"') {
        let mut literal = String::new();
        let mut chars = rest[start + 1..].char_indices();
        let mut end = rest.len();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    end = start + 1 + at + 1;
                    break;
                }
                '\\' => literal.extend(chars.next().map(|(_, c)| if c == '\n' { ' ' } else { c })),
                c => literal.push(c),
            }
        }
        rest = &rest[end..];
        let verb = literal.split_whitespace().next().unwrap_or_default().to_owned();
        if matches!(verb.as_str(), "SELECT" | "INSERT" | "UPDATE" | "DELETE" | "WITH") {
            found.push(literal);
        }
    }
    found
}

#[test]
fn every_statement_of_a_page_uses_an_index() {
    let mut conn = rusqlite::Connection::open_in_memory().unwrap();
    migrate::apply(&mut conn).unwrap();
    let mut seen = 0;
    for (file, source) in SOURCES {
        let statements = statements(source);
        assert!(!statements.is_empty(), "{file} has statements");
        for sql in statements {
            let sql = for_area(&sql, Area::Storage);
            let mut plan = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap_or_else(|error| {
                panic!("{file}: {error}: {sql}");
            });
            let mut steps = plan.raw_query();
            while let Some(step) = steps.next().unwrap() {
                let step: String = step.get(3).unwrap();
                let goes_through =
                    step.starts_with("SCAN") && !SHORT.iter().any(|short| step.contains(short));
                assert!(!goes_through, "{file}: {step}\n{sql}");
            }
            seen += 1;
        }
    }
    assert!(seen > 40, "{seen} statements were found");
}
