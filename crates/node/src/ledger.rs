//! What a house asks of a ledger. Nothing above these traits knows which ledger it is.
//!
//! A ledger reports levels, not edges: [`Ledger::sync`] says how each watched channel stands now,
//! so a reorganisation is just another report. Orders may be repeated; a ledger that already did
//! what is ordered does nothing. There are two kinds, told apart by how money gets in:
//! [`JointLedger`] and [`DepositLedger`].

use perun_channel::hash::keccak256;
use perun_channel::{
    Address, Allocation, ChannelId, LedgerId, Params, Participant, Signature, State,
};
use perun_protocol::{
    Agreed, Changes, Decision, LedgerBytes, LedgerTime, Plan, Sighting, Slot, Target, Terms,
    Transaction, Witness,
};

use crate::LedgerError;

/// Makes the session key's signature over a digest.
pub type Signer<'a> = &'a dyn Fn(&[u8; 32]) -> Signature;

/// A channel that a user wants.
#[derive(Clone, Debug)]
pub struct OpenRequest {
    /// How long a registered state can be refuted, in seconds.
    pub challenge_secs: u64,
    /// What each side brings: column 0 is ours, column 1 the peer's. The assets may be of several
    /// ledgers.
    pub outcome: Allocation,
}

/// One ledger, with our wallet on it: what every kind does. A channel may have assets of other
/// ledgers as well; they are none of this one's business.
pub trait Ledger: Send {
    /// Which ledger it is.
    fn id(&self) -> LedgerId;

    /// Makes what was set aside available again. What is not deposited yet is not to be.
    fn release_funds(&mut self, contribution: &LedgerBytes) -> Result<(), LedgerError>;

    /// Reports on this channel from now on.
    fn watch(&mut self, target: &Target) -> Result<(), LedgerError>;

    /// Reports on it no longer: its opening came to nothing, and nobody asks. A ledger that lets go
    /// of everything by itself need not do anything.
    fn unwatch(&mut self, _: &ChannelId) {}

    /// Channels of which the last look could not say how they stand, and why. Each is named once,
    /// until it can be said again: the others must not wait for it, and its user must know.
    fn unread(&mut self) -> Vec<(ChannelId, LedgerError)> {
        Vec::new()
    }

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

    /// Pays out the registered state. `decision` says how its swap ends here, if it has legs here;
    /// a claim takes the place of a refund that was ordered before.
    fn conclude(
        &mut self,
        target: &Target,
        state: &State,
        decision: Option<Decision>,
        attempt: u32,
    ) -> Result<(), LedgerError>;

    /// Pays out rows that were left, whatever that takes.
    fn withdraw(
        &mut self,
        target: &Target,
        state: &State,
        rows: u32,
        attempt: u32,
        sign: Signer<'_>,
    ) -> Result<(), LedgerError>;

    /// How the watched channels stand, those that may have changed.
    fn sync(&mut self) -> Result<Vec<Sighting>, LedgerError>;

    /// The ledger's clock, as its rules measure it.
    fn clock(&mut self) -> Result<LedgerTime, LedgerError>;
}

/// Our part of a channel that we ask for on a [`JointLedger`].
#[derive(Clone, Debug)]
pub struct JointOffer {
    /// Our keys and identity, as this ledger wants them.
    pub participant: Participant,
    /// What its terms say besides.
    pub chain: LedgerBytes,
    /// What we put into the transaction.
    pub contribution: LedgerBytes,
}

/// A channel as a [`JointLedger`] builds it.
#[derive(Clone, Debug)]
pub struct JointAssembly {
    /// The parameters: the nonce binds them to the transaction.
    pub params: Params,
    /// Version 0.
    pub initial: State,
    /// The channel's place on this ledger.
    pub setup: LedgerBytes,
    /// The transaction.
    pub transaction: Transaction,
}

/// A ledger where one transaction of both sides opens a channel.
pub trait JointLedger: Ledger {
    /// Sets aside what our side of a channel needs.
    fn offer(&mut self, session: Address, request: &OpenRequest)
    -> Result<JointOffer, LedgerError>;

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
    fn assemble(&mut self, plan: &Plan, ended: Option<State>)
    -> Result<JointAssembly, LedgerError>;

    /// Our part of the transaction.
    fn witness(&mut self, joint: &Transaction, sign: Signer<'_>) -> Result<Witness, LedgerError>;

    /// Whether the peer's part is valid, together with ours, as far as this process can say. What
    /// we sign for that stays here: our release is not recorded yet.
    fn check_witness(
        &mut self,
        joint: &Transaction,
        witness: &Witness,
        sign: Signer<'_>,
    ) -> Result<(), LedgerError>;

    /// Completes the transaction with both parts and submits it. Only from here on may anybody
    /// else see our part.
    fn submit_assembly(
        &mut self,
        joint: &Transaction,
        theirs: &Witness,
        sign: Signer<'_>,
    ) -> Result<(), LedgerError>;

    /// Makes the transaction impossible by spending one of our inputs otherwise.
    fn abort_open(&mut self, joint: &Transaction) -> Result<(), LedgerError>;
}

/// A ledger where each side deposits for itself, and a channel that is not fully funded pays every
/// deposit back.
pub trait DepositLedger: Ledger {
    /// Sets aside what our side of a channel needs: the ledger's terms, our part. Our part must
    /// hold something drawn at random; see [`DepositLedger::params`].
    fn offer(
        &mut self,
        session: Address,
        request: &OpenRequest,
    ) -> Result<(LedgerBytes, LedgerBytes), LedgerError>;

    /// Sets aside what our side of a proposed channel needs; something drawn at random is in it.
    fn answer(&mut self, session: Address, terms: &Terms) -> Result<LedgerBytes, LedgerError>;

    /// The parameters of a planned channel, if no ledger of it makes them by a transaction of both
    /// sides. No two channels may ever have the same, or what was signed in one would count in the
    /// other: the nonce hangs on what both sides drew at random for this one.
    fn params(&mut self, plan: &Plan) -> Result<Params, LedgerError> {
        let mut parts = Vec::new();
        for contribution in plan.contributions.iter().flatten() {
            parts.push(keccak256(&[contribution.as_bytes()]));
        }
        let parts: Vec<&[u8]> = parts.iter().map(<[u8; 32]>::as_slice).collect();
        Params::new(plan.challenge_secs, keccak256(&parts), plan.participants.to_vec())
            .map_err(|error| LedgerError::Refused(error.to_string()))
    }

    /// What a go-perun peer is told of our part: the random bytes that were drawn for it.
    fn go_perun_share(&self, _: &LedgerBytes) -> Result<[u8; 32], LedgerError> {
        Err(LedgerError::Refused(NO_GO_PERUN.to_owned()))
    }

    /// What the terms say besides, and the part of a go-perun peer, which tells its random bytes
    /// and the address that signs for it only.
    fn go_perun_part(
        &self,
        _: [u8; 32],
        _: Address,
    ) -> Result<(LedgerBytes, LedgerBytes), LedgerError> {
        Err(LedgerError::Refused(NO_GO_PERUN.to_owned()))
    }

    /// The place of a planned channel with these parameters. `initial` is version 0.
    fn place(
        &mut self,
        plan: &Plan,
        params: &Params,
        initial: &State,
    ) -> Result<LedgerBytes, LedgerError>;

    /// Deposits what version 0 gives us, which may be nothing, and sees to it that what the
    /// channel pays us there reaches us; unless that was done or is on its way. It is ordered
    /// again at every look at the ledger until everything is in.
    fn deposit(
        &mut self,
        target: &Target,
        initial: &State,
        contribution: &LedgerBytes,
        sign: Signer<'_>,
    ) -> Result<(), LedgerError>;
}

const NO_GO_PERUN: &str = "there are no go-perun peers on this ledger; nothing was set aside or \
                           signed. Use a ledger that go-perun has";
