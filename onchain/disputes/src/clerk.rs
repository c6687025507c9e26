//! The rules in a court's place: for tests of the comparison, and where a quick answer will do.

use crate::dispute::Step;
use crate::rules::Rules;
use crate::{Bench, Judge, Law, Scene, Verdict};

/// A court that goes by the rules under some law, right or wrong.
pub struct Clerk<'a>(Rules<'a>);

impl<'a> Clerk<'a> {
    /// The clerk of this law.
    #[must_use]
    pub const fn new(scene: &'a Scene, law: Law) -> Self {
        Self(Rules::new(scene, law))
    }
}

impl Judge for Clerk<'_> {
    fn step(&mut self, step: &Step) -> Verdict {
        self.0.step(step).map_err(|faults| (faults.into_iter().collect(), "refused".to_owned()))
    }
}

/// Clerks on both ledgers.
pub struct Clerks {
    /// What goes on Ethereum.
    pub evm: Law,
    /// What goes on CKB.
    pub ckb: Law,
}

impl Bench for Clerks {
    fn evm<'a>(&self, scene: &'a Scene) -> Box<dyn Judge + 'a> {
        Box::new(Clerk::new(scene, self.evm))
    }

    fn ckb<'a>(&self, scene: &'a Scene) -> Box<dyn Judge + 'a> {
        Box::new(Clerk::new(scene, self.ckb))
    }
}
