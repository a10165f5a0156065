use super::*;

type Answered = oneshot::Receiver<Result<usize, SqlError>>;

fn table() -> Connection {
    let conn = Connection::open_in_memory().unwrap();
    conn.execute_batch("CREATE TABLE t (x INTEGER PRIMARY KEY)").unwrap();
    conn
}

fn job(sql: &'static str) -> (Box<dyn Job>, Answered) {
    let (answer, answered) = oneshot::channel();
    let write = move |conn: &Connection| {
        for part in sql.split(';') {
            conn.execute(part, [])?;
        }
        Ok::<usize, SqlError>(0)
    };
    (Box::new(Write { write, answer }), answered)
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
fn one_that_fails_undoes_only_itself() {
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
fn who_was_undone_with_all_the_others_is_told_so() {
    let conn = table();
    let got = answers(
        &conn,
        &[
            "INSERT INTO t VALUES (1)",
            // As SQLite does by itself when the disk is full.
            "INSERT INTO t VALUES (2); ROLLBACK",
            "INSERT INTO t VALUES (3)",
        ],
    );
    assert_eq!(got, [false, false, true]);
    assert_eq!(rows(&conn), [3]);
}

#[test]
fn nobody_runs_where_no_transaction_begins() {
    let conn = table();
    conn.execute_batch("BEGIN").unwrap();
    let got = answers(&conn, &["INSERT INTO t VALUES (1)"]);
    assert_eq!(got, [false]);
    conn.execute_batch("ROLLBACK").unwrap();
    assert_eq!(rows(&conn), [0; 0]);
}

#[test]
fn a_commit_that_fails_is_everybodys_error() {
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
