//! Carrying out what machines decided: messages, orders to the ledger, and events for the user.
//!
//! Nothing here is done before the records that it follows from are durable; see [`House`].

use perun_channel::State;
use perun_protocol::{
    Assembly, Body, Changes, Command, DeclineReason, Effect, Event, Input, LedgerBytes, Message,
    OpeningId, Plan, Reply, Target, Terms, Time, Witness,
};

use super::House;
use crate::{LedgerError, NodeError, UserEvent};

impl House {
    pub(super) fn perform(&mut self, now: Time, opening: OpeningId, effect: Effect) {
        let done = match effect {
            Effect::Send(draft) => {
                self.send_draft(opening, draft);
                Ok(())
            }
            Effect::Notify(event) => {
                self.notify(now, opening, event);
                Ok(())
            }
            effect => self.order(now, opening, effect),
        };
        if let Err(error) = done {
            self.tell(opening, UserEvent::LedgerTrouble(error.to_string()));
        }
    }

    /// Carries out an effect that is the ledger's.
    fn order(&mut self, now: Time, opening: OpeningId, effect: Effect) -> Result<(), LedgerError> {
        let key = &self.key;
        let sign = |digest: &[u8; 32]| key.sign(digest);
        let ledger = &mut self.ledger;
        match effect {
            Effect::Assemble(plan) => self.assemble(now, opening, &plan),
            Effect::SendWitness { assembly } => {
                let witness = ledger.witness(&assembly, &sign)?;
                self.send(opening, &Message { opening, body: Body::Release { witness } });
                Ok(())
            }
            Effect::CheckWitness { assembly, witness } => {
                self.check_witness(now, opening, &assembly, &witness)
            }
            Effect::SubmitAssembly { assembly, witness } => {
                ledger.submit_assembly(&assembly, &witness, &sign)
            }
            Effect::ReleaseFunds { contribution } => ledger.release_funds(&contribution),
            Effect::AbortOpen { assembly } => ledger.abort_open(&assembly),
            Effect::Watch(target) => {
                let watched = ledger.watch(&target);
                self.watched.insert(target.id, (opening, target));
                watched
            }
            Effect::SubmitClose { target, agreed, attempt } => {
                ledger.close(&target, &agreed, attempt, &sign)
            }
            Effect::Register { target, agreed, slot, attempt } => {
                ledger.register(&target, &agreed, slot, attempt, &sign)
            }
            Effect::Conclude { target, state, attempt } => {
                ledger.conclude(&target, &state, attempt)
            }
            Effect::Withdraw { target, state, rows, attempt } => {
                ledger.withdraw(&target, &state, rows, attempt)
            }
            Effect::Send(_) | Effect::Notify(_) => Ok(()),
        }
    }

    fn assemble(&mut self, now: Time, opening: OpeningId, plan: &Plan) -> Result<(), LedgerError> {
        let ended = self.resizable(opening).ok().filter(|_| plan.predecessor.is_some());
        let ended = ended.map(|(_, state)| state);
        let (reply, done) = match self.ledger.assemble(plan, ended) {
            Ok(assembly) => (Reply::Assembled(assembly), Ok(())),
            Err(error) => (Reply::AssemblyFailed, Err(error)),
        };
        let _ = self.feed(now, opening, Input::Backend(reply));
        done
    }

    fn check_witness(
        &mut self,
        now: Time,
        opening: OpeningId,
        assembly: &Assembly,
        witness: &Witness,
    ) -> Result<(), LedgerError> {
        let key = &self.key;
        let sign = |digest: &[u8; 32]| key.sign(digest);
        let checked = self.ledger.check_witness(assembly, witness, &sign);
        let reply = match checked {
            Ok(()) => Reply::WitnessGood(assembly.transaction),
            // A ledger that cannot be asked is not the peer's fault: it is asked again.
            Err(LedgerError::Unavailable(_)) => return checked,
            Err(_) => Reply::WitnessBad(assembly.transaction),
        };
        let _ = self.feed(now, opening, Input::Backend(reply));
        checked
    }

    /// Tells the user, and answers for it where the house was told how.
    fn notify(&mut self, now: Time, opening: OpeningId, event: Event) {
        let answer = match &event {
            _ if !self.accept_proposals => None,
            Event::ProposalReceived { terms, .. } => Some(self.answer_proposal(opening, terms)),
            Event::ResizeRequested { changes, .. } => Some(self.answer_resize(opening, changes)),
            _ => None,
        };
        self.tell(opening, UserEvent::Channel(Box::new(event)));
        let Some((command, refusal)) = answer else { return };
        let promised = contribution_of(&command).cloned();
        let answered = self.feed(now, opening, Input::Command(command));
        // What the machine does not take must not keep money set aside, nor the peer waiting.
        if let (Err(_), Some(contribution)) = (answered, promised) {
            if let Err(error) = self.ledger.release_funds(&contribution) {
                self.tell(opening, UserEvent::LedgerTrouble(error.to_string()));
            }
            let _ = self.feed(now, opening, Input::Command(refusal));
        }
    }

    /// The answer to a proposal, and the refusal if the machine does not take it.
    fn answer_proposal(&mut self, opening: OpeningId, terms: &Terms) -> (Command, Command) {
        let refusal = Command::Decline { reason: DeclineReason::Terms {} };
        let answer = match self.ledger.answer(self.key.address(), terms) {
            Ok((participant, contribution)) => Command::Accept { participant, contribution },
            Err(error) => {
                self.tell(opening, UserEvent::LedgerTrouble(error.to_string()));
                refusal.clone()
            }
        };
        (answer, refusal)
    }

    /// The answer to a resize, and the refusal if the machine does not take it.
    fn answer_resize(&mut self, opening: OpeningId, changes: &Changes) -> (Command, Command) {
        let answer = self
            .resizable(opening)
            .and_then(|(target, state)| Ok(self.ledger.resize_answer(&target, &state, changes)?));
        let answer = match answer {
            Ok(contribution) => Command::AcceptResize { contribution },
            Err(error) => {
                self.tell(opening, UserEvent::LedgerTrouble(error.to_string()));
                Command::DeclineResize
            }
        };
        (answer, Command::DeclineResize)
    }

    /// The channel of a machine, for its ledger, and its newest complete state.
    pub(super) fn resizable(&self, opening: OpeningId) -> Result<(Target, State), NodeError> {
        let machine = self.seats.get(&opening).map(|seat| &seat.machine);
        let found = machine.and_then(|machine| {
            let (_, target) = self.watched.get(&machine.id()?)?;
            Some((target.clone(), machine.agreed()?.state.clone()))
        });
        found.ok_or(NodeError::UnknownChannel(opening))
    }
}

/// What a command promises of our money.
const fn contribution_of(command: &Command) -> Option<&LedgerBytes> {
    match command {
        Command::Accept { contribution, .. } | Command::AcceptResize { contribution } => {
            Some(contribution)
        }
        _ => None,
    }
}
