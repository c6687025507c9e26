//! Carrying out what machines decided: messages, orders to ledgers, and events for the user.
//!
//! Nothing here is done before the records that it follows from are durable; see [`House`].

use perun_channel::{LedgerId, State};
use perun_protocol::{
    Assembly, Body, Changes, Command, DeclineReason, Dialect, Effect, Event, Input, LedgerBytes,
    LedgerTime, Machine, Message, Misuse, OpeningId, PerLedger, Plan, Reply, Target, Terms, Time,
    Transaction, Witness,
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
        let key = self.key_of(opening);
        let sign = |digest: &[u8; 32]| key.sign(digest);
        let is_over = self.is_over(opening);
        let ledgers = &mut self.ledgers;
        match effect {
            Effect::Assemble(plan) => self.assemble(now, opening, &plan),
            Effect::SendWitness { transaction } => {
                let witness = ledgers.joint(transaction.ledger)?.witness(&transaction, &sign)?;
                self.send(opening, &Message { opening, body: Body::Release { witness } });
                Ok(())
            }
            Effect::CheckWitness { transaction, witness } => {
                self.check_witness(now, opening, &transaction, &witness)
            }
            Effect::SubmitAssembly { transaction, witness } => {
                let ledger = ledgers.joint(transaction.ledger)?;
                ledger.submit_assembly(&transaction, &witness, &sign)
            }
            Effect::Deposit { target, initial, contribution } => {
                let ledger = ledgers.deposit(target.ledger)?;
                ledger.deposit(&target, &initial, &contribution, &sign)
            }
            Effect::ReleaseFunds { ledger, contribution } => ledgers.release(ledger, &contribution),
            Effect::AbortOpen { transaction } => {
                ledgers.joint(transaction.ledger)?.abort_open(&transaction)
            }
            // What was decided before it came to nothing, in the same round.
            Effect::Watch(_) if is_over => Ok(()),
            Effect::Watch(target) => {
                let watched = ledgers.get(target.ledger).and_then(|ledger| ledger.watch(&target));
                self.watched.insert((target.ledger, target.id), (opening, target));
                watched
            }
            Effect::SubmitClose { target, agreed, attempt } => {
                ledgers.get(target.ledger)?.close(&target, &agreed, attempt, &sign)
            }
            Effect::Register { target, agreed, slot, attempt } => {
                ledgers.get(target.ledger)?.register(&target, &agreed, slot, attempt, &sign)
            }
            Effect::Conclude { target, state, decision, attempt } => {
                ledgers.get(target.ledger)?.conclude(&target, &state, decision, attempt)
            }
            Effect::ReadClock { ledger } => self.read_clock(now, opening, ledger),
            Effect::Withdraw { target, state, rows, attempt } => {
                ledgers.get(target.ledger)?.withdraw(&target, &state, rows, attempt, &sign)
            }
            Effect::Send(_) | Effect::Notify(_) => Ok(()),
        }
    }

    fn assemble(&mut self, now: Time, opening: OpeningId, plan: &Plan) -> Result<(), LedgerError> {
        let ended = self.resizable(opening).ok().filter(|_| plan.predecessor.is_some());
        let ended = ended.map(|(_, state)| state);
        let dialect = self.seats.get(&opening).map_or(Dialect::Perun, |seat| seat.peer.dialect());
        let built = self.ledgers.assemble(plan, ended, dialect);
        let built = built.and_then(|assembly| self.unused(opening, assembly));
        let (reply, done) = match built {
            Ok(assembly) => (Reply::Assembled(assembly), Ok(())),
            Err(error) => (Reply::AssemblyFailed, Err(error)),
        };
        let _ = self.feed(now, opening, Input::Backend(reply));
        done
    }

    /// Refuses a channel with the name of another one that this house has: states that were signed
    /// in the one would count in the other.
    fn unused(&self, opening: OpeningId, assembly: Assembly) -> Result<Assembly, LedgerError> {
        let id = assembly.params.id();
        let seats = self.seats.iter().filter(|(other, _)| **other != opening);
        match seats.map(|(_, seat)| seat.machine.id()).any(|other| other == Some(id)) {
            true => Err(LedgerError::Refused(format!(
                "the channel would have the id {id} of another one of this node; nothing was signed. \
                 The peer's program is broken, or it cheats"
            ))),
            false => Ok(assembly),
        }
    }

    fn check_witness(
        &mut self,
        now: Time,
        opening: OpeningId,
        transaction: &Transaction,
        witness: &Witness,
    ) -> Result<(), LedgerError> {
        let key = self.key_of(opening);
        let sign = |digest: &[u8; 32]| key.sign(digest);
        let ledger = self.ledgers.joint(transaction.ledger);
        let checked = ledger.and_then(|it| it.check_witness(transaction, witness, &sign));
        let reply = match checked {
            Ok(()) => Reply::WitnessGood(transaction.id),
            // A ledger that cannot be asked is not the peer's fault: it is asked again.
            Err(LedgerError::Unavailable(_)) => return checked,
            Err(_) => Reply::WitnessBad(transaction.id),
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
        let ledgers = match &event {
            Event::ProposalReceived { terms, .. } => terms.outcome.ledgers(),
            _ => self.resizable(opening).map_or_else(|_| vec![], |(it, _)| vec![it.ledger]),
        };
        self.tell(opening, UserEvent::Channel(Box::new(event)));
        if let Some((command, refusal)) = answer {
            self.answer(now, opening, &ledgers, command, refusal);
        }
    }

    /// Agrees to the proposal that the user was told of, and sets our part aside for it. What our
    /// ledgers cannot do is declined, and the user told why.
    pub fn accept(&mut self, now: Time, opening: OpeningId) -> Result<(), NodeError> {
        let machine = self.seats.get(&opening).map(|seat| &seat.machine);
        let terms = machine.and_then(Machine::asked_for).cloned();
        let terms = terms.ok_or(NodeError::UnknownChannel(opening))?;
        let (command, refusal) = self.answer_proposal(opening, &terms);
        self.answer(now, opening, &terms.outcome.ledgers(), command, refusal);
        Ok(())
    }

    /// Gives a machine the answer to what the peer asked of it.
    fn answer(
        &mut self,
        now: Time,
        opening: OpeningId,
        ledgers: &[LedgerId],
        command: Command,
        refusal: Command,
    ) {
        let promised = contributions_of(&command);
        let answered = self.feed(now, opening, Input::Command(command));
        // What the machine does not take must not keep money set aside, nor the peer waiting.
        if let (Err(_), Some(contributions)) = (answered, promised) {
            if let Err(error) = self.ledgers.release_all(ledgers, &contributions) {
                self.tell(opening, UserEvent::LedgerTrouble(error.to_string()));
            }
            let _ = self.feed(now, opening, Input::Command(refusal));
        }
    }

    /// The answer to a proposal, and the refusal if the machine does not take it.
    fn answer_proposal(&mut self, opening: OpeningId, terms: &Terms) -> (Command, Command) {
        let refusal = Command::Decline { reason: DeclineReason::Terms {} };
        let salt = self.seats.get(&opening).map(|seat| seat.salt).unwrap_or_default();
        let address = self.address_for(&salt, &terms.outcome.ledgers());
        let answer = match self.ledgers.answer(address, terms) {
            Ok((participant, contributions)) => Command::Accept { participant, contributions },
            Err(error) => {
                self.tell(opening, UserEvent::LedgerTrouble(error.to_string()));
                refusal.clone()
            }
        };
        (answer, refusal)
    }

    /// Tells a machine what a ledger's clock shows now. What it showed at the last look may be long
    /// ago: a secret that is shown too late can cost its owner's side of a swap.
    fn read_clock(
        &mut self,
        now: Time,
        opening: OpeningId,
        ledger: LedgerId,
    ) -> Result<(), LedgerError> {
        for sighting in self.ledgers.get(ledger)?.sync()? {
            let place = (sighting.ledger, sighting.channel);
            self.sightings.insert(place, sighting.clone());
            if let Some((of, _)) = self.watched.get(&place) {
                let _ = self.feed(now, *of, Input::Ledger(sighting));
            }
        }
        let clock = self.ledgers.get(ledger)?.clock()?;
        let _ = self.feed(now, opening, Input::LedgerClock { ledger, now: clock });
        Ok(())
    }

    /// The clocks of a channel's ledgers as they are now, in the channel's order: what the answer
    /// to a swap needs.
    pub(super) fn clocks(
        &mut self,
        now: Time,
        opening: OpeningId,
    ) -> Result<PerLedger<LedgerTime>, NodeError> {
        let machine = self.seats.get(&opening).map(|seat| &seat.machine);
        let agreed = machine.and_then(Machine::agreed);
        let agreed = agreed.ok_or(NodeError::UnknownChannel(opening))?;
        let mut clocks = Vec::new();
        for ledger in agreed.state.outcome().ledgers() {
            self.sync_ledger(now, ledger)?;
            if self.troubled.contains(&ledger) {
                let why = format!("{ledger} cannot be asked for its time; nothing was signed");
                return Err(LedgerError::Unavailable(why).into());
            }
            clocks.push(self.ledgers.get(ledger)?.clock()?);
        }
        PerLedger::new(clocks).map_err(|_| NodeError::Declined(Misuse::Terms.into()))
    }

    /// The answer to a resize, and the refusal if the machine does not take it.
    fn answer_resize(&mut self, opening: OpeningId, changes: &Changes) -> (Command, Command) {
        let answer = self.resizable(opening).and_then(|(target, state)| {
            Ok(self.ledgers.joint(target.ledger)?.resize_answer(&target, &state, changes)?)
        });
        let answer = match answer {
            Ok(contribution) => Command::AcceptResize { contribution },
            Err(error) => {
                self.tell(opening, UserEvent::LedgerTrouble(error.to_string()));
                Command::DeclineResize
            }
        };
        (answer, Command::DeclineResize)
    }

    /// The channel of a machine, for its only ledger, and its newest complete state.
    pub(super) fn resizable(&self, opening: OpeningId) -> Result<(Target, State), NodeError> {
        let machine = self.seats.get(&opening).map(|seat| &seat.machine);
        let found = machine.and_then(|machine| Some((machine.id()?, machine.agreed()?)));
        let (id, agreed) = found.ok_or(NodeError::UnknownChannel(opening))?;
        let ledgers = agreed.state.outcome().ledgers();
        let ([ledger], false) = (&ledgers[..], self.ledgers.have_deposits(&ledgers)) else {
            return Err(NodeError::Declined(Misuse::NoResize.into()));
        };
        let ledger = *ledger;
        let watched = self.watched.get(&(ledger, id)).map(|(_, target)| target.clone());
        let target = watched.ok_or(NodeError::UnknownChannel(opening))?;
        Ok((target, agreed.state.clone()))
    }
}

/// What a command promises of our money.
fn contributions_of(command: &Command) -> Option<PerLedger<LedgerBytes>> {
    match command {
        Command::Accept { contributions, .. } => Some(contributions.clone()),
        Command::AcceptResize { contribution } => Some(PerLedger::one(contribution.clone())),
        _ => None,
    }
}
