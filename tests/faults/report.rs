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
    let mut text = "| fault | database | rounds | acknowledged | lost | duplicated | reordered | reused tokens | \
                    revived sessions | torn |\n| --- | --- | --: | --: | --: | --: | --: | --: | --: | --: |\n"
        .to_owned();
    for row in rows.iter().filter(|row| row.rounds > 0) {
        let Row { fault, database, rounds, acknowledged, lost, duplicated, reordered, .. } = row;
        let Row { reused, revived, torn, .. } = row;
        writeln!(
            text,
            "| {fault} | {database} | {rounds} | {acknowledged} | {lost} | {duplicated} | {reordered} | {reused} | \
             {revived} | {torn} |"
        )
        .unwrap();
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
