//! Funding one after another, for owners that cannot sign one transaction together.
//!
//! The first depositor creates the channel cell alone, the others add to it with [`Step::Fund`],
//! and whoever waits too long ends it with [`Step::AbortFunding`]. Coins only: whoever could freeze
//! a token would hold the other deposits hostage. The invariant: the channel's id depends on the
//! first depositor's first input, which is therefore chosen before anything else is.
//!
//! [`Step::Fund`]: crate::dispute::Step::Fund
//! [`Step::AbortFunding`]: crate::dispute::Step::AbortFunding

use crate::Error;
use crate::channel::Contract;
use crate::deployment::Deployment;
use crate::dispute::funded_cell;
use crate::open::OpenedChannel;
use crate::tx::{Draft, Spend};
use ckb_types::{
    packed::{CellInput, Script},
    prelude::*,
};
use perun_channel::adjudicator::{Action, Row, Setup, StateBody, origin};
use perun_channel::codec::Encode;
use perun_channel::{Allocation, Amount, Asset, Participant, State};

/// What the parties agreed on before the first of them deposits.
#[derive(Clone, Debug)]
pub struct FundingTerms {
    /// How long a registered state can be refuted, and how long a deposit waits for the others.
    pub challenge_secs: u64,
    /// The assets: coins, and assets of other ledgers.
    pub assets: Vec<Asset>,
    /// The first balances, `[asset][participant]`.
    pub balances: Vec<Vec<Amount>>,
    /// The participants with their identities on this chain.
    pub participants: Vec<Participant>,
    /// The scripts that payouts go to, one per participant.
    pub payouts: Vec<Script>,
}

/// Creates a channel with the deposits of the marked participants. `first` is the depositor's cell
/// that makes the channel unique.
pub fn create_funding(
    deployment: &Deployment,
    terms: &FundingTerms,
    first: Spend,
    marks: u32,
) -> Result<(Draft, OpenedChannel), Error> {
    let input = CellInput::new(first.cell.out_point.clone(), first.since);
    let input: [u8; 44] =
        input.as_slice().try_into().map_err(|_| Error::Malformed("first input"))?;
    let setup = Setup::new(
        origin(&input, 0),
        deployment.chain(),
        terms.challenge_secs,
        terms.participants.clone(),
        rows(terms)?,
    )?;
    let contract = Contract::new(setup, terms.payouts.clone())?;
    let outcome = Allocation::new(terms.assets.clone(), terms.balances.clone(), Vec::new())?;
    let state = State::initial(contract.id(), outcome);
    let action = Action::Create { setup: contract.setup().clone(), body: StateBody::of(&state) };
    let mut draft = Draft::default();
    draft.depend_on_channels(deployment, false);
    draft.spends.push(first);
    draft.makes.push(funded_cell(&contract, &state, marks, deployment)?);
    draft.witness(0).output_type = Some(action.to_bytes());
    Ok((draft, OpenedChannel { contract, state, output: 0 }))
}

/// The rows; without tokens, as the verdict wants it, there are no vaults.
fn rows(terms: &FundingTerms) -> Result<Vec<Row>, Error> {
    let rows = terms.assets.iter().zip(&terms.balances).map(|(asset, balances)| {
        let total = Amount::checked_sum(balances.iter().copied()).ok_or(Error::Amount)?;
        Ok(Row { asset: asset.clone(), total, vault_capacity: 0 })
    });
    rows.collect()
}
