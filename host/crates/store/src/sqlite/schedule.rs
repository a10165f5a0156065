//! Schedules: until when their ticks have been started.

use rusqlite::{Row, params};

use sluice_kit::{BoxFuture, StoreError};
use sluice_queue::{LastJob, ScheduleState, ScheduleStore, Tick, TickStart};

use super::connection::first;
use super::{SqliteStore, queue};
use crate::error::SqlError;
use crate::queue_rows::state;
use crate::schedule_rows::OTHERS_MAX;

const SEE: &str = "INSERT INTO schedule (brand, name, rule, last_tick) VALUES (?1, ?2, ?3, ?4)
     ON CONFLICT (brand, name) DO UPDATE SET rule = excluded.rule, last_tick = CASE
         WHEN schedule.rule = excluded.rule THEN schedule.last_tick
         ELSE max(schedule.last_tick, excluded.last_tick) END
     RETURNING last_tick";

/// Rows of the brand's schedules of earlier times. The hook's row stays.
const TIDY: &str = "DELETE FROM schedule WHERE brand = ?1 AND name IN (
        SELECT name FROM schedule WHERE brand = ?1 AND name <> ?2 AND name NOT LIKE 'hook:%'
        ORDER BY last_tick DESC, name LIMIT -1 OFFSET ?3)";

const IS_FREE: &str = "SELECT 1 FROM schedule WHERE brand = ?1 AND name = ?2 AND last_tick <= ?3";

const IS_KNOWN: &str = "SELECT 1 FROM schedule WHERE brand = ?1 AND name = ?2";

const START: &str = "UPDATE schedule SET last_tick = ?3, last_job = coalesce(?4, last_job),
         job_tick = CASE WHEN ?4 IS NULL THEN job_tick ELSE ?3 END
     WHERE brand = ?1 AND name = ?2";

const LIST: &str =
    "SELECT schedule.brand AS brand, name, last_tick, last_job, job_tick, queue.state AS job_state
     FROM schedule LEFT JOIN queue ON queue.id = last_job
     WHERE ?1 IS NULL OR schedule.brand = ?1
     ORDER BY schedule.brand, name";

impl ScheduleStore for SqliteStore {
    fn see_schedule(
        &self,
        brand: &str,
        name: &str,
        rule: &str,
        from_ms: i64,
    ) -> BoxFuture<'_, Result<i64, StoreError>> {
        let (brand, name, rule) = (brand.to_owned(), name.to_owned(), rule.to_owned());
        self.writer.write(move |conn| {
            conn.prepare_cached(TIDY)?.execute((&brand, &name, OTHERS_MAX))?;
            let mut see = conn.prepare_cached(SEE)?;
            Ok(see.query_row((brand, name, rule, from_ms), |row| row.get(0))?)
        })
    }

    fn start_tick(
        &self,
        tick: Tick,
        jobs_max: u64,
        now_ms: i64,
    ) -> BoxFuture<'_, Result<TickStart, StoreError>> {
        self.writer.write(move |conn| {
            let Tick { brand, name, at, gap_ms, job } = tick;
            let free: Option<i64> = first(conn, IS_FREE, (&brand, &name, at.saturating_sub(gap_ms)))?;
            if free.is_none() {
                let known: Option<i64> = first(conn, IS_KNOWN, (&brand, &name))?;
                return Ok(if known.is_some() { TickStart::Taken } else { TickStart::Unknown });
            }
            if let Some(job) = &job {
                if queue::count(conn, &brand, jobs_max)? >= jobs_max {
                    return Ok(TickStart::Full);
                }
                queue::insert(conn, &brand, job, now_ms)?;
            }
            let id = job.as_ref().map(|job| job.id.as_str());
            conn.prepare_cached(START)?.execute(params![brand, name, at, id])?;
            Ok(TickStart::Started)
        })
    }

    fn list_schedules(&self, brand: Option<&str>) -> BoxFuture<'_, Result<Vec<ScheduleState>, StoreError>> {
        let brand = brand.map(str::to_owned);
        self.readers.read(move |conn| {
            let mut query = conn.prepare_cached(LIST)?;
            query.query_map([brand], read)?.map(|row| row?).collect()
        })
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<Result<ScheduleState, SqlError>> {
    let job: (Option<String>, Option<i64>) = (row.get("last_job")?, row.get("job_tick")?);
    let job_state: Option<String> = row.get("job_state")?;
    let job_state = match job_state.as_deref().map(state).transpose() {
        Ok(state) => state,
        Err(error) => return Ok(Err(error.into())),
    };
    let last_job = job.0.zip(job.1).map(|(id, tick)| LastJob { id, tick, state: job_state });
    Ok(Ok(ScheduleState {
        brand: row.get("brand")?,
        name: row.get("name")?,
        last_tick: row.get("last_tick")?,
        last_job,
    }))
}
