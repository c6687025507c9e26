//! Lives of channels with coins.

use alloy_primitives::{Bytes, U256};
use perun_backend_evm::abi::solidity::SignedState;
use perun_backend_evm::abi::{convert, eth, solidity as sol, typed};

use crate::Outcome;
use crate::table::Table;
use crate::world::{self, Channel, DEADLINE, World, address_of, paid, signature, signed};

/// The closing of channels in one transaction.
const BATCH: u8 = 10;

pub(crate) fn measure(table: &mut Table, parties: usize) -> Outcome<()> {
    let mut world = World::new()?;
    let assets = [world.coin()];
    let channel = world.channel(parties, &assets)?;
    let name = |step: &str| format!("{parties} parties, coin: {step}");
    let deposits = world.fund(&channel)?;
    let first = deposits.first().ok_or("nobody deposited")?;
    table.add(&name("deposit"), first.gas);
    table.add_parts(&name("deposit"), &first.parts);
    let closed = close_and_pay(&world, &channel)?;
    table.add(&name("close and pay"), closed.gas);
    table.add_parts(&name("close and pay"), &closed.parts);
    let all = closed.gas + deposits.iter().map(|deposit| deposit.gas).sum::<u64>();
    table.add(&name("life cycle: all deposits, close and pay"), all);
    if parties == 2 {
        batch(table, &mut world)?;
        payees(table, &mut world)?;
        two_assets(table, &mut world)?;
        by_withdrawals(table, &mut world)?;
    }
    Ok(())
}

/// The last state, with everybody's signatures, for a call.
pub(crate) fn last(channel: &Channel) -> Outcome<SignedState> {
    let last = signed(channel, paid(channel, 5)?.finalized())?;
    Ok(convert::signed(&channel.params, &last))
}

pub(crate) fn close_and_pay(world: &World, channel: &Channel) -> Outcome<world::Done> {
    let SignedState { params, state, sigs } = last(channel)?;
    world.act(&sol::Hub::closeAndPayCall { params, state, sigs })
}

fn batch(table: &mut Table, world: &mut World) -> Outcome<()> {
    let assets = [world.coin()];
    let mut channels = Vec::new();
    for _ in 0..BATCH {
        let channel = world.channel(2, &assets)?;
        world.fund(&channel)?;
        channels.push(last(&channel)?);
    }
    let done = world.act(&sol::Hub::closeBatchCall { channels })?;
    let name = format!("batch of {BATCH}, 2 parties, coin: close and pay");
    table.add(&name, done.gas);
    table.add_parts(&name, &done.parts);
    table.add(&format!("{name}, each"), done.gas.div_ceil(u64::from(BATCH)));
    Ok(())
}

/// How a node opens: the deposit binds where the participant is paid.
fn payees(table: &mut Table, world: &mut World) -> Outcome<()> {
    let assets = [world.coin()];
    let channel = world.channel(2, &assets)?;
    for number in 0..2 {
        let amount = channel.share(0, number)?;
        let (participant, payee) = (eth(&address_of(number)?), eth(&address_of(number + 4)?));
        let domain = typed::hub_domain(31_337, world.hub);
        let deadline = U256::from(DEADLINE);
        let message = sol::PayeeBinding { channelID: channel.id(), participant, payee, deadline };
        let sig = signature(number, &typed::payee_binding(&domain, &message))?;
        let deposit = sol::Deposit {
            holder: world.hub,
            participant,
            amount,
            source: sol::Source::Sender,
            data: Bytes::new(),
        };
        let call = sol::Hub::openCall {
            id: channel.id(),
            deposits: vec![deposit],
            payees: vec![sol::Binding { participant, payee, deadline, sig }],
        };
        let done = world.call(world.hub, amount.to(), &call)?;
        let which = if number == 0 { "first" } else { "second" };
        table.add(&format!("2 parties, coin: deposit with a payee, {which}"), done.gas);
    }
    let done = close_and_pay(world, &channel)?;
    table.add("2 parties, coin: close and pay the payees", done.gas);
    Ok(())
}

fn two_assets(table: &mut Table, world: &mut World) -> Outcome<()> {
    let assets = [world.coin(), world.token_asset()];
    let channel = world.channel(2, &assets)?;
    world.fund(&channel)?;
    let done = close_and_pay(world, &channel)?;
    table.add("2 parties, coin and token: close and pay", done.gas);
    Ok(())
}

/// As Perun's clients do it, and with the hub's own authorisations.
fn by_withdrawals(table: &mut Table, world: &mut World) -> Outcome<()> {
    let assets = [world.coin()];
    let channel = world.channel(2, &assets)?;
    world.fund(&channel)?;
    let SignedState { params, state, sigs } = last(&channel)?;
    let done = world.act(&sol::Hub::concludeFinalCall { params, state, sigs })?;
    table.add("2 parties, coin: close, pay nobody", done.gas);
    let (authorization, sig) = authorization(&channel, 0)?;
    let done = world.act(&sol::Hub::withdrawCall { authorization, signature: sig })?;
    table.add("2 parties, coin: withdraw by Perun's authorisation", done.gas);
    let mut many = (Vec::new(), Vec::new());
    for _ in 0..BATCH {
        let channel = world.channel(2, &assets)?;
        world.fund(&channel)?;
        let SignedState { params, state, sigs } = last(&channel)?;
        world.act(&sol::Hub::concludeFinalCall { params, state, sigs })?;
        let message = withdrawal(world, &channel, 1)?;
        let domain = typed::hub_domain(31_337, world.hub);
        many.1.push(signature(1, &typed::withdrawal(&domain, &message))?);
        many.0.push(message);
    }
    let (authorizations, sigs) = many;
    let done = world.act(&sol::Hub::withdrawManyCall { authorizations, sigs })?;
    let name = format!("batch of {BATCH}, 2 parties, coin: withdraw by typed authorisations");
    table.add(&name, done.gas);
    table.add(&format!("{name}, each"), done.gas.div_ceil(u64::from(BATCH)));
    Ok(())
}

/// Everything that the participant has, to its own address.
fn withdrawal(world: &World, channel: &Channel, number: usize) -> Outcome<sol::WithdrawalV2> {
    let account = eth(&address_of(number)?);
    Ok(sol::WithdrawalV2 {
        channelID: channel.id(),
        holder: world.hub,
        participant: account,
        receiver: account,
        amount: U256::MAX,
        fee: U256::ZERO,
        nonce: U256::from(1),
        deadline: U256::from(DEADLINE),
    })
}

fn authorization(channel: &Channel, number: usize) -> Outcome<(sol::WithdrawalAuth, Bytes)> {
    use alloy_primitives::keccak256;
    use alloy_sol_types::SolValue;
    let params = convert::params(&channel.params);
    let participant = params.participants.get(number).ok_or("no such participant")?.clone();
    let state = paid(channel, 5)?;
    let amount = state.outcome().balance(0, number).ok_or("no such balance")?;
    let authorization = sol::WithdrawalAuth {
        channelID: channel.id(),
        receiver: participant.ethAddress,
        participant,
        amount: U256::from(amount.get()),
    };
    let hash = keccak256(authorization.abi_encode());
    let digest = alloy_primitives::eip191_hash_message(hash);
    Ok((authorization, signature(number, &digest)?))
}
