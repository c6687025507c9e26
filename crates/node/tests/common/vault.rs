//! A ledger in memory where each side deposits for itself. It checks every signature, tells what it
//! was told, and publishes the signatures of what is registered; it counts no rights to register,
//! and the challenge of a registration ends once.
#![allow(dead_code, reason = "each story uses its part")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use perun_channel::swap::Swap;
use perun_channel::{
    Address, Allocation, Amount, Asset, BackendId, ChannelId, LedgerId, Params, Signature, State,
};
use perun_node::{DepositLedger, Ledger, LedgerError, OpenRequest, Signer, entropy};
use perun_protocol::{
    Agreed, Decision, Index, LedgerBytes, LedgerTime, Plan, Preimage, Sighting, Slot, Standing,
    Target, Terms,
};

pub(crate) const VAULT: LedgerId = LedgerId::new(BackendId::ETHEREUM, 77);

pub(crate) fn ether() -> Asset {
    Asset::ethereum(VAULT.chain(), Address::new([0xee; 20]))
}

/// What everybody sees.
#[derive(Default)]
pub(crate) struct Books {
    pub(crate) now: u64,
    pub(crate) accounts: BTreeMap<ChannelId, Account>,
    /// What each side's wallet gained or lost.
    pub(crate) wallets: [i128; 2],
    /// Whose deposits do not arrive.
    pub(crate) withholds: [bool; 2],
    /// Who cannot read the clock.
    pub(crate) has_no_clock: [bool; 2],
}

#[derive(Default)]
pub(crate) struct Account {
    initial: Option<State>,
    held: [Option<u128>; 2],
    pub(crate) registered: Option<(State, u64, [Signature; 2])>,
    paid: Option<(State, Option<Preimage>)>,
}

/// One side's way to it.
pub(crate) struct Vault {
    books: Arc<Mutex<Books>>,
    watched: BTreeSet<(ChannelId, Index)>,
    told: BTreeMap<ChannelId, Sighting>,
}

impl Vault {
    pub(crate) fn new(books: &Arc<Mutex<Books>>) -> Self {
        Self { books: books.clone(), watched: BTreeSet::new(), told: BTreeMap::new() }
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap()
    }
}

/// What a state gives each side here.
fn shares(outcome: &Allocation) -> [u128; 2] {
    let rows = outcome.assets().iter().zip(outcome.balances());
    let ours = rows.filter(|(asset, _)| asset.ledger() == VAULT);
    ours.fold([0; 2], |sums, (_, row)| [0, 1].map(|side| sums[side] + row[side].get()))
}

fn pending(state: &State) -> Option<Swap> {
    Swap::pending(state).unwrap()
}

/// When the legs that are on this ledger have expired.
fn expiry(state: &State) -> Option<u64> {
    pending(state)?.expiry(state.outcome(), |asset| asset.ledger() == VAULT)
}

fn no<T>(why: &str) -> Result<T, LedgerError> {
    Err(LedgerError::Refused(why.into()))
}

/// Both signatures in order, each checked.
fn proven(
    target: &Target,
    agreed: &Agreed,
    sign: Signer<'_>,
) -> Result<[Signature; 2], LedgerError> {
    let Some(proof) = &agreed.proof else { return no("version 0 must be signed here") };
    let digest = agreed.state.digest();
    let mut signatures = [sign(&digest), proof.signature];
    if target.index == Index::One {
        signatures.reverse();
    }
    for (signature, participant) in signatures.iter().zip(target.params.participants()) {
        let checked = signature.verify(&digest, participant.address());
        checked.map_err(|error| LedgerError::Refused(error.to_string()))?;
    }
    Ok(signatures)
}

impl Books {
    pub(crate) fn register(&mut self, params: &Params, state: &State, signatures: [Signature; 2]) {
        let (now, until) = (self.now, self.now + params.challenge_secs());
        let account = self.accounts.entry(params.id()).or_default();
        let until = match &account.registered {
            _ if account.paid.is_some() => return,
            None => until,
            Some((old, until, _)) if state.version() > old.version() && now < *until => *until,
            Some(_) => return,
        };
        account.registered = Some((state.clone(), until, signatures));
    }

    fn pay(&mut self, id: ChannelId, state: &State, preimage: Option<Preimage>) {
        let account = self.accounts.entry(id).or_default();
        if account.paid.replace((state.clone(), preimage)).is_some() {
            return;
        }
        let held = account.held.map(Option::unwrap_or_default);
        let swap = pending(state).filter(|_| preimage.is_some());
        let due = shares(&swap.map_or_else(
            || state.outcome().clone(),
            |swap| swap.applied(state.outcome(), |asset| asset.ledger() == VAULT).unwrap(),
        ));
        let is_whole = held[0] + held[1] >= due[0] + due[1];
        for (wallet, paid) in self.wallets.iter_mut().zip(if is_whole { due } else { held }) {
            *wallet += i128::try_from(paid).unwrap();
        }
    }

    fn standing(&self, id: ChannelId, index: Index) -> Standing {
        let Some(account) = self.accounts.get(&id) else { return Standing::Absent };
        if let Some((state, preimage)) = &account.paid {
            let (state, preimage) = (state.clone(), *preimage);
            return Standing::Concluded { state, unpaid: 0, preimage };
        }
        if let Some((state, until, proof)) = &account.registered {
            let state = state.clone();
            let rows = state.outcome().assets().iter().enumerate();
            let ours = rows.filter(|(_, asset)| asset.ledger() == VAULT);
            let unpaid = ours.fold(0, |mask, (row, _)| mask | (1 << row));
            let by = Slot { participant: index.other(), delegate: false };
            let (until, now) = (LedgerTime::new(*until), LedgerTime::new(self.now));
            let is_over = until <= now && expiry(&state).is_none();
            return match is_over {
                true => Standing::Concluded { state, unpaid, preimage: None },
                false => Standing::Registered { state, by, until, proof: Some(*proof) },
            };
        }
        let due = account.initial.as_ref().map(|initial| shares(initial.outcome()));
        let whole = |due: [u128; 2]| {
            due.iter().zip(account.held).all(|(due, held)| *due == held.unwrap_or_default())
        };
        if due.is_some_and(whole) { Standing::Open } else { Standing::Absent }
    }
}

impl Ledger for Vault {
    fn id(&self) -> LedgerId {
        VAULT
    }
    fn release_funds(&mut self, _: &LedgerBytes) -> Result<(), LedgerError> {
        Ok(())
    }
    fn watch(&mut self, target: &Target) -> Result<(), LedgerError> {
        self.watched.insert((target.id, target.index));
        self.told.remove(&target.id);
        Ok(())
    }
    fn close(
        &mut self,
        target: &Target,
        agreed: &Agreed,
        _: u32,
        sign: Signer<'_>,
    ) -> Result<(), LedgerError> {
        proven(target, agreed, sign)?;
        self.books().pay(target.id, &agreed.state, None);
        Ok(())
    }
    fn register(
        &mut self,
        target: &Target,
        agreed: &Agreed,
        _: Slot,
        _: u32,
        sign: Signer<'_>,
    ) -> Result<(), LedgerError> {
        let signatures = proven(target, agreed, sign)?;
        self.books().register(&target.params, &agreed.state, signatures);
        Ok(())
    }
    fn conclude(
        &mut self,
        target: &Target,
        _: &State,
        decision: Option<Decision>,
        _: u32,
    ) -> Result<(), LedgerError> {
        let mut books = self.books();
        let now = books.now;
        let account = books.accounts.get(&target.id);
        let registered = account.and_then(|account| account.registered.clone());
        let Some((state, ..)) = registered.filter(|(_, until, _)| *until <= now) else {
            return no("the challenge is not over");
        };
        let preimage = match (expiry(&state), decision) {
            (None, None) => None,
            (Some(_), Some(Decision::Claim { preimage }))
                if pending(&state).unwrap().opened_by(preimage.as_bytes()) =>
            {
                Some(preimage)
            }
            (Some(expiry), Some(Decision::Refund {})) if now >= expiry => None,
            _ => return no("the swap is not decided like this"),
        };
        books.pay(target.id, &state, preimage);
        Ok(())
    }
    fn withdraw(
        &mut self,
        target: &Target,
        _: &State,
        _: u32,
        _: u32,
        _: Signer<'_>,
    ) -> Result<(), LedgerError> {
        let registered = self.books().accounts.get(&target.id).and_then(|it| it.registered.clone());
        let Some((state, ..)) = registered else { return no("nothing is registered") };
        self.conclude(target, &state, None, 0)
    }
    fn sync(&mut self) -> Result<Vec<Sighting>, LedgerError> {
        let mut news = Vec::new();
        for (channel, index) in self.watched.clone() {
            let standing = self.books().standing(channel, index);
            let sighting = Sighting { ledger: VAULT, channel, standing, confirmed: true };
            if self.told.insert(channel, sighting.clone()).as_ref() != Some(&sighting) {
                news.push(sighting);
            }
        }
        Ok(news)
    }
    fn clock(&mut self) -> Result<LedgerTime, LedgerError> {
        let side = self.watched.first().map_or(0, |(_, index)| index.column());
        let books = self.books();
        match books.has_no_clock[side] {
            true => Err(LedgerError::Unavailable("the clock has stopped".into())),
            false => Ok(LedgerTime::new(books.now)),
        }
    }
}

impl DepositLedger for Vault {
    fn offer(
        &mut self,
        _: Address,
        _: &OpenRequest,
    ) -> Result<(LedgerBytes, LedgerBytes), LedgerError> {
        Ok((LedgerBytes::default(), drawn()))
    }
    fn answer(&mut self, _: Address, _: &Terms) -> Result<LedgerBytes, LedgerError> {
        Ok(drawn())
    }
    fn place(&mut self, _: &Plan, params: &Params, _: &State) -> Result<LedgerBytes, LedgerError> {
        Ok(LedgerBytes::new(params.id().as_bytes().to_vec()).unwrap())
    }
    fn deposit(
        &mut self,
        target: &Target,
        initial: &State,
        _: &LedgerBytes,
        _: Signer<'_>,
    ) -> Result<(), LedgerError> {
        let side = target.index.column();
        let due = shares(initial.outcome())[side];
        let mut books = self.books();
        let arrives = !books.withholds[side];
        let account = books.accounts.entry(target.id).or_default();
        account.initial = Some(initial.clone());
        if arrives && account.held[side].is_none() && account.paid.is_none() {
            account.held[side] = Some(due);
            books.wallets[side] -= i128::try_from(due).unwrap();
        }
        Ok(())
    }
}

fn drawn() -> LedgerBytes {
    let drawn: [u8; 32] = entropy().unwrap();
    LedgerBytes::new(drawn.to_vec()).unwrap()
}

/// What each side brings.
pub(crate) fn amounts(balances: [u64; 2]) -> Vec<Amount> {
    balances.map(|balance| Amount::new(u128::from(balance))).to_vec()
}
