//! Schedules: until when their ticks have been started. Each call is one statement.

use tokio_postgres::Row;

use sluice_kit::{BadRow, BoxFuture, StoreError};
use sluice_queue::{LastJob, ScheduleState, ScheduleStore, Tick, TickStart};

use super::batch::{int, optional_text, query, text};
use super::error::corrupt;
use super::{PostgresStore, queue};
use crate::error::SqlError;
use crate::queue_rows::state;
use crate::schedule_rows::OTHERS_MAX;

/// Deletes rows of the brand's schedules of earlier times, too. The hook's row stays.
const SEE: &str = "WITH tidied AS (
    DELETE FROM schedule WHERE brand = $1 AND name IN (
        SELECT name FROM schedule WHERE brand = $1 AND name <> $2 AND name NOT LIKE 'hook:%'
        ORDER BY last_tick DESC, name OFFSET $5))
    INSERT INTO schedule (brand, name, rule, last_tick) VALUES ($1, $2, $3, $4)
    ON CONFLICT (brand, name) DO UPDATE SET rule = excluded.rule, last_tick = CASE
        WHEN schedule.rule = excluded.rule THEN schedule.last_tick
        ELSE greatest(schedule.last_tick, excluded.last_tick) END
    RETURNING last_tick";

/// Of two calls at the same time, the second waits for the first and then finds the row changed.
const NOTE: &str =
    "UPDATE schedule SET last_tick = $3 WHERE brand = $1 AND name = $2 AND last_tick <= $4 RETURNING true";

/// Does the same and adds a job, if the brand has room. The first nine parameters are those of the job.
pub(super) const START: &str = "WITH room AS (
        SELECT count(*) < $10 AS has_room FROM (SELECT 1 FROM queue
            WHERE state IN ('pending', 'running', 'parked') AND brand = $2 LIMIT $10) AS jobs),
    noted AS (
        UPDATE schedule SET last_tick = $12, last_job = $1, job_tick = $12
        WHERE brand = $2 AND name = $11 AND last_tick <= $13 AND (SELECT has_room FROM room)
        RETURNING true),
    added AS (
        INSERT INTO queue (id, brand, module, function, payload, state, tag, key, scheduled_for, due_at, created_at)
        SELECT $1, $2, $3, $4, $5, 'pending', $6, $7, $8, $8, $9 FROM noted)
    SELECT EXISTS (SELECT 1 FROM noted), has_room OR NOT EXISTS (
        SELECT 1 FROM schedule WHERE brand = $2 AND name = $11 AND last_tick <= $13),
        EXISTS (SELECT 1 FROM schedule WHERE brand = $2 AND name = $11) FROM room";

const IS_KNOWN: &str = "SELECT 1 FROM schedule WHERE brand = $1 AND name = $2";

const LIST: &str = "SELECT schedule.brand, name, last_tick, last_job, job_tick, queue.state
    FROM schedule LEFT JOIN queue ON queue.id = last_job
    WHERE $1::text IS NULL OR schedule.brand = $1 ORDER BY schedule.brand, name";

impl ScheduleStore for PostgresStore {
    fn see_schedule(
        &self,
        brand: &str,
        name: &str,
        rule: &str,
        from_ms: i64,
    ) -> BoxFuture<'_, Result<i64, StoreError>> {
        let (brand, name, rule) = (brand.to_owned(), name.to_owned(), rule.to_owned());
        self.database.run(move |conn| {
            Box::pin(async move {
                let params = [text(&brand), text(&name), text(&rule), int(from_ms), int(OTHERS_MAX)];
                let rows = query(conn, SEE, params).await?;
                Ok(rows.first().ok_or_else(missing)?.try_get(0)?)
            })
        })
    }

    fn start_tick(
        &self,
        tick: Tick,
        jobs_max: u64,
        now_ms: i64,
    ) -> BoxFuture<'_, Result<TickStart, StoreError>> {
        self.database.run(move |conn| {
            Box::pin(async move {
                let Tick { brand, name, at, gap_ms, job } = tick;
                let (at, until) = (int(at), int(at.saturating_sub(gap_ms)));
                let Some(job) = job else {
                    let noted = query(conn, NOTE, [text(&brand), text(&name), at, until]).await?;
                    if !noted.is_empty() {
                        return Ok(TickStart::Started);
                    }
                    let known = query(conn, IS_KNOWN, [text(&brand), text(&name)]).await?;
                    return Ok(if known.is_empty() { TickStart::Unknown } else { TickStart::Taken });
                };
                let mut params = queue::columns(&job, &brand, now_ms);
                params.push(int(i64::try_from(jobs_max).unwrap_or(i64::MAX)));
                params.extend([text(&name), at, until]);
                let rows = query(conn, START, params).await?;
                let row = rows.first().ok_or_else(missing)?;
                Ok(match (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?) {
                    (true, ..) => TickStart::Started,
                    (false, _, false) => TickStart::Unknown,
                    (false, true, true) => TickStart::Taken,
                    (false, false, true) => TickStart::Full,
                })
            })
        })
    }

    fn list_schedules(&self, brand: Option<&str>) -> BoxFuture<'_, Result<Vec<ScheduleState>, StoreError>> {
        let brand = brand.map(str::to_owned);
        self.database.run(move |conn| {
            Box::pin(async move {
                query(conn, LIST, [optional_text(brand.as_deref())]).await?.iter().map(read).collect()
            })
        })
    }
}

fn missing() -> SqlError {
    corrupt("schedule", BadRow::Missing).into()
}

fn read(row: &Row) -> Result<ScheduleState, SqlError> {
    let job: (Option<String>, Option<i64>) = (row.try_get(3)?, row.try_get(4)?);
    let job_state: Option<&str> = row.try_get(5)?;
    let job_state = job_state.map(state).transpose()?;
    let last_job = job.0.zip(job.1).map(|(id, tick)| LastJob { id, tick, state: job_state });
    Ok(ScheduleState { brand: row.try_get(0)?, name: row.try_get(1)?, last_tick: row.try_get(2)?, last_job })
}
