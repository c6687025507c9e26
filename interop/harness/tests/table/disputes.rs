//! What only the chain can end.

use alloy_primitives::{B256, Bytes};

use crate::lives::UNIT;
use crate::party::{Ask, Change, rows};
use crate::stage::{CHALLENGE, Pair, Stage};
use crate::trouble::{Result, refused, same};

/// Longer than any window.
pub(crate) const LATER: u64 = CHALLENGE + 60;

pub(crate) fn watch(pair: &mut Pair, channel: B256) -> Result<()> {
    for party in pair {
        party.act(Ask::Watch { channel })?;
    }
    Ok(())
}

/// The first registers what it has, the other sees it, and both settle when the window is over.
/// `versions` are those of the channel and of what is in it: go-perun settles nothing of which it
/// has not seen the registration.
pub(crate) fn settle_registered(
    stage: &Stage<'_>,
    pair: &mut Pair,
    versions: &[(B256, u64)],
) -> Result<()> {
    let &[(channel, _), ..] = versions else { return Err("no channel".into()) };
    let ticket = pair[0].ask(&Ask::Settle { channel, secondary: false })?;
    for &(id, version) in versions {
        pair[1]
            .wait("see a registration", &|event| event.is_of_chain("registered", id, version))?;
    }
    let other = pair[1].ask(&Ask::Settle { channel, secondary: true })?;
    stage.chain.pass(LATER)?;
    for (party, ticket) in pair.iter_mut().zip([ticket, other]) {
        party.answer(ticket)?;
    }
    for &(id, version) in versions {
        same("what was registered and concluded", stage.history(id)?, vec![version; 2])?;
    }
    Ok(())
}

pub(crate) fn not_final(stage: &mut Stage<'_>) -> Result<()> {
    let mut pair = stage.pair(false)?;
    let before = stage.vaults()?;
    let assets = [("coin", [40 * UNIT, 2 * UNIT]), ("token", [90, 10])];
    let channel = stage.open(&mut pair, 0, &assets, None)?;
    watch(&mut pair, channel)?;
    pair[0].act(Ask::Update(Change::pay(channel, 0, 3 * UNIT, 5)))?;
    pair[1].act(Ask::Update(Change::pay(channel, 1, 10, 1)))?;
    settle_registered(stage, &mut pair, &[(channel, 6)])?;
    stage.paid([25 * UNIT, 17 * UNIT], [100, 0])?;
    same("what is left in the contracts", stage.vaults()?, before)
}

/// The second only watches: it is the watcher that answers.
pub(crate) fn old_state(stage: &mut Stage<'_>) -> Result<()> {
    let mut pair = stage.pair(false)?;
    let before = stage.vaults()?;
    let channel = stage.open(&mut pair, 0, &[("coin", [80 * UNIT, 20 * UNIT])], None)?;
    pair[1].act(Ask::Watch { channel })?;
    pair[0].act(Ask::Update(Change::pay(channel, 0, 10 * UNIT, 4)))?;
    pair[0].act(Ask::Cheat { channel, version: 1 })?;
    pair[1].wait("see the answer", &|event| event.is_of_chain("registered", channel, 4))?;
    same("what was registered", stage.history(channel)?, vec![1, 4])?;
    let tickets = [0, 1].map(|who| pair[who].ask(&Ask::Settle { channel, secondary: who == 0 }));
    stage.chain.pass(LATER)?;
    for (party, ticket) in pair.iter_mut().zip(tickets) {
        party.answer(ticket?)?;
    }
    stage.paid([40 * UNIT, 60 * UNIT], [0, 0])?;
    same("what is left in the contracts", stage.vaults()?, before)
}

pub(crate) fn tree(stage: &mut Stage<'_>) -> Result<()> {
    let mut pair = stage.pair(false)?;
    let before = stage.vaults()?;
    let channel = stage.open(&mut pair, 0, &[("coin", [50 * UNIT, 60 * UNIT])], None)?;
    let balances = rows(&[[10 * UNIT, 20 * UNIT]]);
    let sub = pair[0].look(Ask::Sub { parent: channel, challenge: CHALLENGE, balances })?.channel;
    pair[1].wait("open the sub-channel", &|event| event.is("channel", sub))?;
    watch(&mut pair, channel)?;
    watch(&mut pair, sub)?;
    pair[1].act(Ask::Update(Change::pay(sub, 0, 5 * UNIT, 3)))?;
    settle_registered(stage, &mut pair, &[(channel, 1), (sub, 3)])?;
    stage.paid([65 * UNIT, 45 * UNIT], [0, 0])?;
    same("what is left in the contracts", stage.vaults()?, before)
}

/// A stranger concludes and pays both, which Perun's contracts cannot do: what was to be withdrawn
/// is in the wallets then, and go-perun still asks for it, in vain but without harm.
pub(crate) fn paid_by_a_stranger(stage: &mut Stage<'_>) -> Result<()> {
    let mut pair = stage.pair(false)?;
    let before = stage.vaults()?;
    let assets = [("coin", [2_000 * UNIT, 0]), ("token", [500, 700])];
    let channel = stage.open(&mut pair, 0, &assets, None)?;
    watch(&mut pair, channel)?;
    pair[0].act(Ask::Update(Change::pay(channel, 0, 800 * UNIT, 1)))?;
    pair[1].act(Ask::Update(Change::pay(channel, 1, 600, 1)))?;
    pair[0].act(Ask::Cheat { channel, version: 2 })?;
    for party in &mut pair {
        party.wait("see a registration", &|event| event.is_of_chain("registered", channel, 2))?;
    }
    stage.chain.pass(LATER)?;
    let wallets = [stage.wallet(0)?, stage.wallet(1)?];
    stage.chain.conclude_and_pay(stage.contracts.adjudicator, channel)?;
    for (index, paid) in [[1_200 * UNIT, 1_100], [800 * UNIT, 100]].into_iter().enumerate() {
        let [coins, tokens] = wallets[index];
        same("what is in a wallet", stage.wallet(index)?, [coins + paid[0], tokens + paid[1]])?;
    }
    stage.settle(&mut pair, 0, channel)?;
    stage.paid([1_200 * UNIT, 800 * UNIT], [1_100, 100])?;
    same("what is left in the contracts", stage.vaults()?, before)
}

/// Our contracts take no state of a channel whose windows are that short, and go-perun does not ask
/// them before it deposits: this is why proposals of such channels must be refused.
pub(crate) fn short_windows(stage: &mut Stage<'_>) -> Result<()> {
    let mut pair = stage.pair(false)?;
    let before = stage.vaults()?;
    let peer = pair[1].here().name.clone();
    let channel = pair[0]
        .look(Ask::Propose {
            peer,
            challenge: CHALLENGE - 1,
            assets: vec!["coin"],
            balances: rows(&[[UNIT, UNIT]]),
            app: None,
            data: Bytes::new(),
        })?
        .channel;
    pair[1].wait("open the channel", &|event| event.is("channel", channel))?;
    pair[0].act(Ask::Update(Change::end(channel)))?;
    refused("timeout", pair[0].act_within(10, Ask::Settle { channel, secondary: false }))?;
    same("what stays in the contracts", stage.vaults()?, [before[0] + 2 * UNIT, before[1]])
}

/// Alone, with everybody's signature on the state before and its own on this one.
pub(crate) fn forced_step(stage: &mut Stage<'_>) -> Result<()> {
    let mut pair = stage.pair(false)?;
    let before = stage.vaults()?;
    let app = Some((stage.contracts.app, &b"a board"[..]));
    let channel = stage.open(&mut pair, 0, &[("coin", [9 * UNIT, UNIT])], app)?;
    watch(&mut pair, channel)?;
    pair[1].act(Ask::Update(Change::pay(channel, 0, UNIT, 1).with_data(b"a stone on it")))?;
    let step = Change::pay(channel, 0, 4 * UNIT, 1).with_data(b"the last stone").ending();
    let ticket = pair[0].ask(&Ask::Force(step))?;
    pair[1].wait("see a registration", &|event| event.is_of_chain("registered", channel, 1))?;
    stage.chain.pass(LATER)?;
    pair[0].answer(ticket)?;
    for party in &mut pair {
        party.wait("see the step", &|event| event.is_of_chain("progressed", channel, 2))?;
    }
    stage.settle(&mut pair, 0, channel)?;
    stage.paid([6 * UNIT, 4 * UNIT], [0, 0])?;
    same("what is left in the contracts", stage.vaults()?, before)
}
