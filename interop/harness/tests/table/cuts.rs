//! The wire is cut in the middle of something, and can be used again after that.

use std::sync::Arc;

use alloy_primitives::B256;

use crate::disputes::LATER;
use crate::lives::UNIT;
use crate::mixed::sides;
use crate::party::{Ask, Change, Event, Party, View};
use crate::relay::Cut;
use crate::stage::{CHALLENGE, Pair, Stage};
use crate::trouble::{Result, Trouble, refused, same};

/// Seconds for what may come to nothing: longer than our node waits before it goes to the chain.
const WHILE: u64 = 15;
/// Most messages that an opening or an update may have.
const MESSAGES_MAX: u64 = 12;

/// Both pay when a channel is there after all; else nobody has lost anything.
pub(crate) fn openings(stage: &mut Stage<'_>) -> Result<()> {
    for count in 0..MESSAGES_MAX {
        let mut stage = stage.again();
        let (mut pair, cut) = stage.wired()?;
        match opening(&stage, &mut pair, &cut, count) {
            Ok(true) => {}
            Ok(false) => return same("whether any was cut", count > 3, true),
            Err(trouble) => return Err(format!("cut after {count}: {trouble}").into()),
        }
    }
    Err("an opening has more messages than were looked for".into())
}

/// Whether the wire was cut.
fn opening(stage: &Stage<'_>, pair: &mut Pair, cut: &Arc<Cut>, count: u64) -> Result<bool> {
    let before = stage.vaults()?;
    let assets = [("coin", [8 * UNIT, 2 * UNIT])];
    cut.after(count);
    let ask = stage.proposal(pair, 0, CHALLENGE, &assets);
    let ticket = pair[0].ask_within(WHILE, &ask)?;
    let opened = pair[0].answer(ticket);
    let was_cut = cut.rest();
    match opened {
        Ok(views) => {
            let channel = views.first().ok_or("no channel")?.channel;
            pair[1].wait("open the channel", &|event| event.is("channel", channel))?;
            stage.put_in(0, &assets)?;
            pair[0].act(Ask::Update(Change::pay(channel, 0, UNIT, 2)))?;
            pair[1].act(Ask::Update(Change::pay(channel, 0, UNIT, 1)))?;
            pair[0].act(Ask::Update(Change::end(channel)))?;
            stage.settle(pair, 0, channel)?;
            stage.paid([7 * UNIT, 3 * UNIT], [0, 0])?;
        }
        Err(Trouble::Refused { .. }) => give_back(stage, pair)?,
        Err(other) => return Err(other),
    }
    same("what is left in the contracts", stage.vaults()?, before)?;
    Ok(was_cut)
}

/// Nothing came of it, and one of the two may have deposited: it is given back by the chain.
fn give_back(stage: &Stage<'_>, pair: &mut Pair) -> Result<()> {
    let [ours, theirs] = sides(stage)?;
    if stage.missing(theirs)? != 0 {
        // go-perun's user has to do this.
        let channel = pair[theirs].wait("fail to fund", &|it| it.event == "unfunded")?.channel;
        let ticket = pair[theirs].ask(&Ask::Settle { channel, secondary: false })?;
        stage.until("a registration", &|| Ok(!stage.history(channel)?.is_empty()))?;
        stage.chain.pass(LATER)?;
        pair[theirs].answer(ticket)?;
    }
    if stage.missing(ours)? != 0 {
        let wanted = |it: &Event| it.kind == "registered" && it.version == 0;
        pair[ours].wait("give up", &wanted)?;
        stage.chain.pass(LATER)?;
        stage.until("our deposit again", &|| Ok(stage.missing(ours)? == 0))?;
    }
    stage.paid([0, 0], [0, 0])
}

/// Each of the two pays, and the wire is cut.
pub(crate) fn updates(stage: &mut Stage<'_>) -> Result<()> {
    for payer in [0, 1] {
        for count in 0..MESSAGES_MAX {
            let mut stage = stage.again();
            let (mut pair, cut) = stage.wired()?;
            match update(&stage, &mut pair, &cut, payer, count) {
                Ok(true) => {}
                Ok(false) => {
                    same("whether any was cut", count > 1, true)?;
                    break;
                }
                Err(trouble) => {
                    return Err(format!("{payer} pays, cut after {count}: {trouble}").into());
                }
            }
        }
    }
    Ok(())
}

/// Whether the wire was cut.
fn update(
    stage: &Stage<'_>,
    pair: &mut Pair,
    cut: &Arc<Cut>,
    payer: usize,
    count: u64,
) -> Result<bool> {
    let before = stage.vaults()?;
    let channel = stage.open(pair, 0, &[("coin", [50 * UNIT, 50 * UNIT])], None)?;
    for party in pair.iter_mut() {
        party.act(Ask::Watch { channel })?;
    }
    cut.after(count);
    let ticket = pair[payer].ask_within(WHILE, &Ask::Update(Change::pay(channel, 0, UNIT, 1)))?;
    match pair[payer].answer(ticket) {
        Ok(_) | Err(Trouble::Refused { .. }) => {}
        Err(other) => return Err(other),
    }
    let was_cut = cut.rest();
    let [ours, theirs] = sides(stage)?;
    let views = look(pair, channel)?;
    if views[0].version == views[1].version {
        same("the balances", &views[0].balances, &views[1].balances)?;
    }
    // Whoever is behind learns it from the chain. The newest state is what both get.
    let newest = if views[0].version > views[1].version { &views[0] } else { &views[1] };
    let paid = newest.balances.first().ok_or("no balances")?.map(|money| money.0);
    let is_alive = views[0].version == views[1].version && views[ours].phase == "Open";
    if is_alive {
        pair[theirs].act(Ask::Update(Change::end(channel)))?;
        stage.settle(pair, theirs, channel)?;
    } else {
        let ticket = pair[ours].ask(&Ask::Settle { channel, secondary: false })?;
        pair[theirs].wait("see a registration", &|event| {
            event.is_of_chain("registered", channel, newest.version)
        })?;
        let other = pair[theirs].ask(&Ask::Settle { channel, secondary: true })?;
        stage.chain.pass(LATER)?;
        pair[ours].answer(ticket)?;
        let other = pair[theirs].answer(other);
        if views[theirs].version == newest.version {
            other?;
        } else {
            // go-perun does not take the newer state from the chain, and is paid all the same.
            refused("failed", other)?;
        }
    }
    stage.paid(paid, [0, 0])?;
    same("what is left in the contracts", stage.vaults()?, before)?;
    Ok(was_cut)
}

fn look(pair: &mut Pair, channel: B256) -> Result<[View; 2]> {
    let [one, other]: &mut [Box<dyn Party>; 2] = pair;
    Ok([one.look(Ask::State { channel })?, other.look(Ask::State { channel })?])
}
