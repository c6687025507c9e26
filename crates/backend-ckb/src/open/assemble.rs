//! The fixed rules by which all parties make the same transaction.
//!
//! Inputs: the cells of ending channels, their vaults, then each contribution's inputs in order.
//! Outputs: new channel cells, their vaults, then each contribution's change. Dependencies sorted,
//! each once. The invariant: the result depends on nothing but the terms, the contributions and the
//! deployment.

use super::contribution::{Change, Contribution};
use super::reserve::{Payee, checked_vaults};
use crate::channel::{Contract, LiveChannel};
use crate::deployment::Deployment;
use crate::dispute::{funded_cell, vault_cells};
use crate::money::{Made, script_hash};
use crate::rpc::Cell;
use crate::tx::{Draft, Spend};
use crate::{Error, Fault};
use ckb_types::{
    bytes::Bytes,
    core::TransactionView,
    packed::{CellInput, CellOutput},
    prelude::*,
};
use perun_channel::adjudicator::{
    Action, CkbParticipant, Due, Row, Setup, StateBody, origin, settlement_dues,
};
use perun_channel::codec::Encode;
use perun_channel::{Address, Allocation, Amount, Asset, Participant, State};

/// What the parties agreed on before they contribute.
#[derive(Clone, Debug)]
pub struct Terms {
    /// Channels to open.
    pub channels: Vec<ChannelTerms>,
    /// Channels to end with everybody's consent.
    pub ends: Vec<Ending>,
}

/// One channel to open.
#[derive(Clone, Debug)]
pub struct ChannelTerms {
    /// How long a registered state can be refuted.
    pub challenge_secs: u64,
    /// The assets, in ascending order.
    pub assets: Vec<Asset>,
    /// The first balances, `[asset][participant]`. Each party brings its own.
    pub balances: Vec<Vec<Amount>>,
    /// The participants, in order.
    pub parties: Vec<Party>,
}

/// One participant of a channel to open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Party {
    /// The position of its contribution. No party stands twice in one channel.
    pub contribution: usize,
    /// The address of its session key.
    pub address: Address,
}

/// One channel to end.
#[derive(Clone, Debug)]
pub struct Ending {
    /// What was agreed.
    pub contract: Contract,
    /// Its cells. All parties must name the same ones.
    pub live: LiveChannel,
    /// The outcome that everybody is credited with, before fees.
    pub state: State,
    /// The position of each participant's contribution, in order.
    pub parties: Vec<usize>,
}

impl Ending {
    /// What each participant is credited with.
    pub(crate) fn dues(&self) -> Result<Vec<Due>, Error> {
        Ok(settlement_dues(self.contract.setup(), self.state.outcome(), None, 0)?)
    }
}

/// A channel of an assembled transaction.
#[derive(Clone, Debug)]
pub struct OpenedChannel {
    /// What a participant must keep from now on.
    pub contract: Contract,
    /// The state of version 0, which needs no signatures: whoever signs the transaction signs it.
    pub state: State,
    /// The output that is its channel cell.
    pub output: u32,
}

/// A transaction assembled by the fixed rules, not checked and not signed.
#[derive(Clone, Debug)]
pub struct Assembly {
    pub(super) tx: TransactionView,
    pub(super) channels: Vec<OpenedChannel>,
    pub(super) terms: Terms,
    pub(super) contributions: Vec<Contribution>,
}

impl Assembly {
    /// The transaction, with witnesses for scripts and none for locks.
    #[must_use]
    pub const fn tx(&self) -> &TransactionView {
        &self.tx
    }

    /// Its hash, which no witness changes.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        self.tx.hash().into()
    }

    /// The channels that it opens, in the order of the terms.
    #[must_use]
    pub fn channels(&self) -> &[OpenedChannel] {
        &self.channels
    }

    /// The terms.
    #[must_use]
    pub const fn terms(&self) -> &Terms {
        &self.terms
    }

    /// The contributions, in order.
    #[must_use]
    pub fn contributions(&self) -> &[Contribution] {
        &self.contributions
    }

    /// The position of the first input of contribution number `party`.
    pub(crate) fn first_input(&self, party: usize) -> usize {
        let ends = self.terms.ends.iter().map(|end| end.live.vaults().len().saturating_add(1));
        let before = self.contributions.iter().take(party).map(|it| it.inputs.len());
        ends.chain(before).fold(0, usize::saturating_add)
    }
}

/// Makes the transaction of these terms and contributions.
pub fn assemble(
    deployment: &Deployment,
    terms: Terms,
    contributions: Vec<Contribution>,
) -> Result<Assembly, Error> {
    check_shape(&terms, &contributions)?;
    let mut draft = Draft::default();
    draft.depend_on_channels(deployment, !terms.ends.is_empty());
    spend(&mut draft, &terms, &contributions, deployment)?;
    let channels = open(&mut draft, &terms, &contributions, deployment)?;
    for (party, contribution) in contributions.iter().enumerate() {
        for change in &contribution.change {
            draft.makes.push(change_cell(party, change, deployment)?);
            if let Some((token, _)) = change.token {
                draft.depend_on(&deployment.token(&token)?.deps);
            }
        }
    }
    Ok(Assembly { tx: draft.build().tx, channels, terms, contributions })
}

fn check_shape(terms: &Terms, contributions: &[Contribution]) -> Result<(), Error> {
    let fault = |party, fault| Err(Error::Contribution { party, fault });
    for (party, contribution) in contributions.iter().enumerate() {
        if !contribution.is_bounded() {
            return fault(party, Fault::TooLong);
        }
        let joined = terms.channels.iter().filter(|channel| seat(channel, party).is_some());
        if joined.count() != contribution.reserves.len() {
            return fault(party, Fault::Reserves);
        }
    }
    let seats = terms
        .channels
        .iter()
        .map(|channel| channel.parties.iter().map(|party| party.contribution).collect::<Vec<_>>());
    for mut seats in seats.chain(terms.ends.iter().map(|end| end.parties.clone())) {
        seats.sort_unstable();
        let known = seats.last().is_none_or(|last| *last < contributions.len());
        let count = seats.len();
        seats.dedup();
        if !known || seats.len() != count {
            return Err(Error::Malformed("list of parties"));
        }
    }
    let fits = |end: &Ending| end.parties.len() == end.contract.setup().identities().len();
    if terms.ends.iter().all(fits) { Ok(()) } else { Err(Error::Malformed("list of parties")) }
}

/// The position of a contribution's participant in a channel.
pub(super) fn seat(channel: &ChannelTerms, contribution: usize) -> Option<usize> {
    channel.parties.iter().position(|party| party.contribution == contribution)
}

fn spend(
    draft: &mut Draft,
    terms: &Terms,
    contributions: &[Contribution],
    deployment: &Deployment,
) -> Result<(), Error> {
    let channels = terms.ends.iter().map(|end| end.live.cell().clone());
    let vaults = terms.ends.iter().flat_map(|end| end.live.vaults());
    let vaults = vaults.map(|(_, cell)| cell.clone());
    draft.spends.extend(channels.chain(vaults).map(Spend::now));
    for end in &terms.ends {
        for (_, token, _) in end.contract.token_rows() {
            draft.depend_on(&deployment.token(&token)?.deps);
        }
    }
    for contribution in contributions {
        draft.depend_on(&contribution.deps);
        for input in &contribution.inputs {
            // The cell's content is looked up when the assembly is checked; the transaction names
            // it by its place only.
            let cell = Cell {
                out_point: input.out_point.clone(),
                output: CellOutput::default(),
                data: Bytes::new(),
            };
            draft.spends.push(Spend { cell, since: input.since });
        }
    }
    Ok(())
}

fn open(
    draft: &mut Draft,
    terms: &Terms,
    contributions: &[Contribution],
    deployment: &Deployment,
) -> Result<Vec<OpenedChannel>, Error> {
    let first = draft.spends.first().ok_or(Error::Malformed("contribution with an input"))?;
    let first = CellInput::new(first.cell.out_point.clone(), first.since);
    let first: [u8; 44] =
        first.as_slice().try_into().map_err(|_| Error::Malformed("first input"))?;
    let mut opened = Vec::new();
    for (output, channel) in terms.channels.iter().enumerate() {
        let setup = setup(channel, terms, contributions, origin(&first, output), deployment)?;
        let payouts = payees(channel, contributions).map(|it| it.payout.clone()).collect();
        let contract = Contract::new(setup, payouts)?;
        let outcome =
            Allocation::new(channel.assets.clone(), channel.balances.clone(), Vec::new())?;
        let state = State::initial(contract.id(), outcome);
        let everyone = (1u32.checked_shl(u32::try_from(channel.parties.len()).unwrap_or(32)))
            .and_then(|bit| bit.checked_sub(1))
            .ok_or(Error::Malformed("list of parties"))?;
        draft.makes.push(funded_cell(&contract, &state, everyone, deployment)?);
        let action =
            Action::Create { setup: contract.setup().clone(), body: StateBody::of(&state) };
        draft.witness(output).output_type = Some(action.to_bytes());
        let output = u32::try_from(output).map_err(|_| Error::Malformed("list of channels"))?;
        opened.push(OpenedChannel { contract, state, output });
    }
    for channel in &opened {
        draft.makes.extend(vault_cells(&channel.contract, deployment)?);
        for (_, token, _) in channel.contract.token_rows() {
            draft.depend_on(&deployment.token(&token)?.deps);
        }
    }
    Ok(opened)
}

fn payees<'a>(
    channel: &'a ChannelTerms,
    contributions: &'a [Contribution],
) -> impl Iterator<Item = &'a Contribution> {
    channel.parties.iter().filter_map(|party| contributions.get(party.contribution))
}

fn setup(
    channel: &ChannelTerms,
    terms: &Terms,
    contributions: &[Contribution],
    origin: [u8; 32],
    deployment: &Deployment,
) -> Result<Setup, Error> {
    let mut payees = Vec::new();
    for party in &channel.parties {
        let contribution = contributions.get(party.contribution);
        let contribution = contribution.ok_or(Error::Malformed("list of parties"))?;
        let reserve = reserve_of(terms, channel, party.contribution, contribution);
        payees.push(Payee { payout: &contribution.payout, reserve });
    }
    let tokens: Vec<[u8; 32]> = channel.assets.iter().filter_map(Asset::ckb_type_hash).collect();
    let vaults = checked_vaults(deployment, &tokens, &payees)?.map_err(|seat| {
        let party = channel.parties.get(seat).map_or(seat, |party| party.contribution);
        Error::Contribution { party, fault: Fault::Payout }
    })?;
    let rows = rows(&channel.assets, &channel.balances, vaults)?;
    let participants = channel.parties.iter().map(|party| {
        let contribution = contributions.get(party.contribution);
        let contribution = contribution.ok_or(Error::Malformed("list of parties"))?;
        let reserve = reserve_of(terms, channel, party.contribution, contribution);
        let identity = CkbParticipant {
            consents_by_presence: contribution.consents_by_presence,
            lends_fee: contribution.lends_fee,
            payout_lock: script_hash(&contribution.payout),
            owner_lock: script_hash(&contribution.owner),
            reserve,
        };
        Ok(Participant::new(party.address, identity.to_foreign())?)
    });
    let participants = participants.collect::<Result<_, Error>>()?;
    Ok(Setup::new(origin, deployment.chain(), channel.challenge_secs, participants, rows)?)
}

/// The reserve that a contribution names for this channel: its n-th, if this is its n-th channel.
fn reserve_of(
    terms: &Terms,
    channel: &ChannelTerms,
    party: usize,
    contribution: &Contribution,
) -> u64 {
    let joined = terms.channels.iter().filter(|channel| seat(channel, party).is_some());
    let reserves = joined.zip(&contribution.reserves);
    let own = reserves.into_iter().find(|(joined, _)| std::ptr::eq(*joined, channel));
    own.map_or(0, |(_, reserve)| *reserve)
}

/// The rows of a channel with these assets and balances, and these capacities of its vaults.
fn rows(assets: &[Asset], balances: &[Vec<Amount>], vaults: Vec<u64>) -> Result<Vec<Row>, Error> {
    if assets.len() != balances.len() {
        return Err(Error::Invalid(perun_channel::Invalid::BalanceShape));
    }
    let mut vaults = vaults.into_iter();
    let rows = assets.iter().zip(balances).map(|(asset, balances)| {
        let total = Amount::checked_sum(balances.iter().copied()).ok_or(Error::Amount)?;
        let is_token = asset.ckb_type_hash().is_some();
        let vault_capacity = if is_token { vaults.next().ok_or(Error::Amount)? } else { 0 };
        Ok(Row { asset: asset.clone(), total, vault_capacity })
    });
    rows.collect()
}

fn change_cell(party: usize, change: &Change, deployment: &Deployment) -> Result<Made, Error> {
    let lock = change.lock.clone();
    let Some((token, amount)) = change.token else {
        return Ok(Made::plain(lock, change.capacity));
    };
    let known = deployment.token(&token);
    let kind = known.map_err(|_| Error::Contribution { party, fault: Fault::Change })?;
    Ok(Made::token(lock, kind.script.clone(), change.capacity, amount))
}
