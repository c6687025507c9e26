//! Channels on Ethereum alone, with the real contracts on a chain in the process.

mod common;
#[path = "common/evm.rs"]
mod evm;

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use common::{CHALLENGE_SECS, PATIENCE, Pair, Party, World, peer_of};
use evm::{ETHER, Ethereum, row};
use perun_channel::{Address, Allocation, Amount, Asset, LedgerId, Params, Participant, State};
use perun_node::{AnyLedger, DepositLedger, OpenRequest};
use perun_protocol::{
    Agreed, Command, DeclineReason, Event, Funding, Index, LedgerBytes, LedgerTerms, Memo,
    OpeningId, PerLedger, PhaseName, Plan, Terms,
};

const COIN: u8 = 0;
const TOKEN: u8 = 1;

struct Story {
    pair: Pair,
    evm: Ethereum,
}

fn start(party: &mut Party, world: &World, evm: &Ethereum, side: usize) {
    let ledgers = vec![AnyLedger::deposit(evm.ledger(side))];
    party.node = Some(party.try_start_on(world, ledgers).unwrap());
}

impl Story {
    fn new(depth: u32) -> Self {
        let evm = Ethereum::buried_by(depth);
        let pair = Pair::with_world(|world, alice, bob| {
            start(alice, world, &evm, 0);
            start(bob, world, &evm, 1);
        });
        Self { pair, evm }
    }

    fn assets(&self) -> Vec<Asset> {
        vec![self.evm.coin(), self.evm.token()]
    }

    fn ask(&self, rows: [[u128; 2]; 2]) -> OpeningId {
        let rows = rows.map(row).to_vec();
        let outcome = Allocation::new(self.assets(), rows, Vec::new()).unwrap();
        let request = OpenRequest { challenge_secs: CHALLENGE_SECS, outcome };
        self.pair.alice.node().open(peer_of(&self.pair.bob), request).unwrap()
    }

    /// Lets both look at the chain and makes a block, until it is so.
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
        }
    }

    fn open(&mut self, rows: [[u128; 2]; 2]) -> OpeningId {
        let opening = self.ask(rows);
        self.pair.wait("deposits", |pair| pair.both(opening, PhaseName::Depositing));
        self.until("open", |story| story.pair.both(opening, PhaseName::Open));
        opening
    }

    /// Alice pays ten thousandths of an ether, one by one, and Bob so many tokens.
    fn pay(&mut self, opening: OpeningId, alice: usize, bob: usize) {
        let milli = Amount::new(ETHER / 1_000);
        for _ in 0..alice {
            self.pair.alice.node().pay(opening, COIN, milli, Memo::default()).unwrap();
        }
        for _ in 0..bob {
            self.pair.bob.node().pay(opening, TOKEN, Amount::new(7), Memo::default()).unwrap();
        }
        self.pair.wait("all payments", |pair| {
            pair.alice.sent(opening).len() == alice && pair.bob.sent(opening).len() == bob
        });
    }

    /// Alice's node is started again.
    fn restart(&mut self) {
        self.pair.alice.node = None;
        start(&mut self.pair.alice, &self.pair.world, &self.evm, 0);
        let bob = peer_of(&self.pair.bob);
        self.pair.alice.node().dial(bob, self.pair.address).unwrap();
    }

    fn settled(&mut self, opening: OpeningId) {
        self.until("settled", |story| story.pair.both(opening, PhaseName::Settled));
    }
}

const ROWS: [[u128; 2]; 2] = [[2 * ETHER, ETHER], [500, 800]];

/// Both signatures over the newest state, in order: each has the other's.
fn signed(pair: &Pair, opening: OpeningId, ledger: LedgerId) -> (Params, Agreed, [Agreed; 2]) {
    let agreed = [&pair.bob, &pair.alice].map(|it| it.status(opening).agreed.unwrap());
    let targets = pair.alice.status(opening).targets;
    let target = targets.into_iter().find(|target| target.ledger == ledger).unwrap();
    (target.params, agreed[0].clone(), agreed)
}

#[test]
fn coins_and_tokens_are_paid_and_closed_to_the_last_unit() {
    let mut story = Story::new(2);
    let opening = story.open(ROWS);
    assert_eq!(story.evm.held(), [3 * ETHER, 1_300]);
    story.pay(opening, 60, 40);
    story.pair.alice.node().command(opening, Command::Close).unwrap();
    story.settled(opening);
    let paid = i128::try_from(60 * ETHER / 1_000).unwrap();
    assert_eq!(story.evm.gains(0), [-paid, 280]);
    assert_eq!(story.evm.gains(1), [paid, -280]);
    assert_eq!(story.evm.held(), [0, 0]);
    assert_eq!(story.pair.alice.troubles, Vec::<String>::new());
    assert_eq!(story.pair.bob.troubles, Vec::<String>::new());
}

/// A stranger registers version 0 while Bob is away; Alice answers, and both are paid by hers.
#[test]
fn an_old_state_is_refuted_and_the_newest_is_paid() {
    let mut story = Story::new(2);
    let opening = story.open(ROWS);
    let (params, old, by) = signed(&story.pair, opening, story.evm.coin().ledger());
    let signatures = by.map(|agreed| agreed.proof.unwrap().signature);
    story.pay(opening, 3, 2);
    story.pair.bob.node = None;
    story.evm.register(&params, &old.state, signatures);
    let newest = story.pair.alice.status(opening).agreed.unwrap().state.version();
    let own =
        |event: &Event| matches!(event, Event::Registered { version, .. } if *version == newest);
    story.until("the answer", |story| story.pair.alice.has(own));
    story.evm.pass(CHALLENGE_SECS);
    story.settled(opening);
    let paid = i128::try_from(3 * ETHER / 1_000).unwrap();
    assert_eq!(story.evm.gains(0), [-paid, 14]);
    assert_eq!(story.evm.gains(1), [paid, -14]);
}

/// Nothing that Bob sends arrives. Alice gets all of hers back and pays only fees.
#[test]
fn a_deposit_that_never_comes_gives_ours_back() {
    let mut story = Story::new(2);
    story.evm.cut[1].store(true, Ordering::SeqCst);
    let opening = story.ask(ROWS);
    let ours = [2 * ETHER, 500];
    story.until("our deposit", |story| story.evm.held() == ours);
    assert!(story.pair.both(opening, PhaseName::Depositing));
    for _ in 0..5 {
        story.evm.chain.mine(1).unwrap();
        story.pair.alice.node().sync().unwrap();
    }
    assert_eq!(story.evm.held(), ours, "ordered often, made once");
    story.pair.world.pass(3_700);
    story.until("Alice leaves", |story| story.pair.alice.phase(opening) == PhaseName::Registered);
    story.evm.pass(CHALLENGE_SECS);
    story.settled(opening);
    assert_eq!([0, 1].map(|side| story.evm.gains(side)), [[0, 0]; 2]);
    assert_eq!(story.evm.held(), [0, 0]);
}

/// The window of an old state ran out while Alice was away. It is the outcome, and hers is taken
/// from it: nothing waits for ever for an answer that is too late.
#[test]
fn an_old_state_that_nobody_answered_in_time_is_paid() {
    let mut story = Story::new(2);
    let opening = story.open(ROWS);
    let (params, old, by) = signed(&story.pair, opening, story.evm.coin().ledger());
    let signatures = by.map(|agreed| agreed.proof.unwrap().signature);
    story.pay(opening, 3, 2);
    (story.pair.alice.node, story.pair.bob.node) = (None, None);
    story.evm.register(&params, &old.state, signatures);
    story.evm.pass(CHALLENGE_SECS);
    start(&mut story.pair.alice, &story.pair.world, &story.evm, 0);
    story.settled(opening);
    assert_eq!([0, 1].map(|side| story.evm.gains(side)), [[0, 0]; 2]);
    assert_eq!(story.evm.held(), [0, 0]);
}

/// A stranger concludes with the final state and pays nobody: each takes its own, by its session
/// key, and does not wait for what the other is owed.
#[test]
fn what_a_stranger_concluded_without_paying_is_withdrawn() {
    let mut story = Story::new(2);
    let opening = story.open(ROWS);
    story.pay(opening, 3, 2);
    story.evm.cut.iter().for_each(|line| line.store(true, Ordering::SeqCst));
    story.pair.alice.node().command(opening, Command::Close).unwrap();
    story.pair.wait("closing", |pair| {
        [&pair.alice, &pair.bob].iter().all(|it| it.phase(opening) == PhaseName::Closing)
    });
    let (params, last, by) = signed(&story.pair, opening, story.evm.coin().ledger());
    let signatures = by.map(|agreed| agreed.proof.unwrap().signature);
    story.evm.conclude_unpaid(&params, &last.state, signatures);
    assert_eq!(story.evm.held(), [3 * ETHER, 1_300]);
    story.evm.cut[0].store(false, Ordering::SeqCst);
    story.until("Alice's", |story| story.pair.alice.phase(opening) == PhaseName::Settled);
    let paid = i128::try_from(3 * ETHER / 1_000).unwrap();
    assert_eq!(story.evm.gains(0), [-paid, 14]);
    assert_ne!(story.evm.held(), [0, 0], "Bob's is still there");
    story.evm.cut[1].store(false, Ordering::SeqCst);
    story.settled(opening);
    assert_eq!(story.evm.gains(1), [paid, -14]);
    assert_eq!(story.evm.held(), [0, 0]);
}

/// The node is started again at every stage, and the channel goes on from the folder.
#[test]
fn a_channel_survives_restarts() {
    let mut story = Story::new(2);
    let opening = story.ask(ROWS);
    let deposits = move |pair: &Pair| {
        [&pair.alice, &pair.bob].iter().all(|it| it.phase(opening) == PhaseName::Depositing)
    };
    story.pair.wait("deposits", deposits);
    story.restart();
    story.until("open", |story| story.pair.both(opening, PhaseName::Open));
    assert_eq!(story.evm.held(), [3 * ETHER, 1_300]);
    story.restart();
    story.pay(opening, 3, 2);
    story.pair.alice.node().command(opening, Command::Dispute).unwrap();
    story.until("registered", |story| story.pair.both(opening, PhaseName::Registered));
    story.restart();
    story.evm.pass(CHALLENGE_SECS);
    story.settled(opening);
    let paid = i128::try_from(3 * ETHER / 1_000).unwrap();
    assert_eq!([0, 1].map(|side| story.evm.gains(side)), [[-paid, 14], [paid, -14]]);
}

/// Who brings nothing is paid to its wallet all the same, and not to the key that signs.
#[test]
fn who_brings_nothing_is_paid_to_its_wallet() {
    let mut story = Story::new(2);
    story.evm.cut[1].store(true, Ordering::SeqCst);
    let opening = story.ask([[ETHER, 0], [100, 0]]);
    story.until("Alice's side is open", |story| story.pair.alice.phase(opening) == PhaseName::Open);
    // Everything is in and final, but the hub has not been told whom to pay.
    assert_eq!(story.pair.bob.phase(opening), PhaseName::Depositing);
    story.evm.cut[1].store(false, Ordering::SeqCst);
    story.until("open", |story| story.pair.both(opening, PhaseName::Open));
    let milli = Amount::new(ETHER / 1_000);
    story.pair.alice.node().pay(opening, COIN, milli, Memo::default()).unwrap();
    story.pair.wait("the payment", |pair| pair.bob.received(opening).len() == 1);
    story.pair.alice.node().command(opening, Command::Close).unwrap();
    story.settled(opening);
    let paid = i128::try_from(milli.get()).unwrap();
    assert_eq!([0, 1].map(|side| story.evm.gains(side)), [[-paid, 0], [paid, 0]]);
}

/// What a hub cannot pay is no asset, whoever proposes it.
#[test]
fn an_asset_that_the_hub_does_not_know_is_refused() {
    let story = Story::new(1);
    let stranger = Address::new([0x77; 20]);
    let coin = story.evm.coin();
    let [unknown, none] =
        [stranger, Address::ZERO].map(|holder| Asset::ethereum(coin.chain(), holder));
    // The coin under another spelling: with both, no state could ever be registered.
    let twin = Asset::new(coin.backend(), coin.chain(), *coin.holder(), vec![1]).unwrap();
    for assets in [vec![unknown], vec![none], vec![twin.clone()], vec![coin, twin]] {
        let balances = vec![row([5, 5]); assets.len()];
        let outcome = Allocation::new(assets, balances, Vec::new()).unwrap();
        let request = OpenRequest { challenge_secs: CHALLENGE_SECS, outcome };
        let refused = story.pair.alice.node().open(peer_of(&story.pair.bob), request);
        let text = refused.unwrap_err().to_string();
        assert!(text.contains("nothing was"), "{text}");
    }
}

/// One wallet is not offered to two channels at once; what a refused channel had is free again.
#[test]
fn what_is_promised_to_one_channel_is_not_offered_to_another() {
    let story = Story::new(2);
    story.evm.cut[0].store(true, Ordering::SeqCst);
    let request = |coins: u128| {
        let rows = [[coins, 0], [0, 0]].map(row).to_vec();
        let outcome = Allocation::new(story.assets(), rows, Vec::new()).unwrap();
        OpenRequest { challenge_secs: CHALLENGE_SECS, outcome }
    };
    let open = |coins| story.pair.alice.node().open(peer_of(&story.pair.bob), request(coins));
    open(60 * ETHER).unwrap();
    let text = open(60 * ETHER).unwrap_err().to_string();
    assert!(text.contains("wei"), "{text}");
    open(30 * ETHER).unwrap();
}

/// What is in the hub is counted once: the wallet does not have it, and nothing of the rest is
/// promised.
#[test]
fn what_was_deposited_is_not_promised_any_more() {
    let mut story = Story::new(1);
    story.open([[60 * ETHER, 0], [0, 0]]);
    story.ask([[35 * ETHER, 0], [0, 0]]);
}

/// The peer names another contract, or a payee that cannot be paid: nothing is signed. Nor is a
/// channel gone on with that pays a wallet which this node does not have.
#[test]
fn another_contract_and_payees_that_cannot_be_are_refused() {
    let evm = Ethereum::buried_by(1);
    let (mut alice, mut bob) = (evm.ledger(0), evm.ledger(1));
    let outcome = Allocation::new(vec![evm.coin()], vec![row([5, 6])], Vec::new()).unwrap();
    let keys = [7, 8].map(|byte| Participant::new(Address::new([byte; 20]), Vec::new()).unwrap());
    let [proposer, other] = keys.clone();
    let request = OpenRequest { challenge_secs: CHALLENGE_SECS, outcome: outcome.clone() };
    let (chain, offered) = alice.offer(*proposer.address(), &request).unwrap();
    let terms = |chain| Terms {
        challenge_secs: CHALLENGE_SECS,
        outcome: outcome.clone(),
        proposer: proposer.clone(),
        ledgers: PerLedger::one(LedgerTerms {
            ledger: evm.coin().ledger(),
            funding: Funding::Deposit {},
            chain,
        }),
    };
    let answered = bob.answer(*other.address(), &terms(chain.clone())).unwrap();
    assert_ne!(offered, answered, "both drew something of their own");
    let ending = |bytes: &LedgerBytes, end: &[u8]| {
        let mut bytes = bytes.as_bytes().to_vec();
        let start = bytes.len() - end.len();
        bytes[start..].copy_from_slice(end);
        LedgerBytes::new(bytes).unwrap()
    };
    let other_hub = terms(ending(&chain, &[0x99; 20]));
    let refused = bob.answer(*other.address(), &other_hub).unwrap_err().to_string();
    assert!(refused.contains("Agree on one"), "{refused}");

    let params = Params::new(CHALLENGE_SECS, [1; 32], keys.to_vec()).unwrap();
    let initial = State::initial(params.id(), outcome.clone());
    let plan = |index, offered: &LedgerBytes| Plan {
        index,
        challenge_secs: CHALLENGE_SECS,
        participants: keys.clone(),
        outcome: outcome.clone(),
        ledgers: terms(chain.clone()).ledgers,
        contributions: [PerLedger::one(offered.clone()), PerLedger::one(answered.clone())],
        predecessor: None,
    };
    let placed = bob.place(&plan(Index::One, &offered), &params, &initial).unwrap();
    let same = alice.place(&plan(Index::Zero, &offered), &params, &initial).unwrap();
    assert_eq!(placed, same);
    let hub = evm.coin();
    for payee in [&[0; 20], hub.holder().as_bytes()] {
        let plan = plan(Index::One, &ending(&offered, payee));
        let refused = bob.place(&plan, &params, &initial).unwrap_err().to_string();
        assert!(refused.contains("where nobody can take it"), "{refused}");
    }
    let refused = bob.place(&plan(Index::Zero, &offered), &params, &initial).unwrap_err();
    assert!(refused.to_string().contains("Start the node with that wallet"), "{refused}");
}

/// Openings that came to nothing leave nothing behind that is asked of the chain for ever, however
/// many of them a stranger begins.
#[test]
fn openings_that_came_to_nothing_are_not_watched() {
    let mut story = Story::new(2);
    story.evm.cut[0].store(true, Ordering::SeqCst);
    let look = |story: &Story| {
        let before = story.evm.asked[1].load(Ordering::SeqCst);
        story.pair.bob.node().sync().unwrap();
        story.evm.asked[1].load(Ordering::SeqCst) - before
    };
    look(&story);
    let before = look(&story);
    for _ in 0..4 {
        let opening = story.ask([[ETHER, 0], [5, 0]]);
        story.pair.wait("deposits", |pair| {
            [&pair.alice, &pair.bob].iter().all(|it| it.phase(opening) == PhaseName::Depositing)
        });
        look(&story);
        let reason = DeclineReason::User {};
        story.pair.alice.node().command(opening, Command::Decline { reason }).unwrap();
        story.pair.wait("the end", |pair| pair.bob.phase(opening) == PhaseName::Over);
    }
    look(&story);
    assert_eq!(look(&story), before);
}

/// What disputes are paid from is not spent on openings, which cost a stranger nothing: neither one
/// by one, nor many at once.
#[test]
fn openings_leave_the_fees_of_disputes_alone() {
    /// What the node keeps, and a little more than one opening may cost.
    const KEPT: u128 = 20_000_000_000_000_000;
    let mut story = Story::new(2);
    let one = story.evm.price_of(1_800_000);
    let answer = |story: &mut Story, coins: u128| {
        story.evm.leave_coins(1, coins);
        let opening = story.ask([[0, 0], [0, 5]]);
        let is_decided = |phase| matches!(phase, PhaseName::Depositing | PhaseName::Over);
        story.pair.wait("an answer", |pair| is_decided(pair.alice.phase(opening)));
        story.pair.alice.phase(opening)
    };
    assert_eq!(answer(&mut story, KEPT), PhaseName::Over);
    assert_eq!(answer(&mut story, KEPT + one), PhaseName::Depositing);
    // The first is promised, and watched.
    assert_eq!(answer(&mut story, KEPT + 2 * one), PhaseName::Over);
    assert_eq!(answer(&mut story, KEPT + 3 * one), PhaseName::Depositing);
    story.until("open", |story| story.evm.held() == [0, 10]);
    for _ in 0..3 {
        story.evm.chain.mine(1).unwrap();
        story.pair.bob.node().sync().unwrap();
    }
    assert_eq!(answer(&mut story, KEPT + one), PhaseName::Depositing, "those are open");
}

/// So many old states are registered at once that the wallet cannot answer all in one block. What
/// has to wait for a place goes on as soon as there is one, and not when its patience is over: by
/// then the windows could be.
#[test]
fn more_answers_than_the_wallet_sends_at_once_are_given_block_by_block() {
    let mut story = Story::new(1);
    story.pair.alice.node = None;
    let ledger = story.evm.ledger_with(0, |options| options.sender.limits.flights_max = 1);
    let node = story.pair.alice.try_start_on(&story.pair.world, vec![AnyLedger::deposit(ledger)]);
    let address = story.pair.address;
    story.pair.alice.node = Some(node.unwrap());
    story.pair.alice.node().dial(peer_of(&story.pair.bob), address).unwrap();
    let openings = [0; 4].map(|_| story.open([[ETHER, 0], [0, 5]]));
    let ledger = story.evm.coin().ledger();
    let old = openings.map(|opening| signed(&story.pair, opening, ledger));
    for opening in openings {
        let (alice, bob) = (&story.pair.alice, &story.pair.bob);
        alice.node().pay(opening, COIN, Amount::new(7), Memo::default()).unwrap();
        bob.node().pay(opening, TOKEN, Amount::new(2), Memo::default()).unwrap();
    }
    story.pair.wait("payments", |pair| {
        let paid = |one: &OpeningId| pair.alice.sent(*one).len() + pair.bob.sent(*one).len() == 2;
        openings.iter().all(paid)
    });
    story.pair.bob.node = None;
    for (params, old, by) in old {
        let signatures = by.map(|agreed| agreed.proof.unwrap().signature);
        story.evm.register(&params, &old.state, signatures);
    }
    for _ in 0..2 * openings.len() {
        story.pair.alice.node().sync().unwrap();
        story.evm.chain.mine(1).unwrap();
    }
    story.pair.alice.node().sync().unwrap();
    story.pair.alice.collect();
    for opening in openings {
        let newest = story.pair.alice.status(opening).agreed.unwrap().state.version();
        let answered = |(of, event): &(OpeningId, Event)| {
            *of == opening
                && matches!(event, Event::Registered { version, .. } if *version == newest)
        };
        assert!(story.pair.alice.events.iter().any(answered), "{:?}", story.pair.alice.troubles);
    }
}

/// Whoever proposes without end, or tokens that take long to answer, cannot keep the node from
/// looking at the chain: there is only so much time for openings in between.
#[test]
fn openings_take_a_bounded_time_between_two_looks() {
    let mut story = Story::new(1);
    story.pair.bob.node = None;
    let ledger = story.evm.ledger_with(1, |options| options.openings = Duration::ZERO);
    let node = story.pair.bob.try_start_on(&story.pair.world, vec![AnyLedger::deposit(ledger)]);
    story.pair.bob.node = Some(node.unwrap());
    let address = story.pair.bob.node().listen(([127, 0, 0, 1], 0).into()).unwrap();
    story.pair.alice.node().dial(peer_of(&story.pair.bob), address).unwrap();
    let answer = |story: &mut Story| {
        let opening = story.ask([[0, 0], [5, 0]]);
        let is_decided = |phase| matches!(phase, PhaseName::Depositing | PhaseName::Over);
        story.pair.wait("an answer", |pair| is_decided(pair.alice.phase(opening)));
        story.pair.alice.phase(opening)
    };
    assert_eq!(answer(&mut story), PhaseName::Depositing);
    let before = story.evm.asked[1].load(Ordering::SeqCst);
    assert_eq!(answer(&mut story), PhaseName::Over);
    assert_eq!(story.evm.asked[1].load(Ordering::SeqCst), before, "nothing is asked for it");
    story.pair.bob.node().sync().unwrap();
    assert_eq!(answer(&mut story), PhaseName::Over, "the deposit of the first took it all");
    story.until("the deposit", |story| story.evm.held() == [0, 5]);
    story.evm.chain.mine(1).unwrap();
    story.pair.bob.node().sync().unwrap();
    assert_eq!(answer(&mut story), PhaseName::Depositing);
}
