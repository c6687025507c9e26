//! One channel on CKB and Ethereum, each with its real contracts, on chains in the process.

mod common;
#[path = "common/evm.rs"]
mod evm;

use std::time::Instant;

use common::{CELLS, CHALLENGE_SECS, CKB, DEPOSIT, PATIENCE, Pair, Party, World, peer_of};
use evm::{ETHER, Ethereum, row};
use perun_backend_ckb::rpc::DevControl;
use perun_channel::{Allocation, Amount, Asset};
use perun_node::{AnyLedger, OpenRequest};
use perun_protocol::{Command, Event, Memo, OpeningId, PhaseName};

/// What each has of the token on CKB at first.
const UNITS: u128 = 10_000;

struct Story {
    pair: Pair,
    evm: Ethereum,
}

fn start(party: &mut Party, world: &World, evm: &Ethereum, side: usize) {
    let ledgers = vec![AnyLedger::joint(party.ledger(world)), AnyLedger::deposit(evm.ledger(side))];
    party.node = Some(party.try_start_on(world, ledgers).unwrap());
}

impl Story {
    fn new(depth: u32) -> Self {
        let evm = Ethereum::buried_by(depth);
        let pair = Pair::with_world(|world, alice, bob| {
            for (side, party) in [alice, bob].into_iter().enumerate() {
                world.give_tokens(&party.lock, UNITS);
                start(party, world, &evm, side);
            }
        });
        Self { pair, evm }
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

    fn both(&self, opening: OpeningId, phase: PhaseName) -> bool {
        [&self.pair.alice, &self.pair.bob]
            .iter()
            .all(|party| party.node.is_none() || party.phase(opening) == phase)
    }

    /// Both look at both chains.
    fn look(&mut self) {
        for party in [&mut self.pair.alice, &mut self.pair.bob] {
            if let Some(node) = &party.node {
                node.sync().unwrap();
            }
            party.collect();
        }
    }

    /// Lets both look and makes a block on each chain, until it is so.
    fn until(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        let until = Instant::now() + PATIENCE;
        loop {
            self.look();
            if done(self) {
                return;
            }
            let troubles = [&self.pair.alice.troubles, &self.pair.bob.troubles];
            assert!(Instant::now() < until, "mined in vain: {what} {troubles:?}");
            self.evm.chain.mine(1).unwrap();
            self.pair.world.chain.mine(1).unwrap();
        }
    }

    fn deposits(&mut self) -> OpeningId {
        let opening = self.ask();
        self.pair.wait("deposits", |pair| {
            [&pair.alice, &pair.bob].iter().all(|it| it.phase(opening) == PhaseName::Depositing)
        });
        opening
    }

    fn open(&mut self) -> OpeningId {
        let opening = self.deposits();
        self.until("open", |story| story.both(opening, PhaseName::Open));
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
        self.until("settled", |story| story.both(opening, PhaseName::Settled));
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
        story.look();
    }
    story.look();
    assert!(story.both(opening, PhaseName::Depositing), "in, but not final");
    story.evm.rewind(story.evm.chain.head().number - before);
    assert_eq!(story.evm.held(), [0, 0]);
    story.look();
    assert!(story.both(opening, PhaseName::Depositing));
    story.until("open", |story| story.both(opening, PhaseName::Open));
    assert_eq!(story.evm.held(), full);
    story.pay(opening);
    story.pair.bob.node().command(opening, Command::Close).unwrap();
    story.settled(opening);
    story.settle_accounts();
}
