//! What the levels do not say: the state behind a registration, and how a channel ended.
//!
//! A record names a state by its hash, and the logs hold the state with its signatures; so whatever
//! node showed it, a state that fits is the one. The invariant: what is cached proves itself
//! (states) or is held to the block it was seen in (endings).

use alloy_primitives::B256;
use alloy_sol_types::SolInterface;
use perun_channel::hash::keccak256;
use perun_channel::{Params, Signature, State};

use super::chain::Recent;
use super::history::{Search, event};
use super::levels::{CONCLUDED, DISPUTE, FORCED, Record};
use super::standing::{Ending, Fingerprint, Proof, Standing};
use crate::abi::{convert, packed, solidity as sol};
use crate::rpc::{Block, Log, Node};
use crate::{Deployment, Error};

/// Most states of one channel that are kept: those registered at the head and at its depth.
const STATES_MAX: usize = 4;

/// Where a channel is looked at.
pub(super) struct Place<'a> {
    pub(super) node: Node<'a>,
    pub(super) deployment: &'a Deployment,
    pub(super) recent: &'a Recent,
    pub(super) block: Block,
}

/// What was found of one channel.
#[derive(Clone, Debug, Default)]
pub(super) struct Evidence {
    states: Vec<(Fingerprint, State, Proof)>,
    ended: Option<Ended>,
}

/// How the channel ended, as one transaction tells.
#[derive(Clone, Debug)]
struct Ended {
    record: Record,
    block: (u64, B256),
    transaction: B256,
    spent: Option<B256>,
    preimage: Option<B256>,
    state: Option<State>,
}

impl Evidence {
    /// The standing of a channel with this record.
    pub(super) fn standing(
        &mut self,
        place: &Place<'_>,
        params: &Params,
        record: Record,
        unpaid: u32,
    ) -> Result<Standing, Error> {
        if record.phase == CONCLUDED {
            let ended = self.ending(place, params, record)?;
            return Ok(match ended.spent {
                Some(digest) => Standing::Spent { digest: digest.0, unpaid },
                None => Standing::Concluded(Ending {
                    version: record.version,
                    fingerprint: record.fingerprint,
                    state: ended.state.clone(),
                    preimage: ended.preimage.map(|preimage| preimage.0),
                    unpaid,
                }),
            });
        }
        let (state, proof) = self.registered(place, params, record)?;
        let has_steps = *params.app() != perun_channel::Address::ZERO && !state.is_final();
        let wait = if has_steps && record.phase == DISPUTE { params.challenge_secs() } else { 0 };
        let (until, concludable) = (record.timeout, record.timeout.saturating_add(wait));
        Ok(Standing::Registered { state, proof, until, concludable })
    }

    /// The state that the record names. A node whose levels name it and whose logs lack it omits
    /// something.
    fn registered(
        &mut self,
        place: &Place<'_>,
        params: &Params,
        record: Record,
    ) -> Result<(State, Proof), Error> {
        self.search_state(place, params, record)?;
        let found = self.state(record.fingerprint).filter(|(state, proof)| {
            let is_step = matches!(proof, Proof::Step { .. });
            state.version().get() == record.version && is_step == (record.phase == FORCED)
        });
        found.ok_or_else(|| Error::unavailable("shows a registration and not the state behind it"))
    }

    fn ending(
        &mut self,
        place: &Place<'_>,
        params: &Params,
        record: Record,
    ) -> Result<&Ended, Error> {
        let stands = self.ended.take().filter(|ended| {
            let (number, hash) = ended.block;
            let here = place.recent.at(number);
            ended.record == record
                && number <= place.block.number
                && here.is_none_or(|here| here.hash == hash)
        });
        let ended = match stands {
            Some(ended) => ended,
            None => self.find_ending(place, params, record)?,
        };
        Ok(self.ended.insert(ended))
    }

    fn find_ending(
        &mut self,
        place: &Place<'_>,
        params: &Params,
        record: Record,
    ) -> Result<Ended, Error> {
        let mut ended: Option<Ended> = None;
        // It ended when its window was over, or, without one, at the recorded time.
        place.search(params, record.timeout).newest_first(|logs| {
            self.take_state(params, logs, record.fingerprint)?;
            ended = read_ending(logs, record)?;
            Ok(ended.is_some())
        })?;
        let lacks = || Error::unavailable("shows that a channel ended and not what ended it");
        let mut ended = ended.ok_or_else(lacks)?;
        if ended.spent.is_none() {
            ended.state = self.concluded_state(place, params, record, ended.transaction)?;
        }
        Ok(ended)
    }

    /// The state that decided: shown by the transaction that ended the channel, or registered
    /// before. If neither shows it, that is no fault of the node.
    fn concluded_state(
        &mut self,
        place: &Place<'_>,
        params: &Params,
        record: Record,
        transaction: B256,
    ) -> Result<Option<State>, Error> {
        if let Some((state, _)) = self.state(record.fingerprint) {
            return Ok(Some(state));
        }
        let input = place.node.transaction_input(transaction)?;
        let input = input.filter(|(to, _)| *to == place.deployment.hub());
        let shown = input.map(|(_, input)| states_of_call(&input)).unwrap_or_default();
        let fits = |state: &State| record.fingerprint.is_of(state);
        if let Some(state) = shown.into_iter().find(fits) {
            return Ok(Some(state));
        }
        self.search_state(place, params, record)?;
        Ok(self.state(record.fingerprint).map(|(state, _)| state))
    }

    fn state(&self, fingerprint: Fingerprint) -> Option<(State, Proof)> {
        let known = self.states.iter().find(|(known, ..)| *known == fingerprint)?;
        Some((known.1.clone(), known.2.clone()))
    }

    /// Looks for the state with this fingerprint as far back as its window can have opened: with
    /// the first registration, since a newer state does not prolong it.
    fn search_state(
        &mut self,
        place: &Place<'_>,
        params: &Params,
        record: Record,
    ) -> Result<(), Error> {
        if self.state(record.fingerprint).is_some() {
            return Ok(());
        }
        let since = record.timeout.saturating_sub(params.challenge_secs());
        let search = place.search(params, since);
        search.newest_first(|logs| self.take_state(params, logs, record.fingerprint))?;
        Ok(())
    }

    /// Takes the state with this fingerprint, if one of these logs shows it. A state that does not
    /// fit the channel is a contradiction: the contract checks what it tells.
    fn take_state(
        &mut self,
        params: &Params,
        logs: &[Log],
        wanted: Fingerprint,
    ) -> Result<bool, Error> {
        if self.state(wanted).is_some() {
            return Ok(true);
        }
        for log in logs {
            let Some((state, proof)) = read_state(params, log, wanted)? else { continue };
            if self.states.len() >= STATES_MAX {
                self.states.remove(0);
            }
            self.states.push((wanted, state, proof));
            return Ok(true);
        }
        Ok(false)
    }
}

impl<'a> Place<'a> {
    fn search(&self, params: &Params, since: u64) -> Search<'a> {
        Search {
            node: self.node,
            deployment: self.deployment,
            recent: self.recent,
            channel: params.id(),
            until: self.block,
            since,
        }
    }
}

/// The transaction that ended the channel, if these logs show it, with what else it told.
fn read_ending(logs: &[Log], record: Record) -> Result<Option<Ended>, Error> {
    let mut end = None;
    for log in logs {
        let Some(update) = event::<sol::Hub::ChannelUpdate>(log)? else { continue };
        let is_end = update.phase == CONCLUDED
            && update.version == record.version
            && update.timeout == record.timeout;
        if is_end && end.is_none() {
            end = Some(log);
        }
    }
    let Some(end) = end else { return Ok(None) };
    let mut ended = Ended {
        record,
        block: (end.block_number, end.block_hash),
        transaction: end.transaction,
        spent: None,
        preimage: None,
        state: None,
    };
    for log in logs.iter().filter(|log| log.transaction == end.transaction) {
        if let Some(spent) = event::<sol::Hub::SpentByConsent>(log)? {
            ended.spent = Some(spent.digest);
        }
        if let Some(claimed) = event::<sol::Hub::SwapClaimed>(log)? {
            ended.preimage = Some(claimed.preimage);
        }
    }
    Ok(Some(ended))
}

/// The states that a direct call of the hub concludes with. What cannot be read is not one.
fn states_of_call(input: &[u8]) -> Vec<State> {
    use sol::Hub::HubCalls as Call;
    let shown = match Call::abi_decode_validate(input) {
        Ok(Call::closeAndPay(call)) => vec![call.state],
        Ok(Call::concludeFinal(call)) => vec![call.state],
        Ok(Call::closeBatch(call)) => call.channels.into_iter().map(|one| one.state).collect(),
        _ => Vec::new(),
    };
    shown.iter().filter_map(|state| convert::read_state(state).ok()).collect()
}

fn read_state(
    params: &Params,
    log: &Log,
    wanted: Fingerprint,
) -> Result<Option<(State, Proof)>, Error> {
    let contradiction = |_| Error::unavailable("shows a registration that no contract would take");
    let unpacked = |id: &B256, state: &[u8]| {
        packed::state(id, state).filter(|bytes| keccak256(&[bytes]).starts_with(&wanted.0))
    };
    if let Some(shown) = event::<sol::Hub::StateRegistered>(log)? {
        let Some((packed, sigs)) = packed::split(&shown.signed) else { return Ok(None) };
        let Some(bytes) = unpacked(&shown.channelID, packed) else { return Ok(None) };
        let state = convert::read_state_bytes(&bytes).map_err(contradiction)?;
        let signatures = convert::read_signatures(sigs).map_err(contradiction)?;
        let signed = convert::read_signed(params, state, signatures).map_err(contradiction)?;
        let proof = Proof::Signed(signed.signatures().to_vec());
        return Ok(Some((signed.state().clone(), proof)));
    }
    let Some(shown) = event::<sol::Hub::StateProgressed>(log)? else { return Ok(None) };
    let Some(bytes) = unpacked(&shown.channelID, &shown.state) else { return Ok(None) };
    read_step(params, &shown, &bytes).map(Some).map_err(contradiction)
}

fn read_step(
    params: &Params,
    shown: &sol::Hub::StateProgressed,
    bytes: &[u8],
) -> Result<(State, Proof), Error> {
    let malformed = Error::Malformed("forced step");
    let state = convert::read_state_bytes(bytes)?;
    let actor = usize::try_from(shown.actorIdx).map_err(|_| malformed.clone())?;
    let signer = params.participants().get(actor).ok_or_else(|| malformed.clone())?;
    let signature = Signature::new(&shown.sig).map_err(|_| malformed.clone())?;
    let is_signed = signature.verify(&state.digest(), signer.address()).is_ok();
    if !is_signed || *state.id() != params.id() {
        return Err(malformed);
    }
    Ok((state, Proof::Step { actor, signature }))
}
