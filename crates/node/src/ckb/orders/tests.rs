//! What a node's failures leave behind in the book of promised cells.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ckb_types::core::{DepType, TransactionView};
use ckb_types::packed::{Byte32, OutPoint};
use perun_backend_ckb::Error;
use perun_backend_ckb::deployment::{CodeCell, Deployment};
use perun_backend_ckb::follow::Depth;
use perun_backend_ckb::money::{CKB, Made};
use perun_backend_ckb::rpc::{DevControl, Rpc, RpcError, ScriptSource, TransactionLookup};
use perun_backend_ckb::tx::Draft;
use perun_backend_ckb::wallet::{Secp256k1, SigningKey, Wallet};
use perun_channel::ChannelId;
use perun_embedded_ckb::testkit::{Key, Payment, plain};
use perun_embedded_ckb::{Chain, Genesis};

use super::{Order, Outstanding, leaving_tokens, row_to_try, send};
use crate::ckb::{CkbLedger, CkbOptions};

/// A node that can be away, or refuse what it is sent.
struct Moody {
    chain: Chain,
    away: AtomicBool,
    refuses: AtomicBool,
}

impl Moody {
    fn node(&self) -> &dyn Rpc {
        &self.chain
    }
}

impl Rpc for Moody {
    fn send_transaction(&self, tx: &TransactionView) -> Result<Byte32, RpcError> {
        if self.refuses.load(Ordering::SeqCst) {
            return Err(RpcError::Rbf { text: "something stands in the way".into() });
        }
        self.chain.send_transaction(tx)
    }
    fn transaction(&self, hash: &Byte32) -> Result<TransactionLookup, RpcError> {
        if self.away.load(Ordering::SeqCst) {
            return Err(RpcError::Transport("away".into()));
        }
        self.chain.transaction(hash)
    }
    perun_embedded_ckb::forward_rpc! {
        chain tip_header header_by_number header_by_hash block_by_number block_by_hash
        live_cell cells transactions index_tip pool fee_rate estimate_cycles
    }
}

/// A ledger with one cell of 1,000 CKB, its node, and a payment to itself.
fn scene() -> (CkbLedger, Arc<Moody>, Draft) {
    let code = |name: &str| {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../onchain/ckb/artifacts/");
        std::fs::read(format!("{path}{name}")).unwrap()
    };
    let names = ["channel-type", "vault-lock"];
    let builder =
        names.iter().fold(Genesis::builder(), |builder, name| builder.cell(name, code(name)));
    let genesis = builder.build().unwrap();
    let chain = Chain::new(&genesis);
    let program = |name: &str| {
        let cell = genesis.cell(name).unwrap();
        let data_hash = cell.data_hash.clone().into();
        CodeCell { out_point: cell.out_point.clone(), dep_type: DepType::Code, data_hash }
    };
    let [one, other] = names.map(program);
    let deployment = Deployment::new(genesis.block(), one, other).unwrap();
    let wallet = Secp256k1::new(&deployment, SigningKey::new([7; 32]).unwrap());
    let lock = wallet.locks()[0].script.clone();
    let gift = Payment::new(vec![(plain(lock.clone(), 1_000 * CKB), Default::default())]);
    let tx = gift.build(&chain, chain.genesis(), &Key::dev(false)).unwrap();
    chain.send_transaction(&tx).unwrap();
    chain.mine(5).unwrap();
    let (away, refuses) = (AtomicBool::new(false), AtomicBool::new(false));
    let node = Arc::new(Moody { chain, away, refuses });
    let options = CkbOptions::confirmed_by(Depth::new(1).unwrap());
    let ledger = CkbLedger::new(node.clone(), deployment, Arc::new(wallet), options).unwrap();
    let mut draft = Draft::default();
    draft.makes.push(Made::plain(lock, 100 * CKB));
    (ledger, node, draft)
}

#[test]
fn a_node_that_is_away_does_not_make_promises_forgotten() {
    let (mut ledger, node, draft) = scene();
    let paid = ledger.purse().pay(&draft).unwrap();
    send(&ledger.purse(), &paid, &[]).unwrap();
    let id = ChannelId::new([1; 32]);
    ledger.outstanding.push(Outstanding { id, order: Order::Register, paid });
    node.away.store(true, Ordering::SeqCst);
    ledger.settle_outstanding().unwrap_err();
    assert_eq!(ledger.outstanding.len(), 1);
    node.away.store(false, Ordering::SeqCst);
    ledger.settle_outstanding().unwrap();
    assert_eq!(ledger.outstanding.len(), 1, "it is pending");
    node.chain.mine(5).unwrap();
    ledger.settle_outstanding().unwrap();
    assert!(ledger.outstanding.is_empty());
    assert_eq!(ledger.purse().book().tickets().count(), 0);
}

#[test]
fn a_refused_payment_gives_its_cells_back() {
    let (ledger, node, draft) = scene();
    node.refuses.store(true, Ordering::SeqCst);
    for _ in 0..3 {
        let paid = ledger.purse().pay(&draft).unwrap();
        send(&ledger.purse(), &paid, &[]).unwrap_err();
    }
    assert_eq!(ledger.purse().cells().unwrap().len(), 1);
    // What a replaced payment holds stays promised to it.
    let paid = ledger.purse().pay(&draft).unwrap();
    send(&ledger.purse(), &paid, &paid.tickets).unwrap_err();
    assert!(ledger.purse().cells().unwrap().is_empty());
}

#[test]
fn a_token_that_never_moves_again_does_not_hold_up_the_others() {
    let tried: Vec<u32> = (0..4).map(|attempt| row_to_try(0b1_0110, attempt)).collect();
    assert_eq!(tried, [0b10, 0b100, 0b1_0000, 0b10]);
    assert_eq!((row_to_try(0, 3), row_to_try(1 << 31, u32::MAX)), (0, 1 << 31));
}

/// Every way in which a token can spoil a transaction.
fn spoilt() -> Vec<Error> {
    let (text, out_point) = (String::new(), OutPoint::default());
    let source_cell = ScriptSource::Unnamed;
    vec![
        RpcError::Script { code: -1, source_cell, text: text.clone() }.into(),
        RpcError::ScriptFault { source_cell, text: text.clone() }.into(),
        RpcError::Dead { out_point: out_point.clone() }.into(),
        RpcError::Unknown { out_point }.into(),
        RpcError::Rejected { code: -1, text }.into(),
        Error::TooLarge { size: 1_000, cycles: u64::MAX },
        Error::TokenUnknown([1; 32]),
    ]
}

#[test]
fn whatever_a_token_does_its_rows_are_left_and_everything_else_is_paid() {
    for error in spoilt() {
        // One bad token: the other is paid with the coin.
        let pay =
            |left: u32| if left & 0b100 == 0 { Err(error.clone()) } else { Ok::<_, Error>(left) };
        assert_eq!(leaving_tokens(0b110, pay), Ok(0b100), "{error}");
        // Both are bad: the coin is paid.
        let pay = |left: u32| if left == 0b110 { Ok::<_, Error>(left) } else { Err(error.clone()) };
        assert_eq!(leaving_tokens(0b110, pay), Ok(0b110), "{error}");
        // It was not a token: that is what is said.
        assert_eq!(leaving_tokens::<u32>(0b110, |_| Err(error.clone())), Err(error.clone()));
        assert_eq!(leaving_tokens::<u32>(0, |_| Err(error.clone())), Err(error));
    }
}

#[test]
fn a_node_that_is_away_is_no_reason_to_leave_a_token() {
    let away = || Error::from(RpcError::Transport("away".into()));
    let tried = std::cell::Cell::new(0);
    let done = leaving_tokens::<u32>(0b110, |_| {
        tried.set(tried.get() + 1);
        Err(away())
    });
    assert_eq!((done, tried.get()), (Err(away()), 1));
}
