//! From a transaction to the cause of a channel's change: which output is a channel's cell, which
//! action the witness names, and what both mean together.
//!
//! What is kept is the evidence, the action's own bytes; the [`Cause`] is always derived from it.
//! The invariant: a cell counts as a channel's only by exact vault lock, channel type hash and id;
//! everything else under the lock is somebody's junk.

use super::{BlockStamp, Cause, PlacedCell, deadline_ms};
use ckb_types::{
    core::{ScriptHashType, TransactionView},
    packed::{Byte32, CellOutput, OutPoint, Script},
    prelude::*,
};
use perun_channel::ChannelId;
use perun_channel::adjudicator::{
    Action, ChannelCell, Code, Env, Phase, Setup, WitnessArgs, WitnessField,
};
use perun_channel::hash::ckb_hash;

/// Most bytes of an action that are kept. The largest one that decodes with 16 participants, 16
/// assets and no locked entries has some 10,000.
pub(super) const ACTION_BYTES_MAX: usize = 32_000;

/// Most successors that are named. A transaction of the largest size creates fewer.
pub(super) const SUCCESSORS_MAX: usize = 2_000;

/// Where a channel stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// No cell yet.
    Awaiting,
    /// The channel cell.
    Live(PlacedCell),
    /// Ended, or impossible.
    Gone,
}

/// What proves a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Evidence {
    /// The channel's action, as its witness spells it, and the channels created beside it.
    Acted { action: Vec<u8>, successors: Vec<ChannelId> },
    /// The spend of an input that the creating transaction needs.
    InputSpent { input: OutPoint },
}

/// A change and where it leaves the channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) evidence: Evidence,
    pub(super) after: Place,
}

/// What tells a channel's cells: its id and its vault lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Marks {
    pub(super) id: ChannelId,
    pub(super) lock: Script,
}

impl Marks {
    pub(super) fn new(env: &Env, id: ChannelId) -> Self {
        let lock = Script::new_builder()
            .code_hash(Byte32::new(env.vault_code))
            .hash_type(ScriptHashType::Data2)
            .args(vault_args(env, &id).as_slice())
            .build();
        Self { id, lock }
    }
}

/// The arguments of a channel's vault lock.
pub(super) fn vault_args(env: &Env, id: &ChannelId) -> [u8; 32] {
    ckb_hash(&[&env.channel_type, id.as_bytes()])
}

/// What one transaction does to one channel at this place.
pub(super) fn examine(
    env: &Env,
    marks: &Marks,
    place: &Place,
    inputs_awaited: &[OutPoint],
    tx: &TransactionView,
) -> Result<Option<Finding>, Code> {
    match place {
        Place::Gone => Ok(None),
        Place::Awaiting => Ok(created(env, marks, inputs_awaited, tx)),
        Place::Live(cell) => {
            let input = tx.input_pts_iter().position(|spent| spent == cell.out_point);
            input.map(|input| spent(env, marks, input, tx)).transpose()
        }
    }
}

fn created(
    env: &Env,
    marks: &Marks,
    inputs_awaited: &[OutPoint],
    tx: &TransactionView,
) -> Option<Finding> {
    let Some((index, cell)) = channel_cell(env, marks, tx) else {
        let input = tx.input_pts_iter().find(|spent| inputs_awaited.contains(spent))?;
        return Some(Finding { evidence: Evidence::InputSpent { input }, after: Place::Gone });
    };
    // A cell that continues one which was never seen is made without a creation; see `strays`.
    let action = action_bytes(tx, index, WitnessField::OutputType).ok()?;
    let evidence = Evidence::Acted { action, successors: Vec::new() };
    Some(Finding { evidence, after: Place::Live(cell) })
}

fn spent(env: &Env, marks: &Marks, input: usize, tx: &TransactionView) -> Result<Finding, Code> {
    let action = action_bytes(tx, input, WitnessField::InputType)?;
    let successors = match Action::read(&action)? {
        Action::CoopSpend { .. } => successors(env, tx),
        _ => Vec::new(),
    };
    let next = channel_cell(env, marks, tx);
    let after = next.map_or(Place::Gone, |(_, cell)| Place::Live(cell));
    Ok(Finding { evidence: Evidence::Acted { action, successors }, after })
}

/// Whether the transaction moves the channel, though [`examine`] found nothing: then something
/// before it was missed.
pub(super) fn strays(env: &Env, marks: &Marks, tx: &TransactionView) -> bool {
    channel_cell(env, marks, tx).is_some()
}

/// The channel's own cell among the outputs.
fn channel_cell(env: &Env, marks: &Marks, tx: &TransactionView) -> Option<(usize, PlacedCell)> {
    tx.outputs_with_data_iter().enumerate().find_map(|(index, (output, data))| {
        let ours = output.lock() == marks.lock && is_channel_type(env, &output);
        let content = ChannelCell::from_data(&data).ok();
        let content = content.filter(|cell| ours && cell.id == marks.id)?;
        let out_point = OutPoint::new(tx.hash(), u32::try_from(index).ok()?);
        let capacity = output.capacity().into();
        Some((index, PlacedCell { out_point, capacity, content }))
    })
}

fn is_channel_type(env: &Env, output: &CellOutput) -> bool {
    let kind = output.type_().to_opt().map(|kind| kind.calc_script_hash());
    kind.is_some_and(|kind| kind.as_slice() == env.channel_type)
}

/// The ids of the channels that the transaction creates: their output's witness says so.
fn successors(env: &Env, tx: &TransactionView) -> Vec<ChannelId> {
    let outputs = tx.outputs_with_data_iter().enumerate();
    let created = outputs.filter_map(|(index, (output, data))| {
        let cell = ChannelCell::from_data(&data).ok().filter(|_| is_channel_type(env, &output))?;
        let action = Action::read(&action_bytes(tx, index, WitnessField::OutputType).ok()?).ok()?;
        let creates = matches!(action, Action::Create { .. }) && action.setup().id() == cell.id;
        creates.then_some(cell.id)
    });
    created.take(SUCCESSORS_MAX).collect()
}

fn action_bytes(tx: &TransactionView, index: usize, field: WitnessField) -> Result<Vec<u8>, Code> {
    let witness = tx.witnesses().get(index).ok_or(Code::Witness)?.raw_data();
    let action = WitnessArgs::field(&witness, field).ok_or(Code::Witness)?;
    if action.len() > ACTION_BYTES_MAX { Err(Code::Witness) } else { Ok(action.to_vec()) }
}

/// What the evidence means. `block` is the one that committed the transaction, if any has.
pub(super) fn cause(
    id: &ChannelId,
    finding: &Finding,
    by: &Byte32,
    block: Option<&BlockStamp>,
) -> Result<Cause, Code> {
    let (action, successors) = match &finding.evidence {
        Evidence::Acted { action, successors } => (Action::read(action)?, successors),
        Evidence::InputSpent { input } => {
            return Ok(Cause::OpenImpossible { by: by.clone(), input: input.clone() });
        }
    };
    if action.setup().id() != *id {
        return Err(Code::ChannelId);
    }
    let cell = match &finding.after {
        Place::Live(cell) => Some(cell.clone()),
        Place::Awaiting | Place::Gone => None,
    };
    let unpaid = cell.as_ref().map_or(0, |cell| cell.content.marks);
    let deadline = |setup: &Setup| {
        block.map(|block| deadline_ms(block.timestamp_ms, setup.params().challenge_secs()))
    };
    match action {
        Action::Create { setup, body } | Action::Fund { setup, body } => {
            let cell = cell.ok_or(Code::WrongAction)?;
            let state = setup.state(body)?;
            Ok(if cell.content.phase == Phase::Funding {
                let deadline_ms = deadline(&setup);
                Cause::Funding { setup, state, cell, deadline_ms }
            } else {
                Cause::Opened { setup, state, cell }
            })
        }
        Action::AbortFunding { .. } => Ok(Cause::FundingAborted),
        Action::Register { setup, body, slot, signatures } => {
            let cell = cell.ok_or(Code::WrongAction)?;
            let deadline_ms = deadline(&setup);
            let state = setup.state(body)?;
            Ok(Cause::Registered { state, slot, signatures, cell, deadline_ms })
        }
        Action::Conclude { setup, body, decision } => {
            Ok(Cause::Concluded { state: setup.state(body)?, decision, unpaid, cell })
        }
        Action::Withdraw { setup, body } => {
            Ok(Cause::Withdrawn { state: setup.state(body)?, unpaid, cell })
        }
        Action::CloseFinal { setup, body, signatures } => {
            Ok(Cause::ClosedFinal { state: setup.state(body)?, signatures, unpaid, cell })
        }
        Action::CoopSpend { .. } => Ok(Cause::Cooperative { successors: successors.clone() }),
    }
}
