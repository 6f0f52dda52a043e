//! Who hears whom in a room: each member says whom it hears and who hears it, and both must agree.
//!
//! Listening in, whispering and coaching are such circles and nothing else: who listens is heard by nobody, who whispers by one.

/// The most members that a circle names.
pub const MAX_NAMED: usize = 256;

/// Members of a room, by their numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Circle {
    /// Whoever is or comes in.
    #[default]
    Everybody,
    /// These.
    Only(Vec<u64>),
}

impl Circle {
    /// A circle of these; everybody for `None`. `None` for more than [`MAX_NAMED`].
    #[must_use]
    pub fn of(named: Option<Vec<u64>>) -> Option<Self> {
        match named {
            None => Some(Circle::Everybody),
            Some(named) => (named.len() <= MAX_NAMED).then_some(Circle::Only(named)),
        }
    }

    /// Whether this one is in it.
    #[must_use]
    pub fn holds(&self, number: u64) -> bool {
        match self {
            Circle::Everybody => true,
            Circle::Only(named) => named.contains(&number),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_a_circle_holds_whom_it_names_and_is_bounded() {
        assert!(Circle::of(None).unwrap().holds(7));
        let circle = Circle::of(Some(vec![1, 2])).unwrap();
        assert_eq!([1, 2, 3].map(|number| circle.holds(number)), [true, true, false]);
        assert!(!Circle::of(Some(Vec::new())).unwrap().holds(1));
        assert_eq!(Circle::of(Some(vec![0; MAX_NAMED + 1])), None);
    }
}
