//! The beginning: a channel is created with all deposits in one transaction, or, for locks that
//! cannot sign one transaction together, with the first deposits, to be completed or returned.

use alloc::vec::Vec;

use super::cell::MIN_CHANNEL_CAPACITY;
use super::court::{Court, Spent, vault_lock_hash, vaults};
use super::payout::Due;
use super::setup::{origin, row_mark};
use super::{ChannelCell, Code, Phase, Setup, StateBody};
use crate::{Amount, State, Version};

/// Judges a channel cell that appears.
pub(super) fn create(
    court: &Court<'_>,
    output: usize,
    channel: &ChannelCell,
    setup: &Setup,
    body: StateBody,
) -> Result<(), Code> {
    if *setup.origin() != origin(&court.view.first_input, output) {
        return Err(Code::ChannelId);
    }
    let state = initial_state(setup, body)?;
    let deposited = match channel.phase {
        Phase::Open => everyone(setup),
        Phase::Funding => channel.marks,
        Phase::Disputed | Phase::Concluded => return Err(Code::WrongAction),
    };
    let lock = vault_lock_hash(court.env, &channel.id);
    check_holdings(court, setup, &state, (output, &lock, channel), deposited)
}

/// Judges further deposits: the marks grow, the cells grow by exactly the new deposits.
pub(super) fn fund(
    court: &Court<'_>,
    spent: &Spent<'_>,
    setup: &Setup,
    body: StateBody,
) -> Result<(), Code> {
    let state = initial_state(setup, body)?;
    spent.stores(&state.hash())?;
    let (output, _, next) = spent.continued()?;
    let before = spent.channel.marks;
    let after = if next.phase == Phase::Open { everyone(setup) } else { next.marks };
    if before & !after != 0 || before == after {
        return Err(Code::Deposits);
    }
    court.vaults_spent(spent, core::iter::empty())?;
    check_holdings(court, setup, &state, (output, &spent.cell.lock, next), after)
}

/// Judges the return of deposits after the challenge duration.
pub(super) fn abort(
    court: &mut Court<'_>,
    spent: &Spent<'_>,
    setup: &Setup,
    body: StateBody,
) -> Result<(), Code> {
    let state = initial_state(setup, body)?;
    spent.stores(&state.hash())?;
    spent.waited(setup.params().challenge_secs())?;
    if spent.continued.is_some() {
        return Err(Code::WrongAction);
    }
    let deposited = spent.channel.marks;
    court.vaults_spent(spent, core::iter::empty())?;
    court.vaults_made(&spent.cell.lock, None, core::iter::empty())?;
    for (index, identity) in setup.identities().iter().enumerate() {
        if deposited & row_mark(index) == 0 {
            continue;
        }
        let capacity = u64::try_from(deposit(setup, &state, index)?).map_err(|_| Code::Overflow)?;
        court.dues.add(identity, Due { capacity, tokens: Vec::new() })?;
    }
    Ok(())
}

fn initial_state(setup: &Setup, body: StateBody) -> Result<State, Code> {
    let state = setup.state(body)?;
    let plain = !state.is_final() && state.data().is_empty();
    let starts = plain && state.version() == Version::ZERO;
    if starts { Ok(state) } else { Err(Code::InitialState) }
}

/// The channel cell and its vaults hold exactly the deposits of the marked participants, no more,
/// no less.
fn check_holdings(
    court: &Court<'_>,
    setup: &Setup,
    state: &State,
    (output, lock, channel): (usize, &[u8; 32], &ChannelCell),
    deposited: u32,
) -> Result<(), Code> {
    let everyone = everyone(setup);
    let complete = deposited == everyone;
    if deposited == 0 || deposited & !everyone != 0 {
        return Err(Code::Deposits);
    }
    // Whoever could freeze a token would hold the other deposits hostage until all are in.
    if !complete && setup.token_mask() != 0 {
        return Err(Code::FundingTokens);
    }
    let expected = ChannelCell {
        phase: if complete { Phase::Open } else { Phase::Funding },
        marks: if complete { 0 } else { deposited },
        id: setup.id(),
        state_hash: state.hash(),
        version: Version::ZERO,
        claimed: false,
    };
    if *channel != expected {
        return Err(Code::ChannelFrame);
    }
    let cell = court.view.outputs.get(output).ok_or(Code::NoChannel)?;
    if cell.lock != *lock {
        return Err(Code::ChannelLock);
    }
    let totals = |row: usize| setup.rows().get(row).map(|row| row.total.get());
    court.vaults_made(lock, Some(output), vaults(setup, totals))?;

    let mut coins: u128 = 0;
    for index in (0..setup.identities().len()).filter(|index| deposited & row_mark(*index) != 0) {
        coins = coins.checked_add(deposit(setup, state, index)?).ok_or(Code::Overflow)?;
    }
    let vault_capacities = setup
        .rows()
        .iter()
        .fold(0u128, |sum, row| sum.saturating_add(u128::from(row.vault_capacity)));
    let exact = coins.checked_sub(vault_capacities) == Some(u128::from(cell.capacity));
    if exact && cell.capacity >= MIN_CHANNEL_CAPACITY { Ok(()) } else { Err(Code::ChannelCapacity) }
}

/// The marks of all participants.
fn everyone(setup: &Setup) -> u32 {
    (0..setup.identities().len()).fold(0, |marks, index| marks | row_mark(index))
}

/// One participant's capacity deposit: its coins and its reserve.
fn deposit(setup: &Setup, state: &State, index: usize) -> Result<u128, Code> {
    let coins = setup.coin_row().map_or(0, |row| amount(state, row, index));
    let reserve = setup.identities().get(index).map_or(0, |identity| identity.reserve);
    coins.checked_add(u128::from(reserve)).ok_or(Code::Overflow)
}

fn amount(state: &State, row: usize, index: usize) -> u128 {
    state.outcome().balance(row, index).map_or(0, Amount::get)
}
