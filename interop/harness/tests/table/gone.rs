//! Parties that end without a farewell, and come back with what is in their folders.

use crate::disputes::settle_registered;
use crate::lives::UNIT;
use crate::party::{Ask, Change};
use crate::stage::Stage;
use crate::trouble::{Result, refused, same};

pub(crate) fn both_start_again(stage: &mut Stage<'_>) -> Result<()> {
    let mut pair = stage.pair(true)?;
    let before = stage.vaults()?;
    let channel = stage.open(&mut pair, 0, &[("coin", [70 * UNIT, 30 * UNIT])], None)?;
    pair[0].act(Ask::Update(Change::pay(channel, 0, UNIT, 3)))?;
    for index in [0, 1] {
        pair[index].kill()?;
        same("channels that were found", stage.restart(&mut pair, index)?, 1)?;
        same("the version", pair[index].look(Ask::State { channel })?.version, 3)?;
    }
    pair[0].act(Ask::Update(Change::pay(channel, 0, UNIT, 2)))?;
    pair[1].act(Ask::Update(Change::pay(channel, 0, 2 * UNIT, 1)))?;
    pair[1].act(Ask::Update(Change::end(channel)))?;
    stage.settle(&mut pair, 0, channel)?;
    stage.paid([67 * UNIT, 33 * UNIT], [0, 0])?;
    same("what is left in the contracts", stage.vaults()?, before)
}

/// The second signs an update, keeps it, and is gone before it can say so. go-perun has no way to
/// make up after that, so the channel ends as the state before it says.
pub(crate) fn no_answer(stage: &mut Stage<'_>) -> Result<()> {
    let mut pair = stage.pair(true)?;
    let before = stage.vaults()?;
    let channel = stage.open(&mut pair, 0, &[("coin", [70 * UNIT, 30 * UNIT])], None)?;
    pair[0].act(Ask::Update(Change::pay(channel, 0, UNIT, 3)))?;
    pair[1].act(Ask::Policy { proposals: "accept", updates: "die-next" })?;
    refused("timeout", pair[0].act_within(5, Ask::Update(Change::pay(channel, 0, UNIT, 1))))?;
    same("channels that were found", stage.restart(&mut pair, 1)?, 1)?;
    for party in &mut pair {
        same("the version", party.look(Ask::State { channel })?.version, 3)?;
        party.act(Ask::Watch { channel })?;
    }
    settle_registered(stage, &mut pair, &[(channel, 3)])?;
    stage.paid([67 * UNIT, 33 * UNIT], [0, 0])?;
    same("what is left in the contracts", stage.vaults()?, before)
}
