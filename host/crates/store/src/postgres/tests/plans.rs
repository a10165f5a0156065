//! The statements that a page can cause must not become slower with the amount of data.

use super::*;
use sluice_storage::Area;

use crate::postgres::{crm, job_queue, jobs, queue, rate, schedule, session, storage, token};
use crate::storage_rows::for_area;

/// Inserts a million entries with one value each, and rows into every other table that grows. One
/// reference has a thousand entries, the most that the quota allows.
const FILL: &str = "
    SET session_replication_role = replica;     -- foreign keys are not looked up
    INSERT INTO crm_entity (brand, slug, name, mode) VALUES ('acme', 'leads', 'leads', 'crm');
    INSERT INTO crm_reference (entity_id, type, reference_id)
        SELECT 1, 'customer', convert_to(n::text, 'UTF8') FROM generate_series(1, 999001) AS n;
    INSERT INTO crm_entry (id, reference, created_at, updated_at, entity_id)
        SELECT decode(lpad(to_hex(n), 32, '0'), 'hex'), greatest(n - 999, 1), 0, 0, 1
        FROM generate_series(1, 1000000) AS n;
    INSERT INTO crm_field_index (entity_id, key, is_unique, is_ready) VALUES (1, 'a', true, true);
    INSERT INTO crm_index (entry_id, index_id, value)
        SELECT id, 1, decode(lpad(to_hex(row_number() OVER () % 1000), 4, '0'), 'hex') FROM crm_entry;
    INSERT INTO crm_unique (index_id, digest, entry_id) SELECT 1, id, id FROM crm_entry LIMIT 100000;
    INSERT INTO crm_stage_move SELECT id, n, n, n + 1, 0 FROM crm_entry CROSS JOIN generate_series(1, 5) AS n
        WHERE id < '\\x00000000000000000000000000004000';
    INSERT INTO crm_value (entry_id, key, reference, value)
        SELECT id, chr(97 + (row_number() OVER () % 3)::int), reference, '\\x01' FROM crm_entry;
    INSERT INTO session SELECT decode(md5(n::text), 'hex'), 'acme',
        sha256(convert_to(n::text, 'UTF8')), '', 0, n FROM generate_series(1, 100000) AS n;
    INSERT INTO used_token SELECT 'acme', decode(md5(n::text), 'hex'), n FROM generate_series(1, 100000) AS n;
    INSERT INTO page_purge SELECT 'acme', n::text, 1, n FROM generate_series(1, 100000) AS n;
    INSERT INTO rate SELECT decode(md5(n::text), 'hex'), 0, n, 1 FROM generate_series(1, 100000) AS n;
    INSERT INTO job (brand, what, write, state, created_at, due_at, ended_at)
        SELECT 'acme', 'x', '', CASE WHEN n % 10 = 0 THEN 'waiting' ELSE 'done' END, 0, 0, n
        FROM generate_series(1, 100000) AS n;
    INSERT INTO queue (id, brand, module, function, payload, state, tag, key, scheduled_for, due_at, created_at,
            ended_at)
        SELECT n::text, CASE WHEN n % 4 = 0 THEN 'acme' ELSE 'brand' || n % 50 END, 'm', 'f', '',
            CASE WHEN n % 4 = 3 THEN 'done' ELSE 'pending' END, (n % 1000)::text, n::text, n,
            CASE WHEN n % 4 <> 3 THEN n END, n, CASE WHEN n % 4 = 3 THEN n END
        FROM generate_series(1, 100000) AS n;
    INSERT INTO schedule SELECT 'brand' || n, 'nightly', 'r', n, NULL, NULL FROM generate_series(1, 10000) AS n;
    INSERT INTO storage SELECT 'acme', 'default', n::text, '', '', n, 80, n FROM generate_series(1, 100000) AS n;
    INSERT INTO cache SELECT 'acme', 'default', n::text, '', '', n, 80, n FROM generate_series(1, 50000) AS n;
    INSERT INTO job_line SELECT decode(md5((id % 1000)::text), 'hex'), id FROM job WHERE state = 'waiting';
";

/// Each statement with parameters like those of a page.
fn statements() -> Vec<(&'static str, String, Vec<&'static str>)> {
    let line = ["'acme'", "'leads'", "'customer'", "'\\x37'"];
    let with = |rest: &[&'static str]| [&line[..], rest].concat();
    let keys = "ARRAY['a','b','c']";
    let id = "'\\x00'";
    [
        ("getCrmFields", crm::NEWEST_VALUES, with(&[keys, "1000"])),
        ("getCrmEntries", crm::NEWEST_ENTRIES, with(&["50", "1000"])),
        ("getCrmFieldValues", crm::VALUES_OF_KEY, with(&["'a'", "50", "1000"])),
        ("line of a write", crm::LINE, with(&["true"])),
        ("entries of a write", crm::ENTRIES, with(&[keys, "1"])),
        ("all entries of a write", crm::ENTRIES, with(&[keys, "NULL"])),
        ("held by a write", crm::HELD, with(&[keys, "true"])),
        ("loading a session", session::LOAD, vec!["'acme'", id, "0"]),
        ("saving a session", session::LOCK, vec![id, "'acme'", "0"]),
        ("expired sessions", session::DELETE_EXPIRED, vec!["100", "500"]),
        ("sessions over the quota", session::EVICT, vec!["'acme'", "500"]),
        ("expired tokens", token::DELETE_EXPIRED, vec!["100", "500"]),
        ("new purges", page_cache::SINCE, vec!["99900"]),
        ("old purges", page_cache::DELETE_OLD, vec!["100", "500"]),
        ("ended windows", rate::DELETE_EXPIRED, vec!["100", "500"]),
        ("the next job", jobs::NEXT, vec!["1", "1"]),
        ("waiting in a line", job_queue::WAITED_FOR, vec!["ARRAY['\\x00'::bytea]"]),
        ("finished jobs", jobs::DELETE_FINISHED, vec!["100", "500"]),
        ("jobs of a brand", queue::COUNT_OF_BRAND, vec!["'acme'", "25001"]),
        ("queue.push", queue::INSERT, vec!["'x'", "'acme'", "'m'", "'f'", "''", "'t'", "'k'", "1", "1"]),
        ("an added job", queue::ADD, vec!["'x'", "'acme'", "'m'", "'f'", "''", "'t'", "'k'", "1", "1", "9"]),
        (
            "a tick of a schedule",
            schedule::START,
            vec!["'x'", "'acme'", "'m'", "'f'", "''", "'t'", "'k'", "1", "1", "25000", "'nightly'", "7", "6"],
        ),
        ("queue.cancel", queue::CANCEL, vec!["'acme'", "'7'"]),
        ("queue.status", queue::STATUS, vec!["'7'", "'acme'"]),
        ("brands with due jobs", queue::DUE_BRANDS, vec!["100000"]),
        ("claiming a job", queue::CLAIM, vec!["'acme'", "100000", "100001"]),
        ("the end of a job", queue::DONE, vec!["7", "1", "1"]),
        ("the end of a claim", queue::END, vec!["7", "1", "'parked'", "NULL", "1", "0", "'a'", "'b'", "'c'"]),
        ("a replaced job", queue::REPLACED, vec!["7", "1", "true"]),
        ("too many finished script jobs", queue::DELETE_EXCESS, vec!["10000", "500"]),
        ("finished script jobs", queue::DELETE_DONE, vec!["100", "500"]),
    ]
    .into_iter()
    .chain(crm_write_statements(&line))
    .chain(crm_search_statements(&line))
    .map(|(name, sql, params)| (name, sql.to_owned(), params))
    .chain(storage_statements())
    .collect()
}

fn storage_statements() -> Vec<(&'static str, String, Vec<&'static str>)> {
    let at = ["'acme'", "'default'", "'7'"];
    let with = |rest: &[&'static str]| [&at[..], rest].concat();
    let bytes = "'\\x01'";
    let row = ["0", bytes, bytes, "NULL::float8", "80", "NULL::bigint"];
    let rest = ["1", "100000", "1000000", "2", bytes, "NULL::float8", "false"];
    [
        ("storage.get", storage::GET, with(&["0"])),
        ("storage.has", storage::HAS, with(&["0"])),
        ("storage.set", storage::PUT, with(&[&row[..], &rest].concat())),
        (
            "storage.increment",
            storage::ADD,
            with(&["0", "1::float8", "NULL::bigint", "80", "1", "100000", "1000000"]),
        ),
        ("storage.del", storage::REMOVE, with(&["1"])),
        ("storage.list", storage::LIST, with(&["'8'", "true", "0", "51", "1000000"])),
        ("expired values", storage::DELETE_EXPIRED, vec!["100", "500", "0"]),
        ("room for a value", storage::FORGET, vec!["'acme'", "100", "500", "0"]),
    ]
    .into_iter()
    .flat_map(|(name, sql, params)| {
        [Area::Storage, Area::Cache].map(|area| (name, for_area(sql, area), params.clone()))
    })
    .collect()
}

fn crm_search_statements(line: &[&'static str; 4]) -> Vec<(&'static str, &'static str, Vec<&'static str>)> {
    use crate::postgres::crm::search::*;
    let id = "'\\x0007'::bytea";
    let ids = "ARRAY['\\x00'::bytea, '\\x01'::bytea]";
    vec![
        ("getCrmEntry", crm::by_id::ENTRY, vec![line[0], line[1], id, "1000"]),
        ("the reference of an entry", crm::by_id::REFERENCE_OF, vec![line[0], line[1], id]),
        ("an entry of a write", crm::load::OWN_ENTRY, [&line[..], &[id]].concat()),
        ("values of an entry of a write", crm::load::OWN_VALUES, vec![id, "ARRAY['a']", "true"]),
        ("the place of a search", PLACE, [&line[..], &["1001"]].concat()),
        ("entries from the first", UP_ENTITY, vec!["1", id, "50"]),
        ("entries from the last", DOWN_ENTITY, vec!["1", id, "50"]),
        ("entries of a reference from the first", UP_REFERENCE, vec!["1", id, "50"]),
        ("entries of a reference from the last", DOWN_REFERENCE, vec!["1", id, "50"]),
        ("an index from the first", UP_INDEX, vec!["1", id, id, "'\\x0100'", "50"]),
        ("an index from the last", DOWN_INDEX, vec!["1", id, id, "'\\x0001'", "50"]),
        ("a count of entries", COUNT_ENTITY, vec!["1", "100001"]),
        ("a count of entries of a reference", COUNT_REFERENCE, vec!["1", "100001"]),
        ("a count in an index", COUNT_INDEX, vec!["1", id, "'\\x0100'", "100001"]),
        ("examined entries", EXAMINE, vec![ids, "ARRAY['a','b']", "100"]),
        ("found entries", LOAD, vec![ids, "1000"]),
    ]
}

fn crm_write_statements(line: &[&'static str; 4]) -> Vec<(&'static str, &'static str, Vec<&'static str>)> {
    use crate::postgres::crm::history::*;
    use crate::postgres::crm::index::*;
    use crate::postgres::crm::write::*;
    use crate::postgres::usage::ADD_USAGE;
    let place = ["1", line[2], line[3]];
    let with = |rest: &[&'static str]| [&place[..], rest].concat();
    let ids = "ARRAY['\\x00'::bytea]";
    vec![
        ("a new entry", ADD_ENTRIES, with(&[ids, "0"])),
        ("values of unique fields", TAKE_UNIQUE, vec!["ARRAY[1::bigint]", ids, ids]),
        ("own values of unique fields", TAKEN, vec!["ARRAY[1::bigint]", ids, ids]),
        ("free values of unique fields", FREE_UNIQUE, vec!["ARRAY[1::bigint]", ids, ids]),
        ("rows of indexes", PUT_ROWS, vec![ids, "ARRAY[1::bigint]", ids]),
        ("values", PUT_VALUES, with(&[ids, "ARRAY['a']", ids])),
        ("removed values", REMOVE_VALUES, vec![ids, "ARRAY['a']"]),
        ("deleted entries", DELETE_ENTRIES, vec![ids]),
        ("a line of history", RECORD, vec![ids, "ARRAY[1::bigint]", "0"]),
        ("a stage", PLACE, vec![ids, "ARRAY[1::bigint]"]),
        ("old lines of history", FORGET, vec![ids, "100"]),
        ("the history of an entry", HISTORY, vec![line[0], line[1], "'\\x0007'::bytea"]),
        ("touched entries", TOUCH, vec![ids, "0"]),
        ("reassigned entries", REASSIGN_ENTRIES, with(&place)),
        ("reassigned values", REASSIGN_VALUES, with(&place)),
        ("an empty reference", FORGET_REFERENCE, with(&[])),
        ("usage", ADD_USAGE, vec!["'acme'", "1", "1"]),
    ]
}

/// Replaces `$1` and so on by literals of the types that the host sends.
fn bound(sql: &str, params: &[&str]) -> String {
    let mut sql = sql.to_owned();
    for (index, param) in params.iter().enumerate().rev() {
        sql = sql.replace(&format!("${}", index + 1), param);
    }
    sql
}

#[tokio::test]
async fn every_statement_of_a_page_uses_an_index() {
    let database = Database::create();
    open(&database.url()).await.close().await;
    database.sql(FILL);
    let grows = [
        "crm_reference",
        "crm_entry",
        "crm_value",
        "crm_index",
        "crm_unique",
        "crm_stage_move",
        "session",
        "used_token",
        "page_purge",
        "rate",
        "job",
        "job_line",
        "queue",
        "schedule",
        "storage",
        "cache",
    ];
    for table in grows {
        database.sql(&format!("VACUUM ANALYZE {table}"));
    }
    assert_eq!(database.sql("SELECT count(*) FROM crm_entry"), "1000000");
    for (name, sql, params) in statements() {
        let plan = database.sql(&format!("EXPLAIN {}", bound(&sql, &params)));
        for line in plan.lines() {
            let scanned = line.split_once("Seq Scan on ").map(|(_, rest)| rest.split(' ').next().unwrap());
            assert!(!scanned.is_some_and(|table| grows.contains(&table)), "{name}: {plan}");
        }
        assert!(plan.contains("Index"), "{name}: {plan}");
    }
    // Proves that this test can fail.
    let plan = database.sql("EXPLAIN SELECT * FROM crm_value WHERE value = '\\x02'");
    assert!(plan.contains("Seq Scan on crm_value"), "{plan}");
}
