//! The honest parties: what they sign, when they go to the ledgers, what they do there.
//!
//! These are the duties that a node has to keep; `docs/design/0003-swaps.md` lists them.

use super::Swap;
use super::law::{Decision, Kind, may_register};
use super::terms::{Cast, Flaw};
use super::world::{Act, Message, P, Paper, Party, Pending, Phase, Q, Stage, World, X, Y};

/// The ledger on which a party receives.
const fn receives(who: usize) -> usize {
    if who == P { X } else { Y }
}

impl Party {
    /// A party that holds the agreed state.
    pub(super) const NEW: Self = Self {
        stage: Stage::Idle,
        holds: Paper::Agreed,
        signed: Paper::Older.bit() | Paper::Old.bit() | Paper::Agreed.bit(),
        shows: false,
        frozen: false,
        left: 0,
        since: 0,
        asleep: 0,
    };

    fn signs(&mut self, paper: Paper) {
        self.signed |= paper.bit();
    }

    /// Its signature completes this state, or the other's does.
    fn completes(&mut self, paper: Paper, stage: Stage) {
        self.signed |= paper.bit();
        self.holds = paper;
        self.stage = stage;
    }

    const fn offered(&self) -> bool {
        matches!(self.stage, Stage::Pending | Stage::Cancelling)
    }
}

impl Swap {
    /// The party looks at the ledgers and the clock: once it sees a dispute, or its time has come,
    /// it signs nothing more.
    pub(super) fn look(&self, world: &mut World, who: usize) {
        let disputed = world.ledgers.iter().any(|ledger| ledger.phase != Phase::Open);
        let shown = matches!(world.ledgers[X].phase, Phase::Settled { how, .. }
            if how == Decision::LegsMove);
        let half = world.ledgers.iter().any(
            |ledger| matches!(ledger.phase, Phase::Disputed { paper, .. } if paper == Paper::Half),
        );
        let tick = world.tick;
        let party = &mut world.parties[who];
        party.asleep = 0;
        // With the planted bug, what it sees on a ledger completes its state.
        let waits = who == Q && party.stage == Stage::Pending;
        if self.bounds.flaw == Flaw::OffersFirst && waits && half {
            party.holds = Paper::Half;
        }
        party.shows |= who == Q && shown;
        let resolved = party.stage == Stage::Resolved;
        let unanswered = party.stage == Stage::Revealed && party.since >= self.bounds.answer;
        let goes = self.bounds.flaw != Flaw::NeverGoes && tick >= self.go;
        let expiring = who == Q && !resolved && party.holds == Paper::Half && goes;
        if disputed || unanswered || expiring || tick >= self.leave_by {
            self.freeze(party, tick);
        }
    }

    pub(super) const fn freeze(&self, party: &mut Party, tick: u8) {
        if !party.frozen {
            party.frozen = true;
            party.left = if self.bounds.exit { tick } else { 0 };
        }
    }

    /// What P may say of its own accord now.
    pub(super) fn sayings(&self, world: &World) -> Vec<Message> {
        let party = &world.parties[P];
        let flaw = self.bounds.flaw;
        let mut sayings = Vec::new();
        let goes_on = flaw == Flaw::RevealsDisputed && party.offered();
        if party.frozen && !goes_on {
            return sayings;
        }
        if party.stage == Stage::Idle && world.tick <= self.bounds.talk {
            sayings.push(Message::Offer);
        }
        let willing = party.stage == Stage::Pending
            || (party.stage == Stage::Cancelling && flaw == Flaw::RevealsCancelled);
        let in_time = world.tick <= self.bounds.talk + self.bounds.reveal_late;
        if willing && party.holds == Paper::Half && in_time {
            sayings.push(Message::Reveal);
        }
        if party.stage == Stage::Pending && !party.frozen {
            sayings.push(Message::Cancel);
        }
        sayings
    }

    /// P says it.
    pub(super) fn say(&self, world: &mut World, message: Message) {
        let party = &mut world.parties[P];
        match message {
            Message::Offer if self.bounds.flaw == Flaw::PlainSwap => {
                party.signs(Paper::Swapped);
                party.stage = Stage::Revealed;
                party.since = 0;
                return;
            }
            Message::Offer => {
                party.signs(Paper::Half);
                party.stage = Stage::Pending;
            }
            Message::Reveal => {
                party.signs(Paper::Swapped);
                party.stage = Stage::Revealed;
                party.shows = true;
                party.since = 0;
                world.leaked = true;
            }
            Message::Cancel => {
                party.signs(Paper::Cancelled);
                party.stage = Stage::Cancelling;
            }
            _ => return,
        }
        if self.bounds.cast == Cast::Both {
            world.flying |= message.bit();
        }
    }

    /// What the party does with a message, and the answer that leaves. Nothing, if the message
    /// means nothing to it now.
    pub(super) fn hear(&self, party: &mut Party, tick: u8, message: Message) -> Option<Answer> {
        let flaw = self.bounds.flaw;
        let before = *party;
        let mut answer = None;
        let pending = party.stage == Stage::Pending;
        match message {
            Message::Offer if !party.frozen && party.stage == Stage::Idle && tick < self.go => {
                party.completes(Paper::Half, Stage::Pending);
                if flaw == Flaw::OffersFirst {
                    party.holds = Paper::Agreed;
                }
                if flaw == Flaw::SignsBlind {
                    party.signs(Paper::Swapped);
                }
                answer = Some(Message::Accept);
            }
            Message::Accept if party.offered() => {
                if !party.frozen || flaw == Flaw::RevealsDisputed {
                    party.holds = Paper::Half;
                }
            }
            Message::Reveal if pending => {
                party.shows = true;
                if !party.frozen {
                    party.completes(Paper::Swapped, Stage::Resolved);
                    answer = Some(Message::Done);
                }
            }
            Message::Leak if pending => party.shows = true,
            Message::Done if !party.frozen && party.stage == Stage::Revealed => {
                party.completes(Paper::Swapped, Stage::Resolved);
            }
            Message::Cancel if pending && (!party.frozen || flaw == Flaw::CancelsDisputed) => {
                if flaw == Flaw::CancelsFirst {
                    // It answers a mere wish; P has signed nothing.
                    party.signs(Paper::Cancelled);
                    party.stage = Stage::Cancelling;
                } else {
                    party.completes(Paper::Cancelled, Stage::Resolved);
                }
                answer = Some(Message::Cancelled);
            }
            Message::Cancelled if !party.frozen && party.stage == Stage::Cancelling => {
                party.completes(Paper::Cancelled, Stage::Resolved);
            }
            Message::Pay if !party.frozen && party.holds == Paper::Swapped => {
                party.completes(Paper::PaidSwapped, Stage::Resolved);
            }
            Message::Pay if !party.frozen && party.holds == Paper::Cancelled => {
                party.completes(Paper::PaidCancelled, Stage::Resolved);
            }
            _ => return None,
        }
        (*party != before || answer.is_some()).then_some(answer)
    }

    /// The party sends what the ledgers need now, and takes back what they do not.
    pub(super) fn act(&self, world: &mut World, who: usize) {
        for ledger in [X, Y] {
            let wanted = self.wants(world, who, ledger);
            if wanted == Some(Act::Claim) && who == P {
                // Everybody sees what waits for a block.
                world.leaked = true;
                world.parties[P].shows = true;
            }
            let slot = &mut world.ledgers[ledger].pool[who];
            if slot.map(|pending| pending.act) != wanted {
                // A claim in place of a refund: one of the two is in when the refund would be.
                let refund = slot.filter(|pending| pending.act == Act::Conclude);
                let age = refund.map_or(0, |pending| pending.age);
                *slot = wanted.map(|act| Pending { act, age });
            }
        }
    }

    fn wants(&self, world: &World, who: usize, ledger: usize) -> Option<Act> {
        let party = &world.parties[who];
        let chain = &self.bounds.chains[ledger];
        if !party.frozen {
            return None;
        }
        let phase = world.ledgers[ledger].phase;
        let Phase::Disputed { paper, waited } = phase else {
            let untouched = world.ledgers.iter().all(|ledger| ledger.phase == Phase::Open);
            let answers = self.bounds.flaw != Flaw::OneLedger || untouched;
            return (phase == Phase::Open && answers).then_some(Act::Register(party.holds));
        };
        let (waited, window) = (i16::from(waited), i16::from(chain.window));
        if may_register(chain.kind, phase, party.holds, waited, window) {
            return Some(Act::Register(party.holds));
        }
        if waited < i16::from(chain.waits()) {
            return None;
        }
        if paper != Paper::Half {
            return Some(Act::Conclude);
        }
        let expired = world.tick >= self.expiries[ledger] + chain.late;
        let refused = expired && self.bounds.flaw == Flaw::ClaimsExpire;
        if ledger == receives(who) && !refused && (party.shows || self.eager(world, who)) {
            return Some(Act::Claim);
        }
        expired.then_some(Act::Conclude)
    }

    /// Whether P, which showed the preimage to nobody and gave nothing away, may claim on X: the
    /// claim is surely in before anybody can refund, and nothing newer than `v½` was signed.
    fn eager(&self, world: &World, who: usize) -> bool {
        let party = &world.parties[who];
        let chain = &self.bounds.chains[X];
        who == P
            && self.bounds.eager
            && party.stage == Stage::Pending
            && world.tick + chain.inclusion + chain.early < self.expiries[X]
    }

    /// Whether what waits is worthless after any transaction on the channel.
    pub(super) const fn spoils(kind: Kind) -> bool {
        matches!(kind, Kind::Cell)
    }
}

/// What leaves in answer to a message.
pub(super) type Answer = Option<Message>;
