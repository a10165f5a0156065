//! What every backend must do. There is one function for each rule, and the tests of a backend
//! run all of them through `contract_tests!`.
//!
//! Each call of an [`OpenStore`] opens another store on the same database, as another host would.
//! Each rule uses brands of its own, so that all rules can share a database.

pub(crate) mod browse;
pub(crate) mod by_id;
pub(crate) mod caps;
pub(crate) mod certificate;
pub(crate) mod changes;
pub(crate) mod commit;
pub(crate) mod crm;
pub(crate) mod entries;
pub(crate) mod failure_marks;
pub(crate) mod history;
pub(crate) mod indexes;
pub(crate) mod jobs;
pub(crate) mod page_cache;
pub(crate) mod queue;
pub(crate) mod rate;
pub(crate) mod schedule;
pub(crate) mod schema;
pub(crate) mod search;
pub(crate) mod session;
pub(crate) mod storage;
pub(crate) mod token;
pub(crate) mod writes;

use std::sync::Arc;

use serde_json::Value;

use sluice_crm::{
    Address, CrmCaps, CrmFault, CrmSchema, CrmWrite, CrmWritten, Entry, FieldKey, Reference, Slug, WriteInto,
};
use sluice_kit::BoxFuture;
use sluice_session::RunCommit;
use sluice_session::storage::SessionError;

use super::Store;

/// Opens one more store on the database under test.
pub(crate) type OpenStore = dyn Fn() -> BoxFuture<'static, Arc<dyn Store>> + Send + Sync;

/// Makes a test of each rule. `$backend` is a function that returns a guard, which is dropped when
/// the test has ended, and an `OpenStore`.
macro_rules! contract_tests {
    ($backend:path) => {
        $crate::contract::contract_tests!(@ $backend, session: sessions_load_until_they_expire parallel_commits_are_all_kept
            a_new_id_replaces_the_old_one a_commit_after_login_finds_the_row
            an_ended_session_stays_ended a_brand_cannot_reach_sessions_of_another expired_rows_are_deleted_in_batches
            an_unconfirmed_session_lasts_once_it_is_confirmed
            a_full_brand_loses_its_oldest_anonymous_sessions_first
            a_visitor_s_session_lasts_from_the_second_request_on);
        $crate::contract::contract_tests!(@ $backend, crm: values_are_stored_exactly reads_the_newest_entry_that_has_the_key
            force_writes_into_the_newest_entry several_fields_make_one_entry
            each_field_is_written_to_the_entry_that_has_it rejects_unknown_slugs
            references_are_separate parallel_first_writes_make_one_entry parallel_fields_are_all_kept
            the_last_of_two_equal_keys_is_stored);
        $crate::contract::contract_tests!(@ $backend, entries: entries_are_returned_newest_first
            order_is_kept_when_the_clock_goes_back rejects_a_result_over_the_limit
            a_read_shows_one_moment);
        $crate::contract::contract_tests!(@ $backend, history: each_move_to_another_stage_is_a_line_of_history
            an_edit_moves_its_entry_in_the_same_transaction
            the_newest_moves_are_kept_and_all_are_counted a_history_counts_in_the_quota_and_ends_with_its_entry
            parallel_moves_are_all_in_the_history a_brand_cannot_read_the_history_of_another);
        $crate::contract::contract_tests!(@ $backend, by_id: an_entry_is_changed_and_deleted_by_its_id
            an_entry_of_another_brand_or_entity_is_not_there one_of_two_changes_of_the_same_version_wins
            a_change_by_id_follows_its_entry the_time_of_a_change_is_later_than_that_of_the_one_before);
        $crate::contract::contract_tests!(@ $backend, search: filters_compare_values_of_every_type
            orders_values_of_every_type_and_ends_with_missing_ones cursors_reach_every_entry_once
            an_index_finds_what_examining_all_entries_finds a_search_is_bounded_by_bytes_and_limit
            a_search_stays_in_its_brand_entity_and_reference many_entries_need_an_index
            a_search_examines_a_bounded_number_of_entries);
        $crate::contract::contract_tests!(@ $backend, indexes: an_index_is_declared_built_and_removed
            writers_keep_an_index_complete_while_it_is_built one_of_many_parallel_writers_gets_a_unique_value
            opposite_writers_of_two_unique_fields_do_not_deadlock a_unique_value_becomes_free_again
            existing_duplicates_are_reported_and_block_the_index every_write_respects_unique_fields);
        $crate::contract::contract_tests!(@ $backend, caps: rejects_more_keys_than_the_quota rejects_more_entries_than_the_quota
            brand_bytes_follow_the_stored_data a_rejected_write_changes_nothing);
        $crate::contract::contract_tests!(@ $backend, writes: clearing_deletes_entries_and_frees_their_bytes returns_the_values_of_a_key_newest_first
            moves_entries_into_stages moves_fields_to_another_entity
            reassigns_entries_to_another_reference a_login_with_an_id_adopts_entries_of_every_entity
            opposite_moves_do_not_deadlock stores_hostile_text_exactly);
        $crate::contract::contract_tests!(@ $backend, jobs: a_job_is_applied_once
            jobs_of_a_line_keep_their_order a_job_is_due_although_the_clock_was_set_back
            a_rejected_job_is_parked_and_frees_its_lines operators_drop_and_retry_chosen_jobs
            queueing_rejects_what_writing_would_reject waiting_jobs_count_towards_the_brand_bytes
            finished_jobs_are_deleted_in_batches queued_writes_follow_a_login);
        $crate::contract::contract_tests!(@ $backend, token: a_token_can_be_used_once
            one_of_many_parallel_uses_succeeds expired_tokens_are_deleted_in_batches);
        $crate::contract::contract_tests!(@ $backend, commit: stores_session_token_and_jobs_together
            a_rejected_job_leaves_nothing a_used_token_leaves_nothing a_failed_edit_leaves_nothing);
        $crate::contract::contract_tests!(@ $backend, browse: entries_of_all_references_are_newest_first
            a_brand_sees_only_its_own_entries browsing_is_bounded_by_bytes);
        $crate::contract::contract_tests!(@ $backend, storage: script_values_are_stored_exactly
            script_values_expire_by_the_clock_of_the_host one_of_many_parallel_first_writes_wins
            one_of_many_parallel_exchanges_wins parallel_increments_are_all_counted
            only_numbers_are_incremented keys_are_listed_in_order_and_in_pieces
            a_listing_is_bounded_by_bytes script_values_of_brands_namespaces_and_areas_are_separate
            rejects_script_values_over_the_quotas usage_follows_parallel_changes
            expired_script_values_are_deleted_in_batches a_cache_forgets_what_expires_first);
        $crate::contract::contract_tests!(@ $backend, queue: a_queued_job_is_claimed_when_it_is_due_and_done_once
            an_added_job_counts_towards_the_jobs_of_its_brand
            one_of_many_parallel_claims_gets_a_job a_claim_that_is_not_prolonged_goes_to_another_host
            a_job_is_done_together_with_what_it_changes a_key_replaces_the_pending_job
            parallel_pushes_of_a_key_leave_one_job failed_jobs_wait_and_are_parked_for_an_operator
            jobs_that_have_waited_the_longest_are_listed_first operators_choose_jobs_of_a_brand a_tag_cancels_pending_jobs_of_its_brand
            due_brands_are_found_behind_a_flood finished_script_jobs_are_deleted_in_batches);
        $crate::contract::contract_tests!(@ $backend, schedule: one_of_many_hosts_starts_a_tick
            tick_of_a_brand_with_too_many_jobs_waits schedule_with_another_rule_begins_anew
            schedules_are_listed_with_their_last_job
            schedules_of_earlier_times_are_forgotten);
        $crate::contract::contract_tests!(@ $backend, certificate: one_account_is_kept_for_all_hosts
            one_host_works_on_a_name one_of_many_parallel_leases_is_granted
            certificates_are_stored_exactly_and_replaced failures_are_remembered_and_keep_the_certificate
            answers_are_known_on_every_host_until_they_expire hosts_count_orders_together
            unused_names_are_deleted_in_batches);
        $crate::contract::contract_tests!(@ $backend, page_cache: every_host_sees_each_purge
            parallel_purges_are_all_counted old_purges_are_deleted_in_batches);
        $crate::contract::contract_tests!(@ $backend, changes: changes_of_all_hosts_are_listed_newest_first
            changes_are_found_by_each_part_of_a_filter the_oldest_changes_of_a_class_are_deleted);
        $crate::contract::contract_tests!(@ $backend, failure_marks: a_mark_is_seen_by_all_hosts_and_replaces_the_one_before
            marks_are_bounded_in_number_and_size a_mark_lives_as_long_as_its_failures);
        $crate::contract::contract_tests!(@ $backend, rate: hosts_count_together ended_windows_are_deleted_in_batches);
        $crate::contract::contract_tests!(@ $backend, schema: applying_is_additive_and_idempotent
            changes_are_reported ids_are_stable parallel_declarations_agree
            ensuring_adds_what_is_missing_and_changes_nothing parallel_ensures_agree lists_entities_by_slug);
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

pub(crate) use contract_tests;

/// The time in these tests. Rows that must not expire expire later than this.
const NOW: i64 = 1_700_000_000_000;

/// A random name of a brand, which no other test has.
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

/// Checks a write and stores it as a job, as the end of a run does. Returns the job's id.
pub(crate) async fn queue(
    store: &dyn Store,
    brand: &str,
    write: CrmWrite,
    caps: CrmCaps,
    now_ms: i64,
) -> Result<i64, CrmFault> {
    let bytes = rmp_serde::to_vec_named(&write).unwrap().len() as u64;
    store.check_job(brand, &write, bytes, caps, now_ms).await?;
    let commit = RunCommit { jobs: vec![write], caps, ..RunCommit::new(brand) };
    match store.commit_run(commit, now_ms).await {
        Ok(committed) => Ok(committed.jobs[0]),
        Err(SessionError::Job(fault)) => Err(fault),
        Err(error) => panic!("{error}"),
    }
}

async fn get(store: &dyn Store, at: &Address, fields: &[&str]) -> Vec<Option<Value>> {
    let keys: Vec<_> = fields.iter().map(|field| key(field)).collect();
    store.get_fields(at, &keys, usize::MAX).await.unwrap()
}

async fn entries(store: &dyn Store, at: &Address) -> Vec<Entry> {
    store.get_entries(at, 200, usize::MAX).await.unwrap()
}
