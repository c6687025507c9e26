//! What go-perun peers say, given to the machines that it concerns.
//!
//! The sender is the one that the connection's handshake named, and a machine is reached by its own
//! peer only. What go-perun waits for an answer to is answered, also when it breaks a rule.

use perun_channel::{LedgerId, Signature};
use perun_goperun::{Identities, LedgerProposal, Message as GoMessage, Update};
use perun_protocol::{
    Body, DeclineReason, Input, Message, OpeningId, PhaseName, RejectReason, Time,
};

use super::House;
use crate::goperun::{Peer, words};

const NO_CHANNEL: &str = "this node has no such channel with you";
const NO_HUB: &str = "this node is no intermediary of virtual channels";

/// Whether a message was given to whom it is for.
enum Heard {
    Done,
    /// It is for a channel that is still being opened.
    Early(Box<GoMessage>),
}

impl House {
    /// Takes in a message of a go-perun peer without committing yet; call
    /// [`House::finish_round`] when no more has arrived.
    pub fn hear_go_perun(&mut self, now: Time, from: &Identities, message: GoMessage) {
        let peer = Peer::go_perun(from.clone());
        if let Heard::Early(message) = self.hear(now, &peer, message) {
            self.early.keep(peer.id(), *message);
        }
    }

    /// Gives to the machines what came before they could take it; whether there was any.
    pub(super) fn hear_early(&mut self, now: Time) -> bool {
        let mut heard = false;
        for (id, message) in self.early.take() {
            let of_peer = self.seats.values().find(|seat| seat.peer.id() == id);
            let Some(peer) = of_peer.map(|seat| seat.peer.clone()) else { continue };
            match self.hear(now, &peer, message) {
                Heard::Early(message) => self.early.keep(id, *message),
                Heard::Done => heard = true,
            }
        }
        heard
    }

    fn hear(&mut self, now: Time, peer: &Peer, message: GoMessage) -> Heard {
        match message {
            GoMessage::LedgerProposal(proposal) => self.hear_proposal(now, peer, &proposal),
            GoMessage::SubProposal(proposal) => self.refuse_proposal(peer, proposal.base.id),
            GoMessage::VirtualProposal(proposal) => self.refuse_proposal(peer, proposal.base.id),
            GoMessage::LedgerAccept(accept) => {
                let opening = OpeningId::new(accept.base.proposal);
                let ledger = self.planned_on(peer, opening);
                let body = ledger.and_then(|it| words::accepted(&accept, it, &mut self.ledgers));
                body.into_iter().for_each(|body| self.pass_on(now, peer, opening, body));
            }
            GoMessage::ProposalReject { proposal, .. } => {
                let body = Body::Decline { reason: DeclineReason::User {} };
                self.pass_on(now, peer, OpeningId::new(proposal), body);
            }
            GoMessage::VirtualFunding(it) => self.refuse_update(peer, &it.update, NO_HUB),
            GoMessage::VirtualSettlement(it) => self.refuse_update(peer, &it.update, NO_HUB),
            message => return self.hear_channel(now, peer, message),
        }
        Heard::Done
    }

    /// Something about a channel, or one that is being opened.
    fn hear_channel(&mut self, now: Time, peer: &Peer, message: GoMessage) -> Heard {
        let Some(id) = words::channel_of(&message) else { return Heard::Done };
        let of_peer = || self.seats.iter().filter(|(_, seat)| seat.peer == *peer);
        let Some((opening, seat)) = of_peer().find(|(_, seat)| seat.machine.id() == Some(id))
        else {
            let is_opening = |phase| matches!(phase, PhaseName::Assembling | PhaseName::Deciding);
            if of_peer().any(|(_, seat)| is_opening(seat.machine.phase())) {
                return Heard::Early(Box::new(message));
            }
            if let GoMessage::Update(update) = &message {
                self.refuse_update(peer, update, NO_CHANNEL);
            }
            return Heard::Done;
        };
        let (opening, index) = (*opening, seat.machine.index());
        if let GoMessage::Update(update) = &message
            && !words::fits(update, index)
        {
            self.refuse_update(peer, update, "it is not the peer's, or it is an app's");
            return Heard::Done;
        }
        let is_founding =
            matches!(seat.machine.phase(), PhaseName::Signing | PhaseName::Depositing);
        if is_founding && matches!(message, GoMessage::Update(_)) {
            return Heard::Early(Box::new(message));
        }
        let update = match &message {
            GoMessage::Update(update) => Some(update.state.state().version()),
            _ => None,
        };
        let Some(body) = words::about(message, index) else { return Heard::Done };
        let input = Input::Message(Message { opening, body });
        if let (Err(_), Some(version)) = (self.feed(now, opening, input), update) {
            // go-perun would wait for its whole timeout, and all that time take nothing of ours.
            let body = Body::Reject { version, reason: RejectReason::State {} };
            self.send(opening, &Message { opening, body });
        }
        Heard::Done
    }

    fn hear_proposal(&mut self, now: Time, peer: &Peer, proposal: &LedgerProposal) {
        let opening = OpeningId::new(proposal.base.id);
        let (Some(own), Some(from)) = (&self.own_name, peer.name()) else { return };
        match words::proposed(own, from, proposal, &mut self.ledgers) {
            Ok(body) => self.pass_on(now, peer, opening, body),
            Err(why) => self.say(peer, rejection(proposal.base.id, why)),
        }
    }

    fn refuse_proposal(&mut self, peer: &Peer, proposal: [u8; 32]) {
        self.say(peer, rejection(proposal, "this node opens channels on ledgers only"));
    }

    fn refuse_update(&mut self, peer: &Peer, update: &Update, why: &str) {
        let state = update.state.state();
        let (channel, version) = (*state.id(), state.version());
        self.say(peer, GoMessage::UpdateReject { channel, version, reason: why.to_owned() });
    }

    /// Gives a machine what its peer said.
    fn pass_on(&mut self, now: Time, peer: &Peer, opening: OpeningId, body: Body<Signature>) {
        let message = Message { opening, body };
        let bytes = perun_channel::codec::Encode::to_bytes(&message).len();
        if self.admits(peer, &message, bytes) {
            let _ = self.feed(now, opening, Input::Message(message));
        }
    }

    /// The ledger of a channel with this peer that is being opened.
    fn planned_on(&self, peer: &Peer, opening: OpeningId) -> Option<LedgerId> {
        let seat = self.seats.get(&opening).filter(|seat| seat.peer == *peer)?;
        seat.machine.planned_on()
    }

    /// Says something to a go-perun peer. What does not reach it is lost.
    pub(super) fn say(&mut self, peer: &Peer, message: GoMessage) {
        if let Some(name) = peer.name() {
            self.post.say(name, message);
        }
    }

    /// Declines what no machine has.
    pub(super) fn say_decline(&mut self, peer: &Peer, opening: OpeningId, reason: &DeclineReason) {
        self.say(peer, rejection(*opening.as_bytes(), words::declined(reason)));
    }

    /// What a machine says, to its go-perun peer.
    pub(super) fn say_for(&mut self, opening: OpeningId, message: &Message) {
        let Some(seat) = self.seats.get(&opening) else { return };
        let (Some(own), Some(name)) = (&self.own_name, seat.peer.name()) else { return };
        let subject = words::Subject {
            own,
            peer: name,
            opening: *opening.as_bytes(),
            channel: seat.machine.id(),
            index: seat.machine.index(),
            ledger: seat.machine.planned_on(),
        };
        if let Some(said) = words::said(&subject, &message.body, &mut self.ledgers) {
            self.post.say(name, said);
        }
    }
}

fn rejection(proposal: [u8; 32], why: &str) -> GoMessage {
    GoMessage::ProposalReject { proposal, reason: why.to_owned() }
}
