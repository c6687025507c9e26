//! Everything that the adversary can say to the honest machine and to the ledger, within the
//! bounds.

use perun_channel::{Amount, Signature, State, Version};
use perun_protocol::{
    Batch, Body, Crypto, Digest, Handover, Memo, Payment, PaymentId, Proof, RejectReason, Turn,
};

use super::{Duel, World};
use crate::court::{Act, Outline};
use crate::symbol::{Symbols, sign};

impl Duel {
    /// Every message that the adversary can build, one of each kind of nonsense among them.
    pub(super) fn sayings(&self, world: &World) -> Vec<Body<Signature>> {
        let mut bodies = self.proposals(world);
        for state in &world.shown {
            bodies.extend(self.answers(state));
            bodies.push(self.sync(state, state.version + 1));
        }
        let skip = u64::from(self.bounds.versions);
        bodies.push(Body::Sync {
            state: Self::initial().state(&self.court.scene),
            next_version: Version::new(skip),
            proof: None,
        });
        for count in 0..2 {
            bodies.push(Body::RequestTurn { turn: Turn::new(count) });
            bodies.push(Body::YieldTurn { turn: Turn::new(count + 1), wants_back: false });
        }
        bodies
    }

    /// Updates: payments to the honest party, a final state, and forged ones.
    fn proposals(&self, world: &World) -> Vec<Body<Signature>> {
        let Some(agreed) = world.machine.agreed() else { return Vec::new() };
        let (me, peer) = (self.me(), 1 - self.me());
        let now = &agreed.state;
        let mut bodies = Vec::new();
        for version in now.version().get() + 1..=u64::from(self.bounds.versions) {
            let version = Version::new(version);
            let paid = now.outcome().transfer(peer, me, 0, Amount::new(1));
            let stolen = now.outcome().transfer(me, peer, 0, Amount::new(1));
            if let Ok(outcome) = paid {
                let state = now.at_version(version, outcome);
                bodies.push(self.update(&state, 1, true, Handover::Keep {}));
                bodies.push(self.update(&state, 1, true, Handover::Yield { wants_back: true }));
                bodies.push(self.update(&state, 1, false, Handover::Keep {}));
                bodies.push(self.update(&state.finalized(), 1, true, Handover::Keep {}));
            }
            if let Ok(outcome) = stolen {
                let state = now.at_version(version, outcome);
                bodies.push(self.update(&state, 1, true, Handover::Keep {}));
                bodies.push(self.update(&state.finalized(), 0, true, Handover::Keep {}));
            }
            let same = now.at_version(version, now.outcome().clone()).finalized();
            bodies.push(self.update(&same, 0, true, Handover::Keep {}));
        }
        bodies
    }

    /// An update to `state` that claims to carry `count` payments of one unit.
    fn update(&self, state: &State, count: u64, valid: bool, after: Handover) -> Body<Signature> {
        // Versions rise, so they serve as payment ids.
        let id = PaymentId::new(state.version().get());
        let payment = Payment { id, asset: 0, amount: Amount::new(1), memo: Memo::default() };
        let payments: Batch = (0..count).map(|_| payment.clone()).collect();
        let digest = Symbols.digest(state);
        let signature = if valid { self.adversary_signs(&digest) } else { self.forgery(&digest) };
        Body::Update { state: state.clone(), payments, after, signature }
    }

    /// Answers to an update of the honest party.
    fn answers(&self, state: &Outline) -> [Body<Signature>; 4] {
        let digest = Symbols.digest(&state.state(&self.court.scene));
        let version = Version::new(state.version);
        let signature = self.adversary_signs(&digest);
        let forged = self.forgery(&digest);
        [
            Body::Ack { version, wants_turn: false, signature },
            Body::Ack { version, wants_turn: true, signature },
            Body::Ack { version, wants_turn: false, signature: forged },
            Body::Reject { version, reason: RejectReason::User {} },
        ]
    }

    /// A claim to stand at a state that the honest party signed.
    fn sync(&self, state: &Outline, next_version: u64) -> Body<Signature> {
        let state = state.state(&self.court.scene);
        let digest = Symbols.digest(&state);
        let mine = self.adversary_signs(&digest);
        let yours = sign(&digest, &self.address(self.me()));
        let next_version = Version::new(next_version);
        Body::Sync { state, next_version, proof: Some(Proof { mine, yours }) }
    }

    fn adversary_signs(&self, digest: &Digest) -> Signature {
        sign(digest, &self.address(1 - self.me()))
    }

    /// A signature by nobody.
    fn forgery(&self, digest: &Digest) -> Signature {
        sign(digest, &perun_channel::Address::ZERO)
    }

    /// Every transaction that the adversary can build.
    pub(super) fn transactions(&self, world: &World) -> Vec<Act> {
        let own = 2 * self.bounds.honest.other().number();
        let mut acts = vec![Act::Conclude { waited_secs: 0 }];
        for state in world.shown.iter().copied().chain([Self::initial()]) {
            acts.push(Act::Register { slot: own, state });
            acts.push(Act::Register { slot: own + 1, state });
            if state.is_final {
                acts.push(Act::Close { state });
            }
        }
        let carried = world.carried.iter();
        acts.extend(carried.map(|(slot, state)| Act::Register { slot: *slot, state: *state }));
        acts
    }
}
