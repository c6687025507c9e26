//! A ledger that only states facts: it takes what is submitted, follows the rules of a dispute, and
//! shows how each channel stands.

use std::collections::{BTreeMap, BTreeSet};

use perun_channel::hash::keccak256;
use perun_channel::{Amount, BackendId, ChannelId, LedgerId, Params, State};
use perun_protocol::{
    Agreed, Assembly, Digest, Effect, Funding, LedgerBytes, LedgerTime, PerLedger, Place, Plan,
    Reply, Sighting, Slot, Standing, Transaction, TransactionId,
};

use crate::pair::CHALLENGE;
use crate::rules;

/// The ledger that takes one transaction of both sides.
pub(crate) const JOINT: LedgerId = LedgerId::new(BackendId::CKB, 1);

pub(crate) struct Ledger {
    pub(crate) now: LedgerTime,
    pub(crate) channels: BTreeMap<ChannelId, Entry>,
    /// Submissions are lost while this is set.
    pub(crate) is_deaf: bool,
    /// Rows that a conclusion leaves unpaid.
    pub(crate) unpaid: u32,
    /// The backend cannot build transactions.
    pub(crate) cannot_build: bool,
    /// The backend builds something else than planned.
    pub(crate) bends: bool,
    watching: [BTreeSet<ChannelId>; 2],
    seen: BTreeMap<(usize, ChannelId), Standing>,
}

pub(crate) struct Entry {
    pub(crate) standing: Standing,
    predecessor: Option<ChannelId>,
    pub(crate) initial: State,
    used: Vec<Slot>,
}

impl Ledger {
    pub(crate) fn new() -> Self {
        Self {
            now: LedgerTime::new(50_000),
            channels: BTreeMap::new(),
            is_deaf: false,
            unpaid: 0,
            cannot_build: false,
            bends: false,
            watching: [BTreeSet::new(), BTreeSet::new()],
            seen: BTreeMap::new(),
        }
    }

    /// Builds the one transaction that a plan implies.
    pub(crate) fn assemble(&mut self, plan: &Plan) -> Reply {
        if self.cannot_build {
            return Reply::AssemblyFailed;
        }
        let [zero, one] = &plan.contributions;
        let before = plan.predecessor.clone().unwrap_or_default();
        let [zero, one] = [zero.get(0).unwrap(), one.get(0).unwrap()];
        let parts = [zero.as_bytes(), one.as_bytes(), before.as_bytes()];
        let transaction = keccak256(&parts);
        let nonce = keccak256(&[&transaction]);
        let params = Params::new(plan.challenge_secs, nonce, plan.participants.to_vec()).unwrap();
        let mut outcome = plan.outcome.clone();
        if self.bends {
            outcome = outcome.transfer(0, 1, 0, Amount::new(1)).unwrap();
        }
        let id = params.id();
        let initial = State::initial(id, outcome);
        let predecessor = before.as_bytes().try_into().ok().map(ChannelId::new);
        self.channels.entry(id).or_insert_with(|| Entry {
            standing: Standing::Absent,
            predecessor,
            initial: initial.clone(),
            used: Vec::new(),
        });
        Reply::Assembled(Assembly {
            params,
            initial,
            places: PerLedger::one(Place {
                ledger: JOINT,
                funding: Funding::Joint {},
                setup: LedgerBytes::new(id.as_bytes().to_vec()).unwrap(),
            }),
            joint: Some(Transaction {
                ledger: JOINT,
                channel: id,
                id: TransactionId::new(transaction),
                abort: LedgerBytes::default(),
                consent: predecessor.map(|_| Digest::new(keccak256(&[b"consent", &transaction]))),
            }),
        })
    }

    pub(crate) fn submit(&mut self, place: usize, effect: &Effect) {
        if let Effect::Watch(target) = effect {
            self.watching[place].insert(target.id);
            self.seen.remove(&(place, target.id));
        }
        if self.is_deaf {
            return;
        }
        let now = self.now;
        match effect {
            Effect::SubmitAssembly { transaction, .. } => self.create(transaction),
            Effect::AbortOpen { transaction } => {
                self.change(&transaction.channel, |entry| match entry.standing {
                    Standing::Absent => Some(Standing::Impossible),
                    _ => None,
                });
            }
            Effect::SubmitClose { target, agreed, .. } => {
                assert!(agreed.state.is_final() && agreed.proof.is_some());
                let state = agreed.state.clone();
                self.change(&target.id, |entry| match entry.standing {
                    Standing::Open | Standing::Registered { .. } => {
                        Some(Standing::Closed { state })
                    }
                    _ => None,
                });
            }
            Effect::Register { target, agreed, slot, .. } => {
                self.register(&target.id, agreed, slot);
            }
            Effect::Conclude { target, state, decision, .. } => {
                let (state, unpaid) = (state.clone(), self.unpaid);
                self.change(&target.id, |entry| match &entry.standing {
                    Standing::Registered { state: held, until, .. }
                        if *held == state && *until <= now =>
                    {
                        let preimage = rules::decide(JOINT, &state, *decision, now)?;
                        Some(Standing::Concluded { state, unpaid, preimage })
                    }
                    _ => None,
                });
            }
            Effect::Withdraw { target, state, .. } => {
                let state = state.clone();
                let paid = if self.unpaid == 0 { 0 } else { self.unpaid };
                self.change(&target.id, |entry| match &entry.standing {
                    Standing::Concluded { unpaid, preimage, .. } if *unpaid != 0 => {
                        let preimage = *preimage;
                        Some(Standing::Concluded { state, unpaid: paid, preimage })
                    }
                    _ => None,
                });
            }
            _ => {}
        }
    }

    fn create(&mut self, transaction: &Transaction) {
        let id = transaction.channel;
        let Some(predecessor) = self.channels.get(&id).map(|entry| entry.predecessor) else {
            return;
        };
        if self.channels[&id].standing != Standing::Absent {
            return;
        }
        if let Some(old) = predecessor {
            if self.channels[&old].standing != Standing::Open {
                return;
            }
            let transaction = transaction.id;
            self.change(&old, |_| Some(Standing::Spent { transaction }));
        }
        self.change(&id, |_| Some(Standing::Open));
    }

    /// Registers a strictly newer state, once per slot; the challenge begins again.
    pub(crate) fn register(&mut self, id: &ChannelId, agreed: &Agreed, slot: &Slot) {
        let until = LedgerTime::new(self.now.get() + CHALLENGE);
        let (state, by) = (agreed.state.clone(), slot.clone());
        self.change(id, |entry| {
            let is_newer = match &entry.standing {
                Standing::Open => true,
                Standing::Registered { state: held, .. } => state.version() > held.version(),
                _ => false,
            };
            let vouched = agreed.proof.is_some() || state == entry.initial;
            if !is_newer || !vouched || entry.used.contains(&by) {
                return None;
            }
            entry.used.push(by.clone());
            Some(Standing::Registered { state, by, until, proof: None })
        });
        let spent: Vec<ChannelId> = self.channels.keys().copied().collect();
        for successor in spent {
            // The resize's transaction spent what the registration has spent now.
            self.change(&successor, |entry| {
                let gone = entry.predecessor == Some(*id) && entry.standing == Standing::Absent;
                gone.then_some(Standing::Impossible)
            });
        }
    }

    pub(crate) fn change(
        &mut self,
        id: &ChannelId,
        change: impl FnOnce(&mut Entry) -> Option<Standing>,
    ) {
        if let Some(entry) = self.channels.get_mut(id)
            && let Some(standing) = change(entry)
        {
            entry.standing = standing;
        }
    }

    /// What the nodes have not seen yet.
    pub(crate) fn news(&mut self) -> Vec<(usize, Sighting)> {
        let mut news = Vec::new();
        for place in 0..2 {
            for channel in &self.watching[place] {
                let Some(entry) = self.channels.get(channel) else { continue };
                let standing = entry.standing.clone();
                if self.seen.insert((place, *channel), standing.clone()) != Some(standing.clone()) {
                    news.push((
                        place,
                        Sighting { ledger: JOINT, channel: *channel, standing, confirmed: true },
                    ));
                }
            }
        }
        news
    }

    /// When the next challenge ends.
    pub(crate) fn due(&self) -> Option<LedgerTime> {
        let ends = self.channels.values().flat_map(|entry| match &entry.standing {
            Standing::Registered { state, until, .. } => rules::moments(JOINT, state, *until),
            _ => vec![],
        });
        ends.filter(|end| *end > self.now).min()
    }
}

/// The witness of a node's locks.
pub(crate) fn own_witness(place: usize) -> LedgerBytes {
    LedgerBytes::new(vec![0xa0 + u8::try_from(place).unwrap(); 20]).unwrap()
}
