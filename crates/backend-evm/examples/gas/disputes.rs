//! Disputes, with and without a swap.

use perun_backend_evm::abi::{convert, solidity as sol};
use perun_channel::swap::{Leg, Swap};
use perun_channel::{State, Version};

use crate::Outcome;
use crate::table::Table;
use crate::world::{CHALLENGE, Channel, DEADLINE, Done, World, paid, signed, units};

const PREIMAGE: [u8; 32] = [7; 32];

pub(crate) fn measure(table: &mut Table) -> Outcome<()> {
    let mut world = World::new()?;
    let assets = [world.coin()];
    let channel = world.channel(2, &assets)?;
    world.fund(&channel)?;
    let state = paid(&channel, 4)?;
    for (name, state) in [("register", paid(&channel, 3)?), ("refute", state.clone())] {
        let name = format!("2 parties, coin: {name}");
        let done = register(&world, &channel, state)?;
        table.add(&name, done.gas);
        table.add_parts(&name, &done.parts);
    }
    world.pass(CHALLENGE)?;
    let done = conclude(&world, &channel, &state)?;
    table.add("2 parties, coin: conclude and pay", done.gas);
    table.add_parts("2 parties, coin: conclude and pay", &done.parts);
    swaps(table, &mut world)
}

fn swaps(table: &mut Table, world: &mut World) -> Outcome<()> {
    let assets = [world.coin(), world.token_asset()];
    for (end, is_claimed) in [("swap claimed", true), ("swap lapsed", false)] {
        let channel = world.channel(2, &assets)?;
        world.fund(&channel)?;
        let state = swapping(&channel, world.chain.time() + 2 * CHALLENGE)?;
        let done = register(world, &channel, state.clone())?;
        if is_claimed {
            table.add("2 parties, coin and token: register a swap", done.gas);
        }
        world.pass(2 * CHALLENGE)?;
        let done = if is_claimed {
            world.act(&sol::Hub::concludeAndPayWithPreimageCall {
                params: convert::params(&channel.params),
                state: convert::state(&state),
                subStates: vec![],
                preimage: PREIMAGE.into(),
            })?
        } else {
            conclude(world, &channel, &state)?
        };
        table.add(&format!("2 parties, coin and token: conclude and pay, {end}"), done.gas);
    }
    Ok(())
}

fn register(world: &World, channel: &Channel, state: State) -> Outcome<Done> {
    let signed = signed(channel, state)?;
    let channel = convert::signed(&channel.params, &signed);
    world.act(&sol::Hub::registerCall { channel, subChannels: vec![] })
}

fn conclude(world: &World, channel: &Channel, state: &State) -> Outcome<Done> {
    world.act(&sol::Hub::concludeAndPayCall {
        params: convert::params(&channel.params),
        state: convert::state(state),
        subStates: vec![],
    })
}

/// Coins of the first go against tokens of the second.
fn swapping(channel: &Channel, expiry: u64) -> Outcome<State> {
    debug_assert!(expiry < DEADLINE);
    let leg = |asset, from, to| Leg { asset, from, to, expiry, amount: units(30) };
    let swap = Swap::new(Swap::lock_of(&PREIMAGE), vec![leg(0, 0, 1), leg(1, 1, 0)])?;
    let (id, outcome) = (channel.params.id(), channel.initial.outcome().clone());
    Ok(State::new(id, Version::new(4), outcome, swap.to_data(), false)?)
}
