//! Ends and changes by everybody's consent.

use alloy_primitives::{Address, B256, Bytes, U256};
use perun_backend_evm::abi::{convert, eth, solidity as sol, typed};

use crate::Outcome;
use crate::table::Table;
use crate::world::{Channel, DEADLINE, World, address_of, signatures};

pub(crate) fn measure(table: &mut Table) -> Outcome<()> {
    let mut world = World::new()?;
    let assets = [world.coin()];
    let channel = world.channel(2, &assets)?;
    world.fund(&channel)?;
    let mut moves = Vec::new();
    for number in 0..2 {
        let to = eth(&address_of(number)?);
        let amount = channel.share(0, number)?;
        moves.push(sol::Move { holder: world.hub, to, fundingID: B256::ZERO, amount });
    }
    let (params, deadline, sigs) = consent(&world, &channel, &moves)?;
    let done = world.act(&sol::Hub::spendByConsentCall { params, moves, deadline, sigs })?;
    table.add("2 parties, coin: close by consent", done.gas);
    resize(table, &mut world)
}

/// The successor has what was there, and one deposit more.
fn resize(table: &mut Table, world: &mut World) -> Outcome<()> {
    let assets = [world.coin()];
    let (channel, next) = (world.channel(2, &assets)?, world.channel(2, &assets)?);
    world.fund(&channel)?;
    let mut moves = Vec::new();
    for number in 0..2 {
        let (name, amount) = (next.funding(number)?, channel.share(0, number)?);
        moves.push(sol::Move { holder: world.hub, to: Address::ZERO, fundingID: name, amount });
    }
    let (params, deadline, sigs) = consent(world, &channel, &moves)?;
    let amount = channel.share(0, 0)?;
    let more = sol::Deposit {
        holder: world.hub,
        participant: eth(&address_of(0)?),
        amount,
        source: sol::Source::Sender,
        data: Bytes::new(),
    };
    let (deposits, payees) = (vec![more], vec![]);
    let next_id = next.id();
    let call =
        sol::Hub::resizeCall { params, moves, deadline, sigs, nextId: next_id, deposits, payees };
    let done = world.call(world.hub, amount.to(), &call)?;
    table.add("2 parties, coin: resize, one adds", done.gas);
    Ok(())
}

fn consent(
    world: &World,
    channel: &Channel,
    moves: &[sol::Move],
) -> Outcome<(sol::Params, U256, Vec<Bytes>)> {
    let deadline = U256::from(DEADLINE);
    let message = sol::ConsentSpend { channelID: channel.id(), moves: moves.to_vec(), deadline };
    let domain = typed::hub_domain(31_337, world.hub);
    let digest = typed::consent_spend(&domain, &message);
    let sigs = convert::signatures(&signatures(channel, &digest.0)?);
    Ok((convert::params(&channel.params), deadline, sigs))
}
