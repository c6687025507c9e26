//! One of the two ends, begins anew, or cheats.

use crate::disputes::{LATER, watch};
use crate::lives::UNIT;
use crate::mixed::{agreed, sides};
use crate::party::{Ask, Change};
use crate::stage::Stage;
use crate::trouble::{Result, refused, same};

pub(crate) fn they_start_again(stage: &mut Stage<'_>) -> Result<()> {
    let [_, theirs] = sides(stage)?;
    starts_again(stage, theirs)
}

pub(crate) fn we_start_again(stage: &mut Stage<'_>) -> Result<()> {
    let [ours, _] = sides(stage)?;
    starts_again(stage, ours)
}

/// Whoever was gone pays first.
fn starts_again(stage: &mut Stage<'_>, who: usize) -> Result<()> {
    let mut pair = stage.pair(true)?;
    let [_, theirs] = sides(stage)?;
    let before = stage.vaults()?;
    let assets = [("coin", [70 * UNIT, 30 * UNIT]), ("token", [5, 6])];
    let channel = stage.open(&mut pair, 0, &assets, None)?;
    pair[0].act(Ask::Update(Change::pay(channel, 0, UNIT, 3)))?;
    pair[1].act(Ask::Update(Change::pay(channel, 1, 6, 1)))?;
    for version in [4, 6] {
        // What go-perun answered it may not have stored yet.
        pair[theirs]
            .wait("store it", &|it| it.is("update", channel) && it.version >= version - 1)?;
        pair[who].kill()?;
        same("channels that were found", stage.restart(&mut pair, who)?, 1)?;
        let amount = if who == 0 { 2 * UNIT } else { UNIT };
        pair[who].act(Ask::Update(Change::pay(channel, 0, amount, 1)))?;
        pair[1 - who].act(Ask::Update(Change::pay(channel, 0, UNIT, 1)))?;
    }
    same("the version", agreed(&mut pair, channel)?.version, 8)?;
    pair[who].act(Ask::Update(Change::end(channel)))?;
    stage.settle(&mut pair, 1 - who, channel)?;
    let more = if who == 0 { 2 * UNIT } else { 0 };
    stage.paid([67 * UNIT - more, 33 * UNIT + more], [11, 0])?;
    same("what is left in the contracts", stage.vaults()?, before)
}

/// Our user puts an old copy of the whole folder in its place, which no program can notice, and
/// leaves by the chain.
pub(crate) fn we_cheat(stage: &mut Stage<'_>) -> Result<()> {
    let mut pair = stage.pair(true)?;
    let [ours, theirs] = sides(stage)?;
    let before = stage.vaults()?;
    let channel = stage.open(&mut pair, 0, &[("coin", [60 * UNIT, 60 * UNIT])], None)?;
    pair[theirs].act(Ask::Watch { channel })?;
    pair[ours].act(Ask::Update(Change::pay(channel, 0, 10 * UNIT, 2)))?;
    pair[ours].kill()?;
    let copy = stage.role(ours)?.copy_home()?;
    stage.restart(&mut pair, ours)?;
    pair[ours].act(Ask::Update(Change::pay(channel, 0, 10 * UNIT, 3)))?;
    pair[ours].kill()?;
    stage.role(ours)?.put_home(&copy)?;
    stage.restart(&mut pair, ours)?;
    same("what our node believes", pair[ours].look(Ask::State { channel })?.version, 2)?;
    let ticket = pair[ours].ask(&Ask::Settle { channel, secondary: false })?;
    pair[theirs].wait("see the answer", &|event| event.is_of_chain("registered", channel, 5))?;
    same("what was registered", stage.history(channel)?, vec![2, 5])?;
    let other = pair[theirs].ask(&Ask::Settle { channel, secondary: true })?;
    stage.chain.pass(LATER)?;
    pair[ours].answer(ticket)?;
    pair[theirs].answer(other)?;
    stage.paid_both(ours, 10 * UNIT, 110 * UNIT)?;
    same("what is left in the contracts", stage.vaults()?, before)
}

/// go-perun's user registers an old state, and our node answers: nobody has to ask it.
pub(crate) fn they_cheat(stage: &mut Stage<'_>) -> Result<()> {
    let mut pair = stage.pair(false)?;
    let [ours, theirs] = sides(stage)?;
    let before = stage.vaults()?;
    let channel = stage.open(&mut pair, 0, &[("coin", [60 * UNIT, 60 * UNIT])], None)?;
    pair[theirs].act(Ask::Update(Change::pay(channel, 0, 10 * UNIT, 4)))?;
    pair[theirs].act(Ask::Cheat { channel, version: 1 })?;
    pair[ours].wait("see the answer", &|event| event.is_of_chain("registered", channel, 4))?;
    same("what was registered", stage.history(channel)?, vec![1, 4])?;
    let tickets = [0, 1].map(|who| {
        let secondary = who == theirs;
        pair[who].ask(&Ask::Settle { channel, secondary })
    });
    stage.chain.pass(LATER)?;
    for (party, ticket) in pair.iter_mut().zip(tickets) {
        party.answer(ticket?)?;
    }
    stage.paid_both(ours, 100 * UNIT, 20 * UNIT)?;
    same("what is left in the contracts", stage.vaults()?, before)
}

/// go-perun signs our update and is gone before it says so. Our node asks, and leaves.
pub(crate) fn no_answer(stage: &mut Stage<'_>) -> Result<()> {
    let mut pair = stage.pair(true)?;
    let [ours, theirs] = sides(stage)?;
    let before = stage.vaults()?;
    let channel = stage.open(&mut pair, 0, &[("coin", [60 * UNIT, 60 * UNIT])], None)?;
    pair[ours].act(Ask::Update(Change::pay(channel, 0, UNIT, 3)))?;
    pair[theirs].act(Ask::Policy { proposals: "accept", updates: "die-next" })?;
    let payment = pair[ours].ask(&Ask::Update(Change::pay(channel, 0, UNIT, 1)))?;
    pair[ours].wait("register", &|event| event.is_of_chain("registered", channel, 3))?;
    same("channels that were found", stage.restart(&mut pair, theirs)?, 1)?;
    watch(&mut pair, channel)?;
    let tickets = [0, 1].map(|who| {
        let secondary = who == theirs;
        pair[who].ask(&Ask::Settle { channel, secondary })
    });
    pair[theirs].wait("see it", &|event| event.is_of_chain("registered", channel, 3))?;
    stage.chain.pass(LATER)?;
    for (party, ticket) in pair.iter_mut().zip(tickets) {
        party.answer(ticket?)?;
    }
    refused("failed", pair[ours].answer(payment))?;
    stage.paid_both(ours, 57 * UNIT, 63 * UNIT)?;
    same("what is left in the contracts", stage.vaults()?, before)
}
