use super::*;

type Answered = oneshot::Receiver<Result<usize, SqlError>>;

fn table() -> Connection {
    let conn = Connection::open_in_memory().unwrap();
    conn.execute_batch("CREATE TABLE t (x INTEGER PRIMARY KEY)").unwrap();
    conn
}

fn job(sql: &'static str) -> (Box<dyn WriteJob>, Answered) {
    let (answer, answered) = oneshot::channel();
    let write = move |conn: &Connection| {
        for part in sql.split(';') {
            conn.execute(part, [])?;
        }
        Ok::<usize, SqlError>(0)
    };
    (Box::new(QueuedWrite { write, answer }), answered)
}

fn answers(conn: &Connection, list: &[&'static str]) -> Vec<bool> {
    let (jobs, waiting): (Vec<_>, Vec<Answered>) = list.iter().map(|sql| job(sql)).unzip();
    run(conn, jobs);
    let ok = |mut answered: Answered| answered.try_recv().unwrap().is_ok();
    waiting.into_iter().map(ok).collect()
}

fn rows(conn: &Connection) -> Vec<i64> {
    let mut query = conn.prepare("SELECT x FROM t ORDER BY x").unwrap();
    let rows = query.query_map([], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

#[test]
fn a_failed_write_undoes_only_itself() {
    let conn = table();
    let got = answers(
        &conn,
        &[
            "INSERT INTO t VALUES (1)",
            "INSERT INTO t VALUES (2); INSERT INTO t VALUES (1)",
            "INSERT INTO t VALUES (3)",
        ],
    );
    assert_eq!(got, [true, false, true]);
    assert_eq!(rows(&conn), [1, 3]);
    assert!(conn.is_autocommit());
}

#[test]
fn writes_of_a_rolled_back_transaction_get_an_error() {
    let conn = table();
    let got = answers(
        &conn,
        &[
            "INSERT INTO t VALUES (1)",
            // SQLite itself rolls back like this when the disk is full.
            "INSERT INTO t VALUES (2); ROLLBACK",
            "INSERT INTO t VALUES (3)",
        ],
    );
    assert_eq!(got, [false, false, true]);
    assert_eq!(rows(&conn), [3]);
}

#[test]
fn no_write_runs_if_the_transaction_cannot_begin() {
    let conn = table();
    conn.execute_batch("BEGIN").unwrap();
    let got = answers(&conn, &["INSERT INTO t VALUES (1)"]);
    assert_eq!(got, [false]);
    conn.execute_batch("ROLLBACK").unwrap();
    assert_eq!(rows(&conn), [0; 0]);
}

#[test]
fn a_failed_commit_fails_every_write() {
    let conn = table();
    conn.execute_batch(
        "PRAGMA foreign_keys = ON;
         CREATE TABLE child (x REFERENCES t (x) DEFERRABLE INITIALLY DEFERRED)",
    )
    .unwrap();
    let got = answers(&conn, &["INSERT INTO t VALUES (1)", "INSERT INTO child VALUES (2)"]);
    assert_eq!(got, [false, false]);
    assert_eq!(rows(&conn), [0; 0]);
    assert_eq!(answers(&conn, &["INSERT INTO t VALUES (1)"]), [true]);
}
