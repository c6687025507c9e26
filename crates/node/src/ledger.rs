//! What a house asks of a ledger. Nothing above this trait knows which ledger it is.
//!
//! A ledger reports levels, not edges: [`Ledger::sync`] says how each watched channel stands now,
//! so a reorganisation is just another report. Orders may be repeated; a ledger that already did
//! what is ordered does nothing.

use perun_channel::{Address, Allocation, Participant, Signature, State};
use perun_protocol::{
    Agreed, Assembly, Changes, LedgerBytes, LedgerTime, Plan, Sighting, Slot, Target, Terms,
    Witness,
};

use crate::LedgerError;

/// Makes the session key's signature over a digest.
pub type Signer<'a> = &'a dyn Fn(&[u8; 32]) -> Signature;

/// A channel that a user wants.
#[derive(Clone, Debug)]
pub struct OpenRequest {
    /// How long a registered state can be refuted, in seconds.
    pub challenge_secs: u64,
    /// What each side brings: column 0 is ours, column 1 the peer's.
    pub outcome: Allocation,
}

/// One ledger, with our wallet on it.
pub trait Ledger: Send {
    /// Sets aside what our side of a channel needs, and writes the terms.
    fn offer(
        &mut self,
        session: Address,
        request: &OpenRequest,
    ) -> Result<(Terms, LedgerBytes), LedgerError>;

    /// Sets aside what our side of a proposed channel needs.
    fn answer(
        &mut self,
        session: Address,
        terms: &Terms,
    ) -> Result<(Participant, LedgerBytes), LedgerError>;

    /// Sets aside what a resize needs of the side that asks for it: the ledger's terms, our part.
    fn resize_offer(
        &mut self,
        target: &Target,
        state: &State,
        changes: &Changes,
    ) -> Result<(LedgerBytes, LedgerBytes), LedgerError>;

    /// Sets aside what a resize needs of the side that answers.
    fn resize_answer(
        &mut self,
        target: &Target,
        state: &State,
        changes: &Changes,
    ) -> Result<LedgerBytes, LedgerError>;

    /// Builds the planned transaction; both sides get the same. `ended` is the newest complete
    /// state of the channel that a resize ends: none is signed between its request and this.
    fn assemble(&mut self, plan: &Plan, ended: Option<State>) -> Result<Assembly, LedgerError>;

    /// Our part of the transaction.
    fn witness(&mut self, assembly: &Assembly, sign: Signer<'_>) -> Result<Witness, LedgerError>;

    /// Whether the peer's part is valid, together with ours, as far as this process can say. What
    /// we sign for that stays here: our release is not recorded yet.
    fn check_witness(
        &mut self,
        assembly: &Assembly,
        witness: &Witness,
        sign: Signer<'_>,
    ) -> Result<(), LedgerError>;

    /// Completes the transaction with both parts and submits it. Only from here on may anybody
    /// else see our part.
    fn submit_assembly(
        &mut self,
        assembly: &Assembly,
        theirs: &Witness,
        sign: Signer<'_>,
    ) -> Result<(), LedgerError>;

    /// Makes what was set aside available again.
    fn release_funds(&mut self, contribution: &LedgerBytes) -> Result<(), LedgerError>;

    /// Makes the transaction impossible by spending one of our inputs otherwise.
    fn abort_open(&mut self, assembly: &Assembly) -> Result<(), LedgerError>;

    /// Reports on this channel from now on.
    fn watch(&mut self, target: &Target) -> Result<(), LedgerError>;

    /// Closes with a final state.
    fn close(
        &mut self,
        target: &Target,
        agreed: &Agreed,
        attempt: u32,
        sign: Signer<'_>,
    ) -> Result<(), LedgerError>;

    /// Registers a state.
    fn register(
        &mut self,
        target: &Target,
        agreed: &Agreed,
        slot: Slot,
        attempt: u32,
        sign: Signer<'_>,
    ) -> Result<(), LedgerError>;

    /// Pays out the registered state.
    fn conclude(&mut self, target: &Target, state: &State, attempt: u32)
    -> Result<(), LedgerError>;

    /// Pays out rows that were left.
    fn withdraw(
        &mut self,
        target: &Target,
        state: &State,
        rows: u32,
        attempt: u32,
    ) -> Result<(), LedgerError>;

    /// How the watched channels stand, those that may have changed.
    fn sync(&mut self) -> Result<Vec<Sighting>, LedgerError>;

    /// The ledger's clock, as its rules measure it.
    fn clock(&mut self) -> Result<LedgerTime, LedgerError>;
}
