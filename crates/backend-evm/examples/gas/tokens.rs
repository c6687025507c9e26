//! Lives of channels with tokens.

use alloy_primitives::{Bytes, U256};
use alloy_sol_types::SolValue;
use perun_backend_evm::abi::{eth, solidity as sol, typed};

use crate::Outcome;
use crate::coins::close_and_pay;
use crate::table::Table;
use crate::world::{Channel, DEADLINE, World, address_of, signature};

pub(crate) fn measure(table: &mut Table, parties: usize) -> Outcome<()> {
    let mut world = World::new()?;
    let assets = [world.token_asset()];
    let name = |step: &str| format!("{parties} parties, token: {step}");
    let channel = world.channel(parties, &assets)?;
    let deposits = (0..parties)
        .map(|number| authorised(&world, &channel, number))
        .collect::<Outcome<Vec<_>>>()?;
    let call = sol::Hub::openCall { id: channel.id(), deposits, payees: vec![] };
    let opened = world.act(&call)?;
    table.add(&name("open by EIP-3009, all in one"), opened.gas);
    table.add_parts(&name("open by EIP-3009, all in one"), &opened.parts);
    let closed = close_and_pay(&world, &channel)?;
    table.add(&name("close and pay"), closed.gas);
    table.add_parts(&name("close and pay"), &closed.parts);
    table.add(&name("life cycle: open by EIP-3009, close and pay"), opened.gas + closed.gas);
    if parties == 2 {
        deposits_one_by_one(table, &mut world)?;
    }
    Ok(())
}

fn deposits_one_by_one(table: &mut Table, world: &mut World) -> Outcome<()> {
    let assets = [world.token_asset()];
    let channel = world.channel(2, &assets)?;
    let (name, amount) = (channel.funding(0)?, channel.share(0, 0)?);
    let call = sol::Hub::depositCall { fundingID: name, amount };
    let done = world.call(world.facade, 0, &call)?;
    table.add("2 parties, token: deposit by the facade", done.gas);
    let plain = deposit(world, &channel, 1, sol::Source::Sender, Bytes::new())?;
    let call = sol::Hub::openCall { id: channel.id(), deposits: vec![plain], payees: vec![] };
    table.add("2 parties, token: deposit by allowance", world.act(&call)?.gas);

    let channel = world.channel(2, &assets)?;
    let one = authorised(world, &channel, 0)?;
    let call = sol::Hub::openCall { id: channel.id(), deposits: vec![one], payees: vec![] };
    table.add("2 parties, token: deposit by EIP-3009", world.act(&call)?.gas);
    let one = permitted(world, &channel, 1)?;
    let call = sol::Hub::openCall { id: channel.id(), deposits: vec![one], payees: vec![] };
    table.add("2 parties, token: deposit by EIP-2612", world.act(&call)?.gas);
    Ok(())
}

fn deposit(
    world: &World,
    channel: &Channel,
    number: usize,
    source: sol::Source,
    data: Bytes,
) -> Outcome<sol::Deposit> {
    let (participant, amount) = (eth(&address_of(number)?), channel.share(0, number)?);
    Ok(sol::Deposit { holder: world.facade, participant, amount, source, data })
}

/// A deposit by a signed transfer for this very deposit.
fn authorised(world: &World, channel: &Channel, number: usize) -> Outcome<sol::Deposit> {
    let (from, value) = (eth(&address_of(number)?), channel.share(0, number)?);
    let until = U256::from(DEADLINE);
    let name = channel.funding(number)?;
    let message = sol::ReceiveWithAuthorization {
        from,
        to: world.hub,
        value,
        validAfter: U256::ZERO,
        validBefore: until,
        nonce: typed::authorization_nonce(channel.id(), name, world.facade, value),
    };
    let sig = signature(number, &typed::under(world.token_domain()?, &message))?;
    let data = (from, U256::ZERO, until, sig).abi_encode_params();
    deposit(world, channel, number, sol::Source::Eip3009, data.into())
}

/// A deposit by a signed allowance and a signed intent.
fn permitted(world: &World, channel: &Channel, number: usize) -> Outcome<sol::Deposit> {
    let (owner, amount) = (eth(&address_of(number)?), channel.share(0, number)?);
    let (source, deadline) = (sol::Source::Eip2612, U256::from(DEADLINE));
    let intent = sol::DepositIntent {
        channelID: channel.id(),
        fundingID: channel.funding(number)?,
        holder: world.facade,
        amount,
        source: source as u8,
        owner,
        nonce: U256::ZERO,
        deadline,
    };
    let domain = typed::hub_domain(31_337, world.hub);
    let intent_sig = signature(number, &typed::deposit_intent(&domain, &intent))?;
    let permit =
        sol::Permit { owner, spender: world.hub, value: amount, nonce: U256::ZERO, deadline };
    let permit_sig = signature(number, &typed::under(world.token_domain()?, &permit))?;
    let data = (owner, U256::ZERO, deadline, intent_sig, deadline, permit_sig).abi_encode_params();
    deposit(world, channel, number, source, data.into())
}
