//! How a corrupted peer misbehaves. It runs a real machine like everybody, and breaks its word
//! where its script says so.

use perun_channel::Signature;
use perun_protocol::{Body, Message};

use super::dice::Dice;

/// A way to misbehave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Script {
    /// Keeps to the protocol.
    Honest,
    /// Says nothing any more after this many messages.
    Silent(u64),
    /// Takes updates and never sends its own signature on them.
    Withholds,
    /// Refuses every update, and keeps the signature that came with it.
    Refuses,
    /// Refuses to close, keeps the signature on the final state, and uses it when it pays.
    KeepsFinal,
    /// Registers old states whenever it can.
    StaleClose,
    /// Sends two different answers and proposals where one is right.
    Equivocates,
}

impl Script {
    /// The script of a seed: every other one has two honest parties.
    pub(super) fn draw(dice: &mut Dice) -> Self {
        if dice.chance(500) {
            return Self::Honest;
        }
        match dice.below(7) {
            0 => Self::Silent(dice.below(30)),
            1 => Self::Withholds,
            2 => Self::Refuses,
            3 => Self::Equivocates,
            4 => Self::KeepsFinal,
            _ => Self::StaleClose,
        }
    }

    /// What becomes of a message that its machine wants to send, the `count`-th.
    pub(super) fn tamper(self, message: Message, count: u64, dice: &mut Dice) -> Vec<Message> {
        let opening = message.opening;
        match (self, message.body) {
            (Self::Silent(after), _) if count >= after => Vec::new(),
            (Self::Withholds, Body::Ack { .. }) => Vec::new(),
            (Self::Refuses, Body::Ack { version, .. }) => {
                let reason = perun_protocol::RejectReason::User {};
                vec![Message { opening, body: Body::Reject { version, reason } }]
            }
            (Self::Equivocates, body) if dice.chance(300) => {
                let other = Message { opening, body: spoilt(&body, dice) };
                vec![other, Message { opening, body }]
            }
            (_, body) => vec![Message { opening, body }],
        }
    }
}

/// The same message with something else in it.
fn spoilt(body: &Body<Signature>, dice: &mut Dice) -> Body<Signature> {
    match body.clone() {
        Body::Update { state, payments, after, signature } => {
            let richer = state.outcome().transfer(0, 1, 0, perun_channel::Amount::new(1));
            let state = match richer {
                Ok(outcome) if dice.chance(500) => state.at_version(state.version(), outcome),
                _ => state.finalized(),
            };
            Body::Update { state, payments, after, signature }
        }
        Body::Ack { version, wants_turn, .. } => {
            let reason = perun_protocol::RejectReason::User {};
            match wants_turn {
                true => Body::Reject { version, reason },
                false => Body::RequestTurn { turn: perun_protocol::Turn::new(dice.below(9)) },
            }
        }
        Body::Sync { state, next_version, .. } => Body::Sync { state, next_version, proof: None },
        other => other,
    }
}
