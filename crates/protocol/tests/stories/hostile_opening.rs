//! A go-perun peer with real keys that does what it likes while a channel is opened with it. Behind
//! it is a machine of ours, so that it comes far; what that says it repeats, holds back, or mixes
//! with words of its own.

use std::collections::BTreeSet;

use perun_channel::codec::Decode;
use perun_channel::{Allocation, Amount, Signature, State, Version};
use perun_protocol::{
    Body, Command, DeclineReason, Effect, Handover, Input, Message, PhaseName, Proof, Refusal,
    RejectReason, Reply,
};

use crate::goperun::{go_perun, terms_of};
use crate::keys::Keys;
use crate::net::Random;
use crate::pair::{Pair, money};

struct Intruder {
    random: Random,
    /// Which node it is; the other one is ours.
    place: usize,
    pair: Pair,
    /// Whether it said its signature over version 0.
    has_signed: bool,
}

impl Intruder {
    fn below(&mut self, end: u64) -> u64 {
        self.random.below(end)
    }

    fn sign(&self, state: &State) -> Signature {
        crate::goperun::signature(&self.pair, self.place, state)
    }

    /// Version 0, once somebody has built it.
    fn first(&mut self) -> Option<State> {
        let effects = self.pair.nodes[1 - self.place].effects.iter();
        let plan = effects.clone().find_map(|effect| match effect {
            Effect::Assemble(plan) => Some(plan.clone()),
            _ => None,
        })?;
        let Reply::Assembled(assembly) = self.pair.assemble(&plan) else { return None };
        Some(assembly.initial)
    }

    /// A word of its own.
    fn word(&mut self) -> Option<Body<Signature>> {
        let peer = self.pair.participant(self.place);
        let first = self.first();
        let reason = DeclineReason::User {};
        let contributions = || terms_of(&self.pair, [10, 10]).ledgers.map(|_| money(self.place));
        Some(match self.random.below(10) {
            0 => Body::Accept { participant: peer, contributions: contributions() },
            1 => {
                let participant = self.pair.participant(1 - self.place);
                Body::Accept { participant, contributions: contributions() }
            }
            2 => {
                let terms = terms_of(&self.pair, [u128::MAX - 1, 1]);
                Body::Propose { terms, contributions: contributions() }
            }
            3 if self.random.below(4) == 0 => Body::Decline { reason },
            4 => {
                self.has_signed = true;
                Body::Sign { signature: self.sign(&first?) }
            }
            5 => Body::Sign { signature: self.sign(&stolen(&first?, self.place)) },
            6 => {
                let state = stolen(&first?, self.place);
                let (payments, after) = (Default::default(), Handover::Keep {});
                Body::Update { signature: self.sign(&state), state, payments, after }
            }
            7 => {
                let version = Version::new(self.random.below(3));
                Body::Ack {
                    version,
                    wants_turn: false,
                    signature: self.sign(&stolen(&first?, self.place)),
                }
            }
            8 => {
                let version = Version::new(self.random.below(3));
                Body::Reject { version, reason: RejectReason::User {} }
            }
            _ => {
                let state = stolen(&first?, self.place);
                let mine = self.sign(&state);
                let (next_version, proof) = (Version::new(9), Some(Proof { mine, yours: mine }));
                Body::Sync { state, next_version, proof }
            }
        })
    }

    /// One step of the world.
    fn act(&mut self) {
        let ours = 1 - self.place;
        match self.below(12) {
            0..=2 => {
                if let Some(word) = self.word() {
                    let _ = self.pair.forge(self.place, word);
                }
            }
            3 => drop(self.pair.feed(ours, Input::Connected)),
            4 if self.below(3) == 0 => self.pair.revive(ours),
            5 if self.below(8) == 0 => {
                self.pair.now = self.pair.now.after(60);
                let _ = self.pair.feed(ours, Input::Tick);
            }
            6 if self.below(12) == 0 => self.pair.nodes[self.place].is_silent = true,
            _ => self.deliver(),
        }
        self.pair.settle_without_net();
    }

    fn deliver(&mut self) {
        let Some((to, bytes)) = self.pair.net.next() else { return };
        let message = Message::from_bytes(&bytes).unwrap();
        let times =
            if to == self.place { 1 } else { [0, 1, 1, 1, 2][self.random.below(5) as usize] };
        if to != self.place && times > 0 && matches!(message.body, Body::Sign { .. }) {
            self.has_signed = true;
        }
        for _ in 0..times {
            let _ = self.pair.feed(to, Input::Message(message.clone()));
        }
    }

    fn deposited(&self) -> bool {
        let effects = self.pair.nodes[1 - self.place].effects.iter();
        effects.clone().any(|effect| matches!(effect, Effect::Deposit { .. }))
    }
}

/// The next state, with everything the intruder's.
fn stolen(first: &State, place: usize) -> State {
    let assets = first.outcome().assets().to_vec();
    let mut row = vec![Amount::ZERO; 2];
    row[place] = Amount::new(20);
    first.at_version(Version::new(1), Allocation::new(assets, vec![row], vec![]).unwrap())
}

/// Whoever shows another node's handshake again is taken for that node. No word of it makes us
/// leave by the ledger, for a fee, once our deposit may be in.
#[test]
fn h12_a_refusal_after_the_deposits_is_not_heard() {
    let mut pair = Pair::with(Keys::Symbolic, [go_perun(), go_perun()]);
    pair.vault.pays = [100, 0];
    let terms = terms_of(&pair, [10, 10]);
    let contributions = terms.ledgers.map(|_| money(0));
    pair.user(0, Command::Propose { terms, contributions }).settle();
    assert_eq!(pair.phases(), [PhaseName::Depositing; 2]);
    for place in 0..2 {
        let refusal = Body::Decline { reason: DeclineReason::User {} };
        assert_eq!(pair.forge(1 - place, refusal), Err(Refusal::Unexpected.into()));
        assert_eq!(pair.phases()[place], PhaseName::Depositing);
        assert_eq!(pair.submitted(place, |it| matches!(it, Effect::Register { .. })), 0);
    }
    // Our own patience ends it.
    pair.settle().wait();
    assert_eq!(pair.gains(0)[1], 0);
}

/// Whoever proposed, and however it goes wrong: nothing is deposited before the peer's signature
/// over version 0 is there, everything comes to an end, and nobody has less than before.
#[test]
fn h7_h14_an_opening_with_an_intruder_costs_nothing_and_ends() {
    let mut seen = BTreeSet::new();
    for seed in 0..800 {
        let mut pair = Pair::with(Keys::Symbolic, [go_perun(), go_perun()]);
        let terms = terms_of(&pair, [10, 10]);
        let contributions = terms.ledgers.map(|_| money(0));
        pair.user(0, Command::Propose { terms, contributions });
        let place = usize::from(seed % 2 == 0);
        let random = Random::new(seed);
        let mut intruder = Intruder { random, place, pair, has_signed: false };
        for _ in 0..60 {
            intruder.act();
            assert!(!intruder.deposited() || intruder.has_signed, "seed {seed}");
        }
        let Intruder { mut pair, .. } = intruder;
        let ours = 1 - place;
        let reached = pair.nodes[ours].machine.phase();
        seen.insert(format!("{reached:?}"));
        pair.nodes[place].is_silent = true;
        pair.settle().wait();
        if pair.phases()[ours] == PhaseName::Open {
            pair.user(ours, Command::Dispute).settle().wait();
        }
        let end = pair.phases()[ours];
        assert!(
            matches!(end, PhaseName::Fresh | PhaseName::Over | PhaseName::Settled),
            "seed {seed}: {end:?}"
        );
        assert_eq!(pair.gains(ours)[1], 0, "seed {seed}");
    }
    let all = ["Open", "Over", "Depositing", "Signing"];
    assert!(all.iter().all(|phase| seen.contains(*phase)), "{seen:?}");
}
