//! The scene of a hub: many channels opened in one transaction, and closed in one.
//!
//! The hub and its 16 users make the transactions together, as the backend's builders let them;
//! states are signed with session keys. Only the chain decides whether all of it was right.

use std::sync::Mutex;

use ckb_types::packed::Script;
use perun_backend_ckb::cells::{Reservations, free_cells};
use perun_backend_ckb::channel::{Contract, LiveChannel};
use perun_backend_ckb::dispute::{Job, Step};
use perun_backend_ckb::money::CKB;
use perun_backend_ckb::open::{
    ChannelTerms, Contribution, Offer, Party as Place, Terms, assemble, contribute,
    default_reserves,
};
use perun_backend_ckb::purse::Purse;
use perun_backend_ckb::rpc::FEE_RATE_MIN;
use perun_backend_ckb::wallet::{Secp256k1, SigningKey, Wallet};
use perun_backend_ckb::{batch, wallet::LockWitness};
use perun_channel::{Address, Amount, SignedState, State};
use perun_node::{SessionKey, entropy};

use super::book::Book;
use super::stage::{Stage, holdings};
use super::{Failure, words};
use crate::narrate::{Balance, Narrator, Summary};
use crate::text::amount::show_ckb;

const USERS: usize = 16;
const CHALLENGE_SECS: u64 = 3_600;
/// What the hub starts with, and what each user does.
const HUB_HAS: [u64; 2] = [20_000 * CKB, 1_000 * CKB];
const USER_HAS: u64 = 1_000 * CKB;
/// What the hub brings to each channel, and what its user does.
const HUB_SHARE: u64 = 100 * CKB;
const USER_SHARE: u64 = 200 * CKB;
/// What each user pays the hub, off the chain.
const PAID: u64 = 30 * CKB;
/// Blocks that a transaction may take.
const BLOCKS_MAX: usize = 20;

/// The hub, or one of its users.
struct Member {
    wallet: Secp256k1,
    session: SessionKey,
    lock: Script,
}

impl Member {
    fn new(stage: &Stage) -> Result<Self, Failure> {
        let secret = || -> Result<[u8; 32], Failure> { entropy().map_err(words) };
        let key = SigningKey::new(secret()?).map_err(words)?;
        let wallet = Secp256k1::new(&stage.deployment, key);
        let lock = wallet.locks().first().ok_or("a wallet without a lock")?.script.clone();
        let session = SessionKey::from_secret(secret()?).ok_or("not a key")?;
        Ok(Self { wallet, session, lock })
    }

    fn address(&self) -> Address {
        self.session.address()
    }
}

pub(super) fn batches(
    stage: &Stage,
    narrator: &mut dyn Narrator,
    summary: &mut Summary,
) -> Result<(), Failure> {
    // Member 0 is the hub.
    let members: Vec<Member> = (0..=USERS).map(|_| Member::new(stage)).collect::<Result<_, _>>()?;
    let (hub, users) = members.split_first().ok_or("no hub")?;
    stage.give(&hub.lock, &HUB_HAS, &[])?;
    let locks: Vec<Script> = members.iter().map(|member| member.lock.clone()).collect();
    stage.give_all(&locks[1..], &[USER_HAS])?;
    let names = core::iter::once("the hub").chain(core::iter::repeat("a user"));
    let mut book = Book::open(stage, names.zip(&locks))?;
    narrator.note(&format!(
        "the hub has {} and brings {} to each channel; each of 16 users has {}, brings {}, and pays \
         the hub {}",
        show(HUB_HAS[0] + HUB_HAS[1]),
        show(HUB_SHARE),
        show(USER_HAS),
        show(USER_SHARE),
        show(PAID)
    ));

    let channels = open(stage, narrator, &mut book, &members)?;
    summary.channels_opened += u64::try_from(channels.len()).unwrap_or(0);
    let finals = pay_off_chain(&channels, hub, users)?;
    summary.payments += u64::try_from(finals.len()).unwrap_or(0);
    let closed = close(stage, narrator, &mut book, hub, &channels, finals)?;
    summary.batch_closes_per_tx = summary.batch_closes_per_tx.max(closed);
    let right = check(stage, narrator, &book, &members)?;
    summary.balances_ok &= right;
    if right { Ok(()) } else { Err("somebody of the hub's channels has not what it should".into()) }
}

/// One transaction of all 17 members.
fn open(
    stage: &Stage,
    narrator: &mut dyn Narrator,
    book: &mut Book,
    members: &[Member],
) -> Result<Vec<(Contract, State)>, Failure> {
    let (deployment, rpc) = (&stage.deployment, stage.rpc.as_ref());
    let channels = members.iter().enumerate().skip(1).map(|(place, user)| ChannelTerms {
        challenge_secs: CHALLENGE_SECS,
        assets: vec![deployment.coin()],
        balances: vec![vec![amount(HUB_SHARE), amount(USER_SHARE)]],
        parties: vec![
            Place { contribution: 0, address: members[0].address() },
            Place { contribution: place, address: user.address() },
        ],
    });
    let terms = Terms { channels: channels.collect(), ends: Vec::new() };
    let mut contributions: Vec<Contribution> = Vec::new();
    for (place, member) in members.iter().enumerate() {
        let owner = member.wallet.locks().first().ok_or("a wallet without a lock")?;
        let none = Reservations::default();
        let cells = free_cells(rpc, deployment, &member.lock, &none).map_err(words)?;
        let payouts = [member.lock.clone(), member.lock.clone()];
        let reserves =
            default_reserves(deployment, &[deployment.coin()], &payouts).map_err(words)?;
        let count = if place == 0 { USERS } else { 1 };
        let offer = Offer {
            owner,
            cells: &cells,
            payout: member.lock.clone(),
            change: member.lock.clone(),
            consents_by_presence: false,
            reserves: reserves.into_iter().take(1).cycle().take(count).collect(),
        };
        let part = contribute(deployment, &terms, place, &offer, FEE_RATE_MIN);
        contributions.push(part.map_err(words)?);
    }
    let mut witnesses: Vec<Vec<LockWitness>> = Vec::new();
    for (place, member) in members.iter().enumerate() {
        // Each member makes the transaction itself, checks all of it, and only then signs.
        let assembly = assemble(deployment, terms.clone(), contributions.clone()).map_err(words)?;
        let ours = &contributions[place];
        let checked = assembly.read(rpc, deployment, place, ours).map_err(words)?;
        witnesses.push(checked.sign(&member.wallet).map_err(words)?);
    }
    let assembly = assemble(deployment, terms, contributions.clone()).map_err(words)?;
    let opened: Vec<(Contract, State)> = assembly
        .channels()
        .iter()
        .map(|channel| (channel.contract.clone(), channel.state.clone()))
        .collect();
    let checked = assembly.read(rpc, deployment, 0, &contributions[0]).map_err(words)?;
    let consents = vec![None; members.len()];
    let completed =
        checked.dry_run(rpc, deployment, &witnesses, &consents, FEE_RATE_MIN).map_err(words)?;
    let hash = rpc.send_transaction(&completed.spent.tx).map_err(words)?;
    commit(stage, &hash)?;
    book.read(stage, narrator, "open 16 channels")?;
    Ok(opened)
}

/// Every user pays the hub, and both sign that this is the end.
fn pay_off_chain(
    channels: &[(Contract, State)],
    hub: &Member,
    users: &[Member],
) -> Result<Vec<SignedState>, Failure> {
    let pay = |((contract, state), user): (&(Contract, State), &Member)| {
        let paid = state.outcome().transfer(1, 0, 0, amount(PAID)).map_err(words)?;
        let last = state.successor(paid).map_err(words)?.finalized();
        let digest = last.digest();
        let signatures = vec![hub.session.sign(&digest), user.session.sign(&digest)];
        SignedState::new(contract.setup().params(), last, signatures).map_err(words)
    };
    channels.iter().zip(users).map(pay).collect()
}

/// One transaction of the hub alone. Returns the most channels that one transaction closed.
fn close(
    stage: &Stage,
    narrator: &mut dyn Narrator,
    book: &mut Book,
    hub: &Member,
    channels: &[(Contract, State)],
    finals: Vec<SignedState>,
) -> Result<u64, Failure> {
    let mut jobs = Vec::new();
    for ((contract, _), signed) in channels.iter().zip(finals) {
        let contract = contract.clone();
        let live = LiveChannel::find(stage.rpc.as_ref(), &stage.deployment, &contract);
        let live = live.map_err(words)?;
        jobs.push(Job { contract, live, step: Step::CloseFinal { signed, unpaid: 0 } });
    }
    let reserved = Mutex::new(Reservations::default());
    let purse = Purse::new(stage.rpc.as_ref(), &stage.deployment, &hub.wallet, &reserved);
    let batch = batch::submit(&purse, &jobs);
    for paid in &batch.sent {
        commit(stage, &paid.hash())?;
    }
    book.read(stage, narrator, "close 16 channels")?;
    let mut jobs_of = vec![0; batch.sent.len()];
    for result in &batch.results {
        match result {
            Ok(transaction) => jobs_of[*transaction] += 1,
            Err(error) => return Err(format!("a channel of the batch was not closed: {error}")),
        }
    }
    Ok(jobs_of.into_iter().max().unwrap_or(0))
}

fn commit(stage: &Stage, hash: &ckb_types::packed::Byte32) -> Result<(), Failure> {
    use perun_backend_ckb::rpc::TransactionStatus::Committed;
    for _ in 0..BLOCKS_MAX {
        let status = stage.rpc.transaction(hash).map_err(words)?.status;
        if matches!(status, Committed { .. }) {
            return Ok(());
        }
        stage.mine()?;
    }
    Err(format!("{hash:#x} was not committed within {BLOCKS_MAX} blocks"))
}

/// The hub gained what 16 users paid, less its fees; every user has the rest, less its share of one
/// fee.
fn check(
    stage: &Stage,
    narrator: &mut dyn Narrator,
    book: &Book,
    members: &[Member],
) -> Result<bool, Failure> {
    let fees: u64 = book.entries.iter().map(|entry| entry.fee).sum();
    let totals = book.totals();
    let users = i128::try_from(USERS).map_err(words)?;
    let mut fees_of: Vec<i128> = Vec::new();
    let mut right = true;
    for (place, total) in totals.iter().enumerate() {
        let paid = if place == 0 { users * i128::from(PAID) } else { -i128::from(PAID) };
        let share = paid - total.capacity;
        // A user pays a part of the opening's fee; the hub that part, and the closing.
        right &= share > 0 && share < i128::from(CKB / 10);
        fees_of.push(share);
    }
    right &= fees_of.iter().sum::<i128>() == i128::from(fees);
    let held = holdings(stage, &members[0].lock)?.0;
    let given = i128::from(HUB_HAS[0] + HUB_HAS[1]);
    right &= i128::from(held) == given + totals.first().map_or(0, |total| total.capacity);
    let user = holdings(stage, &members[1].lock)?.0;
    let fee = |share: Option<&i128>| share.and_then(|share| u128::try_from(*share).ok());
    let row = |who: &str, before: u64, units: u64, share: Option<&i128>| Balance {
        who: who.into(),
        asset: "CKB".into(),
        before: before.into(),
        units: units.into(),
        fees: fee(share).unwrap_or(0),
        decimals: 8,
    };
    let rows = [
        row("hub", HUB_HAS[0] + HUB_HAS[1], held, fees_of.first()),
        row("user 1", USER_HAS, user, fees_of.get(1)),
    ];
    narrator.balances("the hub, and one of 16 users, before and now", &rows);
    let cycles = book.entries.iter().map(|entry| entry.cycles).max().unwrap_or(0);
    let millions = cycles as f64 / 1e6;
    narrator.note(&format!("the largest of the batches took {millions:.1} M cycles of 70 M"));
    Ok(right)
}

fn show(shannons: u64) -> String {
    show_ckb(shannons.into())
}

fn amount(shannons: u64) -> Amount {
    Amount::new(u128::from(shannons))
}
