//! What users do wrong, and stores that must not be used: each is refused, in words that say what
//! would be right.

mod common;

use common::{CELLS, CHALLENGE_SECS, CKB, DEPOSIT, Pair, Party, World, peer_of, secret};
use perun_channel::Amount;
use perun_embedded_ckb::Commit;
use perun_node::{
    AnyLedger, CkbLedger, JointLedger, JointOffer, Ledger, NodeError, OpenRequest, SessionKey,
};
use perun_protocol::{
    Change, Changes, Command, Funding, LedgerTerms, Memo, OpeningId, PerLedger, PhaseName, Terms,
};
use perun_store::OpenError;

/// The refusal in words, which must hold all of these.
fn refused<T: std::fmt::Debug>(result: Result<T, NodeError>, words: &[&str]) {
    let text = result.unwrap_err().to_string();
    assert!(words.iter().all(|word| text.contains(word)), "{text}");
}

#[test]
fn a_wrong_payment_is_refused_with_what_would_be_right() {
    let mut pair = Pair::new(Commit::Instant);
    let opening = pair.open();
    let over = pair.alice.pay(opening, DEPOSIT + 1);
    refused(over, &["nothing was paid", &format!("pay at most {DEPOSIT}")]);
    refused(pair.alice.pay(opening, 0), &["nothing was paid", "pay at least 1"]);
    let row = pair.alice.node().pay(opening, 7, Amount::new(1), Memo::default());
    refused(row, &["there is no asset 7", "the channel has 1", "nothing was paid"]);
    let nowhere = OpeningId::new([7; 32]);
    refused(pair.alice.pay(nowhere, 1), &["there is no channel", "in this node"]);
    let closed = pair.alice.node().command(nowhere, Command::Close);
    refused(closed, &["there is no channel"]);
    assert!(pair.alice.node().status(nowhere).unwrap().is_none());
    // Nothing of that hurt the channel.
    pair.alice.pay(opening, DEPOSIT).unwrap();
    pair.wait("the payment", |pair| pair.bob.received(opening).len() == 1);
    let more = pair.alice.pay(opening, 1);
    refused(more, &["0 is free", "add funds"]);
}

#[test]
fn a_deposit_beyond_the_wallet_is_refused_with_what_would_be_enough() {
    let pair = Pair::new(Commit::Instant);
    let all: u64 = CELLS.iter().sum();
    refused(pair.ask([all + 1, 0]), &["5500", "would be enough", "nothing was sent"]);
    // Nothing was set aside for it.
    pair.ask([DEPOSIT, DEPOSIT]).unwrap();
}

#[test]
fn terms_that_cannot_be_leave_no_channel_and_set_nothing_aside() {
    let pair = Pair::new(Commit::Instant);
    let all = CELLS.iter().sum::<u64>() - 1_000 * CKB;
    let mut request = pair.request([all, 0]);
    request.challenge_secs = 1;
    let asked = pair.alice.node().open(peer_of(&pair.bob), request.clone());
    refused(asked, &["too short", "nothing was set aside", "1804 seconds would be enough"]);
    request.challenge_secs = u64::MAX;
    let asked = pair.alice.node().open(peer_of(&pair.bob), request);
    refused(asked, &["challenge duration", "nothing was sent", "correct the terms"]);
    // The same money is free for right terms.
    pair.ask([all, 0]).unwrap();
}

/// Our node needs 601 seconds to answer an old state, and may have to do so three times.
#[test]
fn a_challenge_that_leaves_no_time_to_answer_is_declined() {
    let mut pair = Pair::with(Commit::Instant, |alice, _| alice.config.commit_secs = 60);
    let mut request = pair.request([DEPOSIT; 2]);
    request.challenge_secs = 1_803;
    let opening = pair.alice.node().open(peer_of(&pair.bob), request.clone()).unwrap();
    pair.wait("Bob declines", |pair| pair.alice.phase(opening) == PhaseName::Over);
    request.challenge_secs = 1_804;
    let opening = pair.alice.node().open(peer_of(&pair.bob), request).unwrap();
    pair.wait("both released", |pair| pair.alice.phase(opening) == PhaseName::Released);
}

#[test]
fn a_closed_channel_pays_nothing_more() {
    let mut pair = Pair::new(Commit::Instant);
    let opening = pair.open();
    pair.close(opening);
    refused(pair.alice.pay(opening, 1), &["nothing"]);
    assert_eq!(pair.alice.phase(opening), PhaseName::Settled);
}

#[test]
fn a_store_that_is_in_use_is_refused() {
    let pair = Pair::new(Commit::Instant);
    let ledger = AnyLedger::joint(pair.alice.ledger(&pair.world));
    let second = pair.alice.try_start(&pair.world, ledger);
    let error = second.err().expect("a second node on one store");
    assert!(matches!(error, NodeError::Store(OpenError::Locked)));
    let text = error.to_string();
    assert!(text.contains("lose money") && text.contains("Stop the other process"), "{text}");
}

#[test]
fn an_old_copy_of_the_journal_is_refused() {
    let mut pair = Pair::new(Commit::Instant);
    let opening = pair.open();
    pair.alice.node = None;
    let journal = pair.alice.folder.join("journal");
    let old = copy_of(&journal);
    pair.alice.start(&pair.world);
    pair.alice.node().dial(peer_of(&pair.bob), pair.address).unwrap();
    pair.alice.pay(opening, CKB).unwrap();
    pair.wait("the payment", |pair| pair.bob.received(opening).len() == 1);
    pair.alice.node = None;
    for (name, content) in old {
        std::fs::write(journal.join(name), content).unwrap();
    }
    let ledger = AnyLedger::joint(pair.alice.ledger(&pair.world));
    let error = pair.alice.try_start(&pair.world, ledger).err().expect("an old journal");
    assert!(matches!(error, NodeError::Store(OpenError::RolledBack { .. })), "{error}");
    let text = error.to_string();
    assert!(text.contains("older copy") && text.contains("Put the newest journal back"), "{text}");
}

fn copy_of(folder: &std::path::Path) -> Vec<(std::ffi::OsString, Vec<u8>)> {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    files.map(|file| (file.file_name(), std::fs::read(file.path()).unwrap())).collect()
}

#[test]
fn a_wallet_without_money_can_still_be_told_what_it_needs() {
    let world = World::new(Commit::Instant);
    let mut poor = Party::new(&world, &[]);
    poor.start(&world);
    let coin = world.deployment.coin();
    let balances = vec![vec![Amount::new(u128::from(61 * CKB)), Amount::ZERO]];
    let outcome = perun_channel::Allocation::new(vec![coin], balances, Vec::new()).unwrap();
    let request = OpenRequest { challenge_secs: CHALLENGE_SECS, outcome };
    let asked = poor.node().open(perun_wire::PeerId([1; 32]), request);
    refused(asked, &["the wallet has 0 CKB", "would be enough"]);
}

/// A row of another ledger is funded by nobody: a peer could pay with it for ever.
#[test]
fn a_peer_does_not_pay_with_an_asset_that_nobody_deposits() {
    let pair = Pair::new(Commit::Instant);
    let coin = pair.world.deployment.coin();
    let ether = perun_channel::Asset::ethereum(1, perun_channel::Address::new([7; 20]));
    let mut rows = vec![
        (coin, vec![Amount::new(u128::from(DEPOSIT)); 2]),
        (ether, vec![Amount::new(1_000), Amount::new(0)]),
    ];
    rows.sort_by(|one, other| one.0.cmp(&other.0));
    let (assets, balances) = rows.into_iter().unzip();
    let outcome = perun_channel::Allocation::new(assets, balances, Vec::new()).unwrap();
    let request = OpenRequest { challenge_secs: CHALLENGE_SECS, outcome };
    let proposer = pair.alice.node().open(peer_of(&pair.bob), request.clone());
    let refused = proposer.unwrap_err().to_string();
    assert!(refused.contains("not among this node's ledgers"), "{refused}");
    // One that this chain has in name only.
    let chain = pair.world.deployment.coin().chain();
    let none = perun_channel::Address::ZERO;
    let assets = vec![
        perun_channel::Asset::new(perun_channel::BackendId::CKB, chain, none, vec![9]).unwrap(),
    ];
    let balances = vec![vec![Amount::new(1_000), Amount::new(0)]];
    let outcome = perun_channel::Allocation::new(assets, balances, Vec::new()).unwrap();
    let request = OpenRequest { outcome, ..request };
    let mut ledger = pair.bob.ledger(&pair.world);
    let session = SessionKey::from_secret(secret()).unwrap();
    let honest = pair.request([DEPOSIT; 2]);
    let offer = ledger.offer(session.address(), &honest).unwrap();
    let terms = terms(&ledger, &request, &offer);
    let other = SessionKey::from_secret(secret()).unwrap();
    let refused = ledger.answer(other.address(), &terms).unwrap_err().to_string();
    assert!(refused.contains("neither the coin nor a token"), "{refused}");
}

/// What the machine does not take is not set aside: each refused wish would take a cell more.
#[test]
fn a_refused_resize_gives_its_money_back() {
    let cells = [2_000 * CKB, 500 * CKB, 500 * CKB, 500 * CKB, 500 * CKB, 500 * CKB];
    let mut pair = Pair::with_world(|world, alice, _| *alice = Party::new(world, &cells));
    let opening = pair.open();
    pair.bob.node = None;
    let amount = Amount::new(u128::from(10 * CKB));
    let changes = || Changes::new(vec![[Change::Deposit { amount }, Change::Keep {}]]).unwrap();
    let asked: Vec<_> = (0..12).map(|_| pair.alice.node().resize(opening, changes())).collect();
    let refused = asked.iter().filter(|asked| asked.is_err()).count();
    assert!(refused >= 9, "{asked:?}");
    let ours = |error: &NodeError| matches!(error, NodeError::Declined(_));
    assert!(asked.iter().filter_map(|asked| asked.as_ref().err()).all(ours), "{asked:?}");
    // At most two wait, in a cell of the wallet each: what the others would have taken is there.
    let most = pair.world.holdings(&pair.alice.lock) - 2 * 700 * CKB - 300 * CKB;
    pair.ask([most, 0]).unwrap();
}

/// What a real proposal takes: the bound on strangers' proposals is far above it.
#[test]
fn a_proposal_from_the_smallest_cells_is_short_enough_for_any_node() {
    let world = World::new(Commit::Instant);
    let (coins, dust) = (Party::new(&world, &CELLS), Party::new(&world, &[200 * CKB; 60]));
    let coin = world.deployment.coin();
    let session = SessionKey::from_secret(secret()).unwrap();
    let length = |party: &Party, deposit: u64| {
        let balances = vec![vec![Amount::new(u128::from(deposit)), Amount::new(0)]];
        let outcome =
            perun_channel::Allocation::new(vec![coin.clone()], balances, Vec::new()).unwrap();
        let request = OpenRequest { challenge_secs: CHALLENGE_SECS, outcome };
        let mut ledger = party.ledger(&world);
        let offer = ledger.offer(session.address(), &request).unwrap();
        let terms = terms(&ledger, &request, &offer);
        let contributions = PerLedger::one(offer.contribution);
        let body = perun_protocol::Body::Propose { terms, contributions };
        let opening = OpeningId::new([7; 32]);
        perun_channel::codec::Encode::to_bytes(&perun_protocol::Message { opening, body }).len()
    };
    let (usual, longest) = (length(&coins, DEPOSIT), length(&dust, 11_500 * CKB));
    assert!(usual < 1_024, "{usual} bytes");
    assert!(longest > usual && longest < 4_096, "{longest} bytes");
}

/// The terms that a house writes for a channel on one ledger.
fn terms(ledger: &CkbLedger, request: &OpenRequest, offer: &JointOffer) -> Terms {
    let (challenge_secs, outcome) = (request.challenge_secs, request.outcome.clone());
    let (ledger, chain) = (ledger.id(), offer.chain.clone());
    let ledgers = PerLedger::one(LedgerTerms { ledger, funding: Funding::Joint {}, chain });
    Terms { challenge_secs, outcome, proposer: offer.participant.clone(), ledgers }
}
