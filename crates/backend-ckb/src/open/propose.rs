//! Making our own contribution: which cells, how much change, what part of the fee.

use super::assemble::{Terms, seat};
use super::contribution::{Change, ContributedInput, Contribution};
use crate::Error;
use crate::balance::{Funds, balance};
use crate::deployment::Deployment;
use crate::fees::{Fee, fee_of};
use crate::money::{CKB, Made, add, capacity_of, is_plain, sum};
use crate::rpc::Cell;
use crate::tx::{Draft, Spend};
use crate::wallet::OwnedLock;
use ckb_types::{
    packed::{OutPoint, Script},
    prelude::*,
};

/// What a party is ready to bring.
#[derive(Clone, Debug)]
pub struct Offer<'a> {
    /// The lock that owns the cells, and the share.
    pub owner: &'a OwnedLock,
    /// Free cells under it.
    pub cells: &'a [Cell],
    /// The lock that channels pay to.
    pub payout: Script,
    /// The lock that change goes to.
    pub change: Script,
    /// See [`Contribution::consents_by_presence`].
    pub consents_by_presence: bool,
    /// The reserve in each channel that the party takes part in, in order.
    pub reserves: Vec<u64>,
}

/// What a transaction takes that belongs to nobody alone, and what each channel adds, in bytes.
/// Generous: a few bytes too many cost a few shannons, a few too few make nodes refuse.
mod bytes {
    pub(super) const TRANSACTION: u64 = 400;
    pub(super) const CHANNEL: u64 = 750;
    pub(super) const PARTICIPANT: u64 = 120;
    pub(super) const ROW: u64 = 400;
    pub(super) const END: u64 = 900;
    /// An input with its witness slot, a dependency, a change cell around its lock.
    pub(super) const INPUT: u64 = 52;
    pub(super) const DEP: u64 = 37;
    pub(super) const CHANGE: u64 = 120;
    /// Around a lock's witness.
    pub(super) const WITNESS: u64 = 28;
}

/// Our contribution number `party`: cells of the offer that cover our shares and our part of the
/// fee at `rate`, and change.
pub fn contribute(
    deployment: &Deployment,
    terms: &Terms,
    party: usize,
    offer: &Offer<'_>,
    rate: u64,
) -> Result<Contribution, Error> {
    let draft = needs(deployment, terms, party, offer)?;
    let fixed = draft.makes.len();
    let credited = draft.spends.len();
    let change = OwnedLock { script: offer.change.clone(), ..offer.owner.clone() };
    let funds = Funds { lock: &change, cells: offer.cells };
    let mut fee = 0;
    loop {
        let exact = Fee { floor: fee, ..Fee::rate(0) };
        let balanced = balance(&draft, &funds, deployment, &exact)?;
        let inputs = balanced.spent.tx.inputs().into_iter().skip(credited);
        let inputs = inputs.map(|input| ContributedInput {
            out_point: input.previous_output(),
            since: input.since().into(),
        });
        let kept = balanced.spent.makes().into_iter().skip(fixed);
        let contribution = Contribution {
            inputs: inputs.collect(),
            change: kept.map(|made| as_change(&made)).collect(),
            deps: offer.owner.deps.clone(),
            payout: offer.payout.clone(),
            owner: offer.owner.script.clone(),
            lends_fee: offer.owner.signs_all,
            consents_by_presence: offer.consents_by_presence,
            reserves: offer.reserves.clone(),
            fee,
        };
        let asked = fee_of(size_share(terms, &contribution, offer.owner)?, rate)?;
        // More fee can only take more cells: this ends after a few rounds.
        if asked <= fee {
            if !contribution.is_bounded() {
                return Err(Error::TooManyCells { limit: super::contribution::INPUTS_MAX });
            }
            keep_for_disputes(offer, &contribution)?;
            return Ok(contribution);
        }
        fee = asked;
    }
}

/// What a wallet must have left in plain cells when it has contributed: a cell that stays when it
/// pays for a transaction, and some usual fees at their limit. A channel that its owner cannot
/// afford to dispute belongs to the peer.
const LEFT_FOR_DISPUTES: u64 = 65 * CKB;

fn keep_for_disputes(offer: &Offer<'_>, contribution: &Contribution) -> Result<(), Error> {
    if contribution.inputs.is_empty() {
        return Ok(());
    }
    let spent =
        |cell: &&Cell| contribution.inputs.iter().any(|input| input.out_point == cell.out_point);
    let plain = offer.cells.iter().filter(|cell| is_plain(cell));
    let have = sum(plain.clone().map(|cell| capacity_of(&cell.output)))?;
    let free = sum(plain.filter(|cell| !spent(cell)).map(|cell| capacity_of(&cell.output)))?;
    let change = contribution.change.iter().filter(|change| change.token.is_none());
    let left = add(free, sum(change.map(|change| change.capacity))?)?;
    if left >= LEFT_FOR_DISPUTES {
        return Ok(());
    }
    Err(Error::InsufficientCapacity {
        have,
        need: have.saturating_sub(left),
        minimum: LEFT_FOR_DISPUTES,
    })
}

/// What the party must bring and what channels that end give it, as a draft that only its own cells
/// can complete. The cells in it are stand-ins.
fn needs(
    deployment: &Deployment,
    terms: &Terms,
    party: usize,
    offer: &Offer<'_>,
) -> Result<Draft, Error> {
    let mut draft = Draft::default();
    // Not anybody's lock: nothing of the stand-ins is taken for the party's own.
    let nobody = Script::default();
    let stand_in =
        |made: Made| Cell { out_point: OutPoint::default(), output: made.output, data: made.data };
    for end in &terms.ends {
        for (_, due) in end.parties.iter().zip(end.dues()?).filter(|(it, _)| **it == party) {
            let plain = Made::plain(nobody.clone(), due.capacity);
            draft.spends.push(Spend::now(stand_in(plain)));
            for due in due.tokens {
                let kind = deployment.token(&due.token)?.script.clone();
                let token = Made::token(nobody.clone(), kind, 0, due.amount);
                draft.spends.push(Spend::now(stand_in(token)));
            }
        }
    }
    let joined = terms.channels.iter().filter_map(|channel| Some((channel, seat(channel, party)?)));
    for ((channel, seat), reserve) in joined.zip(&offer.reserves) {
        draft.makes.push(Made::plain(nobody.clone(), *reserve));
        for (asset, balances) in channel.assets.iter().zip(&channel.balances) {
            let amount = balances.get(seat).map_or(0, |it| it.get());
            if asset.is_ckb_coin() {
                let coins = u64::try_from(amount).map_err(|_| Error::Amount)?;
                draft.makes.push(Made::plain(nobody.clone(), coins));
            } else if let Some(token) = asset.ckb_type_hash().filter(|_| amount != 0) {
                let kind = deployment.token(&token)?.script.clone();
                draft.makes.push(Made::token(nobody.clone(), kind, 0, amount));
            }
        }
    }
    Ok(draft)
}

fn as_change(made: &Made) -> Change {
    let cell = Cell {
        out_point: OutPoint::default(),
        output: made.output.clone(),
        data: made.data.clone(),
    };
    Change {
        lock: made.output.lock(),
        capacity: made.capacity(),
        token: crate::money::token_in(&cell),
    }
}

/// The bytes that a contribution pays for: its own, and its part of what is shared.
fn size_share(terms: &Terms, contribution: &Contribution, lock: &OwnedLock) -> Result<u64, Error> {
    let times =
        |count: usize, bytes: u64| u64::try_from(count).unwrap_or(u64::MAX).checked_mul(bytes);
    let channels = terms.channels.iter().map(|channel| {
        let participants = times(channel.parties.len(), bytes::PARTICIPANT)?;
        let rows = times(channel.assets.len(), bytes::ROW)?;
        bytes::CHANNEL.checked_add(participants)?.checked_add(rows)
    });
    let ends = terms.ends.iter().map(|end| {
        let rows = times(end.contract.setup().rows().len(), bytes::ROW)?;
        bytes::END.checked_add(rows)
    });
    let shared = channels.chain(ends).collect::<Option<Vec<_>>>().ok_or(Error::Amount)?;
    let shared = add(bytes::TRANSACTION, sum(shared)?)?;
    let seats = terms.channels.iter().flat_map(|channel| &channel.parties);
    let seats = seats.map(|party| party.contribution);
    let seats = seats.chain(terms.ends.iter().flat_map(|end| end.parties.iter().copied()));
    let parties = seats.max().map_or(1, |last| last.saturating_add(1));
    let parties = u64::try_from(parties).map_err(|_| Error::Amount)?;
    let scripts = contribution.change.iter().map(|change| {
        let lock = u64::try_from(change.lock.as_slice().len()).unwrap_or(u64::MAX);
        let token = if change.token.is_some() { bytes::CHANGE } else { 0 };
        lock.saturating_add(bytes::CHANGE).saturating_add(token)
    });
    let witness = u64::try_from(lock.witness_length).unwrap_or(u64::MAX);
    let own = [
        times(contribution.inputs.len(), bytes::INPUT),
        times(contribution.deps.len(), bytes::DEP),
        Some(if contribution.inputs.is_empty() { 0 } else { add(witness, bytes::WITNESS)? }),
        Some(sum(scripts)?),
        Some(shared.div_ceil(parties)),
    ];
    sum(own.into_iter().collect::<Option<Vec<_>>>().ok_or(Error::Amount)?)
}
