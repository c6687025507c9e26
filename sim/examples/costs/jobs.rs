//! Steps that one person takes alone, paid from its own wallet.
//!
//! The invariant: the lock of whoever submits is part of what is measured.

use perun_backend_ckb::Error;
use perun_backend_ckb::cells::{Reservations, free_cells};
use perun_backend_ckb::dispute::{Job, Step, draft, registration_signatures};
use perun_backend_ckb::open::OpenedChannel;
use perun_backend_ckb::purse::Purse;
use perun_backend_ckb::rpc::Cell;
use perun_backend_ckb::tx::Draft;
use perun_channel::adjudicator::{Slot, SlotKind, registration_digest};
use perun_channel::{Amount, SignedState, State};
use std::sync::Mutex;

use crate::Outcome;
use crate::world::{Measured, World};

/// The cells of a person's wallet.
pub(crate) fn free_cells_of(world: &World, number: usize) -> Outcome<Vec<Cell>> {
    let lock = world.person(number)?.lock();
    Ok(free_cells(&world.chain, &world.deployment, &lock, &Reservations::default())?)
}

/// Completes a draft from a person's wallet and signs it.
pub(crate) fn pay(world: &World, payer: usize, draft: &Draft) -> Outcome<Measured> {
    let book = Mutex::default();
    let wallet = &world.person(payer)?.wallet;
    let purse = Purse::new(&world.chain, &world.deployment, wallet, &book);
    let paid = purse.pay(draft)?;
    Ok(Measured { tx: paid.spent.tx, cycles: paid.cycles })
}

/// One transaction with these jobs, not sent.
pub(crate) fn run(world: &World, payer: usize, jobs: &[Job]) -> Outcome<Measured> {
    pay(world, payer, &draft(jobs, &world.deployment)?)
}

/// One step of one channel, committed.
pub(crate) fn act(
    world: &World,
    payer: usize,
    opened: &OpenedChannel,
    step: Step,
) -> Outcome<Measured> {
    let measured = run(world, payer, &[job(world, opened, step)?])?;
    world.commit(&measured)?;
    Ok(measured)
}

/// A step of a channel as it is now.
pub(crate) fn job(world: &World, opened: &OpenedChannel, step: Step) -> Outcome<Job> {
    let contract = opened.contract.clone();
    Ok(Job { live: world.live(&contract)?, contract, step })
}

/// The state after the first participant has paid one unit of the first asset to the second.
pub(crate) fn next(state: &State) -> Outcome<State> {
    Ok(state.successor(state.outcome().transfer(0, 1, 0, Amount::new(1))?)?)
}

/// How the participant at `seat`, who is the person `number`, registers a state.
pub(crate) fn registration(
    world: &World,
    opened: &OpenedChannel,
    (seat, number): (u8, usize),
    state: &State,
    signed: Option<&SignedState>,
) -> Outcome<Step> {
    let slot = Slot { participant: seat, kind: SlotKind::Own };
    let channel_type = world.deployment.env().channel_type;
    let digest = registration_digest(&channel_type, &opened.contract.id(), &state.hash(), slot);
    let own = world.person(number)?.session_signature(&digest);
    let signatures = registration_signatures(signed, slot, own);
    Ok(Step::Register { state: state.clone(), slot, signatures })
}

/// Whether a transaction failed only because it takes too much of a block.
pub(crate) fn is_too_large(error: &(dyn std::error::Error + 'static)) -> bool {
    matches!(error.downcast_ref::<Error>(), Some(Error::TooLarge { .. }))
}
