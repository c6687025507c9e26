//! What must hold before a shared transaction is signed, and before it is sent.
//!
//! [`Assembly::check`] looks at every party's cells: live, plain, its own, and worth exactly its
//! share, its change and its fee. Only a [`Checked`] transaction can be signed. The invariant:
//! after signing, no choice of witnesses by others can change what we get, since witnesses move no
//! money.

use super::assemble::{Assembly, OpenedChannel, seat};
use super::contribution::{Contribution, INPUTS_MAX};
use crate::deployment::Deployment;
use crate::money::{add, capacity_of, is_plain, script_hash, sum_amounts, token_in};
use crate::precheck::{check_money, is_vault_lock, precheck};
use crate::rpc::{Cell, Rpc, View};
use crate::tx::Resolved;
use crate::wallet::{LockWitness, Wallet, fill, sign_inputs};
use crate::{Error, Fault};
use ckb_types::{
    core::{HeaderView, ScriptHashType},
    packed::Script,
    prelude::*,
};
use perun_channel::Signature;
use perun_channel::adjudicator::{Action, Consent, WitnessArgs, WitnessField, consent_digest};
use perun_channel::codec::Encode;
use std::collections::{BTreeMap, BTreeSet};

/// A shared transaction that gives every party what was agreed.
#[derive(Clone, Debug)]
pub struct Checked {
    assembly: Assembly,
    spent: Resolved,
    own: usize,
}

/// A shared transaction with everybody's witnesses, judged and dry-run.
#[derive(Clone, Debug)]
pub struct Completed {
    /// The transaction and the cells it spends.
    pub spent: Resolved,
    /// The cycles that its scripts take.
    pub cycles: u64,
}

impl Assembly {
    /// Reads the spent cells from the node and checks them. `own` is the position of our
    /// contribution, `ours` that contribution as we sent it.
    pub fn read(
        self,
        rpc: &dyn Rpc,
        deployment: &Deployment,
        own: usize,
        ours: &Contribution,
    ) -> Result<Checked, Error> {
        let tip = rpc.tip_header()?;
        let mut cells = Vec::new();
        for out_point in self.tx.input_pts_iter() {
            cells.push(rpc.live_cell(&out_point, View::Chain)?);
        }
        let checked = self.check(deployment, own, ours, cells, &tip)?;
        checked.spent.prove(rpc)?;
        Ok(checked)
    }

    /// Checks the spent cells, in the order of the inputs; nothing stands for one that is not live.
    pub fn check(
        self,
        deployment: &Deployment,
        own: usize,
        ours: &Contribution,
        cells: Vec<Option<Cell>>,
        tip: &HeaderView,
    ) -> Result<Checked, Error> {
        if self.contributions.get(own) != Some(ours) {
            return Err(Error::Contribution { party: own, fault: Fault::Changed });
        }
        self.check_owners()?;
        let inputs = self.live_inputs(cells)?;
        for party in 0..self.contributions.len() {
            let cells = self.inputs_of(party, &inputs);
            let checked = self.check_party(party, cells, tip, deployment);
            checked.map_err(|error| named(party, error))?;
        }
        self.check_ends()?;
        let spent = Resolved { tx: self.tx.clone(), inputs };
        check_money(&spent, deployment)?;
        // A channel ends only with consents to this very transaction; those are judged when they
        // are in.
        if self.terms.ends.is_empty() {
            precheck(&spent, deployment)?;
        }
        Ok(Checked { assembly: self, spent, own })
    }

    /// No input stands twice, and no party names another's lock, neither as its own nor to be paid
    /// to: what one says of a lock, that it lends no fee above all, would hold for the other.
    fn check_owners(&self) -> Result<(), Error> {
        let mut locks = BTreeSet::new();
        let mut places = BTreeSet::new();
        for end in &self.terms.ends {
            places.extend(end.live.out_points().map(|it| it.as_slice().to_vec()));
        }
        for (party, contribution) in self.contributions.iter().enumerate() {
            let named = [&contribution.owner, &contribution.payout].map(script_hash);
            if named.iter().any(|lock| locks.contains(lock)) {
                return Err(Error::Contribution { party, fault: Fault::NotItsOwn });
            }
            locks.extend(named);
            for input in &contribution.inputs {
                if !places.insert(input.out_point.as_slice().to_vec()) {
                    return Err(Error::Contribution { party, fault: Fault::Twice });
                }
            }
        }
        Ok(())
    }

    fn live_inputs(&self, cells: Vec<Option<Cell>>) -> Result<Vec<Cell>, Error> {
        let expected: Vec<_> = self.tx.input_pts_iter().collect();
        let live = cells.into_iter().enumerate().map(|(position, cell)| {
            let party = self.party_of(position);
            let cell = cell.filter(|cell| Some(&cell.out_point) == expected.get(position));
            cell.ok_or(Error::Contribution { party, fault: Fault::NotLive })
        });
        let live = live.collect::<Result<Vec<_>, _>>()?;
        if live.len() != expected.len() {
            return Err(Error::Malformed("list of spent cells"));
        }
        Ok(live)
    }

    fn party_of(&self, input: usize) -> usize {
        let parties = 0..self.contributions.len();
        parties.rev().find(|party| self.first_input(*party) <= input).unwrap_or(0)
    }

    fn inputs_of<'a>(&self, party: usize, inputs: &'a [Cell]) -> &'a [Cell] {
        let count = self.contributions.get(party).map_or(0, |it| it.inputs.len());
        let first = self.first_input(party);
        inputs.get(first..first.saturating_add(count)).unwrap_or_default()
    }

    fn check_party(
        &self,
        party: usize,
        cells: &[Cell],
        tip: &HeaderView,
        deployment: &Deployment,
    ) -> Result<(), Problem> {
        let contribution = self.contributions.get(party).ok_or(Fault::TooLong)?;
        for (cell, input) in cells.iter().zip(&contribution.inputs) {
            if cell.output.lock().as_slice() != contribution.owner.as_slice() {
                return Err(Fault::WrongLock.into());
            }
            let known = |(token, _)| deployment.token(&token).is_ok();
            if !is_plain(cell) && !token_in(cell).is_some_and(known) {
                return Err(Fault::NotPlain.into());
            }
            if !is_past(input.since, tip) {
                return Err(Fault::Since.into());
            }
        }
        let receives = |lock| can_be_made(lock) && !is_vault_lock(lock, deployment);
        if !contribution.change.iter().all(|it| receives(&it.lock)) {
            return Err(Fault::Change.into());
        }
        if !receives(&contribution.payout) {
            return Err(Fault::Payout.into());
        }
        let (spent, gained) = self.credit(party, cells)?;
        let (made, kept) = self.debit(party, contribution)?;
        if spent != made {
            return Err(Fault::Capacity.into());
        }
        if gained != kept { Err(Fault::Token.into()) } else { Ok(()) }
    }

    /// What a party puts in: its cells, and its dues of channels that end.
    fn credit(&self, party: usize, cells: &[Cell]) -> Result<(u64, Tokens), Error> {
        let mut capacity = 0;
        let mut tokens = Tokens::new();
        for cell in cells {
            capacity = add(capacity, capacity_of(&cell.output))?;
            if let Some((token, amount)) = token_in(cell) {
                book(&mut tokens, token, amount)?;
            }
        }
        for end in &self.terms.ends {
            let dues = end.dues()?;
            for (_, due) in end.parties.iter().zip(dues).filter(|(seat, _)| **seat == party) {
                capacity = add(capacity, due.capacity)?;
                for due in due.tokens {
                    book(&mut tokens, due.token, due.amount)?;
                }
            }
        }
        Ok((capacity, tokens))
    }

    /// What a party gets: its shares of new channels, its change, and what it leaves as a fee.
    fn debit(&self, party: usize, contribution: &Contribution) -> Result<(u64, Tokens), Error> {
        let mut capacity = contribution.fee;
        let mut tokens = Tokens::new();
        for change in &contribution.change {
            capacity = add(capacity, change.capacity)?;
            if let Some((token, amount)) = change.token {
                book(&mut tokens, token, amount)?;
            }
        }
        for (terms, channel) in self.terms.channels.iter().zip(&self.channels) {
            let Some(seat) = seat(terms, party) else { continue };
            let OpenedChannel { contract, state, .. } = channel;
            capacity = add(capacity, crate::dispute::deposit(contract, state, seat)?)?;
            for (row, token, _) in contract.token_rows() {
                let amount = state.outcome().balance(row, seat).map_or(0, |it| it.get());
                book(&mut tokens, token, amount)?;
            }
        }
        Ok((capacity, tokens))
    }

    /// Channels that end hold what their states divide.
    fn check_ends(&self) -> Result<(), Error> {
        for end in &self.terms.ends {
            let wrong = Error::WrongCells(end.contract.id());
            if end.live.contents().id != end.contract.id() {
                return Err(wrong);
            }
            let held = std::iter::once(end.live.cell());
            let held = held.chain(end.live.vaults().iter().map(|(_, vault)| vault));
            let held = crate::money::sum(held.map(|cell| capacity_of(&cell.output)))?;
            let owed = crate::money::sum(end.dues()?.iter().map(|due| due.capacity))?;
            let rows = end.contract.token_rows().map(|(row, ..)| row);
            if held != owed || !rows.eq(end.live.vaults().iter().map(|(row, _)| *row)) {
                return Err(wrong);
            }
            end.contract.setup().state(perun_channel::adjudicator::StateBody::of(&end.state))?;
        }
        Ok(())
    }
}

/// Amounts by token; tokens of which there are none are left out.
type Tokens = BTreeMap<[u8; 32], u128>;

fn book(tokens: &mut Tokens, token: [u8; 32], amount: u128) -> Result<(), Error> {
    if amount != 0 {
        let sum = tokens.entry(token).or_default();
        *sum = sum_amounts([*sum, amount])?;
    }
    Ok(())
}

/// A fault of a party, or an error that is nobody's.
enum Problem {
    Fault(Fault),
    Error(Error),
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

fn named(party: usize, problem: Problem) -> Error {
    match problem {
        Problem::Fault(fault) => Error::Contribution { party, fault },
        Problem::Error(error) => error,
    }
}

/// Whether the chain lets cells under this lock be made. It refuses outputs of hash types that are
/// kept for later virtual machines: a channel that pays such a lock could never be left.
fn can_be_made(lock: &Script) -> bool {
    use ScriptHashType::{Data, Data1, Data2, Type};
    matches!(ScriptHashType::try_from(lock.hash_type()), Ok(Data | Type | Data1 | Data2))
}

/// Whether a time lock has run out at this block. Waiting relative to a cell is not for shared
/// transactions: nobody else can see when it ends.
fn is_past(since: u64, tip: &HeaderView) -> bool {
    const VALUE: u64 = 0x00ff_ffff_ffff_ffff;
    let value = since & VALUE;
    match since >> 56 {
        0x00 => value <= tip.number(),
        0x20 => {
            let until = ckb_types::core::EpochNumberWithFraction::from_full_value(value);
            until <= tip.epoch()
        }
        0x40 => value <= tip.timestamp() / 1_000,
        _ => false,
    }
}

impl Checked {
    /// The transaction as assembled.
    #[must_use]
    pub const fn assembly(&self) -> &Assembly {
        &self.assembly
    }

    /// The transaction with the cells that it spends, without lock witnesses.
    #[must_use]
    pub const fn spent(&self) -> &Resolved {
        &self.spent
    }

    /// What a session key signs to consent to the ends of channels in this transaction.
    #[must_use]
    pub fn consent_digest(&self, deployment: &Deployment) -> [u8; 32] {
        consent_digest(&deployment.env().channel_type, &self.assembly.hash())
    }

    /// Our witnesses. From here on the transaction can be committed without us: before these leave,
    /// everything that is needed to leave the channels must be stored.
    pub fn sign(&self, wallet: &dyn Wallet) -> Result<Vec<LockWitness>, Error> {
        let signed = sign_inputs(wallet, &self.spent)?;
        self.check_witnesses(self.own, &signed)?;
        Ok(signed)
    }

    /// Puts everybody's witnesses together. `witnesses` are by contribution; `consents` are each
    /// contributor's signature over [`Self::consent_digest`], needed if channels end.
    pub fn complete(
        &self,
        deployment: &Deployment,
        witnesses: &[Vec<LockWitness>],
        consents: &[Option<Signature>],
    ) -> Result<Resolved, Error> {
        if witnesses.len() != self.assembly.contributions.len() {
            return Err(Error::LockWitness);
        }
        let mut tx = self.spent.tx.clone();
        for (party, witnesses) in witnesses.iter().enumerate() {
            self.check_witnesses(party, witnesses)?;
            tx = fill(&tx, witnesses)?;
        }
        let tx = self.with_consents(tx, consents)?;
        let spent = Resolved { tx, inputs: self.spent.inputs.clone() };
        precheck(&spent, deployment)?;
        Ok(spent)
    }

    /// [`Self::complete`], and a dry run of all scripts at the node: the others' witnesses are
    /// good.
    pub fn dry_run(
        &self,
        rpc: &dyn Rpc,
        deployment: &Deployment,
        witnesses: &[Vec<LockWitness>],
        consents: &[Option<Signature>],
        rate_min: u64,
    ) -> Result<Completed, Error> {
        let spent = self.complete(deployment, witnesses, consents)?;
        let cycles = rpc.estimate_cycles(&spent.tx)?;
        spent.pays(cycles, rate_min)?;
        Ok(Completed { spent, cycles })
    }

    /// One witness, at the first input of the party's own group; nothing for who spends nothing.
    fn check_witnesses(&self, party: usize, witnesses: &[LockWitness]) -> Result<(), Error> {
        let contribution = self.assembly.contributions.get(party).ok_or(Error::LockWitness)?;
        let group = self.spent.inputs_under(&script_hash(&contribution.owner));
        let fits = match (witnesses, group.first()) {
            ([], None) => true,
            ([witness], Some(first)) => usize::from(witness.input) == *first,
            _ => false,
        };
        if fits && group.len() <= INPUTS_MAX { Ok(()) } else { Err(Error::LockWitness) }
    }

    fn with_consents(
        &self,
        tx: ckb_types::core::TransactionView,
        consents: &[Option<Signature>],
    ) -> Result<ckb_types::core::TransactionView, Error> {
        let mut witnesses: Vec<_> = tx.witnesses().into_iter().collect();
        let mut shown = BTreeSet::new();
        for (input, end) in self.assembly.terms.ends.iter().enumerate() {
            let given = end.parties.iter().map(|party| {
                let signature = consents.get(*party).copied().flatten();
                let signature = signature.ok_or(Error::Consent)?;
                // One signature of a party serves all its channels in the transaction.
                let address = end
                    .contract
                    .setup()
                    .addresses()
                    .nth(end.parties.iter().position(|seat| seat == party).unwrap_or_default());
                let again = !shown.insert((*party, address.copied()));
                Ok(if again { Consent::Shared } else { Consent::Signature(signature) })
            });
            let consents = given.collect::<Result<Vec<_>, Error>>()?;
            let action = Action::CoopSpend { setup: end.contract.setup().clone(), consents };
            let witness = witnesses.get_mut(input).ok_or(Error::Consent)?;
            let old = witness.raw_data();
            let args = WitnessArgs {
                lock: None,
                input_type: Some(action.to_bytes()),
                output_type: WitnessArgs::field(&old, WitnessField::OutputType).map(<[u8]>::to_vec),
            };
            *witness = args.serialize().pack();
        }
        Ok(tx.as_advanced_builder().set_witnesses(witnesses).build())
    }
}
