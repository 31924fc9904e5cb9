//! Owns choosing: one world is driven by an enumerator that takes every path, by a property test and by a fuzzer alike.

/// Somebody who decides what happens next.
pub trait Choose {
    /// One of `of` possibilities (at least 1), counted from 0. 0 is the dullest: it is what a shrunk failure is made of.
    fn pick(&mut self, of: usize) -> usize;

    /// Whether there is nothing more to choose by: a world that could go on comes to its end then.
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

/// Every path of a bounded world, one after the other, by replaying the path so far with its last open choice changed.
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
        // Whoever asks less often with the same answers is no function of them, and the count would mean nothing.
        assert_eq!(path.depth, path.chosen.len(), "the same choices led elsewhere");
        while path.chosen.pop_if(|(choice, of)| *choice + 1 == *of).is_some() {}
        match path.chosen.last_mut() {
            Some((choice, _)) => *choice += 1,
            None => return count,
        }
    }
    unreachable!("more paths than numbers")
}

/// One path of [`every_path`].
#[derive(Debug, Default)]
pub struct Path {
    /// What was chosen of how many.
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
        assert_eq!(known, of, "the same choices led elsewhere");
        self.depth += 1;
        choice
    }
}

/// Choices read from bytes, of a fuzzer or a property test: one byte each (two where there are more than 256 possibilities).
/// When they are used up, everything is dull.
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
