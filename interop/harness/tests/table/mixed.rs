//! Lives that only channels between our node and go-perun's client have.

use perun_node::NodeError;

use crate::lives::UNIT;
use crate::party::{Ask, Change, Event, View, rows};
use crate::stage::{CHALLENGE, Pair, Stage};
use crate::trouble::{Result, Trouble, refused, same};

/// Which of the two is our node, and which go-perun's.
pub(crate) fn sides(stage: &Stage<'_>) -> Result<[usize; 2]> {
    let ours = stage.cast.ours().ok_or("there is no node of ours")?;
    Ok([ours, 1 - ours])
}

/// Both have the same newest state.
pub(crate) fn agreed(pair: &mut Pair, channel: alloy_primitives::B256) -> Result<View> {
    let [one, other] = pair;
    let views = [one.look(Ask::State { channel })?, other.look(Ask::State { channel })?];
    let [one, other] = views;
    same("the versions", one.version, other.version)?;
    same("the balances", &one.balances, &other.balances)?;
    Ok(one)
}

pub(crate) fn thousands(stage: &mut Stage<'_>) -> Result<()> {
    let mut pair = stage.pair(false)?;
    let before = stage.vaults()?;
    let channel = stage.open(&mut pair, 0, &[("coin", [5 * UNIT, 7 * UNIT])], None)?;
    for (who, amount) in [(0, 3), (1, 2)] {
        pair[who].act_within(300, Ask::Update(Change::pay(channel, 0, amount, 1_000)))?;
    }
    same("the version", agreed(&mut pair, channel)?.version, 2_000)?;
    pair[1].act(Ask::Update(Change::end(channel)))?;
    stage.settle(&mut pair, 0, channel)?;
    stage.paid([5 * UNIT - 1_000, 7 * UNIT + 1_000], [0, 0])?;
    same("what is left in the contracts", stage.vaults()?, before)
}

/// Each dials the other, and wants something of it at that moment. What go-perun says over the one
/// of the two connections that does not stay is lost: then its user asks again.
pub(crate) fn both_dial(stage: &mut Stage<'_>) -> Result<()> {
    for _ in 0..3 {
        let mut stage = stage.again();
        let mut pair = stage.strangers(false)?;
        let [_, theirs] = sides(&stage)?;
        stage.tell(&mut pair, theirs)?;
        stage.introduce(&mut pair)?;
        proposals(&stage, &mut pair)?;
    }
    Ok(())
}

/// Our node is not told where the other is.
pub(crate) fn they_dial(stage: &mut Stage<'_>) -> Result<()> {
    let mut pair = stage.strangers(false)?;
    let [ours, theirs] = sides(stage)?;
    stage.tell(&mut pair, theirs)?;
    let channel = stage.open(&mut pair, theirs, &[("coin", [UNIT, UNIT])], None)?;
    for who in [ours, theirs] {
        pair[who].act(Ask::Update(Change::pay(channel, 0, UNIT, 1)))?;
    }
    pair[ours].act(Ask::Update(Change::end(channel)))?;
    stage.settle(&mut pair, theirs, channel)?;
    stage.paid([UNIT, UNIT], [0, 0])
}

pub(crate) fn proposals_at_once(stage: &mut Stage<'_>) -> Result<()> {
    let mut pair = stage.pair(false)?;
    proposals(stage, &mut pair)
}

fn proposals(stage: &Stage<'_>, pair: &mut Pair) -> Result<()> {
    let before = stage.vaults()?;
    let assets = [("coin", [2 * UNIT, UNIT])];
    let mut tickets = Vec::new();
    for who in [0, 1] {
        let ask = stage.proposal(pair, who, CHALLENGE, &assets);
        tickets.push(pair[who].ask_within(12, &ask)?);
    }
    let mut channels = Vec::new();
    for (who, ticket) in tickets.into_iter().enumerate() {
        let views = match pair[who].answer(ticket) {
            Err(Trouble::Refused { kind, .. }) if kind == "timeout" => {
                let ask = stage.proposal(pair, who, CHALLENGE, &assets);
                pair[who].act(ask)?
            }
            other => other?,
        };
        let channel = views.first().ok_or("no channel")?.channel;
        pair[1 - who].wait("open the channel", &|event| event.is("channel", channel))?;
        stage.put_in(who, &assets)?;
        channels.push(channel);
    }
    for (who, channel) in channels.into_iter().enumerate() {
        pair[who].act(Ask::Update(Change::pay(channel, 0, 5, 1)))?;
        pair[who].act(Ask::Update(Change::end(channel)))?;
        stage.settle(pair, who, channel)?;
    }
    stage.paid([3 * UNIT, 3 * UNIT], [0, 0])?;
    same("what is left in the contracts", stage.vaults()?, before)
}

/// Our contracts take no state of such a channel: see `disputes::short_windows`.
pub(crate) fn short_challenge(stage: &mut Stage<'_>) -> Result<()> {
    let mut pair = stage.pair(false)?;
    let [ours, theirs] = sides(stage)?;
    let before = stage.vaults()?;
    let short = |pair: &Pair, who| stage.proposal(pair, who, CHALLENGE - 1, &[("coin", [1, 1])]);
    let ask = short(&pair, theirs);
    refused("rejected", pair[theirs].act(ask))?;
    let ask = short(&pair, ours);
    match pair[ours].act(ask) {
        Err(Trouble::Node(NodeError::ChallengeTooShort { .. })) => {}
        other => return Err(format!("our node asks for such a channel itself: {other:?}").into()),
    }
    same("what is in the contracts", stage.vaults()?, before)?;
    let channel = stage.open(&mut pair, theirs, &[("coin", [UNIT, UNIT])], None)?;
    pair[ours].act(Ask::Update(Change::end(channel)))?;
    stage.settle(&mut pair, ours, channel)?;
    stage.paid([UNIT, UNIT], [0, 0])
}

pub(crate) fn rejected_update(stage: &mut Stage<'_>) -> Result<()> {
    let mut pair = stage.pair(false)?;
    let [ours, theirs] = sides(stage)?;
    let channel = stage.open(&mut pair, 0, &[("coin", [50 * UNIT, 50 * UNIT])], None)?;
    pair[theirs].act(Ask::Policy { proposals: "accept", updates: "reject-next" })?;
    let pay = Ask::Update(Change::pay(channel, 0, 20 * UNIT, 1));
    refused("rejected", pair[ours].act(pay.clone()))?;
    // What was refused is signed by us: another state takes its version, and nothing moves.
    let filled = |event: &Event| event.is("update", channel) && event.version == 1;
    pair[ours].wait("fill the version", &filled)?;
    let view = agreed(&mut pair, channel)?;
    same("the balances", view.balances, rows(&[[50 * UNIT, 50 * UNIT]]))?;
    same("the next version", pair[ours].look(pay)?.version, 2)?;
    pair[theirs].act(Ask::Update(Change::pay(channel, 0, UNIT, 2)))?;
    pair[theirs].act(Ask::Update(Change::end(channel)))?;
    stage.settle(&mut pair, 0, channel)?;
    stage.paid_both(ours, 32 * UNIT, 68 * UNIT)
}

/// Each pays the other at the same moment, again and again. go-perun's are refused where they cross
/// ours, and its user pays again.
pub(crate) fn at_once(stage: &mut Stage<'_>) -> Result<()> {
    const ROUNDS: u128 = 25;
    let mut pair = stage.pair(false)?;
    let [ours, theirs] = sides(stage)?;
    let before = stage.vaults()?;
    let channel = stage.open(&mut pair, 0, &[("coin", [50 * UNIT, 50 * UNIT])], None)?;
    let mut refusals = 0;
    for _ in 0..ROUNDS {
        let pay = |amount| Ask::Update(Change::pay(channel, 0, amount, 1));
        let first = pair[ours].ask(&pay(UNIT))?;
        let mut second = pair[theirs].ask(&pay(3))?;
        pair[ours].answer(first)?;
        loop {
            match pair[theirs].answer(second) {
                Ok(_) => break,
                Err(Trouble::Refused { kind, .. }) if kind == "rejected" => refusals += 1,
                Err(other) => return Err(other),
            }
            second = pair[theirs].ask(&pay(3))?;
        }
    }
    same("whether any crossed", refusals > 0, true)?;
    agreed(&mut pair, channel)?;
    pair[ours].act(Ask::Update(Change::end(channel)))?;
    stage.settle(&mut pair, theirs, channel)?;
    let moved = ROUNDS * (UNIT - 3);
    stage.paid_both(ours, 50 * UNIT - moved, 50 * UNIT + moved)?;
    same("what is left in the contracts", stage.vaults()?, before)
}

/// Our node pays everybody when it closes. go-perun settles after that, first or second: it
/// withdraws nothing, and is content.
pub(crate) fn secondary(stage: &mut Stage<'_>) -> Result<()> {
    let mut pair = stage.pair(false)?;
    let [ours, theirs] = sides(stage)?;
    let before = stage.vaults()?;
    for secondary in [true, false] {
        let assets = [("coin", [4 * UNIT, 4 * UNIT]), ("token", [40, 40])];
        let channel = stage.open(&mut pair, 0, &assets, None)?;
        pair[ours].act(Ask::Update(Change::pay(channel, 0, UNIT, 1)))?;
        pair[theirs].act(Ask::Update(Change::pay(channel, 1, 7, 1)))?;
        pair[theirs].act(Ask::Update(Change::end(channel)))?;
        let view = pair[ours].look(Ask::Settle { channel, secondary: false })?;
        same("the phase", view.phase.as_str(), "Withdrawn")?;
        same("what is left in the contracts", stage.vaults()?, before)?;
        let view = pair[theirs].look(Ask::Settle { channel, secondary })?;
        same("the phase", view.phase.as_str(), "Withdrawn")?;
    }
    let receiver = stage.role(theirs)?.receiver;
    same("what go-perun withdrew", stage.chain.coins_of(receiver)?, 0)?;
    let (mut coins, mut tokens) = ([0; 2], [0; 2]);
    (coins[ours], coins[theirs]) = (6 * UNIT, 10 * UNIT);
    (tokens[ours], tokens[theirs]) = (94, 66);
    stage.paid(coins, tokens)
}
