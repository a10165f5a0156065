//! Turns jumps between blocks into WebAssembly's nested blocks and loops.

use crate::decode::Block;

/// A WebAssembly block or loop around blocks `start..end`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Range {
    pub is_loop: bool,
    pub start: usize,
    pub end: usize,
}

/// The ranges that the jumps need, the outermost first. `None` if they cannot be nested.
pub(crate) fn nest(blocks: &[Block], is_reached: &[bool]) -> Option<Vec<Range>> {
    let count = blocks.len();
    // Of each block: the last that jumps back to it, and the first that jumps forward to it.
    let mut back: Vec<Option<usize>> = vec![None; count];
    let mut forward: Vec<Option<usize>> = vec![None; count];
    for (index, block) in blocks.iter().enumerate() {
        if is_reached.get(index) != Some(&true) {
            continue;
        }
        for successor in &block.successors {
            if *successor <= index {
                let last = back.get_mut(*successor)?;
                *last = Some(last.map_or(index, |last| last.max(index)));
            } else if *successor != index + 1 {
                let first = forward.get_mut(*successor)?;
                *first = Some(first.map_or(index, |first| first.min(index)));
            }
        }
    }
    let mut ranges = Vec::new();
    for (start, last) in back.iter().enumerate() {
        ranges.extend(last.map(|last| Range { is_loop: true, start, end: last + 1 }));
    }
    for (end, first) in forward.iter().enumerate() {
        ranges.extend(first.map(|start| Range { is_loop: false, start, end }));
    }
    separate(&mut ranges)?;
    ranges.sort_by_key(|range| (range.start, std::cmp::Reverse(range.end), range.is_loop));
    Some(ranges)
}

/// Makes ranges larger until each two are apart or one is in the other.
fn separate(ranges: &mut [Range]) -> Option<()> {
    for _ in 0..100 {
        let mut has_changed = false;
        for a in 0..ranges.len() {
            for b in 0..ranges.len() {
                let [outer, inner] = [*ranges.get(a)?, *ranges.get(b)?];
                let crosses = outer.start < inner.start && inner.start < outer.end && outer.end < inner.end;
                if !crosses {
                    continue;
                }
                has_changed = true;
                if !inner.is_loop {
                    ranges.get_mut(b)?.start = outer.start;
                } else if outer.is_loop {
                    ranges.get_mut(a)?.end = inner.end;
                } else {
                    // A jump into a loop.
                    return None;
                }
            }
        }
        if !has_changed {
            return Some(());
        }
    }
    None
}
