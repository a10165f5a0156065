//! The table of results, and the files of rounds that failed.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use super::checker::Verdict;

/// The results of one fault on one database.
#[derive(Clone, Debug, Default)]
pub(crate) struct Row {
    pub fault: String,
    pub database: String,
    pub rounds: usize,
    pub acknowledged: usize,
    /// Writes that were not acknowledged.
    pub failed: usize,
    pub lost: usize,
    pub duplicated: usize,
    pub reordered: usize,
    pub reused: usize,
    pub revived: usize,
    pub torn: usize,
}

impl Row {
    pub(crate) fn new(fault: &str, database: &str) -> Self {
        Self { fault: fault.to_owned(), database: database.to_owned(), ..Self::default() }
    }

    /// Adds a round.
    pub(crate) fn add(&mut self, verdict: &Verdict) {
        self.rounds += 1;
        self.acknowledged += verdict.acknowledged;
        self.failed += verdict.failed;
        self.add_again(verdict);
    }

    /// Adds what is wrong with a round that was added before.
    pub(crate) fn add_again(&mut self, verdict: &Verdict) {
        self.lost += verdict.lost.len();
        self.duplicated += verdict.duplicated.len();
        self.reordered += verdict.reordered.len();
        self.reused += verdict.reused.len();
        self.revived += verdict.revived.len();
        self.torn += verdict.torn.len();
    }

    pub(crate) fn is_clean(&self) -> bool {
        [self.lost, self.duplicated, self.reordered, self.reused, self.revived, self.torn] == [0; 6]
    }
}

/// The rows as a table in Markdown.
pub(crate) fn table(rows: &[Row]) -> String {
    const COLUMNS: [&str; 11] = [
        "fault",
        "database",
        "rounds",
        "acknowledged",
        "not acknowledged",
        "lost",
        "duplicated",
        "reordered",
        "reused tokens",
        "revived sessions",
        "torn",
    ];
    let mut text = format!("| {} |\n| --- | ---{}|\n", COLUMNS.join(" | "), " | --:".repeat(9) + " ");
    for row in rows.iter().filter(|row| row.rounds > 0) {
        let wrong = [row.lost, row.duplicated, row.reordered, row.reused, row.revived, row.torn];
        let numbers = [row.rounds, row.acknowledged, row.failed].into_iter().chain(wrong);
        let numbers: Vec<String> = numbers.map(|number| number.to_string()).collect();
        writeln!(text, "| {} | {} | {} |", row.fault, row.database, numbers.join(" | ")).unwrap();
    }
    text
}

/// Saves the history of a round that failed, and prints where it is and what is wrong.
pub(crate) fn save(what: &str, seed: u64, history: &str, verdict: &Verdict) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("faults");
    fs::create_dir_all(&folder).unwrap();
    let file = folder.join(format!("{}-{seed:x}.jsonl", what.replace(' ', "-")));
    fs::write(&file, history).unwrap();
    println!("{what}: FAULT_SEED={seed} failed; its history is in {}", file.display());
    for (subject, texts) in verdict.wrong() {
        println!("  {subject}: {}", texts.join("\n    "));
    }
}
