//! Which state counts: register, refute, close, conclude.

use alloy_primitives::{B256, U256};
use perun_channel::{Asset, Params, SignedState, State};

use super::Desk;
use crate::Error;
use crate::abi::solidity::HubErrors;
use crate::abi::{convert, eth, solidity as sol};
use crate::follow::{CONCLUDED, DISPUTE, Fingerprint};
use crate::sender::Progress;
use crate::sender::book::Key;

/// What the hub lets a payee use, and what it costs to keep a payment that failed.
const COIN_GAS: u64 = 100_000 + CREDIT_GAS;
/// The same for a token.
const TOKEN_GAS: u64 = 300_000 + CREDIT_GAS;
const CREDIT_GAS: u64 = 30_000;

/// A channel in a tree of channels that are registered together, depth first.
#[derive(Clone, Copy, Debug)]
pub struct Node<'a> {
    /// Its parameters.
    pub params: &'a Params,
    /// Its state, signed by all.
    pub signed: &'a SignedState,
}

/// What decides about a swap that is pending in the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// There is none, or it is refunded: possible from its expiry on.
    Refund,
    /// It is claimed with this preimage.
    Preimage([u8; 32]),
}

impl Desk<'_> {
    /// Registers a signed state, or refutes an older one with it. `below` are the channels locked
    /// in it, depth first.
    pub fn register(
        &mut self,
        params: &Params,
        signed: &SignedState,
        below: &[Node<'_>],
    ) -> Result<Progress, Error> {
        let (id, state) = (params.id(), signed.state());
        self.rows(params, state)?;
        let (head, record) = self.record(&id)?;
        if let Some(record) = record {
            if record.fingerprint.is_of(state) {
                return Ok(Progress::Done);
            }
            if record.phase == CONCLUDED {
                return Err(Error::Concluded(id));
            }
            let (registered, ours) = (record.version, state.version().get());
            if registered >= ours {
                return Err(Error::NotNewer { channel: id, registered, ours });
            }
            if record.phase != DISPUTE || head.timestamp >= record.timeout {
                let until = record.timeout;
                return Err(Error::WindowOver { channel: id, registered, until });
            }
        }
        let key = Key::new("register", &id, &Fingerprint::of(state).0);
        let below = below.iter().map(|node| convert::signed(node.params, node.signed));
        let call = sol::Hub::registerCall {
            channel: convert::signed(params, signed),
            subChannels: below.collect(),
        };
        self.call(key, U256::ZERO, &call)
    }

    /// Concludes with a final state at once, whatever is registered, and pays everybody: to the
    /// payee that it bound, else to its signing address.
    pub fn close(&mut self, params: &Params, signed: &SignedState) -> Result<Progress, Error> {
        self.conclude_final(params, signed, true)
    }

    /// Concludes with a final state at once and pays nobody: for participants whose payee is not
    /// bound, who then withdraw with a signature of their session key.
    pub fn close_unpaid(
        &mut self,
        params: &Params,
        signed: &SignedState,
    ) -> Result<Progress, Error> {
        self.conclude_final(params, signed, false)
    }

    fn conclude_final(
        &mut self,
        params: &Params,
        signed: &SignedState,
        pays: bool,
    ) -> Result<Progress, Error> {
        let (id, state) = (params.id(), signed.state());
        self.rows(params, state)?;
        if !state.is_final() {
            return Err(Error::Unfit { channel: id, what: "the state is not final; register it" });
        }
        if let Some(record) = self.record(&id)?.1.filter(|record| record.phase == CONCLUDED) {
            let done = record.fingerprint.is_of(state);
            return if done { Ok(Progress::Done) } else { Err(Error::Concluded(id)) };
        }
        let key = Key::new("close", &id, &[]);
        let spare = self.spare_gas(params, state);
        let sol::SignedState { params, state, sigs } = convert::signed(params, signed);
        let sent = if pays {
            self.call_paying(key, &sol::Hub::closeAndPayCall { params, state, sigs }, spare)
        } else {
            self.call(key, U256::ZERO, &sol::Hub::concludeFinalCall { params, state, sigs })
        };
        done_by_others(sent)
    }

    /// Concludes the registered state and pays everybody. `below` are the states of the channels
    /// locked in it, depth first. Also the way back from an opening whose deposits did not all
    /// come: everybody gets what it deposited.
    pub fn conclude(
        &mut self,
        params: &Params,
        state: &State,
        below: &[State],
        decision: Decision,
    ) -> Result<Progress, Error> {
        let id = params.id();
        self.rows(params, state)?;
        let (head, record) = self.record(&id)?;
        let record = record.ok_or(Error::OtherState(id))?;
        let fits = record.fingerprint.is_of(state);
        match record.phase {
            CONCLUDED if fits => return Ok(Progress::Done),
            CONCLUDED => return Err(Error::Concluded(id)),
            _ if !fits => return Err(Error::OtherState(id)),
            _ => {}
        }
        let has_steps = *params.app() != perun_channel::Address::ZERO && !state.is_final();
        let wait = if has_steps && record.phase == DISPUTE { params.challenge_secs() } else { 0 };
        let (until, now) = (record.timeout.saturating_add(wait), head.timestamp);
        if now < until {
            return Err(Error::TooEarly { until, now });
        }
        let key = Key::new("conclude", &id, &[]);
        let spare = self.spare_gas(params, state);
        let (params, state) = (convert::params(params), convert::state(state));
        let below = below.iter().map(convert::state).collect();
        let sent = match decision {
            Decision::Refund => {
                let call = sol::Hub::concludeAndPayCall { params, state, subStates: below };
                self.call_paying(key, &call, spare)
            }
            Decision::Preimage(preimage) => {
                let call = sol::Hub::concludeAndPayWithPreimageCall {
                    params,
                    state,
                    subStates: below,
                    preimage: B256::new(preimage),
                };
                self.call_paying(key, &call, spare)
            }
        };
        done_by_others(sent).map_err(|error| match error {
            Error::Reverted(revert)
                if revert.is::<HubErrors::WrongPreimage>() || revert.is::<HubErrors::NoSwap>() =>
            {
                Error::WrongPreimage(id)
            }
            error => error,
        })
    }

    /// How much more gas the payments of a channel can take in a block than when they were tried. A
    /// payee or a token can tell the one from the other, and with too little gas the hub refuses
    /// the whole: so whoever is paid first could keep everybody else from being paid.
    fn spare_gas(&self, params: &Params, state: &State) -> u64 {
        let outcome = state.outcome();
        let rows = self.orders.deployment.rows(outcome);
        let assets = rows.iter().filter_map(|row| outcome.assets().get(*row));
        let is_coin = |asset: &Asset| eth(asset.holder()) == self.hub();
        let each = assets.map(|asset| if is_coin(asset) { COIN_GAS } else { TOKEN_GAS });
        let payees = u64::try_from(params.participants().len()).unwrap_or(u64::MAX);
        each.fold(0_u64, u64::saturating_add).saturating_mul(payees)
    }
}

/// Somebody else may have concluded between our look and our try; the next look tells with what.
fn done_by_others(sent: Result<Progress, Error>) -> Result<Progress, Error> {
    match sent {
        Err(Error::Reverted(revert)) if revert.is::<HubErrors::AlreadyConcluded>() => {
            Ok(Progress::Queued)
        }
        sent => sent,
    }
}
