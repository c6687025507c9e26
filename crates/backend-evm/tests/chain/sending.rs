//! The wallet's transactions.

use std::sync::Arc;

use alloy_primitives::{Address, B256, Bytes, U256};
use perun_backend_evm::Error;
use perun_backend_evm::account::Account;
use perun_backend_evm::follow::Standing;
use perun_backend_evm::orders::TokenSource;
use perun_backend_evm::rpc::{At, Fate, Node, RpcError};
use perun_backend_evm::sender::Progress;
use perun_backend_evm::sender::book::{Key, News, Task};

use crate::kit::{ETHER, Faulty, GWEI, Stage, TestChain, key, send_as};

const TARGET: Address = Address::repeat_byte(0x33);

fn gift(wei: u64) -> Task {
    Task { to: TARGET, value: U256::from(wei), input: Bytes::new() }
}

fn label(number: u64) -> Key {
    Key::filler(1_000_000 + number)
}

fn send(stage: &mut Stage, node: Node<'_>, number: u64) -> Result<Progress, Error> {
    stage.parties[0].orders.sender().send(node, label(number), gift(number))
}

fn sent(progress: Result<Progress, Error>) -> B256 {
    match progress {
        Ok(Progress::Sent(hash)) => hash,
        other => panic!("not sent: {other:?}"),
    }
}

pub(crate) fn many_transactions_are_in_flight_at_once(chain: Arc<dyn TestChain>) {
    let mut stage = Stage::new(chain.clone());
    let channels: Vec<_> = (0..10).map(|_| stage.channel(&[(stage.coin(), [100, 0])])).collect();
    for channel in &channels {
        let progress = stage.deposit(0, channel, TokenSource::Allowance);
        assert!(matches!(progress, Ok(Progress::Sent(_))));
    }
    assert_eq!(stage.parties[0].orders.sender().book().waiting_count(), 10);
    let news = stage.block();
    let landed = news.iter().filter(|one| matches!(one, News::Landed(it) if it.succeeded));
    assert_eq!(landed.count(), 10, "all in one block");
    for channel in &channels {
        assert_eq!(stage.standing(channel), Standing::Open);
        assert_eq!(stage.deposit(0, channel, TokenSource::Allowance), Ok(Progress::Done));
    }
}

pub(crate) fn a_refused_transaction_gives_its_nonce_back(chain: Arc<dyn TestChain>) {
    let mut stage = Stage::new(chain.clone());
    let refusing = Faulty::new(chain.clone(), |method, _, _| {
        let message = "the provider is in a bad mood".to_owned();
        (method == "eth_sendRawTransaction").then_some(Err(RpcError::Refused {
            code: -32_000,
            message,
            data: None,
        }))
    });
    let refused = send(&mut stage, Node(&refusing), 1);
    assert!(matches!(refused, Err(Error::Rpc(_))), "{refused:?}");
    let unestimated = Faulty::without(chain.clone(), "eth_estimateGas");
    assert!(send(&mut stage, Node(&unestimated), 1).is_err());
    assert_eq!(stage.parties[0].orders.sender().book().waiting_count(), 0);
    // No gap: the next one is mined.
    let hash = sent(send(&mut stage, Node(chain.as_ref()), 2));
    stage.block();
    let fate = Node(chain.as_ref()).fate(hash).unwrap();
    assert!(matches!(fate, Fate::Mined { succeeded: true, .. }));
}

/// The provider does what it was told and the answer is lost.
pub(crate) fn a_lost_answer_does_not_send_twice(chain: Arc<dyn TestChain>) {
    let mut stage = Stage::new(chain.clone());
    let deaf = Faulty::new(chain.clone(), |method, params, inner| {
        (method == "eth_sendRawTransaction").then(|| {
            inner.request(method, params.clone()).unwrap();
            Err(RpcError::Transport("the connection was closed".to_owned()))
        })
    });
    let hash = sent(send(&mut stage, Node(&deaf), 7));
    let node = Node(chain.as_ref());
    assert_eq!(send(&mut stage, node, 7), Ok(Progress::Waiting(hash)));
    stage.block();
    assert_eq!(stage.coins_of(TARGET), U256::from(7));
}

pub(crate) fn what_is_promised_is_not_spent_twice(chain: Arc<dyn TestChain>) {
    let mut stage = Stage::new(chain.clone());
    let node = Node(chain.as_ref());
    let most = U256::from(60) * U256::from(ETHER);
    let task = Task { to: TARGET, value: most, input: Bytes::new() };
    let send = |stage: &mut Stage, number| {
        stage.parties[0].orders.sender().send(node, label(number), task.clone())
    };
    sent(send(&mut stage, 1));
    let refused = send(&mut stage, 2);
    let left = U256::from(40) * U256::from(ETHER);
    let is_short = matches!(&refused, Err(Error::InsufficientCoins { have, need, .. })
        if *have < left && *need == most);
    assert!(is_short, "{refused:?}");
}

/// An estimate is not believed to mean that the call passes.
pub(crate) fn an_order_is_tried_before_it_is_sent(chain: Arc<dyn TestChain>) {
    let mut stage = Stage::new(chain.clone());
    let careless = Faulty::new(chain.clone(), |method, _, _| {
        (method == "eth_estimateGas").then(|| Ok("0x7a120".into()))
    });
    // A payment to the hub itself is none of its functions.
    let task = Task { to: stage.deployment.hub(), value: U256::from(1), input: Bytes::new() };
    let refused = stage.parties[0].orders.sender().send(Node(&careless), label(1), task);
    assert!(matches!(&refused, Err(Error::Reverted(why)) if why.name() == "NoFunction"));
    assert_eq!(stage.parties[0].orders.sender().book().waiting_count(), 0);
}

pub(crate) fn a_stuck_transaction_is_raised_and_replaced(chain: Arc<dyn TestChain>) {
    let mut stage = Stage::new(chain.clone());
    let first = sent(send(&mut stage, Node(chain.as_ref()), 9));
    // The price jumps above what was offered.
    for _ in 0..3 {
        chain.set_base_fee(40_000_000_000);
        assert!(stage.block().iter().all(|one| !matches!(one, News::Landed(_))));
    }
    let (key, book) = (label(9), stage.parties[0].orders.sender().book());
    assert_ne!(book.waiting(&key).unwrap(), first);
    let offers = book.flight(book.nonce_of(&key).unwrap()).unwrap().offers.clone();
    assert_eq!(offers.len(), 2);
    for pair in offers.windows(2) {
        assert!(pair[1].fees.max_fee * 1_000 >= pair[0].fees.max_fee * 1_125);
        assert!(pair[1].fees.tip * 1_000 >= pair[0].fees.tip * 1_125);
    }
    let landed = (0..6).any(|_| {
        chain.set_base_fee(40_000_000_000);
        let news = stage.block();
        news.iter().any(|one| matches!(one, News::Landed(it) if it.key == key && it.succeeded))
    });
    assert!(landed, "the raised one is mined");
    assert_eq!(stage.coins_of(TARGET), U256::from(9), "and only that one");
}

pub(crate) fn the_limit_of_the_fee_is_kept(chain: Arc<dyn TestChain>) {
    let mut stage = Stage::new(chain.clone());
    let node = Node(chain.as_ref());
    stage.parties[0].orders.sender().set_fee_cap(1);
    let refused = send(&mut stage, node, 1);
    assert!(matches!(refused, Err(Error::FeeCap { cap: 1, .. })), "{refused:?}");
    stage.parties[0].orders.sender().set_fee_cap(100 * GWEI);
    sent(send(&mut stage, node, 1));
    stage.parties[0].orders.sender().set_fee_cap(2 * GWEI);
    let told = (0..6).any(|_| {
        chain.set_base_fee(90_000_000_000);
        stage.block().iter().any(|one| matches!(one, News::AtLimit { .. }))
    });
    assert!(told, "its owner is told that it is stuck below the limit");
    let book = stage.parties[0].orders.sender().book();
    let flight = book.flight(book.nonce_of(&label(1)).unwrap()).unwrap();
    assert_eq!(flight.offers.len(), 1, "nothing was offered above the limit");
}

pub(crate) fn a_dropped_transaction_is_sent_again(chain: Arc<dyn TestChain>) {
    let mut stage = Stage::new(chain.clone());
    let hash = sent(send(&mut stage, Node(chain.as_ref()), 5));
    chain.evict(hash);
    stage.block();
    assert_eq!(stage.coins_of(TARGET), U256::ZERO);
    stage.block();
    assert_eq!(stage.coins_of(TARGET), U256::from(5));
}

/// Something of the wallet waits for a nonce that nothing has.
pub(crate) fn a_gap_is_filled(chain: Arc<dyn TestChain>) {
    let mut stage = Stage::new(chain.clone());
    let account = stage.parties[0].account.address();
    let (wallet, value) = (key("ann's wallet"), U256::from(3));
    let next = stage.node().nonce(account, At::Latest).unwrap();
    send_as(chain.as_ref(), &wallet, next + 1, TARGET, value, 50 * GWEI);
    sent(send(&mut stage, Node(chain.as_ref()), 10));
    stage.block();
    stage.block();
    assert_eq!(stage.coins_of(TARGET), U256::from(13), "both are mined");

    // Ours waits behind something that is not ours and that goes away.
    let next = stage.node().nonce(account, At::Latest).unwrap();
    let stranger = send_as(chain.as_ref(), &wallet, next, TARGET, value, 50 * GWEI);
    sent(send(&mut stage, Node(chain.as_ref()), 20));
    chain.evict(stranger);
    let filled = (0..8).any(|_| {
        stage.block();
        stage.coins_of(TARGET) == U256::from(33)
    });
    assert!(filled, "its place was filled");
}

pub(crate) fn another_use_of_the_key_is_noticed(chain: Arc<dyn TestChain>) {
    let mut stage = Stage::new(chain.clone());
    let hash = sent(send(&mut stage, Node(chain.as_ref()), 4));
    chain.evict(hash);
    // Somebody else has the key.
    let nonce = stage.node().nonce(stage.parties[0].wallet(), At::Latest).unwrap();
    send_as(chain.as_ref(), &key("ann's wallet"), nonce, TARGET, U256::from(1), 50 * GWEI);
    let usurped = (0..6).any(|_| {
        stage.block().iter().any(|one| matches!(one, News::Usurped { key, .. } if *key == label(4)))
    });
    assert!(usurped);
    sent(send(&mut stage, Node(chain.as_ref()), 4));
    stage.block();
    assert_eq!(stage.coins_of(TARGET), U256::from(5), "the order can be given again");
}

/// What was sent before a restart is stuck: it is replaced by nothing, and the order given anew.
pub(crate) fn a_restart_leaves_nothing_in_the_way(chain: Arc<dyn TestChain>) {
    let mut stage = Stage::new(chain.clone());
    sent(send(&mut stage, Node(chain.as_ref()), 2));
    stage.parties[0] = stage.successor(0);
    let price = 30_000_000_000;
    chain.set_base_fee(price);
    let news = stage.block();
    let wallet = stage.parties[0].wallet();
    let counts = [At::Latest, At::Pending].map(|at| stage.node().nonce(wallet, at).unwrap());
    let is_told = news.iter().any(|one| matches!(one, News::Stranger { .. }));
    // Some pools do not count what is too cheap for the next block.
    assert_eq!(is_told, counts[0] != counts[1], "{news:?}");
    chain.set_base_fee(price);
    sent(send(&mut stage, Node(chain.as_ref()), 8));
    let landed = (0..16).any(|_| {
        chain.set_base_fee(price);
        stage.block();
        stage.coins_of(TARGET) >= U256::from(8)
    });
    assert!(landed, "the new one is mined");
    assert_eq!(stage.coins_of(TARGET), U256::from(8), "the stuck one was replaced");
}

/// What passes when it is tried may fail in its block.
pub(crate) fn a_failed_transaction_says_why(chain: Arc<dyn TestChain>) {
    let mut stage = Stage::new(chain.clone());
    let channel = stage.channel(&[(stage.coin(), [100, 50])]);
    stage.fund(&channel, TokenSource::Allowance);
    let last = stage.signed(&channel, &crate::kit::paid(&channel, 1, 1).finalized());
    // Both close in the same block: one of them must fail.
    for party in 0..2 {
        stage.order(party, |desk| desk.close(&channel.params, &last)).unwrap();
    }
    let news = stage.block();
    let failed = news.iter().find_map(|one| match one {
        News::Landed(landed) if !landed.succeeded => Some(landed),
        _ => None,
    });
    let reason = failed.unwrap_or_else(|| panic!("none failed: {news:#?}")).reason.clone();
    assert!(reason.is_some(), "there is something to show: {reason:?}");
    for party in 0..2 {
        let done = stage.order(party, |desk| desk.close(&channel.params, &last));
        assert_eq!(done, Ok(Progress::Done));
    }
}
