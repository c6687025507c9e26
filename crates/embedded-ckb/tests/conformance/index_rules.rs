//! What can be found again: cells, transactions, blocks and the pool.

use crate::Node;
use crate::common::tokens;
use crate::rules::{commit, fund, payment, sweep};
use ckb_types::prelude::*;
use perun_backend_ckb::rpc::{
    IndexedCell, PAGE_LIMIT_MAX, RpcError, SearchKey, Side, TransactionStatus,
};
use perun_embedded_ckb::Genesis;
use perun_embedded_ckb::testkit::{FEE, Key, Payment, output_cell};

/// All cells under the key, a page of this size after the other.
fn all_cells(node: &dyn Node, key: &SearchKey, limit: u32) -> Vec<IndexedCell> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = node.cells(key, after.as_ref(), limit).unwrap();
        assert!(page.rows.len() <= limit as usize);
        found.extend(page.rows);
        after = page.next;
        if after.is_none() {
            return found;
        }
    }
}

pub(crate) fn cells_come_in_pages_oldest_first(node: &dyn Node, genesis: &Genesis) {
    node.mine(1).unwrap();
    let user = Key::number(7);
    let first = fund(node, genesis, &user, 3);
    let second = fund(node, genesis, &user, 2);
    let key = SearchKey::lock(user.lock(genesis));
    let expected: Vec<_> = first.iter().chain(&second).cloned().collect();
    for limit in [1, 2, 5, 100] {
        let found: Vec<_> = all_cells(node, &key, limit).into_iter().map(|it| it.cell).collect();
        assert_eq!(found, expected, "in pages of {limit}");
    }
    let found = all_cells(node, &key, 100);
    assert_eq!((found[0].block_number, found[0].tx_index), (4, 1));
    assert_eq!(found[4].block_number, 7);
    // What is only pending changes nothing.
    node.send_transaction(&sweep(genesis, &user, &first, FEE)).unwrap();
    assert_eq!(all_cells(node, &key, 100).len(), 5);
    node.mine(3).unwrap();
    assert_eq!(all_cells(node, &key, 100).len(), 3);
    // Another lock that starts with the same bytes is another lock.
    let lock = user.lock(genesis);
    let args = lock.args().raw_data();
    let shorter = genesis.cell("secp256k1_blake160_sighash_all").unwrap().script(&args[..19]);
    assert!(all_cells(node, &SearchKey::lock(shorter), 100).is_empty());
}

pub(crate) fn cells_are_found_by_their_type(node: &dyn Node, genesis: &Genesis) {
    node.mine(1).unwrap();
    let issuer = Key::dev(false);
    let owner = issuer.lock(genesis);
    let holders = [Key::number(7), Key::number(8)];
    let outputs = holders.iter().zip([5, 6]);
    let outputs = outputs.map(|(to, amount)| tokens(genesis, &owner, to.lock(genesis), amount));
    let mut mint = Payment::new(outputs.collect());
    mint.deps.push(genesis.cell("simple_udt").unwrap().dep());
    let tx = mint.build(node, genesis, &issuer).unwrap();
    commit(node, &tx);
    let script = tx.output(0).unwrap().type_().to_opt().unwrap();
    let found = all_cells(node, &SearchKey::type_(script.clone()), 10);
    let found: Vec<_> = found.into_iter().map(|it| it.cell).collect();
    assert_eq!(found, [output_cell(&tx, 0).unwrap(), output_cell(&tx, 1).unwrap()]);
    // The same script as a lock is nobody's.
    assert!(all_cells(node, &SearchKey::lock(script), 10).is_empty());
}

/// Under one lock: plain cells, and cells of two tokens, the arguments of one of which are the
/// beginning of the other's.
pub(crate) fn a_cell_is_found_by_all_that_is_known_of_it(node: &dyn Node, genesis: &Genesis) {
    node.mine(1).unwrap();
    let (issuer, user) = (Key::dev(false), Key::number(7));
    let lock = user.lock(genesis);
    fund(node, genesis, &user, 2);
    let make = |amount| tokens(genesis, &issuer.lock(genesis), lock.clone(), amount);
    let mut mint = Payment::new(vec![make(5), make(6), make(5)]);
    mint.deps.push(genesis.cell("simple_udt").unwrap().dep());
    let tx = mint.build(node, genesis, &issuer).unwrap();
    commit(node, &tx);
    let kind = tx.output(0).unwrap().type_().to_opt().unwrap();
    let key = SearchKey::lock(lock.clone()).and(kind.clone());
    let cells = |key: &SearchKey| -> Vec<_> {
        all_cells(node, key, 1).into_iter().map(|it| it.cell).collect()
    };
    let minted = [0, 1, 2].map(|index| output_cell(&tx, index).unwrap());
    assert_eq!(cells(&key), minted, "one row a page, and none of other types");
    assert_eq!(cells(&SearchKey::type_(kind.clone()).and(lock.clone())), minted);
    let capacity: u64 = minted[1].output.capacity().into();
    let exact = key.clone().holding(capacity, minted[1].data.clone());
    assert_eq!(cells(&exact), [minted[1].clone()]);
    assert!(cells(&key.clone().holding(capacity - 1, minted[1].data.clone())).is_empty());
    assert!(cells(&key.clone().holding(capacity, minted[1].data.slice(..15))).is_empty());
    // The beginning of a script is another script.
    let args = kind.args().raw_data();
    let shorter = kind.as_builder().args(args.slice(..31)).build();
    assert!(cells(&SearchKey::lock(lock.clone()).and(shorter.clone())).is_empty());
    let history = |key: &SearchKey| node.transactions(key, None, 10).unwrap().rows.len();
    assert_eq!(history(&key), 3);
    assert_eq!(history(&SearchKey::lock(lock.clone()).and(shorter)), 0);
    assert_eq!(history(&SearchKey::lock(lock)), 5);
    let by_contents = node.transactions(&exact, None, 10);
    assert!(matches!(by_contents, Err(RpcError::Misuse(_))), "{by_contents:?}");
}

pub(crate) fn every_touch_of_a_lock_is_listed(node: &dyn Node, genesis: &Genesis) {
    node.mine(1).unwrap();
    let user = Key::number(7);
    let cells = fund(node, genesis, &user, 2);
    let tx = sweep(genesis, &user, &cells, FEE);
    commit(node, &tx);
    let key = SearchKey::lock(user.lock(genesis));
    let (mut touches, mut after) = (Vec::new(), None);
    loop {
        let page = node.transactions(&key, after.as_ref(), 2).unwrap();
        touches.extend(page.rows);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let seen: Vec<_> =
        touches.iter().map(|it| (it.tx_hash.clone(), it.block_number, it.side, it.index)).collect();
    let (fund, sweep) = (cells[0].out_point.tx_hash(), tx.hash());
    assert_eq!(
        seen,
        [
            (fund.clone(), 4, Side::Output, 0),
            (fund, 4, Side::Output, 1),
            (sweep.clone(), 7, Side::Input, 0),
            (sweep.clone(), 7, Side::Output, 0),
            (sweep, 7, Side::Input, 1),
        ]
    );
    assert!(touches.iter().all(|touch| touch.tx_index == 1));
}

pub(crate) fn the_index_follows_a_reorganisation(node: &dyn Node, genesis: &Genesis) {
    node.mine(1).unwrap();
    let user = Key::number(7);
    let cells = fund(node, genesis, &user, 2);
    let key = SearchKey::lock(user.lock(genesis));
    let height = node.tip_header().unwrap().number();
    let spent = sweep(genesis, &user, &cells, FEE);
    commit(node, &spent);
    node.rollback(height).unwrap();
    // A node's index follows once the new branch is higher than the old one was.
    node.mine(4).unwrap();
    let tip = node.tip_header().unwrap();
    let index = node.index_tip().unwrap();
    assert_eq!((index.number, index.hash), (tip.number(), tip.hash()));
    let found: Vec<_> = all_cells(node, &key, 10).into_iter().map(|it| it.cell).collect();
    assert_eq!(found, cells);
    assert_eq!(node.transactions(&key, None, 10).unwrap().rows.len(), 2);
    commit(node, &spent);
    assert_eq!(all_cells(node, &key, 10).len(), 1);
}

pub(crate) fn the_pool_can_be_read(node: &dyn Node, genesis: &Genesis) {
    node.mine(1).unwrap();
    let user = Key::number(7);
    let cells = fund(node, genesis, &user, 2);
    assert!(node.pool().unwrap().is_empty());
    let txs = [sweep(genesis, &user, &cells[..1], FEE), sweep(genesis, &user, &cells[1..], FEE)];
    for tx in &txs {
        node.send_transaction(tx).unwrap();
    }
    let mut pool = node.pool().unwrap();
    pool.sort();
    let mut sent = txs.clone().map(|tx| tx.hash());
    sent.sort();
    assert_eq!(pool, sent);
    for tx in &txs {
        let found = node.transaction(&tx.hash()).unwrap();
        assert_eq!(found.status, TransactionStatus::Pending);
        assert_eq!(found.transaction.unwrap().witness_hash(), tx.witness_hash());
    }
    node.mine(3).unwrap();
    assert!(node.pool().unwrap().is_empty());
}

pub(crate) fn blocks_are_the_same_by_number_and_by_hash(node: &dyn Node, genesis: &Genesis) {
    node.mine(1).unwrap();
    let tx = payment(node, genesis, &Key::number(7), 1_000);
    let place = commit(node, &tx);
    let by_number = node.block_by_number(place.number).unwrap().unwrap();
    let by_hash = node.block_by_hash(&place.hash).unwrap().unwrap();
    assert_eq!(by_number.hash(), place.hash);
    assert_eq!(by_number.data().as_slice().to_vec(), by_hash.data().as_slice().to_vec());
    assert_eq!(by_number.transactions()[1].witness_hash(), tx.witness_hash());
    assert_eq!(by_number.transactions_root(), by_number.calc_transactions_root());
    let header = node.header_by_hash(&place.hash).unwrap().unwrap();
    assert_eq!(header.hash(), node.header_by_number(place.number).unwrap().unwrap().hash());
    assert!(node.block_by_number(place.number + 1).unwrap().is_none());
    assert!(node.block_by_hash(&tx.hash()).unwrap().is_none());
}

pub(crate) fn a_page_has_a_size(node: &dyn Node, genesis: &Genesis) {
    let key = SearchKey::lock(Key::dev(false).lock(genesis));
    for limit in [0, PAGE_LIMIT_MAX + 1] {
        assert!(matches!(node.cells(&key, None, limit), Err(RpcError::Misuse(_))));
        assert!(matches!(node.transactions(&key, None, limit), Err(RpcError::Misuse(_))));
    }
    assert_eq!(node.cells(&key, None, PAGE_LIMIT_MAX).unwrap().rows.len(), 1);
}
