//! The order of a table: by which column, and in which direction.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// `?sort=time&order=up`: the column, and whether its smallest value comes first.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Order {
    pub(crate) sort: String,
    pub(crate) order: String,
}

/// The columns of a table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Columns {
    /// The name in the address, and the heading. The first column has the names of the rows.
    pub(crate) all: &'static [(&'static str, &'static str)],
    /// By which column the table is sorted if nobody has chosen one.
    pub(crate) usual: &'static str,
    /// The column that is drawn as a bar, if there is one.
    pub(crate) drawn: &'static str,
}

impl Columns {
    fn is_of_names(&self, name: &str) -> bool {
        self.all.first().is_some_and(|(first, _)| *first == name)
    }
}

/// A heading of the table.
#[derive(Debug, Serialize)]
pub(crate) struct Heading {
    name: &'static str,
    label: &'static str,
    is_number: bool,
    /// `ascending` or `descending`, if the table is sorted by it.
    sorted: Option<&'static str>,
    /// The order that a click asks for.
    next: &'static str,
}

impl Order {
    fn column<'a>(&'a self, columns: &Columns) -> &'a str {
        let is_known = columns.all.iter().any(|(name, _)| *name == self.sort);
        if is_known { &self.sort } else { columns.usual }
    }

    /// Whether the smallest value comes first. By default, that holds only for names.
    fn is_up(&self, columns: &Columns) -> bool {
        match self.order.as_str() {
            "up" => true,
            "down" => false,
            _ => columns.is_of_names(self.column(columns)),
        }
    }

    /// The names and values in the address, for the form of the time.
    pub(crate) fn fields(&self) -> Vec<Value> {
        super::fields([("sort", self.sort.as_str()), ("order", self.order.as_str())])
    }

    /// The headings.
    pub(crate) fn headings(&self, columns: &Columns) -> Vec<Heading> {
        let is_up = self.is_up(columns);
        let heading = |(name, label): &(&'static str, &'static str)| {
            let is_sorted = *name == self.column(columns);
            let is_of_names = columns.is_of_names(name);
            Heading {
                name,
                label,
                is_number: !is_of_names && *name != columns.drawn,
                sorted: is_sorted.then_some(if is_up { "ascending" } else { "descending" }),
                next: match (is_sorted, is_up) {
                    (true, true) => "down",
                    (true, false) => "up",
                    (false, _) if is_of_names => "up",
                    (false, _) => "down",
                },
            }
        };
        columns.all.iter().map(heading).collect()
    }

    /// Sorts rows with these names and measures in the column.
    pub(crate) fn sort<Row>(
        &self,
        rows: &mut [Row],
        columns: &Columns,
        name: impl Fn(&Row) -> &str,
        measure: impl Fn(&Row, &str) -> u64,
    ) {
        let (column, is_up) = (self.column(columns), self.is_up(columns));
        let by_name = columns.is_of_names(column);
        rows.sort_by(|a, b| {
            let order =
                if by_name { name(a).cmp(name(b)) } else { measure(a, column).cmp(&measure(b, column)) };
            let order = if is_up { order } else { order.reverse() };
            order.then_with(|| name(a).cmp(name(b)))
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: Columns = Columns {
        all: &[("page", "page"), ("fuel", "fuel"), ("time", "time")],
        usual: "fuel",
        drawn: "fuel",
    };

    fn order(sort: &str, order: &str) -> Order {
        Order { sort: sort.to_owned(), order: order.to_owned() }
    }

    #[test]
    fn a_click_on_the_sorted_column_reverses_it() {
        let next = |sort: &str, asked: &str| {
            let headings = order(sort, asked).headings(&COLUMNS);
            let of =
                |name: &str| headings.iter().find(|one| one.name == name).map(|one| (one.sorted, one.next));
            (of("page").unwrap(), of("time").unwrap())
        };
        assert_eq!(next("", ""), ((None, "up"), (None, "down")));
        assert_eq!(next("time", ""), ((None, "up"), (Some("descending"), "up")));
        assert_eq!(next("time", "up"), ((None, "up"), (Some("ascending"), "down")));
        assert_eq!(next("page", ""), ((Some("ascending"), "down"), (None, "down")));
    }

    #[test]
    fn rows_are_sorted_by_the_column_that_was_asked_for() {
        let sorted = |sort: &str, asked: &str| {
            let mut rows = [("b", 1, 3), ("a", 2, 3), ("c", 3, 1)];
            let measure = |row: &(&str, u64, u64), column: &str| if column == "time" { row.2 } else { row.1 };
            order(sort, asked).sort(&mut rows, &COLUMNS, |row| row.0, measure);
            rows.map(|row| row.0).concat()
        };
        assert_eq!(sorted("", ""), "cab");
        assert_eq!(sorted("unknown", "up"), "bac");
        assert_eq!((sorted("time", ""), sorted("time", "up")), ("abc".to_owned(), "cab".to_owned()));
        assert_eq!((sorted("page", ""), sorted("page", "down")), ("abc".to_owned(), "cba".to_owned()));
    }
}
