//! Where a transaction touches channels: the cells on both sides, and the action in the witness.

use super::{action, lookup};
use ckb_types::{core::TransactionView, prelude::*};
use perun_channel::ChannelId;
use perun_channel::adjudicator::{Action, Cell, ChannelCell, Code, Env, WitnessArgs, WitnessField};

/// One channel in a transaction.
#[derive(Debug)]
pub(super) struct Site {
    /// The input that spends its cell; none if the cell is new.
    pub(super) input: Option<usize>,
    /// The cell before, if it was looked up.
    pub(super) before: Option<ChannelCell>,
    /// The cell after, if there is one, with its capacity.
    pub(super) after: Option<(ChannelCell, u64)>,
    /// The action, or why the witness is none.
    pub(super) action: Result<Action, Code>,
}

impl Site {
    /// The channel, if anything says which.
    pub(super) fn id(&self) -> Option<ChannelId> {
        let before = self.before.as_ref().map(|cell| cell.id);
        let after = self.after.as_ref().map(|(cell, _)| cell.id);
        before.or(after).or_else(|| self.action.as_ref().ok().map(|action| action.setup().id()))
    }
}

/// All channels of a transaction. `spent`: its spent cells, if they were looked up.
pub(super) fn sites(tx: &TransactionView, spent: Option<&[Cell]>, env: &Env) -> Vec<Site> {
    let mut made = Vec::new();
    for (output, (cell, data)) in tx.outputs_with_data_iter().enumerate() {
        let cell = lookup::seen(&cell, &data);
        if cell.kind == Some(env.channel_type)
            && let Ok(channel) = ChannelCell::from_data(&cell.data)
        {
            made.push((output, channel, cell.capacity));
        }
    }
    let mut sites = Vec::new();
    for input in 0..tx.inputs().len() {
        let action = read(tx, input, WitnessField::InputType);
        let before = match spent {
            Some(cells) => match cells.get(input).filter(|it| it.kind == Some(env.channel_type)) {
                Some(cell) => ChannelCell::from_data(&cell.data).ok(),
                None => continue,
            },
            // Without the spent cells, a witness that is an action is what tells of a channel.
            None if action.is_err() => continue,
            None => None,
        };
        let id = before.as_ref().map(|cell| cell.id);
        let id = id.or_else(|| action.as_ref().ok().map(|action| action.setup().id()));
        let twin = made.iter().position(|(_, cell, _)| Some(cell.id) == id);
        let after = twin.map(|position| made.remove(position));
        let after = after.map(|(_, cell, capacity)| (cell, capacity));
        sites.push(Site { input: Some(input), before, after, action });
    }
    for (output, cell, capacity) in made {
        let action = read(tx, output, WitnessField::OutputType);
        sites.push(Site { input: None, before: None, after: Some((cell, capacity)), action });
    }
    sites
}

/// The outputs whose data is a channel cell's under a type that is not the channel script known
/// here.
pub(super) fn foreign(tx: &TransactionView, env: &Env) -> Vec<usize> {
    let outputs = tx.outputs_with_data_iter().enumerate();
    let looks_alike = outputs.filter(|(_, (output, data))| {
        let kind = output.type_().to_opt().map(|script| script.calc_script_hash());
        kind.is_some_and(|kind| kind.as_slice() != env.channel_type)
            && ChannelCell::from_data(data).is_ok()
    });
    looks_alike.map(|(index, _)| index).collect()
}

fn read(tx: &TransactionView, index: usize, field: WitnessField) -> Result<Action, Code> {
    let witness = tx.witnesses().get(index).ok_or(Code::Witness)?.raw_data();
    let bytes = WitnessArgs::field(&witness, field).ok_or(Code::Witness)?;
    Action::read(bytes)
}

/// What the action says of itself, for the titles.
pub(super) fn name(site: &Site) -> &'static str {
    site.action.as_ref().map_or("unreadable", |it| action::named(it).0)
}
