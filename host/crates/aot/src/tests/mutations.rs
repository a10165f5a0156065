//! Random changes of real bytecode. The generator always makes the same.

use super::compiled;
use super::pages::{PAGES, unit};
use super::unit::page;
use crate::Stress;
use crate::ops::OPS;

const ROUNDS: u64 = 20_000;

/// Random numbers: xorshift.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end).unwrap()).unwrap()
    }

    fn byte(&mut self) -> u8 {
        self.next() as u8
    }
}

fn change(random: &mut Random, body: &mut Vec<u8>) {
    let at = random.below(body.len());
    match random.below(8) {
        0 => body[at] = random.byte(),
        1 => body[at] ^= 1 << random.below(8),
        2 => body[at] = body[at].wrapping_add(1),
        // Another instruction, perhaps.
        3 | 4 => body[at] = u8::try_from(random.below(OPS.len())).unwrap(),
        5 => {
            let from = random.below(body.len());
            let length = (1 + random.below(12)).min(body.len() - from.max(at));
            body.copy_within(from..from + length, at);
        }
        6 => drop(body.remove(at)),
        _ => {
            let byte = random.byte();
            body.insert(at, byte);
        }
    }
}

#[test]
fn changed_bytecode_is_compiled_to_valid_modules_or_left() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut valid = 0;
    for round in 0..ROUNDS {
        let (_, blob) = PAGES[random.below(PAGES.len())];
        let mut body = unit(blob)[5..].to_vec();
        for _ in 0..=random.below(4) {
            change(&mut random, &mut body);
        }
        let stress =
            if round % 4 == 0 { Stress { one_of: 8, seed: random.byte().into() } } else { Stress::default() };
        valid += u64::from(compiled(&page(&body), stress).is_some());
    }
    // Otherwise the changes would be too large to find anything.
    assert!(valid > ROUNDS / 10, "{valid} of {ROUNDS}");
}
