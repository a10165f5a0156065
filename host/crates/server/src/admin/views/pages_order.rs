//! The order of the table of pages: by which column, and in which direction.

use serde::{Deserialize, Serialize};

use super::pages::PageRow;

/// `?sort=time&order=up`: the column, and whether its smallest value comes first.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Order {
    pub(crate) sort: String,
    pub(crate) order: String,
}

/// The columns: the name in the address, and the heading.
const COLUMNS: [(&str, &str); 8] = [
    ("page", "page"),
    ("fuel", "total fuel"),
    ("p50", "fuel p50"),
    ("p99", "fuel p99"),
    ("max", "fuel max"),
    ("time", "time p99"),
    ("runs", "runs"),
    ("failed", "failed"),
];

/// A heading of the table.
#[derive(Debug, Serialize)]
pub(crate) struct Column {
    name: &'static str,
    label: &'static str,
    is_number: bool,
    /// `ascending` or `descending`, if the table is sorted by it.
    sorted: Option<&'static str>,
    /// The order that a click asks for.
    next: &'static str,
}

impl Order {
    fn column(&self) -> &str {
        let is_known = COLUMNS.iter().any(|(name, _)| *name == self.sort);
        if is_known { &self.sort } else { "fuel" }
    }

    /// Whether the smallest value comes first. By default, that holds only for paths.
    fn is_up(&self) -> bool {
        match self.order.as_str() {
            "up" => true,
            "down" => false,
            _ => self.column() == "page",
        }
    }

    /// The headings.
    pub(crate) fn columns(&self) -> Vec<Column> {
        let column = |(name, label): &(&'static str, &'static str)| {
            let is_sorted = *name == self.column();
            Column {
                name,
                label,
                is_number: !matches!(*name, "page" | "fuel"),
                sorted: is_sorted.then_some(if self.is_up() { "ascending" } else { "descending" }),
                next: match (is_sorted, self.is_up()) {
                    (true, true) => "down",
                    (true, false) => "up",
                    (false, _) if *name == "page" => "up",
                    (false, _) => "down",
                },
            }
        };
        COLUMNS.iter().map(column).collect()
    }

    /// Sorts the pages.
    pub(crate) fn sort(&self, rows: &mut [PageRow]) {
        let measure = |row: &PageRow| match self.column() {
            "p50" => row.fuel.p50,
            "p99" => row.fuel.p99,
            "max" => row.fuel.max,
            "time" => row.wall_us.p99,
            "runs" => row.runs,
            "failed" => row.failures,
            "page" => 0,
            _ => row.fuel_total,
        };
        let by_path = self.column() == "page";
        rows.sort_by(|a, b| {
            let order = if by_path { a.path.cmp(&b.path) } else { measure(a).cmp(&measure(b)) };
            let order = if self.is_up() { order } else { order.reverse() };
            order.then_with(|| a.path.cmp(&b.path))
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_click_on_the_sorted_column_reverses_it() {
        let next = |sort: &str, order: &str| {
            let order = Order { sort: sort.to_owned(), order: order.to_owned() };
            let columns = order.columns();
            let of = |name: &str| {
                columns.iter().find(|column| column.name == name).map(|one| (one.sorted, one.next))
            };
            (of("page").unwrap(), of("time").unwrap())
        };
        assert_eq!(next("", ""), ((None, "up"), (None, "down")));
        assert_eq!(next("time", ""), ((None, "up"), (Some("descending"), "up")));
        assert_eq!(next("time", "up"), ((None, "up"), (Some("ascending"), "down")));
        assert_eq!(next("page", ""), ((Some("ascending"), "down"), (None, "down")));
    }
}
