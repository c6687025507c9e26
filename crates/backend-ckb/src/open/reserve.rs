//! What participants hold in reserve, and what vaults hold, so that nobody's exit costs anybody
//! else.
//!
//! Whoever settles a channel must make every payee's cells. A payee's reserve pays for its own: for
//! a plain cell at once, and for a token cell whenever that token's row is paid, now or after a
//! settlement that left the row behind. What the verdict keeps for rows that were left is the rent
//! of the channel cell and their vaults, shared in proportion to the reserves above
//! [`MIN_RESERVE`]; so vaults must hold enough. The invariant: with these vaults, and reserves that
//! [`checked_vaults`] does not refuse, every payee's dues cover its cells in every order of
//! settling the rows.

use crate::Error;
use crate::deployment::Deployment;
use crate::money::{CKB, TOKEN_DATA, add, occupied, sum};
use ckb_types::packed::Script;
use perun_channel::Asset;
use perun_channel::adjudicator::{MIN_CHANNEL_CAPACITY, MIN_RESERVE};

#[cfg(test)]
mod tests;

/// What a default reserve has for each token beyond its owner's own cell of it. Nobody knows the
/// others' payout locks when it contributes, and larger ones want larger vaults.
const MARGIN: u64 = 15 * CKB;

/// A participant's payout lock and what it holds in reserve.
#[derive(Clone, Copy, Debug)]
pub(super) struct Payee<'a> {
    pub(super) payout: &'a Script,
    pub(super) reserve: u64,
}

impl Payee<'_> {
    /// What pays for rows that are left: the part above a plain cell of the usual size.
    fn spare(&self) -> u64 {
        self.reserve.saturating_sub(MIN_RESERVE)
    }
}

/// The capacity of each token's vault, in the order of the tokens; or the position of the payee
/// that has too little in reserve.
pub(super) fn checked_vaults(
    deployment: &Deployment,
    tokens: &[[u8; 32]],
    payees: &[Payee<'_>],
) -> Result<Result<Vec<u64>, usize>, Error> {
    let mut dearest = (0, 0, 1);
    for (position, payee) in payees.iter().enumerate() {
        let plain = occupied(payee.payout, None, 0);
        if payee.reserve < plain.max(MIN_RESERVE) {
            return Ok(Err(position));
        }
        // Who has the least to spare for the cells that it needs?
        let cells = add(token_cell(deployment, tokens, payee.payout)?, plain)?;
        let (_, most, of) = dearest;
        let spare = payee.spare().max(1);
        if u128::from(cells) * u128::from(of) > u128::from(most) * u128::from(spare) {
            dearest = (position, cells, spare);
        }
    }
    let vaults = match vaults(deployment, tokens, payees) {
        Err(Error::Amount) => return Ok(Err(dearest.0)),
        vaults => vaults?,
    };
    for payee in payees {
        if !suffices(&vaults, payees, *payee)? {
            return Ok(Err(dearest.0));
        }
    }
    Ok(Ok(vaults))
}

/// A row that is left when others were left before it brings its vault's capacity, shared among the
/// payees; the last one brings the channel cell's as well.
fn vaults(
    deployment: &Deployment,
    tokens: &[[u8; 32]],
    payees: &[Payee<'_>],
) -> Result<Vec<u64>, Error> {
    let all = sum(payees.iter().map(Payee::spare))?;
    let brought = if tokens.len() == 1 { MIN_CHANNEL_CAPACITY } else { 0 };
    let mut needed = 0;
    for payee in payees.iter().filter(|_| !tokens.is_empty()) {
        let cell = token_cell(deployment, tokens, payee.payout)?;
        // A payee that has nothing to spare does not suffice.
        let rent = share_of(cell, all, payee.spare().max(1))?;
        needed = needed.max(rent.saturating_sub(brought));
    }
    tokens.iter().map(|token| Ok(deployment.vault_capacity(token)?.max(needed))).collect()
}

/// Whether a payee's dues cover its cells, whoever settles and whatever rows are left.
fn suffices(vaults: &[u64], payees: &[Payee<'_>], payee: Payee<'_>) -> Result<bool, Error> {
    let plain = occupied(payee.payout, None, 0);
    if vaults.is_empty() {
        return Ok(payee.reserve >= plain);
    }
    let all = sum(payees.iter().map(Payee::spare))?;
    let rent = add(MIN_CHANNEL_CAPACITY, sum(vaults.iter().copied())?)?;
    let unbound = u128::from(all.saturating_sub(rent)).saturating_mul(payee.spare().into());
    let wanted = u128::from(plain.saturating_sub(MIN_RESERVE)).saturating_mul(all.into());
    Ok(rent <= all && payee.spare() > 0 && unbound >= wanted)
}

/// Reserves that suffice among participants with these payout locks, in order, and among any whose
/// locks are not much larger than a party's own.
pub fn default_reserves(
    deployment: &Deployment,
    assets: &[Asset],
    payouts: &[Script],
) -> Result<Vec<u64>, Error> {
    let tokens: Vec<[u8; 32]> = assets.iter().filter_map(Asset::ckb_type_hash).collect();
    let rows = u64::try_from(tokens.len()).map_err(|_| Error::Amount)?;
    let count = u64::try_from(payouts.len()).map_err(|_| Error::Amount)?;
    let part = |whole: u64| share_of(whole, 1, count);
    let least = tokens.iter().map(|token| deployment.vault_capacity(token));
    let least = add(MIN_CHANNEL_CAPACITY, sum(least.collect::<Result<Vec<_>, _>>()?)?)?;
    let reserve = |payout: &Script| -> Result<u64, Error> {
        let plain = occupied(payout, None, 0);
        if tokens.is_empty() {
            return Ok(part(least)?.max(plain).max(MIN_RESERVE));
        }
        let cell = add(token_cell(deployment, &tokens, payout)?, MARGIN)?;
        let channel = if rows == 1 { 0 } else { part(MIN_CHANNEL_CAPACITY)? };
        let cells = add(channel, share_of(cell, rows, 1)?)?;
        // What is unbound is shared with everybody, so whoever needs some brings it for all.
        let wide = share_of(plain.saturating_sub(MIN_RESERVE), count, 1)?;
        add(MIN_RESERVE, add(part(least)?.max(cells), wide)?)
    };
    let reserves = payouts.iter().map(reserve).collect::<Result<Vec<u64>, Error>>()?;
    if tokens.is_empty() { Ok(reserves) } else { raised(deployment, &tokens, payouts, reserves) }
}

/// These reserves, all raised alike if payout locks are so different that they do not suffice: what
/// each has of the rent stays, and more of it is unbound.
fn raised(
    deployment: &Deployment,
    tokens: &[[u8; 32]],
    payouts: &[Script],
    mut reserves: Vec<u64>,
) -> Result<Vec<u64>, Error> {
    /// Rounding leaves a few shannons to the second round.
    const ROUNDS_MAX: usize = 4;
    let count = u64::try_from(payouts.len()).map_err(|_| Error::Amount)?;
    for _ in 0..ROUNDS_MAX {
        let payees = payouts.iter().zip(&reserves);
        let payees: Vec<Payee<'_>> =
            payees.map(|(payout, reserve)| Payee { payout, reserve: *reserve }).collect();
        let vaults = vaults(deployment, tokens, &payees)?;
        let suffice = payees.iter().map(|payee| suffices(&vaults, &payees, *payee));
        if suffice.collect::<Result<Vec<bool>, Error>>()?.iter().all(|suffices| *suffices) {
            return Ok(reserves);
        }
        let all = sum(payees.iter().map(Payee::spare))?;
        let rent = add(MIN_CHANNEL_CAPACITY, sum(vaults)?)?;
        let unbound = payees.iter().map(|payee| {
            let wide = occupied(payee.payout, None, 0).saturating_sub(MIN_RESERVE);
            share_of(wide, all, payee.spare())
        });
        let unbound = unbound.collect::<Result<Vec<u64>, Error>>()?.into_iter().max();
        let wanted = add(add(rent, unbound.unwrap_or(0))?, count)?;
        let spares = payees.iter().map(|payee| share_of(payee.spare(), wanted.max(all), all));
        let raised = spares.map(|spare| add(MIN_RESERVE, spare?));
        reserves = raised.collect::<Result<_, Error>>()?;
    }
    Err(Error::Amount)
}

/// What a payee's token cell holds, for the token whose cell is the largest: what is due with
/// several tokens is divided equally between their cells.
fn token_cell(deployment: &Deployment, tokens: &[[u8; 32]], payout: &Script) -> Result<u64, Error> {
    let cells = tokens.iter().map(|token| {
        let kind = &deployment.token(token)?.script;
        Ok(occupied(payout, Some(kind), TOKEN_DATA))
    });
    Ok(cells.collect::<Result<Vec<u64>, Error>>()?.into_iter().max().unwrap_or(0))
}

/// `number` times `times` over `parts`, rounded up.
fn share_of(number: u64, times: u64, parts: u64) -> Result<u64, Error> {
    let product = u128::from(number).checked_mul(u128::from(times)).ok_or(Error::Amount)?;
    let parts = u128::from(parts);
    let share = product.checked_add(parts.saturating_sub(1)).and_then(|sum| sum.checked_div(parts));
    share.and_then(|share| u64::try_from(share).ok()).ok_or(Error::Amount)
}
