//! How long others' business may take between two looks at the chain.
//!
//! Proposals cost a stranger nothing, and questions about its tokens run its code on our node for
//! as long as that lets them. All this happens on the thread that also watches our channels: it
//! must never be away longer than any challenge allows.

use std::time::{Duration, Instant};

use crate::LedgerError;

/// The time that is left until the next look.
#[derive(Debug)]
pub(super) struct Budget {
    most: Duration,
    spent: Duration,
}

impl Budget {
    pub(super) const fn new(most: Duration) -> Self {
        Self { most, spent: Duration::ZERO }
    }

    /// The chain was looked at.
    pub(super) const fn renew(&mut self) {
        self.spent = Duration::ZERO;
    }

    /// Refuses what comes when all is spent.
    pub(super) fn check(&self) -> Result<(), LedgerError> {
        if self.spent <= self.most {
            return Ok(());
        }
        Err(LedgerError::Unavailable(
            "so much was asked about openings that the chain has to be looked at first; nothing \
             was set aside or sent"
                .into(),
        ))
    }

    /// What has been done since then counts.
    pub(super) fn spend(&mut self, since: Instant) {
        self.spent = self.spent.saturating_add(since.elapsed());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_spent_comes_back_with_the_next_look() {
        let mut budget = Budget::new(Duration::ZERO);
        budget.check().unwrap();
        budget.spend(Instant::now().checked_sub(Duration::from_secs(1)).unwrap());
        assert!(budget.check().unwrap_err().to_string().contains("looked at first"));
        budget.renew();
        budget.check().unwrap();
    }
}
