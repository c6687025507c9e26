//! Locks that open with time, and what counts as time.

use crate::Node;
use crate::rules::{commit, fund, payment, sweep};
use ckb_types::{core::TransactionView, packed::Byte32, prelude::*};
use perun_backend_ckb::rpc::{
    Cell, MEDIAN_TIME_BLOCKS, MEDIAN_TIME_MAJORITY, RpcError, TransactionStatus,
};
use perun_embedded_ckb::Genesis;
use perun_embedded_ckb::testkit::{FEE, Key, output_cell};

const RELATIVE: u64 = 1 << 63;
const BY_TIME: u64 = 0x4000_0000_0000_0000;

/// Blocks between sending and committing a transaction: it is judged as of then.
const COMMIT_DELAY: u64 = 3;

/// Spends the cells with this `since` on the first one.
fn since(genesis: &Genesis, key: &Key, cells: &[Cell], since: u64) -> TransactionView {
    let tx = sweep(genesis, key, cells, FEE);
    let mut inputs: Vec<_> = tx.inputs().into_iter().collect();
    inputs[0] = inputs[0].clone().as_builder().since(since).build();
    let group: Vec<usize> = (0..cells.len()).collect();
    key.sign(&tx.as_advanced_builder().set_inputs(inputs).build(), &group)
}

fn assert_early(node: &dyn Node, tx: &TransactionView) {
    let refused = node.send_transaction(tx).unwrap_err();
    assert!(matches!(refused, RpcError::Immature { input: Some(0), .. }), "{refused:?}");
}

pub(crate) fn a_relative_time_lock_opens_by_the_median(node: &dyn Node, genesis: &Genesis) {
    // On a chain shorter than the median's window fewer blocks would do.
    node.mine(MEDIAN_TIME_BLOCKS as u64 + 3).unwrap();
    let user = Key::number(7);
    let cells = fund(node, genesis, &user, 1);
    let made = node.tip_header().unwrap().timestamp();
    let seconds = 600;
    let tx = since(genesis, &user, &cells, RELATIVE | BY_TIME | seconds);
    assert_early(node, &tx);
    let open = made + seconds * 1_000;
    for block in 0..MEDIAN_TIME_MAJORITY {
        assert_early(node, &tx);
        node.mine_at(open + block).unwrap();
    }
    assert!(node.median_time().unwrap() >= open);
    commit(node, &tx);
}

pub(crate) fn an_absolute_time_lock_opens_by_the_median(node: &dyn Node, genesis: &Genesis) {
    node.mine(MEDIAN_TIME_BLOCKS as u64 + 3).unwrap();
    let user = Key::number(7);
    let cells = fund(node, genesis, &user, 1);
    let tip = node.tip_header().unwrap();
    let open = tip.timestamp() / 1_000 + 86_400;
    let tx = since(genesis, &user, &cells, BY_TIME | open);
    assert_early(node, &tx);
    let late = node.advance(86_401).unwrap();
    assert_eq!(late.number(), tip.number() + MEDIAN_TIME_MAJORITY);
    commit(node, &tx);
}

pub(crate) fn a_block_lock_opens_at_its_height(node: &dyn Node, genesis: &Genesis) {
    node.mine(1).unwrap();
    let user = Key::number(7);
    let cells = fund(node, genesis, &user, 2);
    let height = node.tip_header().unwrap().number();
    let relative = since(genesis, &user, &cells[..1], RELATIVE | 5);
    let absolute = since(genesis, &user, &cells[1..], height + 5);
    // A transaction is judged by the height at which it can be committed, three above the tip.
    node.mine(5 - COMMIT_DELAY - 1).unwrap();
    assert_early(node, &relative);
    assert_early(node, &absolute);
    node.mine(1).unwrap();
    node.send_transaction(&relative).unwrap();
    let block = commit(node, &absolute);
    assert_eq!(block.number, height + 5);
    let status = node.transaction(&relative.hash()).unwrap().status;
    assert!(matches!(status, TransactionStatus::Committed { .. }));
}

pub(crate) fn a_pending_cell_has_no_age(node: &dyn Node, genesis: &Genesis) {
    node.mine(1).unwrap();
    let user = Key::number(7);
    let cells = fund(node, genesis, &user, 1);
    let first = sweep(genesis, &user, &cells, FEE);
    node.send_transaction(&first).unwrap();
    let made = [output_cell(&first, 0).unwrap()];
    // No block and no second has to pass, but the cell must be committed to have an age at all.
    assert_early(node, &since(genesis, &user, &made, RELATIVE | BY_TIME));
}

pub(crate) fn the_clock_can_go_back(node: &dyn Node, genesis: &Genesis) {
    let _ = genesis;
    let start = 1_700_000_000_000;
    for block in 0..5 {
        node.mine_at(start + block * 1_000).unwrap();
    }
    let back = node.mine_at(start - 50_000).unwrap();
    assert_eq!(back.timestamp(), start - 50_000);
    assert_eq!(
        node.median_time().unwrap(),
        start + 1_000,
        "of seven times, the first block's is 0"
    );
}

pub(crate) fn a_header_dependency_is_on_the_best_chain(node: &dyn Node, genesis: &Genesis) {
    node.mine(1).unwrap();
    let key = Key::dev(false);
    let tx = payment(node, genesis, &Key::number(7), 1_000);
    let with = |hash: Byte32| key.sign(&tx.as_advanced_builder().header_dep(hash).build(), &[0]);
    let unknown = Byte32::from_slice(&[7; 32]).unwrap();
    let refused = node.send_transaction(&with(unknown.clone()));
    assert_eq!(refused, Err(RpcError::HeaderUnknown { hash: unknown }));
    commit(node, &with(node.header_by_number(1).unwrap().unwrap().hash()));
}
