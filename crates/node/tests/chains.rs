//! One channel on CKB and Ethereum, each with its real contracts, on chains in the process.

mod common;
#[path = "common/evm.rs"]
mod evm;
#[path = "common/liar.rs"]
mod liar;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use common::{
    CELLS, CHALLENGE_SECS, CKB, DEPOSIT, PATIENCE, Pair, Party, World, peer_of, swaps_between,
};
use evm::{ETHER, Ethereum, row};
use liar::Liar;
use perun_backend_ckb::rpc::{DevControl, Rpc};
use perun_channel::swap::Leg;
use perun_channel::{Allocation, Amount, Asset};
use perun_node::{AnyLedger, OpenRequest};
use perun_protocol::{Command, Event, Memo, OpeningId, PerLedger, PhaseName, Preimage};

/// What each has of the token on CKB at first.
const UNITS: u128 = 10_000;

const SECRET: Preimage = Preimage::new([0x5e; 32]);
/// From the swap to the expiries on Ethereum and on CKB.
const EXPIRIES: [u64; 2] = [8_000, 20_000];
/// What the swap moves: ether and tokens from Bob on Ethereum, coins and units from Alice on CKB.
const SWAPPED: [u128; 4] = [ETHER / 10, 5 * CKB as u128, 200, 90];

struct Story {
    pair: Pair,
    evm: Ethereum,
    /// Alice's node of CKB.
    liar: Arc<Liar>,
}

fn start(party: &mut Party, world: &World, evm: &Ethereum, side: usize) {
    start_on(party, world, evm, side, Arc::new(world.chain.clone()));
}

fn start_on(party: &mut Party, world: &World, evm: &Ethereum, side: usize, ckb: Arc<dyn Rpc>) {
    let ledgers = [evm.coin(), world.deployment.coin()].map(|coin| coin.ledger());
    party.config.swaps = swaps_between(ledgers[0], ledgers[1]);
    let ckb = party.ledger_on(world, ckb);
    let ledgers = vec![AnyLedger::joint(ckb), AnyLedger::deposit(evm.ledger(side))];
    party.node = Some(party.try_start_on(world, ledgers).unwrap());
}

impl Story {
    fn new(depth: u32) -> Self {
        let evm = Ethereum::buried_by(depth);
        let mut hers = None;
        let pair = Pair::with_world(|world, alice, bob| {
            for (side, party) in [alice, bob].into_iter().enumerate() {
                world.give_tokens(&party.lock, UNITS);
                let liar = Liar::new(world);
                start_on(party, world, &evm, side, liar.clone());
                hers.get_or_insert(liar);
            }
        });
        Self { pair, evm, liar: hers.unwrap() }
    }

    /// Ether, coins of CKB, a token there, a token here: with what each side brings.
    fn money(&self) -> [(Asset, [u128; 2]); 4] {
        let world = &self.pair.world;
        [
            (self.evm.coin(), [2 * ETHER, ETHER]),
            (world.deployment.coin(), [u128::from(DEPOSIT); 2]),
            (world.token.clone(), [600, 400]),
            (self.evm.token(), [500, 800]),
        ]
    }

    /// The rows in the order that CKB wants.
    fn rows(&self) -> Vec<(Asset, [u128; 2])> {
        let mut rows = self.money().to_vec();
        rows.sort_by(|(one, _), (other, _)| one.cmp(other));
        rows
    }

    /// The row of each kind of money.
    fn places(&self) -> [u8; 4] {
        let rows = self.rows();
        self.money().map(|(asset, _)| {
            u8::try_from(rows.iter().position(|(row, _)| *row == asset).unwrap()).unwrap()
        })
    }

    fn ask(&self) -> OpeningId {
        let (assets, rows): (Vec<_>, Vec<_>) = self.rows().into_iter().unzip();
        let rows = rows.into_iter().map(row).collect();
        let outcome = Allocation::new(assets, rows, Vec::new()).unwrap();
        let request = OpenRequest { challenge_secs: CHALLENGE_SECS, outcome };
        self.pair.alice.node().open(peer_of(&self.pair.bob), request).unwrap()
    }

    /// Lets both look and makes a block on each chain, until it is so.
    fn until(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        let until = Instant::now() + PATIENCE;
        loop {
            self.pair.look();
            if done(self) {
                return;
            }
            let troubles = [&self.pair.alice.troubles, &self.pair.bob.troubles];
            assert!(Instant::now() < until, "mined in vain: {what} {troubles:?}");
            self.evm.chain.mine(1).unwrap();
            self.pair.world.chain.mine(1).unwrap();
        }
    }

    /// Bob is away when Alice shows the secret, which she does once she hears a ledger again. She
    /// goes to the ledgers without him, and he comes back.
    fn misses_the_secret(&mut self, opening: OpeningId, hears: impl FnOnce(&Self)) {
        self.pair.bob.node = None;
        hears(self);
        self.pair.alice.node().sync().unwrap();
        self.pair.world.pass(61);
        self.pair.wait("Alice leaves", |pair| pair.alice.phase(opening) == PhaseName::Disputing);
        start(&mut self.pair.bob, &self.pair.world, &self.evm, 1);
        self.until("registered", |story| story.pair.both(opening, PhaseName::Registered));
    }

    fn deposits(&mut self) -> OpeningId {
        let opening = self.ask();
        self.pair.wait("deposits", |pair| pair.both(opening, PhaseName::Depositing));
        opening
    }

    fn open(&mut self) -> OpeningId {
        let opening = self.deposits();
        self.until("open", |story| story.pair.both(opening, PhaseName::Open));
        opening
    }

    /// Alice pays ether and units of the token on CKB, Bob coins of CKB and tokens on Ethereum.
    fn pay(&mut self, opening: OpeningId) {
        let pay = |party: &Party, asset, amount: u128| {
            party.node().pay(opening, asset, Amount::new(amount), Memo::default()).unwrap();
        };
        let [ether, coin, units, tokens] = self.places();
        for _ in 0..5 {
            pay(&self.pair.alice, ether, ETHER / 1_000);
            pay(&self.pair.alice, units, 10);
            pay(&self.pair.bob, coin, u128::from(CKB));
            pay(&self.pair.bob, tokens, 7);
        }
        self.pair.wait("all payments", |pair| {
            [&pair.alice, &pair.bob].iter().all(|it| it.sent(opening).len() == 10)
        });
    }

    /// Everybody has on every ledger what the payments say; fees aside, which are each side's own.
    fn settle_accounts(&self) {
        let ether = i128::try_from(5 * ETHER / 1_000).unwrap();
        assert_eq!(self.evm.gains(0), [-ether, 35]);
        assert_eq!(self.evm.gains(1), [ether, -35]);
        assert_eq!(self.evm.held(), [0, 0]);
        let world = &self.pair.world;
        let locks = [&self.pair.alice.lock, &self.pair.bob.lock];
        assert_eq!(locks.map(|lock| world.tokens(lock)), [UNITS - 50, UNITS + 50]);
        let began = CELLS.iter().sum::<u64>() + common::TOKEN_CELL;
        for (lock, due) in locks.into_iter().zip([began + 5 * CKB, began - 5 * CKB]) {
            let has = world.holdings(lock);
            // Every fee on CKB together is less than a thousandth of a coin.
            assert!(has <= due && due - has < CKB / 1_000, "{has} of {due}");
        }
    }

    fn settled(&mut self, opening: OpeningId) {
        self.until("settled", |story| story.pair.both(opening, PhaseName::Settled));
    }
}

#[test]
fn a_channel_on_ckb_and_ethereum_pays_four_assets_and_closes_on_both() {
    let mut story = Story::new(2);
    let opening = story.open();
    assert_eq!(story.evm.held(), [3 * ETHER, 1_300]);
    story.pay(opening);
    story.pair.alice.node().command(opening, Command::Close).unwrap();
    story.settled(opening);
    story.settle_accounts();
    for party in [&story.pair.alice, &story.pair.bob] {
        assert!(party.has(|event| {
            matches!(event, Event::Settled { outcomes, .. } if outcomes.len() == 2)
        }));
    }
}

/// CKB takes rows in one order only. Who asks for another cannot make anybody deposit first.
#[test]
fn rows_that_ckb_refuses_are_seen_before_anybody_signs_or_deposits() {
    let mut story = Story::new(2);
    let (assets, rows): (Vec<_>, Vec<_>) = story.rows().into_iter().rev().unzip();
    let rows = rows.into_iter().map(row).collect();
    let outcome = Allocation::new(assets, rows, Vec::new()).unwrap();
    let request = OpenRequest { challenge_secs: CHALLENGE_SECS, outcome };
    let opening = story.pair.alice.node().open(peer_of(&story.pair.bob), request).unwrap();
    story.pair.wait("the end", |pair| {
        [&pair.alice, &pair.bob].iter().all(|it| it.phase(opening) == PhaseName::Over)
    });
    let was_told = |event: &Event| matches!(event, Event::Disputed { .. } | Event::Opened { .. });
    assert!(!story.pair.alice.has(was_told) && !story.pair.bob.has(was_told));
    assert_eq!([0, 1].map(|side| story.evm.gains(side)), [[0, 0]; 2]);
    story.open();
}

/// The old state on Ethereum does not help whoever gave away more there: the newest goes to both.
#[test]
fn an_old_state_on_ethereum_is_answered_on_both() {
    let mut story = Story::new(2);
    let opening = story.open();
    let agreed = [&story.pair.bob, &story.pair.alice].map(|it| it.status(opening).agreed.unwrap());
    let old = agreed[0].state.clone();
    let signatures = agreed.map(|agreed| agreed.proof.unwrap().signature);
    let target = story.pair.alice.status(opening).targets;
    let ethereum = story.evm.coin().ledger();
    let target = target.into_iter().find(|target| target.ledger == ethereum).unwrap();
    story.pay(opening);
    story.pair.bob.node = None;
    story.evm.register(&target.params, &old, signatures);
    let newest = story.pair.alice.status(opening).agreed.unwrap().state.version();
    story.until("the answers", |story| {
        let answered = |on_ethereum: bool| {
            story.pair.alice.has(|event| {
                matches!(event, Event::Registered { ledger, version, .. }
                    if (*ledger == ethereum) == on_ethereum && *version == newest)
            })
        };
        answered(true) && answered(false)
    });
    story.evm.pass(CHALLENGE_SECS);
    story.pair.world.chain.advance(CHALLENGE_SECS + 60).unwrap();
    story.settled(opening);
    story.settle_accounts();
}

/// A reorganisation takes the deposits back before they are final: nothing on CKB was released for
/// them, they are made again, once, and the channel opens.
#[test]
fn deposits_that_a_reorganisation_takes_back_are_made_again() {
    let mut story = Story::new(6);
    let opening = story.deposits();
    let before = story.evm.chain.head().number;
    let full = [3 * ETHER, 1_300];
    while story.evm.held() != full {
        story.evm.chain.mine(1).unwrap();
        story.pair.look();
    }
    story.pair.look();
    assert!(story.pair.both(opening, PhaseName::Depositing), "in, but not final");
    story.evm.rewind(story.evm.chain.head().number - before);
    assert_eq!(story.evm.held(), [0, 0]);
    story.pair.look();
    assert!(story.pair.both(opening, PhaseName::Depositing));
    story.until("open", |story| story.pair.both(opening, PhaseName::Open));
    assert_eq!(story.evm.held(), full);
    story.pay(opening);
    story.pair.bob.node().command(opening, Command::Close).unwrap();
    story.settled(opening);
    story.settle_accounts();
}

impl Story {
    fn now(&self) -> u64 {
        self.pair.world.chain.tip_header().unwrap().timestamp() / 1_000
    }

    /// A channel in which Alice offers all four assets, and Bob is asked. She takes on Ethereum.
    fn offered(depth: u32) -> (Self, OpeningId) {
        Self::offered_by(depth, 0)
    }

    /// The same with all legs turned round, if 1 is who gives on CKB.
    fn offered_by(depth: u32, ckb: u8) -> (Self, OpeningId) {
        let mut story = Self::new(depth);
        let opening = story.open();
        let start = story.now();
        story.evm.chain.set_time(start);
        story.evm.chain.mine(depth.into()).unwrap();
        story.pair.look();
        let [ether, coin, units, tokens] = story.places();
        let mut legs = Vec::new();
        let moves = [(ether, 1, 0), (coin, 0, 1), (units, 0, 2), (tokens, 1, 3)];
        for (asset, from, amount) in moves.map(|(asset, from, it)| (asset, from ^ ckb, it)) {
            let expiry = start + EXPIRIES[usize::from(from == 0)];
            legs.push(Leg {
                asset,
                from,
                to: 1 - from,
                expiry,
                amount: Amount::new(SWAPPED[amount]),
            });
        }
        legs.sort_by_key(|leg| leg.asset);
        let swap = Command::Swap { legs, preimage: SECRET };
        story.pair.alice.node().command(opening, swap).unwrap();
        story.pair.wait("the question", |pair| {
            pair.bob.has(|event| matches!(event, Event::SwapRequested { .. }))
        });
        (story, opening)
    }

    fn accept(&self, opening: OpeningId) {
        let clocks = PerLedger::default();
        self.pair.bob.node().command(opening, Command::AcceptSwap { clocks }).unwrap();
    }

    /// The same, and both hold the state with the swap; Alice reads no clock of Ethereum, so she
    /// does not show the secret.
    fn held(depth: u32) -> (Self, OpeningId) {
        let (story, opening) = Self::offered(depth);
        story.evm.silent[0].store(true, Ordering::Relaxed);
        story.held_by(opening)
    }

    /// Bob agrees, and Alice does not show the secret yet.
    fn held_by(self, opening: OpeningId) -> (Self, OpeningId) {
        let mut story = self;
        let half = story.pair.alice.status(opening).agreed.unwrap().state.version();
        story.accept(opening);
        story.pair.wait("the acceptance", |pair| {
            pair.alice.status(opening).agreed.unwrap().state.version() > half
        });
        assert!(story.pair.both(opening, PhaseName::Swapping));
        (story, opening)
    }

    fn passes(&self, seconds: u64) {
        self.evm.pass(seconds);
        self.pair.world.chain.advance(seconds).unwrap();
    }

    /// Who has what after a swap that happened, or did not; and what each was told.
    fn swapped(&self, happened: bool) {
        self.swapped_times(i128::from(happened));
    }

    /// The same for a swap that happened so often: -1 is the other way round.
    fn swapped_times(&self, times: i128) {
        let [ether, coin, units, tokens] =
            SWAPPED.map(|amount| times * i128::try_from(amount).unwrap());
        assert_eq!(self.evm.gains(0), [ether, tokens]);
        assert_eq!(self.evm.gains(1), [-ether, -tokens]);
        assert_eq!(self.evm.held(), [0, 0]);
        let world = &self.pair.world;
        let locks = [&self.pair.alice.lock, &self.pair.bob.lock];
        let began = i128::try_from(UNITS).unwrap();
        let has = locks.map(|lock| i128::try_from(world.tokens(lock)).unwrap());
        assert_eq!(has, [began - units, began + units]);
        let began = i128::from(CELLS.iter().sum::<u64>() + common::TOKEN_CELL);
        for (lock, due) in locks.into_iter().zip([began - coin, began + coin]) {
            let paid = due - i128::from(world.holdings(lock));
            assert!((0..i128::from(CKB / 1_000)).contains(&paid), "{paid} of fees");
        }
    }

    fn claimed(&self, on_each: bool) {
        for party in [&self.pair.alice, &self.pair.bob] {
            let told = |(_, event): &(OpeningId, Event)| match event {
                Event::LedgerSettled(one) => Some(one.claimed),
                _ => None,
            };
            let told: Vec<bool> = party.events.iter().filter_map(told).collect();
            assert!(told.len() >= 2 && told.iter().all(|claimed| *claimed == on_each), "{told:?}");
        }
    }
}

#[test]
fn four_assets_are_swapped_between_ckb_and_ethereum_and_both_close() {
    let (mut story, opening) = Story::offered(2);
    story.accept(opening);
    let swapped = |event: &Event| matches!(event, Event::Swapped { .. });
    story.pair.wait("the swap", |pair| pair.alice.has(swapped) && pair.bob.has(swapped));
    story.pair.alice.node().command(opening, Command::Close).unwrap();
    story.settled(opening);
    story.swapped(true);
}

#[test]
fn a_swap_whose_secret_nobody_shows_lapses_on_ckb_and_on_ethereum() {
    let (mut story, opening) = Story::held(2);
    story.pair.bob.node().command(opening, Command::Dispute).unwrap();
    // What Alice sees on CKB is enough: from then on she shows nothing.
    let seen = |event: &Event| matches!(event, Event::Registered { .. });
    story.pair.mine_until("a dispute", |pair| pair.alice.has(seen));
    story.evm.silent[0].store(false, Ordering::Relaxed);
    story.until("registered", |story| story.pair.both(opening, PhaseName::Registered));
    story.passes(EXPIRIES[1] + 3_600);
    story.settled(opening);
    story.swapped(false);
    story.claimed(false);
}

/// Bob's node is away when the secret is sent. It learns it from Alice's claim on Ethereum, and
/// claims on CKB.
#[test]
fn a_secret_that_a_claim_on_ethereum_shows_opens_the_legs_on_ckb() {
    let (mut story, opening) = Story::held(2);
    story.misses_the_secret(opening, |story| story.evm.silent[0].store(false, Ordering::Relaxed));
    story.passes(CHALLENGE_SECS + 60);
    story.settled(opening);
    story.swapped(true);
    story.claimed(true);
}

/// The other way round: the first claim is on CKB, and Bob finds the secret there.
#[test]
fn a_secret_that_a_claim_on_ckb_shows_opens_the_legs_on_ethereum() {
    let (story, opening) = Story::offered_by(2, 1);
    // Alice reads no clock of CKB.
    story.liar.tips.store(0, Ordering::SeqCst);
    let (mut story, opening) = story.held_by(opening);
    story.misses_the_secret(opening, |story| story.liar.tips.store(usize::MAX, Ordering::SeqCst));
    story.passes(CHALLENGE_SECS + 60);
    story.settled(opening);
    story.swapped_times(-1);
    story.claimed(true);
}

/// Bob's refund on CKB waits in the pool when Alice's claim on Ethereum shows the secret: his claim
/// takes its place.
#[test]
fn a_claim_takes_the_place_of_a_refund_that_waits_in_the_pool() {
    let (mut story, opening) = Story::held(2);
    story.misses_the_secret(opening, |story| story.evm.silent[0].store(false, Ordering::Relaxed));
    // Nothing that either sends on Ethereum arrives.
    story.evm.cut.iter().for_each(|line| line.store(true, Ordering::SeqCst));
    story.liar.tips.store(0, Ordering::SeqCst);
    story.passes(EXPIRIES[1] + 3_600);
    let waiting = |story: &Story| story.pair.world.chain.pool().unwrap();
    assert_eq!(waiting(&story).len(), 0);
    story.pair.look();
    let refund = waiting(&story);
    assert_eq!(refund.len(), 1, "Bob's refund");
    story.evm.cut[0].store(false, Ordering::SeqCst);
    for _ in 0..4 {
        story.pair.alice.node().sync().unwrap();
        story.evm.chain.mine(1).unwrap();
    }
    story.pair.look();
    let claim = waiting(&story);
    assert!(claim.len() == 1 && claim != refund, "{:?}", story.pair.bob.troubles);
    story.evm.cut[1].store(false, Ordering::SeqCst);
    story.liar.tips.store(usize::MAX, Ordering::SeqCst);
    story.settled(opening);
    story.swapped(true);
    story.claimed(true);
}
