//! A ledger where each side deposits for itself, and where a registration is final once its
//! challenge is over. It counts no rights to register, and it publishes signatures.

use std::collections::{BTreeMap, BTreeSet};

use perun_channel::{Allocation, BackendId, ChannelId, LedgerId, Signature, State};
use perun_protocol::{Agreed, Decision, Effect, LedgerTime, Preimage, Sighting, Slot, Standing};

use crate::pair::{CHALLENGE, index};
use crate::rules;

/// That ledger.
pub(crate) const VAULT: LedgerId = LedgerId::new(BackendId::ETHEREUM, 7);

pub(crate) struct Vault {
    pub(crate) id: LedgerId,
    pub(crate) now: LedgerTime,
    /// Submissions are lost while this is set.
    pub(crate) is_deaf: bool,
    /// How much of each side's deposit arrives, in hundredths.
    pub(crate) pays: [u128; 2],
    /// What is in no block that counts yet.
    pub(crate) is_shallow: bool,
    pub(crate) books: BTreeMap<ChannelId, Book>,
    /// What each side's wallet gained or lost.
    pub(crate) wallets: [i128; 2],
    watching: [BTreeSet<ChannelId>; 2],
    seen: BTreeMap<(usize, ChannelId), Sighting>,
}

/// One channel's money and dispute.
#[derive(Clone, Default)]
pub(crate) struct Book {
    initial: Option<State>,
    /// What each side has put in, by row.
    pub(crate) held: [BTreeMap<usize, u128>; 2],
    pub(crate) registered: Option<(State, LedgerTime, [Signature; 2])>,
    pub(crate) paid: Option<(State, Option<Preimage>)>,
}

impl Vault {
    pub(crate) fn new(id: LedgerId) -> Self {
        Self {
            id,
            now: LedgerTime::new(900_000),
            is_deaf: false,
            pays: [100; 2],
            is_shallow: false,
            books: BTreeMap::new(),
            wallets: [0; 2],
            watching: [BTreeSet::new(), BTreeSet::new()],
            seen: BTreeMap::new(),
        }
    }

    /// The rows of a state that this ledger holds, with what each side has in them.
    fn rows(&self, outcome: &Allocation) -> Vec<(usize, [u128; 2])> {
        let rows = outcome.assets().iter().zip(outcome.balances()).enumerate();
        let ours = rows.filter(|(_, (asset, _))| asset.ledger() == self.id);
        ours.map(|(row, (_, balances))| (row, [0, 1].map(|side| balances[side].get()))).collect()
    }

    pub(crate) fn submit(&mut self, place: usize, effect: &Effect, own: Signature) {
        if let Effect::Watch(target) = effect {
            self.watching[place].insert(target.id);
            self.seen.remove(&(place, target.id));
        }
        if self.is_deaf {
            return;
        }
        match effect {
            Effect::Deposit { target, initial, .. } => self.deposit(place, target.id, initial),
            Effect::Register { target, agreed, .. } => {
                self.register(place, target.id, agreed, own);
            }
            Effect::SubmitClose { target, agreed, .. } => {
                assert!(agreed.state.is_final() && agreed.proof.is_some());
                self.pay(target.id, &agreed.state, None);
            }
            Effect::Conclude { target, decision, .. } => self.conclude(target.id, *decision),
            Effect::Withdraw { target, .. } => self.conclude(target.id, None),
            _ => {}
        }
    }

    /// Pays the registered state once its challenge is over, with what its swap needs.
    pub(crate) fn conclude(&mut self, id: ChannelId, decision: Option<Decision>) {
        let registered = self.book(id).registered.clone();
        let Some((state, ..)) = registered.filter(|(_, until, _)| *until <= self.now) else {
            return;
        };
        if let Some(preimage) = rules::decide(self.id, &state, decision, self.now) {
            self.pay(id, &state, preimage);
        }
    }

    pub(crate) fn book(&mut self, id: ChannelId) -> &mut Book {
        self.books.entry(id).or_default()
    }

    fn deposit(&mut self, place: usize, id: ChannelId, initial: &State) {
        let share = self.pays[place];
        let rows = self.rows(initial.outcome());
        let book = self.book(id);
        book.initial = Some(initial.clone());
        if book.paid.is_some() || !book.held[place].is_empty() {
            return;
        }
        book.held[place] = rows.iter().map(|(row, due)| (*row, due[place] * share / 100)).collect();
        let put: u128 = book.held[place].values().sum();
        self.wallets[place] -= i128::try_from(put).unwrap();
    }

    /// A strictly newer state, with everybody's signature; the challenge goes on.
    pub(crate) fn register(
        &mut self,
        place: usize,
        id: ChannelId,
        agreed: &Agreed,
        own: Signature,
    ) {
        let proof = agreed.proof.as_ref().expect("here version 0 must be signed as well");
        let mut signatures = [own, proof.signature];
        if place == 1 {
            signatures.reverse();
        }
        let (now, until) = (self.now, LedgerTime::new(self.now.get() + CHALLENGE));
        let book = self.book(id);
        let until = match &book.registered {
            _ if book.paid.is_some() => return,
            None => until,
            Some((state, until, _)) if agreed.state.version() > state.version() && now < *until => {
                *until
            }
            Some(_) => return,
        };
        book.registered = Some((agreed.state.clone(), until, signatures));
    }

    /// Pays what the state says, or gives every deposit of a row back that is not fully funded.
    fn pay(&mut self, id: ChannelId, state: &State, preimage: Option<Preimage>) {
        let rows = self.rows(&rules::paid(self.id, state, preimage.is_some()));
        let book = self.book(id);
        if book.paid.replace((state.clone(), preimage)).is_some() {
            return;
        }
        let book = book.clone();
        for (row, due) in rows {
            let held = [0, 1].map(|side| book.held[side].get(&row).copied().unwrap_or_default());
            let pays = if held[0] + held[1] >= due[0] + due[1] { due } else { held };
            for (wallet, paid) in self.wallets.iter_mut().zip(pays) {
                *wallet += i128::try_from(paid).unwrap();
            }
        }
    }

    fn standing(&self, place: usize, id: &ChannelId) -> Standing {
        let Some(book) = self.books.get(id) else { return Standing::Absent };
        if let Some((state, preimage)) = &book.paid {
            let (state, preimage) = (state.clone(), *preimage);
            return Standing::Concluded { state, unpaid: 0, preimage };
        }
        if let Some((state, until, proof)) = &book.registered {
            let state = state.clone();
            if *until <= self.now && !rules::has_legs(self.id, &state) {
                // Nothing can be registered any more: the outcome stands, and nobody is paid.
                let rows = self.rows(state.outcome());
                let unpaid = rows.iter().fold(0, |mask, (row, _)| mask | (1 << row));
                return Standing::Concluded { state, unpaid, preimage: None };
            }
            let by = Slot { participant: index(1 - place), delegate: false };
            return Standing::Registered { state, by, until: *until, proof: Some(*proof) };
        }
        let Some(initial) = &book.initial else { return Standing::Absent };
        let is_in = self.rows(initial.outcome()).iter().all(|(row, due)| {
            [0, 1]
                .iter()
                .all(|side| due[*side] == 0 || book.held[*side].get(row) == Some(&due[*side]))
        });
        if is_in { Standing::Open } else { Standing::Absent }
    }

    /// What the nodes have not seen yet.
    pub(crate) fn news(&mut self) -> Vec<(usize, Sighting)> {
        let mut news = Vec::new();
        for place in 0..2 {
            for channel in &self.watching[place] {
                let sighting = Sighting {
                    ledger: self.id,
                    channel: *channel,
                    standing: self.standing(place, channel),
                    confirmed: !self.is_shallow,
                };
                let known = self.seen.insert((place, *channel), sighting.clone());
                if known.as_ref() != Some(&sighting) {
                    news.push((place, sighting));
                }
            }
        }
        news
    }

    /// When the next challenge ends.
    pub(crate) fn due(&self) -> Option<LedgerTime> {
        let open = self.books.values().filter(|book| book.paid.is_none());
        let ends = open.flat_map(|book| match &book.registered {
            Some((state, until, _)) => rules::moments(self.id, state, *until),
            None => vec![],
        });
        ends.filter(|until| *until > self.now).min()
    }

    /// A reorganisation takes a side's deposit back.
    pub(crate) fn take_back(&mut self, side: usize) {
        for book in self.books.values_mut() {
            let held = core::mem::take(&mut book.held[side]);
            self.wallets[side] += i128::try_from(held.values().sum::<u128>()).unwrap();
        }
    }
}
