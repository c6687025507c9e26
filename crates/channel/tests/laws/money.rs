//! M1: money moves and is never made. A refused transfer leaves everything as it was.

use perun_channel::transition::{self, TransitionRefusal};
use perun_channel::{Allocation, Amount, Invalid, Params, State, Version};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::{config, draw};

/// Adds `amount` to one balance without taking it anywhere; `None` if it does not fit.
fn forge(outcome: &Allocation, row: usize, column: usize, amount: u128) -> Option<Allocation> {
    let mut balances = outcome.balances().to_vec();
    balances[row][column] = balances[row][column].checked_add(Amount::new(amount))?;
    Allocation::new(outcome.assets().to_vec(), balances, outcome.locked().to_vec()).ok()
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_transfer_conserves_every_total_and_touches_two_balances(
        outcome in draw::outcome(),
        picks in any::<(Index, Index, Index)>(),
        share in 0..=1_000_u128,
    ) {
        let columns = outcome.columns();
        let (from, to) = (picks.0.index(columns), picks.1.index(columns));
        let row = picks.2.index(outcome.assets().len());
        let held = outcome.balance(row, from).unwrap();
        let amount = Amount::new(held.get() / 1_000 * share);
        let next = outcome.transfer(from, to, row, amount).unwrap();
        prop_assert_eq!(next.totals(), outcome.totals());
        prop_assert_eq!(next.assets(), outcome.assets());
        prop_assert_eq!(next.locked(), outcome.locked());
        for (other_row, balances) in outcome.balances().iter().enumerate() {
            for (column, before) in balances.iter().enumerate() {
                let after = next.balance(other_row, column).unwrap();
                let expected = match (other_row == row, column == from, column == to) {
                    (true, true, false) => before.checked_sub(amount),
                    (true, false, true) => before.checked_add(amount),
                    _ => Some(*before),
                };
                prop_assert_eq!(Some(after), expected);
            }
        }
    }

    #[test]
    fn a_transfer_above_the_balance_is_refused_and_changes_nothing(
        outcome in draw::outcome(),
        picks in any::<(Index, Index, Index)>(),
        excess in 1..=u128::MAX / 2,
    ) {
        let columns = outcome.columns();
        let (from, to) = (picks.0.index(columns), picks.1.index(columns));
        let row = picks.2.index(outcome.assets().len());
        let held = outcome.balance(row, from).unwrap();
        let before = outcome.clone();
        let refused = outcome.transfer(from, to, row, Amount::new(held.get() + excess));
        prop_assert_eq!(refused, Err(Invalid::Amount));
        prop_assert_eq!(outcome, before);
    }

    #[test]
    fn a_transfer_to_nobody_is_refused(
        outcome in draw::outcome(),
        beyond in prop_oneof![Just(0_usize), 0..100_usize, Just(usize::MAX / 2)],
    ) {
        let (rows, columns) = (outcome.assets().len(), outcome.columns());
        let no_one = columns + beyond;
        let nothing = Amount::ZERO;
        prop_assert_eq!(outcome.transfer(no_one, 0, 0, nothing), Err(Invalid::Index));
        prop_assert_eq!(outcome.transfer(0, no_one, 0, nothing), Err(Invalid::Index));
        prop_assert_eq!(outcome.transfer(0, 0, rows + beyond, nothing), Err(Invalid::Index));
    }

    #[test]
    fn no_transition_makes_money(
        params in draw::params(),
        outcome in draw::outcome(),
        picks in any::<(Index, Index)>(),
        amount in 1..=u128::MAX / 128,
    ) {
        let Some((params, current)) = channel(&params, outcome) else { return Ok(()) };
        let row = picks.0.index(current.outcome().assets().len());
        let column = picks.1.index(current.outcome().columns());
        let Some(more) = forge(current.outcome(), row, column, amount) else { return Ok(()) };
        let richer = current.at_version(Version::new(1), more);
        let poorer = richer.at_version(Version::new(2), current.outcome().clone());
        let up = transition::check(&params, &current, &richer, Version::new(1));
        prop_assert_eq!(up, Err(TransitionRefusal::Sum));
        let down = transition::check(&params, &richer, &poorer, Version::new(2));
        prop_assert_eq!(down, Err(TransitionRefusal::Sum));
    }
}

/// A channel without an app that has as many participants as the outcome has columns.
fn channel(params: &Params, outcome: Allocation) -> Option<(Params, State)> {
    let participants = params.participants().get(..outcome.columns())?.to_vec();
    let params = Params::new(params.challenge_secs(), *params.nonce(), participants).ok()?;
    let state = State::initial(params.id(), outcome);
    Some((params, state))
}
