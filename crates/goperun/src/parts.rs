//! What several messages carry: states with their app, parameters, signed states.
//!
//! They are `perun_channel`'s types with what go-perun writes beside them.

use perun_channel::sig::{SignatureRefusal, SignedState};
use perun_channel::{Address, ChannelId, Params, Signature, State};

use sha3::{Digest, Sha3_256};

use crate::address::Party;
use crate::error::DecodeError;

/// Free bytes of a proposal and of parameters. Neither the id nor a signature covers them.
pub type Aux = [u8; 256];

/// The nonce of a channel of two: the hash of both shares, in the order of the participants.
#[must_use]
pub fn nonce([zero, one]: &[[u8; 32]; 2]) -> [u8; 32] {
    Sha3_256::new().chain_update(zero).chain_update(one).finalize().into()
}

/// A state, with the app that its data belong to: zero for none. Without an app there are no data.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AppState {
    app: Address,
    state: State,
}

impl AppState {
    /// A state of an app; zero for none.
    pub fn new(app: Address, state: State) -> Result<Self, DecodeError> {
        if app == Address::ZERO && !state.data().is_empty() {
            return Err(DecodeError::NotCanonical);
        }
        Ok(Self { app, state })
    }

    /// The app; zero for none.
    #[must_use]
    pub const fn app(&self) -> &Address {
        &self.app
    }

    /// The state.
    #[must_use]
    pub const fn state(&self) -> &State {
        &self.state
    }
}

/// A channel's parameters, with the ledgers of the participants' addresses and the free bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ChannelParams {
    params: Params,
    parties: Vec<Party>,
    aux: Aux,
}

impl ChannelParams {
    /// Parameters; both flags false make a sub-channel.
    pub fn new(
        challenge_secs: u64,
        nonce: [u8; 32],
        parties: Vec<Party>,
        app: Address,
        (is_ledger, is_virtual): (bool, bool),
        aux: Aux,
    ) -> Result<Self, DecodeError> {
        let participants = parties.iter().map(|party| party.participant().clone()).collect();
        let params =
            Params::with_kind(challenge_secs, nonce, participants, app, is_ledger, is_virtual)?;
        Ok(Self { params, parties, aux })
    }

    /// The parameters, whose hash is the channel's id.
    #[must_use]
    pub const fn params(&self) -> &Params {
        &self.params
    }

    /// The participants, in order.
    #[must_use]
    pub fn parties(&self) -> &[Party] {
        &self.parties
    }

    /// The free bytes.
    #[must_use]
    pub const fn aux(&self) -> &Aux {
        &self.aux
    }

    /// The channel's id.
    #[must_use]
    pub const fn id(&self) -> ChannelId {
        self.params.id()
    }
}

/// A state with the signatures that there are: one place for each participant.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Transaction {
    state: AppState,
    signatures: Vec<Option<Signature>>,
}

impl Transaction {
    /// A state with one place per participant.
    pub fn new(state: AppState, signatures: Vec<Option<Signature>>) -> Result<Self, DecodeError> {
        if signatures.len() != state.state().outcome().columns() {
            return Err(DecodeError::Shape);
        }
        Ok(Self { state, signatures })
    }

    /// The state.
    #[must_use]
    pub const fn state(&self) -> &AppState {
        &self.state
    }

    /// The signatures, by participant.
    #[must_use]
    pub fn signatures(&self) -> &[Option<Signature>] {
        &self.signatures
    }
}

/// A channel's parameters and a state that claims to be signed. Nothing of it is checked but its
/// shape.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClaimedState {
    params: ChannelParams,
    transaction: Transaction,
}

impl ClaimedState {
    /// A claim: as many participants as balances.
    pub fn new(params: ChannelParams, transaction: Transaction) -> Result<Self, DecodeError> {
        if params.parties().len() != transaction.signatures().len() {
            return Err(DecodeError::Shape);
        }
        Ok(Self { params, transaction })
    }

    /// The parameters.
    #[must_use]
    pub const fn params(&self) -> &ChannelParams {
        &self.params
    }

    /// The state and its signatures.
    #[must_use]
    pub const fn transaction(&self) -> &Transaction {
        &self.transaction
    }

    /// The signed state, if it is of this channel and app, and every participant signed it.
    pub fn check(&self) -> Result<SignedState, SignatureRefusal> {
        let params = self.params.params();
        let AppState { app, state } = self.transaction.state();
        if *state.id() != params.id() || app != params.app() {
            return Err(SignatureRefusal::WrongSigner);
        }
        let signatures: Option<Vec<_>> = self.transaction.signatures().iter().copied().collect();
        SignedState::new(params, state.clone(), signatures.ok_or(SignatureRefusal::Count)?)
    }
}
