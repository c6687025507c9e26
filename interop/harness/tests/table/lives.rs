//! Lives of channels in which both do what they should.

use crate::chain::deposit_gas as deposit_gas_of;
use crate::party::{Ask, Change, rows};
use crate::stage::{CHALLENGE, Stage};
use crate::trouble::{Result, refused, same};

/// A million gwei: small, and no round number of anything else.
pub(crate) const UNIT: u128 = 1_000_000_000_000_000;

pub(crate) fn first_opens(stage: &mut Stage<'_>) -> Result<()> {
    payments(stage, 0)
}

pub(crate) fn second_opens(stage: &mut Stage<'_>) -> Result<()> {
    payments(stage, 1)
}

/// Balances in a channel stand in its own order: whoever opens it is the first.
fn payments(stage: &mut Stage<'_>, opener: usize) -> Result<()> {
    let mut pair = stage.pair(false)?;
    let before = stage.vaults()?;
    let channel = stage.open(&mut pair, opener, &[("coin", [100 * UNIT, 200 * UNIT])], None)?;
    same("coins in the contracts", stage.vaults()?[0] - before[0], 300 * UNIT)?;
    pair[opener].act(Ask::Update(Change::pay(channel, 0, 7 * UNIT, 10)))?;
    pair[1 - opener].act(Ask::Update(Change::pay(channel, 0, 1, 3)))?;
    let view = pair[opener].look(Ask::Update(Change::end(channel)))?;
    same("the last version", view.version, 14)?;
    let last = [30 * UNIT + 3, 270 * UNIT - 3];
    same("the last balances", view.balances, rows(&[last]))?;
    stage.settle(&mut pair, opener, channel)?;
    let paid = if opener == 0 { last } else { [last[1], last[0]] };
    stage.paid(paid, [0, 0])?;
    same("what is left in the contracts", stage.vaults()?, before)
}

pub(crate) fn coins_and_tokens(stage: &mut Stage<'_>) -> Result<()> {
    let mut pair = stage.pair(false)?;
    let before = stage.vaults()?;
    let assets = [("coin", [10 * UNIT, 0]), ("token", [5_000, 7_000])];
    let channel = stage.open(&mut pair, 0, &assets, None)?;
    let [coins, tokens] = stage.vaults()?;
    same("what is in", [coins - before[0], tokens - before[1]], [10 * UNIT, 12_000])?;
    pair[0].act(Ask::Update(Change::pay(channel, 0, 4 * UNIT, 1)))?;
    pair[1].act(Ask::Update(Change::pay(channel, 1, 6_999, 1)))?;
    pair[1].act(Ask::Update(Change::end(channel)))?;
    stage.settle(&mut pair, 1, channel)?;
    stage.paid([6 * UNIT, 4 * UNIT], [11_999, 1])?;
    same("what is left in the contracts", stage.vaults()?, before)
}

pub(crate) fn rejected_proposal(stage: &mut Stage<'_>) -> Result<()> {
    let mut pair = stage.pair(false)?;
    let before = stage.vaults()?;
    pair[1].act(Ask::Policy { proposals: "reject", updates: "accept" })?;
    let assets = [("coin", [UNIT, UNIT])];
    refused("rejected", stage.open(&mut pair, 0, &assets, None))?;
    same("what is in the contracts", stage.vaults()?, before)?;
    // Nothing of it stands in the way of the next.
    pair[1].act(Ask::accepting())?;
    let channel = stage.open(&mut pair, 0, &assets, None)?;
    pair[0].act(Ask::Update(Change::end(channel)))?;
    stage.settle(&mut pair, 0, channel)?;
    stage.paid([UNIT, UNIT], [0, 0])
}

pub(crate) fn rejected_update(stage: &mut Stage<'_>) -> Result<()> {
    let mut pair = stage.pair(false)?;
    let channel = stage.open(&mut pair, 0, &[("coin", [50 * UNIT, 50 * UNIT])], None)?;
    pair[1].act(Ask::Policy { proposals: "accept", updates: "reject-next" })?;
    let pay = Ask::Update(Change::pay(channel, 0, 20 * UNIT, 1));
    refused("rejected", pair[0].act(pay.clone()))?;
    for party in &mut pair {
        same("the version", party.look(Ask::State { channel })?.version, 0)?;
    }
    same("the next version", pair[0].look(pay)?.version, 1)?;
    pair[1].act(Ask::Update(Change::end(channel)))?;
    stage.settle(&mut pair, 0, channel)?;
    stage.paid([30 * UNIT, 70 * UNIT], [0, 0])
}

/// go-perun wants the same side to open a sub-channel, to end it, and to take it back.
pub(crate) fn sub_channel(stage: &mut Stage<'_>) -> Result<()> {
    let mut pair = stage.pair(false)?;
    let channel = stage.open(&mut pair, 0, &[("coin", [50 * UNIT, 60 * UNIT])], None)?;
    let balances = rows(&[[10 * UNIT, 20 * UNIT]]);
    let sub = pair[0].look(Ask::Sub { parent: channel, challenge: CHALLENGE, balances })?.channel;
    pair[1].wait("open the sub-channel", &|event| event.is("channel", sub))?;
    let parent = pair[1].look(Ask::State { channel })?;
    same("what is locked", parent.locked, vec![sub])?;
    same("what is not", parent.balances, rows(&[[40 * UNIT, 40 * UNIT]]))?;
    pair[1].act(Ask::Update(Change::pay(sub, 0, 5 * UNIT, 2)))?;
    pair[0].act(Ask::Update(Change::pay(sub, 0, UNIT, 1).ending()))?;
    stage.settle(&mut pair, 0, sub)?;
    let parent = pair[1].look(Ask::State { channel })?;
    same("what is still locked", parent.locked, vec![])?;
    same("what came back", parent.balances, rows(&[[59 * UNIT, 51 * UNIT]]))?;
    pair[0].act(Ask::Update(Change::end(channel)))?;
    stage.settle(&mut pair, 0, channel)?;
    stage.paid([59 * UNIT, 51 * UNIT], [0, 0])
}

pub(crate) fn app(stage: &mut Stage<'_>) -> Result<()> {
    let mut pair = stage.pair(false)?;
    let app = Some((stage.contracts.app, &b"a board"[..]));
    let channel = stage.open(&mut pair, 0, &[("coin", [9 * UNIT, UNIT])], app)?;
    let step = Change::pay(channel, 0, UNIT, 1);
    pair[0].act(Ask::Update(step.clone().with_data(b"a stone on it")))?;
    pair[1].act(Ask::Update(step.with_data(b"and another")))?;
    pair[1].act(Ask::Update(Change::end(channel).with_data(b"")))?;
    stage.settle(&mut pair, 1, channel)?;
    stage.paid([9 * UNIT, UNIT], [0, 0])
}

/// go-perun's example clients ask for this before anything else, and take Perun's own code only.
/// Nothing in go-perun or its backend asks by itself.
pub(crate) fn known_code(stage: &mut Stage<'_>) -> Result<()> {
    let own = !stage.contracts.ours;
    same("whether the code is known", stage.known_code()?, [own, own])
}

/// go-perun gives no transaction more gas than it is told to, and its examples say 100,000 for a
/// deposit of tokens. The very first of a token takes more here, by the slot of the hub's balance.
pub(crate) fn deposit_gas(stage: &mut Stage<'_>) -> Result<()> {
    const USUAL: u64 = 100_000;
    let [first, second] = deposit_gas_of(stage.chain, stage.contracts.adjudicator)?;
    same("whether the first is too much", (first > USUAL, first < USUAL + 5_000), (true, true))?;
    same("whether the second is", second > USUAL, false)
}
