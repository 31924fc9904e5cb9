//! Owns choosing: one world can be driven by an enumerator that takes every path, by a property test, and by a fuzzer.

/// A source of decisions about what happens next.
pub trait Choose {
    /// One of `of` possibilities (at least 1), counted from 0. 0 must be the most ordinary one: a shrunk failure
    /// consists of them.
    fn pick(&mut self, of: usize) -> usize;

    /// Whether the source is exhausted: a world that could go on then ends.
    fn is_used_up(&self) -> bool {
        false
    }

    /// One of these.
    fn from<'a, T>(&mut self, of: &'a [T]) -> &'a T
    where
        Self: Sized,
    {
        &of[self.pick(of.len())]
    }
}

/// Walks every path of a bounded world in turn, by replaying the previous path with its last open choice changed, and
/// returns how many there were.
///
/// ```
/// use device_flow_testkit::choices::{Choose, every_path};
///
/// let mut seen = Vec::new();
/// let paths = every_path(|choices| seen.push((choices.pick(2), choices.pick(3))));
/// assert_eq!(paths, 6);
/// assert_eq!(seen, [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]);
/// ```
pub fn every_path(mut walk: impl FnMut(&mut Path)) -> u64 {
    let mut path = Path::default();
    for count in 1.. {
        path.depth = 0;
        walk(&mut path);
        // A walk that asks less often after the same answers depends on something else, and the count would mean
        // nothing.
        assert_eq!(path.depth, path.chosen.len(), "the same choices led to another path");
        while path.chosen.pop_if(|(choice, of)| *choice + 1 == *of).is_some() {}
        match path.chosen.last_mut() {
            Some((choice, _)) => *choice += 1,
            None => return count,
        }
    }
    unreachable!("more than u64::MAX paths")
}

/// One path of [`every_path`].
#[derive(Debug, Default)]
pub struct Path {
    /// Each choice, and out of how many.
    chosen: Vec<(usize, usize)>,
    depth: usize,
}

impl Choose for Path {
    fn pick(&mut self, of: usize) -> usize {
        assert!(of > 0, "nothing to choose from");
        if self.depth == self.chosen.len() {
            self.chosen.push((0, of));
        }
        let (choice, known) = self.chosen[self.depth];
        assert_eq!(known, of, "the same choices led to another path");
        self.depth += 1;
        choice
    }
}

/// Choices read from the bytes of a fuzzer or a property test: one byte each, two where there are more than 256
/// possibilities. After the last byte every choice is 0.
#[derive(Clone, Copy, Debug)]
pub struct Bytes<'a>(pub &'a [u8]);

impl Bytes<'_> {
    fn byte(&mut self) -> usize {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        usize::from(*first)
    }
}

impl Choose for Bytes<'_> {
    fn pick(&mut self, of: usize) -> usize {
        assert!(of > 0, "nothing to choose from");
        match of {
            1 => 0,
            2..=256 => self.byte() % of,
            _ => (self.byte() * 256 + self.byte()) % of,
        }
    }

    fn is_used_up(&self) -> bool {
        self.0.is_empty()
    }
}
