//! What is accepted, what is refused, and why.

use crate::Node;
use crate::common::tokens;
use ckb_types::{
    bytes::Bytes,
    core::TransactionView,
    packed::{Byte32, CellDep, CellInput, OutPoint},
    prelude::*,
};
use perun_backend_ckb::rpc::{
    BlockId, Cell, FEE_RATE_MIN, GroupKind, RpcError, ScriptSource, TransactionStatus, View,
};
use perun_embedded_ckb::Genesis;
use perun_embedded_ckb::testkit::{CKB, FEE, Key, Payment, output_cell, plain, shannons};

/// The exit code of the standard lock for a signature of another key.
const WRONG_KEY: i8 = -31;

/// The exit code of sUDT for more tokens out than in.
const INFLATION: i8 = -52;

/// A payment from the first dev key, which has one cell.
pub(crate) fn payment(node: &dyn Node, genesis: &Genesis, to: &Key, ckb: u64) -> TransactionView {
    Payment::to(to.lock(genesis), ckb * CKB).build(node, genesis, &Key::dev(false)).unwrap()
}

/// Gives the key these many cells of 1,000 CKB each, committed.
pub(crate) fn fund(node: &dyn Node, genesis: &Genesis, to: &Key, cells: usize) -> Vec<Cell> {
    let output = (plain(to.lock(genesis), 1_000 * CKB), Bytes::new());
    let tx = Payment::new(vec![output; cells]).build(node, genesis, &Key::dev(false)).unwrap();
    commit(node, &tx);
    (0..cells as u32).map(|index| output_cell(&tx, index).unwrap()).collect()
}

/// Sends and mines until committed.
pub(crate) fn commit(node: &dyn Node, tx: &TransactionView) -> BlockId {
    node.send_transaction(tx).unwrap();
    node.mine(3).unwrap();
    let status = node.transaction(&tx.hash()).unwrap().status;
    let TransactionStatus::Committed { block, .. } = status else {
        panic!("not committed by the third block: {status:?}");
    };
    block
}

/// Pays everything in these cells back to their key, less a fee.
pub(crate) fn sweep(genesis: &Genesis, key: &Key, cells: &[Cell], fee: u64) -> TransactionView {
    Payment { outputs: Vec::new(), deps: Vec::new(), fee }.spend(genesis, key, cells)
}

pub(crate) fn the_first_block_is_the_specs(node: &dyn Node, genesis: &Genesis) {
    let chain = node.chain().unwrap();
    assert_eq!(chain.name, "ckb_dev");
    assert_eq!(chain.genesis.hash(), genesis.block().hash());
    assert_eq!(node.tip_header().unwrap().hash(), genesis.block().hash());
    assert!(node.header_by_number(1).unwrap().is_none());
    assert!(node.header_by_hash(&Byte32::default()).unwrap().is_none());
    for name in ["simple_udt", "multisig_v2", "dao"] {
        let deployed = genesis.cell(name).unwrap();
        let cell = node.live_cell(&deployed.out_point, View::Chain).unwrap().unwrap();
        assert_eq!(ckb_types::packed::CellOutput::calc_data_hash(&cell.data), deployed.data_hash);
    }
}

pub(crate) fn a_payment_is_committed_by_the_third_block(node: &dyn Node, genesis: &Genesis) {
    node.mine(1).unwrap();
    let user = Key::number(7);
    let tx = payment(node, genesis, &user, 1_000);
    let input = tx.inputs().get(0).unwrap().previous_output();
    assert_eq!(node.send_transaction(&tx).unwrap(), tx.hash());
    let waits = [
        (TransactionStatus::Pending, true),
        (TransactionStatus::Pending, true),
        (TransactionStatus::Proposed, false),
    ];
    for (expected, has_replace_fee) in waits {
        let found = node.transaction(&tx.hash()).unwrap();
        assert_eq!(found.status, expected);
        assert_eq!(found.replace_fee_min.is_some_and(|fee| fee > FEE), has_replace_fee);
        assert!(node.live_cell(&OutPoint::new(tx.hash(), 0), View::Chain).unwrap().is_none());
        node.mine(1).unwrap();
    }
    let found = node.transaction(&tx.hash()).unwrap();
    let tip = node.tip_header().unwrap();
    let block = BlockId { number: tip.number(), hash: tip.hash() };
    assert_eq!(found.status, TransactionStatus::Committed { block, index: 1 });
    assert_eq!(found.transaction.unwrap().data().as_slice(), tx.data().as_slice());
    assert!(found.cycles.unwrap() > 1_000_000);
    let cell = node.live_cell(&OutPoint::new(tx.hash(), 0), View::Chain).unwrap().unwrap();
    assert_eq!(cell, output_cell(&tx, 0).unwrap());
    assert!(node.live_cell(&input, View::Chain).unwrap().is_none());
}

pub(crate) fn a_wrong_signature_is_the_locks_refusal(node: &dyn Node, genesis: &Genesis) {
    node.mine(1).unwrap();
    let tx = payment(node, genesis, &Key::number(7), 1_000);
    let forged = Key::number(8).sign(&tx, &[0]);
    let refused = node.send_transaction(&forged).unwrap_err();
    let RpcError::Script { code, source_cell, .. } = refused else { panic!("{refused:?}") };
    assert_eq!((code, source_cell), (WRONG_KEY, ScriptSource::Input(0, GroupKind::Lock)));
    // The same transaction with the right signature has the same hash, and is not held back.
    assert_eq!(forged.hash(), tx.hash());
    assert!(matches!(node.transaction(&tx.hash()).unwrap().status, TransactionStatus::Rejected(_)));
    commit(node, &tx);
}

pub(crate) fn tokens_cannot_be_made_from_nothing(node: &dyn Node, genesis: &Genesis) {
    node.mine(1).unwrap();
    let (issuer, holder) = (Key::dev(false), Key::number(7));
    let dep = genesis.cell("simple_udt").unwrap().dep();
    let make = |amount| tokens(genesis, &issuer.lock(genesis), holder.lock(genesis), amount);
    let mut mint = Payment::new(vec![make(1_000_000)]);
    mint.deps.push(dep.clone());
    let minted = mint.build(node, genesis, &issuer).unwrap();
    commit(node, &minted);
    let money = fund(node, genesis, &holder, 1);
    let cells = [output_cell(&minted, 0).unwrap(), money[0].clone()];
    let split = |amounts: [u128; 2]| {
        let outputs = amounts.map(make).to_vec();
        Payment { outputs, deps: vec![dep.clone()], fee: FEE }.spend(genesis, &holder, &cells)
    };
    let refused = node.send_transaction(&split([400_000, 600_001])).unwrap_err();
    let RpcError::Script { code, source_cell, .. } = refused else { panic!("{refused:?}") };
    assert_eq!((code, source_cell), (INFLATION, ScriptSource::Input(0, GroupKind::Type)));
    commit(node, &split([400_000, 600_000]));
}

pub(crate) fn a_spent_cell_is_unknown_once_committed(node: &dyn Node, genesis: &Genesis) {
    node.mine(1).unwrap();
    let user = Key::number(7);
    let cells = fund(node, genesis, &user, 1);
    let first = sweep(genesis, &user, &cells, FEE);
    let second = sweep(genesis, &user, &cells, FEE + 1);
    node.send_transaction(&first).unwrap();
    // While the first one waits, the second is a replacement that pays too little.
    assert!(matches!(node.send_transaction(&second), Err(RpcError::Rbf { .. })));
    node.mine(3).unwrap();
    let out_point = cells[0].out_point.clone();
    assert_eq!(node.send_transaction(&second), Err(RpcError::Unknown { out_point }));
    let nowhere = OutPoint::new(Byte32::from_slice(&[9; 32]).unwrap(), 0);
    let lost = Cell { out_point: nowhere.clone(), ..cells[0].clone() };
    let refused = node.send_transaction(&sweep(genesis, &user, &[lost], FEE));
    assert_eq!(refused, Err(RpcError::Unknown { out_point: nowhere }));
}

pub(crate) fn a_cell_is_spent_once_in_a_transaction(node: &dyn Node, genesis: &Genesis) {
    node.mine(1).unwrap();
    let user = Key::number(7);
    let cell = fund(node, genesis, &user, 1).remove(0);
    let twice = sweep(genesis, &user, &[cell.clone(), cell.clone()], FEE);
    let refused = node.send_transaction(&twice);
    assert_eq!(refused, Err(RpcError::Dead { out_point: cell.out_point }));
}

pub(crate) fn a_replacement_pays_for_what_it_removes(node: &dyn Node, genesis: &Genesis) {
    node.mine(1).unwrap();
    let user = Key::number(7);
    let cells = fund(node, genesis, &user, 1);
    let first = sweep(genesis, &user, &cells, FEE);
    node.send_transaction(&first).unwrap();
    let child = sweep(genesis, &user, &[output_cell(&first, 0).unwrap()], FEE);
    node.send_transaction(&child).unwrap();
    let least = node.transaction(&first.hash()).unwrap().replace_fee_min.unwrap();
    assert!(least > 2 * FEE, "both fees are gone with the replacement, {least}");
    let poor = sweep(genesis, &user, &cells, least - 1);
    assert!(matches!(node.send_transaction(&poor), Err(RpcError::Rbf { .. })));
    let rich = sweep(genesis, &user, &cells, least);
    node.send_transaction(&rich).unwrap();
    for gone in [&first, &child] {
        let status = node.transaction(&gone.hash()).unwrap().status;
        assert!(matches!(status, TransactionStatus::Rejected(_)), "{status:?}");
    }
    node.mine(3).unwrap();
    let status = node.transaction(&rich.hash()).unwrap().status;
    assert!(matches!(status, TransactionStatus::Committed { .. }));
}

pub(crate) fn a_fee_below_the_minimum_is_refused(node: &dyn Node, genesis: &Genesis) {
    node.mine(1).unwrap();
    let user = Key::number(7);
    let cells = fund(node, genesis, &user, 1);
    let size = sweep(genesis, &user, &cells, FEE).data().serialized_size_in_block() as u64;
    let least = FEE_RATE_MIN * size / 1_000;
    let poor = sweep(genesis, &user, &cells, least - 1);
    assert!(matches!(node.send_transaction(&poor), Err(RpcError::Fee { .. })));
    commit(node, &sweep(genesis, &user, &cells, least));
    assert!(node.fee_rate().unwrap() >= FEE_RATE_MIN);
}

pub(crate) fn capacities_must_add_up(node: &dyn Node, genesis: &Genesis) {
    node.mine(1).unwrap();
    let user = Key::number(7);
    let cells = fund(node, genesis, &user, 1);
    let lock = user.lock(genesis);
    let all = shannons(&cells[0].output);
    let too_much = Payment::to(lock.clone(), all + 1).spend(genesis, &user, &cells);
    assert!(matches!(node.send_transaction(&too_much), Err(RpcError::Capacity { .. })));
    let too_small = Payment::to(lock, 61 * CKB - 1).spend(genesis, &user, &cells);
    assert!(matches!(node.send_transaction(&too_small), Err(RpcError::Capacity { .. })));
}

pub(crate) fn the_same_transaction_is_sent_once(node: &dyn Node, genesis: &Genesis) {
    node.mine(1).unwrap();
    let tx = payment(node, genesis, &Key::number(7), 1_000);
    node.send_transaction(&tx).unwrap();
    assert_eq!(node.send_transaction(&tx), Err(RpcError::Duplicate));
}

pub(crate) fn a_pending_cell_can_be_spent(node: &dyn Node, genesis: &Genesis) {
    node.mine(1).unwrap();
    let user = Key::number(7);
    let cells = fund(node, genesis, &user, 1);
    let first = sweep(genesis, &user, &cells, FEE);
    let made = output_cell(&first, 0).unwrap();
    let second = sweep(genesis, &user, std::slice::from_ref(&made), FEE);
    let unknown = RpcError::Unknown { out_point: made.out_point.clone() };
    assert_eq!(node.send_transaction(&second), Err(unknown));
    node.send_transaction(&first).unwrap();
    let spent = &cells[0].out_point;
    assert!(node.live_cell(spent, View::Chain).unwrap().is_some());
    assert!(node.live_cell(spent, View::WithPool).unwrap().is_none());
    assert!(node.live_cell(&made.out_point, View::Chain).unwrap().is_none());
    assert_eq!(node.live_cell(&made.out_point, View::WithPool).unwrap(), Some(made));
    node.send_transaction(&second).unwrap();
    node.mine(3).unwrap();
    let place = |tx: &TransactionView| match node.transaction(&tx.hash()).unwrap().status {
        TransactionStatus::Committed { block, index } => (block.number, index),
        other => panic!("{other:?}"),
    };
    assert_eq!((place(&first).1, place(&second).1), (1, 2));
    assert_eq!(place(&first).0, place(&second).0);
}

pub(crate) fn a_malformed_transaction_is_refused(node: &dyn Node, genesis: &Genesis) {
    node.mine(1).unwrap();
    let tx = payment(node, genesis, &Key::number(7), 1_000);
    let builder = || tx.as_advanced_builder();
    let spoiled = [
        builder().set_outputs(Vec::new()).set_outputs_data(Vec::new()).build(),
        builder().set_outputs_data(Vec::new()).build(),
        builder().version(1u32).build(),
        builder().cell_dep(tx.cell_deps().get(0).unwrap()).build(),
        builder().set_inputs(vec![CellInput::new_cellbase_input(5)]).build(),
    ];
    for (number, tx) in spoiled.iter().enumerate() {
        let refused = node.send_transaction(tx).unwrap_err();
        assert!(matches!(refused, RpcError::Malformed { .. }), "{number}: {refused:?}");
    }
    // Forms that JSON has no word for are refused before they are sent.
    let output = tx.output(0).unwrap();
    let lock = output.lock().as_builder().hash_type(37u8).build();
    let output = output.as_builder().lock(lock).build();
    let dep = tx.cell_deps().get(0).unwrap().as_builder().dep_type(9u8).build();
    for tx in [
        builder().set_outputs(vec![output.clone(), output]).build(),
        builder().set_cell_deps(vec![dep]).build(),
    ] {
        assert!(matches!(node.send_transaction(&tx), Err(RpcError::Malformed { .. })));
        assert!(matches!(node.estimate_cycles(&tx), Err(RpcError::Malformed { .. })));
    }
    let big = builder().witness(Bytes::from(vec![0; 512_000])).build();
    assert!(matches!(node.send_transaction(&big), Err(RpcError::Malformed { .. })));
}

pub(crate) fn cycles_are_known_before_sending(node: &dyn Node, genesis: &Genesis) {
    node.mine(1).unwrap();
    let tx = payment(node, genesis, &Key::number(7), 1_000);
    let estimate = node.estimate_cycles(&tx).unwrap();
    let forged = Key::number(8).sign(&tx, &[0]);
    let refused = node.estimate_cycles(&forged).unwrap_err();
    assert!(matches!(refused, RpcError::Script { code: WRONG_KEY, .. }), "{refused:?}");
    let missing = CellDep::new_builder().build();
    let lost = tx.as_advanced_builder().cell_dep(missing).build();
    assert!(matches!(node.estimate_cycles(&lost), Err(RpcError::Unknown { .. })));
    commit(node, &tx);
    assert_eq!(node.transaction(&tx.hash()).unwrap().cycles, Some(estimate));
}

pub(crate) fn a_removed_transaction_is_forgotten_and_can_return(
    node: &dyn Node,
    genesis: &Genesis,
) {
    node.mine(1).unwrap();
    let tx = payment(node, genesis, &Key::number(7), 1_000);
    let first = commit(node, &tx);
    let base = node.header_by_number(1).unwrap().unwrap();
    assert_eq!(node.rollback(1).unwrap().hash(), base.hash());
    assert_eq!(node.tip_header().unwrap().number(), 1);
    assert_eq!(node.transaction(&tx.hash()).unwrap().status, TransactionStatus::Unknown);
    assert!(node.pool().unwrap().is_empty());
    assert!(node.live_cell(&OutPoint::new(tx.hash(), 0), View::Chain).unwrap().is_none());
    assert!(
        node.live_cell(&tx.inputs().get(0).unwrap().previous_output(), View::Chain)
            .unwrap()
            .is_some()
    );
    assert!(matches!(node.rollback(9), Err(RpcError::Misuse(_))));
    let again = commit(node, &tx);
    assert_eq!(again.number, first.number);
    assert_ne!(again.hash, first.hash, "the other branch has other blocks");
}
