//! Settlement: the outcome is fixed and paid, at once or with some token rows left for later.

use super::cell::MIN_CHANNEL_CAPACITY;
use super::court::{Court, Spent, vaults};
use super::payout::settlement_dues;
use super::register::verify;
use super::setup::row_mark;
use super::{ChannelCell, Code, Decision, Phase, Setup, StateBody};
use crate::{Signature, State, Swap};

/// Pays the registered state after the challenge.
pub(super) fn conclude(
    court: &mut Court<'_>,
    spent: &Spent<'_>,
    setup: &Setup,
    body: StateBody,
    decision: Option<&Decision>,
) -> Result<(), Code> {
    let state = setup.state(body)?;
    spent.stores(&state.hash())?;
    spent.waited(setup.params().challenge_secs())?;
    let claimed = decide(court, setup, &state, decision)?;
    pay(court, spent, setup, (&state, claimed), None)
}

/// Whether the legs of the state's swap on this ledger move. Legs on other ledgers are decided
/// there.
fn decide(
    court: &Court<'_>,
    setup: &Setup,
    state: &State,
    decision: Option<&Decision>,
) -> Result<bool, Code> {
    let expiry = setup.expiry(state)?;
    match (expiry, decision) {
        (None, None) => Ok(false),
        (None, Some(_)) => Err(Code::NothingToDecide),
        (Some(_), None) => Err(Code::Undecided),
        (Some(_), Some(Decision::Claim(preimage))) => {
            let swap = Swap::pending(state).map_err(|_| Code::Swap)?;
            let opened = swap.is_some_and(|swap| swap.opened_by(preimage));
            if opened { Ok(true) } else { Err(Code::Preimage) }
        }
        (Some(expiry), Some(Decision::Refund)) => {
            if court.view.proves_time(expiry) {
                Ok(false)
            } else {
                Err(Code::Unexpired)
            }
        }
    }
}

/// Pays a final state, signed by all, without waiting.
pub(super) fn close_final(
    court: &mut Court<'_>,
    spent: &Spent<'_>,
    setup: &Setup,
    body: StateBody,
    signatures: &[Signature],
) -> Result<(), Code> {
    let state = setup.state(body)?;
    if !state.is_final() {
        return Err(Code::NotFinal);
    }
    let stored = spent.channel.state_hash == state.hash();
    if !stored && state.version() <= spent.channel.version {
        return Err(Code::NotNewer);
    }
    if signatures.len() != setup.identities().len() {
        return Err(Code::SignatureCount);
    }
    let digest = state.digest();
    setup
        .addresses()
        .zip(signatures)
        .try_for_each(|(address, signature)| verify(signature, &digest, address))?;
    pay(court, spent, setup, (&state, false), None)
}

/// Pays rows that were left unpaid when the channel concluded.
pub(super) fn withdraw(
    court: &mut Court<'_>,
    spent: &Spent<'_>,
    setup: &Setup,
    body: StateBody,
) -> Result<(), Code> {
    let state = setup.state(body)?;
    spent.stores(&state.hash())?;
    let paid = (&state, spent.channel.claimed);
    pay(court, spent, setup, paid, Some(spent.channel.marks))
}

/// Adds what is owed to the dues, and checks the vaults spent and the cell that stays behind. What
/// is paid is the state, with the legs of its swap on this ledger moved if they are `claimed`.
/// `unpaid_before`: the rows that an earlier settlement left; none if this is the first.
fn pay(
    court: &mut Court<'_>,
    spent: &Spent<'_>,
    setup: &Setup,
    (state, claimed): (&State, bool),
    unpaid_before: Option<u32>,
) -> Result<(), Code> {
    let payable = unpaid_before.unwrap_or(setup.token_mask());
    let unpaid = match &spent.continued {
        Some((_, _, next)) => next.marks,
        None => 0,
    };
    // The marks of a settled cell are a subset of those before; a withdrawal pays at least one row.
    let shrinks = unpaid & !payable == 0 && unpaid_before != Some(unpaid);
    if !shrinks || (spent.continued.is_some() && unpaid == 0) {
        return Err(Code::UnpaidRows);
    }
    let output = check_remainder(spent, state, unpaid, claimed)?;

    let totals = |row: usize| setup.rows().get(row).map(|row| row.total.get());
    let paid = vaults(setup, totals)
        .zip(setup.token_rows())
        .filter(|(_, (row, _, _))| payable & !unpaid & row_mark(*row) != 0)
        .map(|((token, amount, _), _)| (token, amount));
    paid.clone().for_each(|(token, _)| court.dues.pays(token));
    court.vaults_spent(spent, paid)?;
    court.vaults_made(&spent.cell.lock, output, core::iter::empty())?;

    let outcome = setup.outcome(state, claimed)?;
    let dues = settlement_dues(setup, &outcome, unpaid_before, unpaid)?;
    for (identity, due) in setup.identities().iter().zip(dues) {
        court.dues.add(identity, due)?;
    }
    Ok(())
}

/// The cell that keeps unpaid rows: exactly the concluded one, with exactly the least capacity.
fn check_remainder(
    spent: &Spent<'_>,
    state: &State,
    unpaid: u32,
    claimed: bool,
) -> Result<Option<usize>, Code> {
    let Some((output, cell, next)) = &spent.continued else { return Ok(None) };
    let expected = ChannelCell {
        phase: Phase::Concluded,
        marks: unpaid,
        id: spent.channel.id,
        state_hash: state.hash(),
        version: state.version(),
        claimed,
    };
    if *next != expected {
        return Err(Code::ChannelFrame);
    }
    if cell.capacity != MIN_CHANNEL_CAPACITY {
        return Err(Code::ChannelCapacity);
    }
    Ok(Some(*output))
}
