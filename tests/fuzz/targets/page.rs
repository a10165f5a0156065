//! Checks that the source of a backend script never stays in what a browser is sent, whatever the HTML
//! looks like.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sluice_page::extract::{browser_scripts, extract};
use sluice_page::has_markup;

fuzz_target!(|html: &str| {
    let browser = browser_scripts(html);
    assert!(browser.inline.iter().all(|range| html.get(range.clone()).is_some()));
    let _ = has_markup(html);
    let Ok(parts) = extract(html) else { return };
    let mut end = 0;
    let mut visible = String::new();
    for hole in &parts.holes {
        assert!(hole.start >= end && hole.end >= hole.start, "{:?} overlap or are not sorted", parts.holes);
        visible.push_str(html.get(end..hole.start).expect("a hole begins at a character"));
        end = hole.end;
    }
    visible.push_str(html.get(end..).expect("a hole ends at a character"));
    for block in &parts.blocks {
        assert!(html.get(block.clone()).is_some(), "{block:?} is not in the file");
        let is_hidden = |hole: &std::ops::Range<usize>| hole.start <= block.start && block.end <= hole.end;
        assert!(parts.holes.iter().any(is_hidden), "the script at {block:?} is visible");
    }
    if let Some((at, _)) = parts.misplaced {
        assert!(html.is_char_boundary(at));
    }
    // What is left has no backend script, however the parts around the holes join.
    let again = extract(&visible).expect("a part of a file that can be parsed can be parsed");
    assert!(again.blocks.is_empty() && again.misplaced.is_none(), "{visible:?} still has a script");
});
