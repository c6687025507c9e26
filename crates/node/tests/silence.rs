//! A peer that falls silent, at each point where it could: our money comes back all the same.

mod common;
#[path = "common/mute.rs"]
mod mute;

use common::{CELLS, CHALLENGE_SECS, CKB, DEPOSIT, Pair};
use mute::Step;
use perun_backend_ckb::rpc::DevControl;
use perun_embedded_ckb::Commit;
use perun_protocol::{Command, Config, Ending, Event, PhaseName};

/// Longer than any wait of a node.
const LONG: u64 = 7_200;
/// More than the fees of one side in any story here.
const FEES: u64 = CKB;

/// Alice's money when all of it is in her wallet again, but for fees.
fn assert_whole(pair: &Pair, gained: i128) {
    let began = i128::from(CELLS.iter().sum::<u64>());
    let lost = began + gained - i128::from(pair.world.holdings(&pair.alice.lock));
    assert!((0..i128::from(FEES)).contains(&lost), "{lost}");
}

/// Alice can use all of her wallet: nothing is set aside any more.
fn assert_free(pair: &Pair) {
    let most = CELLS.iter().sum::<u64>() - 500 * CKB;
    pair.ask([most, 0]).unwrap();
}

fn is_over(pair: &Pair, opening: perun_protocol::OpeningId) -> bool {
    pair.alice.phase(opening) == PhaseName::Over
}

#[test]
fn a_proposal_without_an_answer_ends_and_frees_the_money() {
    let mut pair = Pair::with(Commit::Instant, |_, bob| bob.accept_proposals = false);
    let opening = pair.ask([DEPOSIT; 2]).unwrap();
    pair.wait("the proposal", |pair| {
        pair.bob.has(|event| matches!(event, Event::ProposalReceived { .. }))
    });
    pair.bob.node = None;
    pair.world.pass(LONG);
    pair.wait("the end", |pair| is_over(pair, opening));
    assert_free(&pair);
    assert_whole(&pair, 0);
}

#[test]
fn an_acceptance_without_a_release_ends_and_frees_the_money() {
    let mut pair = Pair::new_with_bob(Step::Witness);
    let opening = pair.ask([DEPOSIT; 2]).unwrap();
    pair.wait("Alice waits for the release", |pair| {
        pair.alice.phase(opening) == PhaseName::Awaiting
    });
    pair.bob.node = None;
    pair.world.pass(LONG);
    pair.wait("the end", |pair| is_over(pair, opening));
    assert_free(&pair);
    assert_whole(&pair, 0);
}

#[test]
fn a_release_that_the_peer_does_not_use_is_made_worthless_on_the_chain() {
    // Alice's node takes Bob's release and never submits.
    let mut pair = Pair::new_with_alice(Step::Submit);
    // More than one cell of Bob holds, so that the abort leaves some of his part unspent.
    let large = CELLS.iter().max().unwrap() + 100 * CKB;
    let opening = pair.ask([DEPOSIT, large]).unwrap();
    pair.wait("Alice released", |pair| pair.alice.phase(opening) == PhaseName::Released);
    pair.wait("Bob released", |pair| pair.bob.phase(opening) == PhaseName::Released);
    pair.alice.node = None;
    pair.world.pass(LONG);
    pair.mine_until("the end", |pair| pair.bob.phase(opening) == PhaseName::Over);
    let aborted = |event: &Event| matches!(event, Event::Ended(Ending::Aborted {}));
    pair.wait("the news", |pair| pair.bob.has(aborted));
    let lost = CELLS.iter().sum::<u64>() - pair.world.holdings(&pair.bob.lock);
    assert!(lost > 0 && lost < FEES, "{lost}");
    // The cells that the abort did not spend are free again, not promised to what never was.
    let stranger = perun_wire::PeerId([7; 32]);
    let most = CELLS.iter().sum::<u64>() - 500 * CKB;
    pair.bob.node().open(stranger, pair.request([most, 0])).unwrap();
}

#[test]
fn an_update_without_an_answer_ends_in_a_dispute_that_pays_the_agreed_state() {
    let mut pair = Pair::new(Commit::Proposed);
    let opening = pair.open();
    pair.bob.pay(opening, 30 * CKB).unwrap();
    pair.wait("a payment", |pair| pair.alice.received(opening).len() == 1);
    pair.wait("its acknowledgement", |pair| pair.bob.sent(opening).len() == 1);
    pair.bob.node = None;
    pair.alice.pay(opening, 500 * CKB).unwrap();
    leave(&mut pair, opening);
    assert_whole(&pair, i128::from(30 * CKB));
}

#[test]
fn a_wish_to_close_without_an_answer_ends_in_a_dispute() {
    let mut pair = Pair::new(Commit::Proposed);
    let opening = pair.open();
    pair.bob.pay(opening, 30 * CKB).unwrap();
    pair.wait("a payment", |pair| pair.alice.received(opening).len() == 1);
    pair.wait("its acknowledgement", |pair| pair.bob.sent(opening).len() == 1);
    pair.bob.node = None;
    pair.alice.node().command(opening, Command::Close).unwrap();
    leave(&mut pair, opening);
    assert_whole(&pair, i128::from(30 * CKB));
}

/// Lets the peer's time run out, and the ledger settle what was agreed.
fn leave(pair: &mut Pair, opening: perun_protocol::OpeningId) {
    let config = Config::default();
    for _ in 0..4 {
        pair.world.pass(config.user_secs + config.answer_secs);
        pair.alice.node().sync().unwrap();
        pair.alice.collect();
    }
    if pair.alice.phase(opening) == PhaseName::Open {
        pair.alice.node().command(opening, Command::Dispute).unwrap();
    }
    pair.mine_until("registered", |pair| pair.alice.phase(opening) == PhaseName::Registered);
    pair.world.chain.advance(CHALLENGE_SECS + 60).unwrap();
    pair.mine_until("settled", |pair| pair.alice.phase(opening) == PhaseName::Settled);
}
