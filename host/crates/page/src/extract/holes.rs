//! Holes in a file, and the visible text between them.

use std::ops::Range;

/// Sorts holes and joins those that touch. Two holes with only line breaks between them
/// touch, too, because a template drops these line breaks with the holes.
pub(super) fn merge(file: &str, holes: &mut Vec<Range<usize>>) {
    holes.sort_by_key(|hole| hole.start);
    let mut merged: Vec<Range<usize>> = Vec::with_capacity(holes.len());
    let touches = |end: usize, start: usize| {
        start <= end || file.get(end..start).is_some_and(|between| between.bytes().all(|byte| byte == b'\n'))
    };
    for hole in holes.drain(..) {
        match merged.last_mut() {
            Some(last) if touches(last.end, hole.start) => last.end = last.end.max(hole.end),
            _ => merged.push(hole),
        }
    }
    *holes = merged;
}

/// The text of a file without its holes.
pub(super) struct Visible {
    pub(super) text: String,
    /// Where each piece begins: in `text`, and in the file. No piece is empty.
    pieces: Vec<(usize, usize)>,
}

impl Visible {
    /// `holes` must be sorted and must not overlap.
    pub(super) fn new(file: &str, holes: &[Range<usize>]) -> Self {
        let mut visible = Self { text: String::with_capacity(file.len()), pieces: Vec::new() };
        let mut from = 0;
        for hole in holes {
            visible.push(file, from..hole.start);
            from = hole.end;
        }
        visible.push(file, from..file.len());
        visible
    }

    fn push(&mut self, file: &str, piece: Range<usize>) {
        if !piece.is_empty() {
            self.pieces.push((self.text.len(), piece.start));
            self.text.push_str(file.get(piece).unwrap_or_default());
        }
    }

    /// The offset in the file of the byte at `at` of the visible text.
    pub(super) fn in_file(&self, at: usize) -> usize {
        let piece = self.pieces.partition_point(|(here, _)| *here <= at).checked_sub(1);
        let (here, there) = piece.and_then(|piece| self.pieces.get(piece)).copied().unwrap_or_default();
        there + (at - here)
    }

    /// The part of the file from the first byte of `range` to its last, with the holes in
    /// between.
    pub(super) fn range_in_file(&self, range: Range<usize>) -> Range<usize> {
        // The byte at the end of the range may come after a hole, so the last one counts.
        let last = range.end.saturating_sub(1).max(range.start);
        self.in_file(range.start)..self.in_file(last) + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorts_holes_and_joins_those_that_touch() {
        let file = "0123\n\n67 9";
        for (mut holes, expected) in [
            (vec![], vec![]),
            (vec![3..4, 0..1], vec![(0, 1), (3, 4)]),
            (vec![0..2, 1..3, 0..1], vec![(0, 3)]),
            (vec![0..4, 1..2, 3..4], vec![(0, 4)]),
            (vec![0..1, 1..2, 2..2], vec![(0, 2)]),
            (vec![0..4, 6..7], vec![(0, 7)]),
            (vec![6..8, 9..10], vec![(6, 8), (9, 10)]),
        ] {
            merge(file, &mut holes);
            let holes: Vec<_> = holes.iter().map(|hole| (hole.start, hole.end)).collect();
            assert_eq!(holes, expected);
        }
    }

    #[test]
    fn maps_visible_text_to_offsets_in_the_file() {
        let visible = Visible::new("ab--c---de-", &[2..4, 5..8, 10..11]);
        assert_eq!(visible.text, "abcde");
        assert_eq!((0..5).map(|at| visible.in_file(at)).collect::<Vec<_>>(), [0, 1, 4, 8, 9]);
        assert_eq!(visible.range_in_file(0..2), 0..2);
        assert_eq!(visible.range_in_file(1..3), 1..5);
        assert_eq!(visible.range_in_file(2..5), 4..10);
        assert_eq!(Visible::new("----a", std::slice::from_ref(&(0..4))).in_file(0), 4);
    }
}
