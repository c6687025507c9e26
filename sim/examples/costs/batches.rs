//! How many channels of one hub fit into one transaction, and what each of them adds.
//!
//! The hub is the first participant of every channel and submits; each channel has another user.
//! The invariant: the number found fits, and one more does not.

use perun_backend_ckb::dispute::{Job, Step};
use perun_backend_ckb::open::{OpenedChannel, Terms};
use perun_backend_ckb::rpc::DevControl;

use crate::Outcome;
use crate::jobs::{is_too_large, job, next, registration, run};
use crate::joint::{self, CHALLENGE, RATE};
use crate::table::{Table, Unit};
use crate::world::{Measured, World};

const HUB: usize = 0;
/// Users for transactions with signatures of each channel, and for those without: more than fit.
const USERS: usize = 80;
const USERS_WITHOUT_SIGNATURES: usize = 400;
/// More openings than one transaction holds, and no more than one contribution may take part in.
const OPENINGS_TRIED: usize = 60;
/// Channels opened, and registered, in one transaction while preparing.
const AT_ONCE: usize = 16;

/// Measures all batches.
pub(crate) fn measure(table: &mut Table) -> Outcome<()> {
    let world = World::new(USERS + 1)?;
    add(table, "open", OPENINGS_TRIED, |count| {
        opening(&world, 1, count).map(|(_, measured)| measured)
    })?;
    let channels = open_all(&world, USERS)?;
    add(table, "close by consent", USERS, |count| consent(&world, &channels, count))?;
    let closings = jobs(&world, &channels, close)?;
    add(table, "close final", USERS, |count| run(&world, HUB, first(&closings, count)?))?;
    let registrations = jobs(&world, &channels, register)?;
    add(table, "register from open", USERS, |count| {
        run(&world, HUB, first(&registrations, count)?)
    })?;

    let world = World::new(USERS_WITHOUT_SIGNATURES + 1)?;
    let channels = open_all(&world, USERS_WITHOUT_SIGNATURES)?;
    for jobs in jobs(&world, &channels, register)?.chunks(AT_ONCE) {
        world.commit(&run(&world, HUB, jobs)?)?;
    }
    world.chain.advance(CHALLENGE)?;
    let conclusions = jobs(&world, &channels, conclude)?;
    add(table, "conclude", USERS_WITHOUT_SIGNATURES, |count| {
        run(&world, HUB, first(&conclusions, count)?)
    })
}

/// Finds the largest batch and adds its rows.
fn add(
    table: &mut Table,
    name: &str,
    most: usize,
    batch: impl Fn(usize) -> Outcome<Measured>,
) -> Outcome<()> {
    let one = batch(1)?;
    let (count, largest) = largest(most, &batch)?;
    let title = format!("batch, 2 parties, CKB: {name}");
    let others = u64::try_from(count - 1)?;
    let each = |all: u64, one: u64| -> Outcome<u64> {
        Ok((all - one).checked_div(others).ok_or("a batch of one")?)
    };
    table.add(&title, Unit::Channels, u64::try_from(count)?);
    table.add(&title, Unit::Cycles, largest.cycles);
    table.add(&title, Unit::Bytes, largest.bytes()?);
    let title = format!("{title}, each further channel");
    table.add(&title, Unit::Cycles, each(largest.cycles, one.cycles)?);
    table.add(&title, Unit::Bytes, each(largest.bytes()?, one.bytes()?)?);
    Ok(())
}

/// The largest batch that one transaction holds. `most` must not fit.
fn largest(most: usize, batch: impl Fn(usize) -> Outcome<Measured>) -> Outcome<(usize, Measured)> {
    let (mut fits, mut too_many) = (1, most);
    let mut best = batch(fits)?;
    if fitting(batch(most))?.is_some() {
        return Err(format!("even {most} channels fit: prepare more").into());
    }
    while fits + 1 < too_many {
        let middle = fits.midpoint(too_many);
        match fitting(batch(middle))? {
            Some(measured) => (fits, best) = (middle, measured),
            None => too_many = middle,
        }
    }
    Ok((fits, best))
}

fn fitting(tried: Outcome<Measured>) -> Outcome<Option<Measured>> {
    match tried {
        Ok(measured) => Ok(Some(measured)),
        Err(error) if is_too_large(error.as_ref()) => Ok(None),
        Err(error) => Err(error),
    }
}

fn first(jobs: &[Job], count: usize) -> Outcome<&[Job]> {
    Ok(jobs.get(..count).ok_or("fewer channels than asked for")?)
}

/// An opening of channels with `count` users from number `user` on.
fn opening(world: &World, user: usize, count: usize) -> Outcome<(Vec<OpenedChannel>, Measured)> {
    let mut people = vec![(HUB, RATE)];
    let mut channels = Vec::new();
    for position in 1..=count {
        let number = user + position - 1;
        people.push((number, RATE));
        channels.push(joint::channel(world, &[(0, HUB), (position, number)], false)?);
    }
    let assembly = joint::propose(world, &Terms { channels, ends: Vec::new() }, &people)?;
    let measured = joint::complete(world, &assembly, &people)?;
    Ok((assembly.channels().to_vec(), measured))
}

/// Opens a channel with each user; the channel at position i is that of person i + 1.
fn open_all(world: &World, users: usize) -> Outcome<Vec<OpenedChannel>> {
    let mut channels = Vec::new();
    while channels.len() < users {
        let count = AT_ONCE.min(users - channels.len());
        let (opened, measured) = opening(world, channels.len() + 1, count)?;
        world.commit(&measured)?;
        channels.extend(opened);
    }
    Ok(channels)
}

/// The hub consents once for all channels.
fn consent(world: &World, channels: &[OpenedChannel], count: usize) -> Outcome<Measured> {
    let mut people = vec![(HUB, RATE)];
    let mut ends = Vec::new();
    for (index, opened) in channels.iter().enumerate().take(count) {
        people.push((index + 1, RATE));
        ends.push(joint::ending(world, opened, &next(&opened.state)?, vec![0, index + 1])?);
    }
    let assembly = joint::propose(world, &Terms { channels: Vec::new(), ends }, &people)?;
    joint::complete(world, &assembly, &people)
}

type MakeStep = fn(&World, &OpenedChannel, usize) -> Outcome<Step>;

fn jobs(world: &World, channels: &[OpenedChannel], step: MakeStep) -> Outcome<Vec<Job>> {
    let jobs = channels.iter().enumerate();
    jobs.map(|(index, opened)| job(world, opened, step(world, opened, index + 1)?)).collect()
}

fn close(world: &World, opened: &OpenedChannel, user: usize) -> Outcome<Step> {
    let last = next(&opened.state)?.finalized();
    let signed = world.signed(&opened.contract, last, &[HUB, user])?;
    Ok(Step::CloseFinal { signed, unpaid: 0 })
}

fn register(world: &World, opened: &OpenedChannel, user: usize) -> Outcome<Step> {
    let state = next(&opened.state)?;
    let signed = world.signed(&opened.contract, state.clone(), &[HUB, user])?;
    registration(world, opened, (0, HUB), &state, Some(&signed))
}

fn conclude(_: &World, opened: &OpenedChannel, _: usize) -> Outcome<Step> {
    Ok(Step::Conclude { state: next(&opened.state)?, unpaid: 0, decision: None })
}
