//! What every backend must do. One function for each behaviour; a backend's tests run
//! them all through [`contract_tests!`](crate::contract_tests).
//!
//! `Open` gives a store of its own on one and the same database each time it is
//! called, as if by another host. Each behaviour works in brands of its own, so that
//! all may share a database.

pub mod browse;
pub mod caps;
pub mod crm;
pub mod entries;
pub mod jobs;
pub mod rate;
pub mod schema;
pub mod session;
pub mod token;
pub mod writes;

use std::sync::Arc;

use serde_json::Value;

use sluice_crm::{
    Address, CrmCaps, CrmFault, CrmSchema, CrmWrite, CrmWritten, Entry, FieldKey, Reference, Slug, WriteInto,
};
use sluice_kit::BoxFuture;

use super::Store;

/// Opens one more store on the database under test.
pub type Open = dyn Fn() -> BoxFuture<'static, Arc<dyn Store>> + Send + Sync;

/// Makes a test of each behaviour. `$backend` is a function that gives a guard, kept
/// until the test is over, and an `Open`.
#[macro_export]
macro_rules! contract_tests {
    ($backend:path) => {
        $crate::contract_tests!(@ $backend, session: load_and_expiry parallel_commits_keep_all
            a_new_id_kills_the_old_one a_commit_after_login_finds_the_row
            an_ended_session_stays_ended brands_are_apart expired_rows_go_in_batches);
        $crate::contract_tests!(@ $backend, crm: values_are_exact the_newest_entry_that_has_the_key
            force_writes_into_the_newest several_fields_at_once
            fields_go_each_to_its_holder unknown_slugs
            references_are_apart first_writes_race_to_one_entry parallel_fields_are_all_kept
            the_last_of_two_equal_keys_wins);
        $crate::contract_tests!(@ $backend, entries: entries_are_newest_first
            order_does_not_follow_a_clock_that_goes_back a_result_is_bounded
            a_reader_sees_one_moment);
        $crate::contract_tests!(@ $backend, caps: keys_an_entry entries_a_reference
            brand_bytes_count_up_and_down a_refused_write_leaves_nothing);
        $crate::contract_tests!(@ $backend, writes: clearing_leaves_nothing values_of_a_key
            entries_are_put_into_stages fields_go_to_another_entity
            entries_get_another_reference a_login_with_an_id_takes_everything_along
            opposite_moves_end hostile_text_is_text);
        $crate::contract_tests!(@ $backend, jobs: a_job_is_applied_once
            jobs_of_a_line_keep_their_order a_job_waits_in_all_its_lines
            what_is_refused_parks_and_holds_nothing_up jobs_are_dropped_and_retried_by_choice
            queueing_refuses_what_writing_would waiting_jobs_count_as_bytes
            finished_jobs_go_in_batches queued_writes_follow_a_login);
        $crate::contract_tests!(@ $backend, token: a_token_is_spent_once
            of_many_who_spend_at_once_one_does expired_tokens_go_in_batches);
        $crate::contract_tests!(@ $backend, browse: all_references_newest_first
            a_brand_sees_its_own_entries_only large_entries_come_a_few_at_a_time);
        $crate::contract_tests!(@ $backend, rate: hosts_count_together ended_windows_go_in_batches);
        $crate::contract_tests!(@ $backend, schema: applying_is_additive_and_idempotent
            changes_are_told ids_are_stable two_who_apply_at_once_agree
            ensuring_adds_and_changes_nothing two_who_ensure_at_once_agree entities_are_listed);
    };
    (@ $backend:path, $subject:ident: $($name:ident)*) => {
        mod $subject {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    let (_guard, open) = $backend();
                    $crate::contract::$subject::$name(&open).await;
                }
            )*
        }
    };
}

/// A time after which nothing in these tests has expired.
const NOW: i64 = 1_700_000_000_000;

/// A brand's name that no other test, or run of this test, has.
fn brand(test: &str) -> String {
    let random = getrandom::u64().unwrap();
    format!("contract-{test}-{random:x}")
}

/// A brand with the entity `leads`.
async fn leads(store: &dyn Store, test: &str) -> Address {
    let brand = brand(test);
    let schema = CrmSchema::parse("[[entity]]\nslug = 'leads'", "crm.toml").unwrap();
    store.apply_crm_schema(&brand, schema).await.unwrap();
    Address { brand, slug: Slug::new("leads").unwrap(), reference: Reference::new("customer", "7").unwrap() }
}

fn key(text: &str) -> FieldKey {
    FieldKey::new(text).unwrap()
}

fn write(at: &Address, fields: &[(&str, Value)], into: WriteInto) -> CrmWrite {
    let fields = fields.iter().map(|(k, v)| (key(k), v.clone())).collect();
    CrmWrite::SetFields { at: at.line(), fields, into }
}

async fn set(store: &dyn Store, at: &Address, field: &str, value: Value, now_ms: i64) {
    put(store, at, &[(field, value)], WriteInto::Holder, now_ms).await;
}

async fn put(store: &dyn Store, at: &Address, fields: &[(&str, Value)], into: WriteInto, now_ms: i64) {
    try_put(store, at, fields, into, CrmCaps::default(), now_ms).await.unwrap();
}

async fn try_put(
    store: &dyn Store,
    at: &Address,
    fields: &[(&str, Value)],
    into: WriteInto,
    caps: CrmCaps,
    now_ms: i64,
) -> Result<(), CrmFault> {
    let written = store.write_crm(&at.brand, write(at, fields, into), caps, now_ms).await?;
    assert_eq!(written, CrmWritten::Fields);
    Ok(())
}

async fn get(store: &dyn Store, at: &Address, fields: &[&str]) -> Vec<Option<Value>> {
    let keys: Vec<_> = fields.iter().map(|field| key(field)).collect();
    store.get_fields(at, &keys, usize::MAX).await.unwrap()
}

async fn entries(store: &dyn Store, at: &Address) -> Vec<Entry> {
    store.get_entries(at, 200, usize::MAX).await.unwrap()
}
