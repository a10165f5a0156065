//! The stack of a failed run. A recursion repeats a line hundreds of times, so equal lines are folded, and the whole is
//! behind a summary.

use handlebars::html_escape;

/// Fewer equal lines, one after the other, are shown as they are.
const FOLDED_MIN: usize = 3;

/// The stack as HTML.
pub(super) fn html(stack: &str) -> String {
    let pre = |text: &str, name: &str| {
        format!("<pre class=\"stack\" tabindex=\"0\" aria-label=\"{name}\">{}</pre>", html_escape(text))
    };
    match folded(stack) {
        None => pre(stack, "stack"),
        Some(short) => format!(
            "{}<details class=\"more whole\"><summary>All {} lines of the stack</summary>{}</details>",
            pre(&short, "stack, without repeated lines"),
            stack.lines().count(),
            pre(stack, "whole stack")
        ),
    }
}

/// The stack with each run of equal lines as one of them and their number. None if there is nothing to fold.
fn folded(stack: &str) -> Option<String> {
    let mut short = String::new();
    let mut has_folded = false;
    let lines: Vec<&str> = stack.lines().collect();
    for run in lines.chunk_by(|a, b| a == b) {
        let (Some(line), count) = (run.first(), run.len()) else { continue };
        if count < FOLDED_MIN {
            run.iter().for_each(|line| short.push_str(&format!("{line}\n")));
            continue;
        }
        has_folded = true;
        let indent: String = line.chars().take_while(|c| c.is_whitespace()).collect();
        short.push_str(&format!("{line}\n{indent}… {count} times\n"));
    }
    has_folded.then_some(short)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_lines_are_folded_and_the_whole_is_kept() {
        let deep = format!("    at f (<b>:1:2)\n{}    at g\n    at g\n", "    at f (a:3:4)\n".repeat(997));
        assert_eq!(
            folded(&deep).unwrap(),
            "    at f (<b>:1:2)\n    at f (a:3:4)\n    … 997 times\n    at g\n    at g\n"
        );
        let html = html(&deep);
        assert!(html.contains("All 1000 lines of the stack") && !html.contains("<b>"), "{html}");
        assert_eq!(html.matches("at f (a:3:4)").count(), 998);
        assert_eq!(folded("    at f\n    at f\n"), None);
    }
}
