//! Turns jumps between blocks into WebAssembly's nested blocks and loops.

use crate::decode::Block;
use crate::limits::Work;

/// A WebAssembly block or loop around blocks `start..end`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Range {
    pub is_loop: bool,
    pub start: usize,
    pub end: usize,
}

/// Orders the blocks so that jumps go forward, except to the beginning of loops, and that loops are together. Blocks
/// that cannot be reached are left out.
pub(crate) fn order(blocks: Vec<Block>, work: &mut Work) -> Option<Vec<Block>> {
    let successors: Vec<Vec<usize>> = blocks.iter().map(|block| block.successors.clone()).collect();
    let back_edges = postorder(&successors, &vec![0; blocks.len()])?.back_edges;
    let depths = loop_depths(&successors, &back_edges, work)?;
    let mut order = postorder(&successors, &depths)?.order;
    order.reverse();
    let mut index_of = vec![None; blocks.len()];
    for (index, block) in order.iter().enumerate() {
        *index_of.get_mut(*block)? = Some(index);
    }
    let mut blocks: Vec<Option<Block>> = blocks.into_iter().map(Some).collect();
    let mut ordered = Vec::with_capacity(order.len());
    for block in order {
        let mut block = blocks.get_mut(block)?.take()?;
        for successor in &mut block.successors {
            *successor = (*index_of.get(*successor)?)?;
        }
        ordered.push(block);
    }
    Some(ordered)
}

struct Visit {
    /// The blocks, each after its successors.
    order: Vec<usize>,
    /// The edges that lead back: where from, and where to.
    back_edges: Vec<(usize, usize)>,
}

/// Visits all blocks that can be reached. What is in fewer loops is visited first, so that it comes behind the loops.
fn postorder(successors: &[Vec<usize>], depths: &[usize]) -> Option<Visit> {
    let sorted = |block: usize| -> Option<Vec<usize>> {
        let mut sorted = successors.get(block)?.clone();
        // The last is visited first.
        sorted.sort_by_key(|successor| std::cmp::Reverse(depths.get(*successor).copied()));
        Some(sorted)
    };
    let mut order = Vec::new();
    let mut back_edges = Vec::new();
    let mut is_open = vec![false; successors.len()];
    let mut is_seen = vec![false; successors.len()];
    let mut path = vec![(0, sorted(0)?)];
    *is_seen.first_mut()? = true;
    *is_open.first_mut()? = true;
    while let Some((block, rest)) = path.last_mut() {
        let block = *block;
        match rest.pop() {
            Some(successor) if *is_open.get(successor)? => back_edges.push((block, successor)),
            Some(successor) if *is_seen.get(successor)? => {}
            Some(successor) => {
                *is_seen.get_mut(successor)? = true;
                *is_open.get_mut(successor)? = true;
                path.push((successor, sorted(successor)?));
            }
            None => {
                *is_open.get_mut(block)? = false;
                order.push(block);
                path.pop();
            }
        }
    }
    Some(Visit { order, back_edges })
}

/// In how many loops each block is.
fn loop_depths(
    successors: &[Vec<usize>],
    back_edges: &[(usize, usize)],
    work: &mut Work,
) -> Option<Vec<usize>> {
    let mut predecessors: Vec<Vec<usize>> = vec![Vec::new(); successors.len()];
    for (block, successors) in successors.iter().enumerate() {
        for successor in successors {
            predecessors.get_mut(*successor)?.push(block);
        }
    }
    let mut depths = vec![0; successors.len()];
    for (end, start) in back_edges {
        // Each block is visited once, over each edge that leads to it.
        work.spend(3 * successors.len())?;
        let mut is_in = vec![false; successors.len()];
        *is_in.get_mut(*start)? = true;
        let mut next = vec![*end];
        while let Some(block) = next.pop() {
            let is_in = is_in.get_mut(block)?;
            if !*is_in {
                *is_in = true;
                next.extend(predecessors.get(block)?);
            }
        }
        for (depth, is_in) in depths.iter_mut().zip(is_in) {
            *depth += usize::from(is_in);
        }
    }
    Some(depths)
}

/// The ranges that the jumps need, the outermost first. `None` if they cannot be nested.
pub(crate) fn nest(blocks: &[Block], is_reached: &[bool], work: &mut Work) -> Option<Vec<Range>> {
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
    separate(&mut ranges, work)?;
    ranges.sort_by_key(|range| (range.start, std::cmp::Reverse(range.end), range.is_loop));
    Some(ranges)
}

/// Makes ranges larger until each two are apart or one is in the other.
fn separate(ranges: &mut [Range], work: &mut Work) -> Option<()> {
    loop {
        work.spend(ranges.len() * ranges.len())?;
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
}
