//! Transactions that several people make together: openings, closings by consent, changes.
//!
//! The invariant: each party's cells are checked and its signatures made as its own program would.

use ckb_types::packed::Script;
use perun_backend_ckb::money::CKB;
use perun_backend_ckb::open::{
    Assembly, ChannelTerms, Contribution, Ending, Offer, OpenedChannel, Party, Terms, assemble,
    contribute, default_reserves,
};
use perun_backend_ckb::wallet::{Wallet, sign_inputs};
use perun_channel::{Amount, State};

use crate::Outcome;
use crate::jobs::free_cells_of;
use crate::world::{Measured, World};

/// The time to refute a state, in seconds.
pub(crate) const CHALLENGE: u64 = 3_600;
/// What each participant brings of coins, in shannons, and of the token.
pub(crate) const COINS_EACH: u128 = 200 * CKB as u128;
const TOKENS_EACH: u128 = 1_000;
/// The least fee rate of a node: what everybody pays for its part.
pub(crate) const RATE: u64 = 1_000;
/// What one party pays who pays for all.
pub(crate) const RATE_FOR_ALL: u64 = 3_000;

/// A channel between people, given as the position of their contribution and their number.
pub(crate) fn channel(
    world: &World,
    seats: &[(usize, usize)],
    with_token: bool,
) -> Outcome<ChannelTerms> {
    let mut rows = vec![(world.coin.clone(), COINS_EACH)];
    if with_token {
        rows.push((world.token.clone(), TOKENS_EACH));
    }
    rows.sort_by(|(one, _), (other, _)| one.cmp(other));
    let each = |amount: &u128| vec![Amount::new(*amount); seats.len()];
    let parties = seats.iter().map(|(contribution, person)| {
        Ok(Party { contribution: *contribution, address: world.person(*person)?.address() })
    });
    Ok(ChannelTerms {
        challenge_secs: CHALLENGE,
        assets: rows.iter().map(|(asset, _)| asset.clone()).collect(),
        balances: rows.iter().map(|(_, amount)| each(amount)).collect(),
        parties: parties.collect::<Outcome<_>>()?,
    })
}

/// How a channel ends by consent: what everybody is credited with, and as which contribution.
pub(crate) fn ending(
    world: &World,
    opened: &OpenedChannel,
    state: &State,
    parties: Vec<usize>,
) -> Outcome<Ending> {
    let contract = opened.contract.clone();
    Ok(Ending { live: world.live(&contract)?, contract, state: state.clone(), parties })
}

/// The transaction of these terms, with contributions of these people, who pay these fee rates.
pub(crate) fn propose(world: &World, terms: &Terms, people: &[(usize, u64)]) -> Outcome<Assembly> {
    let positions = 0..people.len();
    let contributions =
        positions.map(|position| contribution(world, terms, people, position)).collect();
    let contributions: Outcome<Vec<_>> = contributions;
    Ok(assemble(&world.deployment, terms.clone(), contributions?)?)
}

fn contribution(
    world: &World,
    terms: &Terms,
    people: &[(usize, u64)],
    position: usize,
) -> Outcome<Contribution> {
    let (number, rate) = *people.get(position).ok_or("a contribution of nobody")?;
    let person = world.person(number)?;
    let mut reserves = Vec::new();
    for channel in &terms.channels {
        let seat = channel.parties.iter().position(|party| party.contribution == position);
        let Some(seat) = seat else { continue };
        let payouts = channel.parties.iter().map(|party| payout(world, people, party));
        let payouts = payouts.collect::<Outcome<Vec<_>>>()?;
        let all = default_reserves(&world.deployment, &channel.assets, &payouts)?;
        reserves.push(*all.get(seat).ok_or("no reserve for a seat")?);
    }
    let offer = Offer {
        owner: person.wallet.locks().first().ok_or("a wallet without a lock")?,
        cells: &free_cells_of(world, number)?,
        payout: person.lock(),
        change: person.lock(),
        consents_by_presence: false,
        reserves,
    };
    Ok(contribute(&world.deployment, terms, position, &offer, rate)?)
}

fn payout(world: &World, people: &[(usize, u64)], party: &Party) -> Outcome<Script> {
    let (number, _) = people.get(party.contribution).ok_or("a party that contributes nothing")?;
    Ok(world.person(*number)?.lock())
}

/// The transaction with everybody's signatures and consents, run by the node.
pub(crate) fn complete(
    world: &World,
    assembly: &Assembly,
    people: &[(usize, u64)],
) -> Outcome<Measured> {
    let ours = assembly.contributions().first().ok_or("no contribution")?.clone();
    let own = assembly.clone().read(&world.chain, &world.deployment, 0, &ours)?;
    let digest = own.consent_digest(&world.deployment);
    let ends = !assembly.terms().ends.is_empty();
    let mut witnesses = Vec::new();
    let mut consents = Vec::new();
    for (number, _) in people {
        let person = world.person(*number)?;
        witnesses.push(sign_inputs(&person.wallet, own.spent())?);
        consents.push(ends.then(|| person.session_signature(&digest)));
    }
    let done = own.dry_run(&world.chain, &world.deployment, &witnesses, &consents, RATE)?;
    Ok(Measured { tx: done.spent.tx, cycles: done.cycles })
}

/// Opens a channel between these people with one transaction and commits it.
pub(crate) fn open(
    world: &World,
    people: &[usize],
    with_token: bool,
) -> Outcome<(OpenedChannel, Measured)> {
    let seats: Vec<_> = people.iter().copied().enumerate().collect();
    let terms = Terms { channels: vec![channel(world, &seats, with_token)?], ends: Vec::new() };
    let payers: Vec<_> = people.iter().map(|number| (*number, RATE)).collect();
    let assembly = propose(world, &terms, &payers)?;
    let measured = complete(world, &assembly, &payers)?;
    world.commit(&measured)?;
    let opened = assembly.channels().first().ok_or("no channel was opened")?.clone();
    Ok((opened, measured))
}
