//! A ledger's node that keeps each transaction that it is asked to dry-run, and answers nothing.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use ckb_types::core::TransactionView;
use perun_backend_ckb::follow::Depth;
use perun_backend_ckb::rpc::{Rpc, RpcError};
use perun_backend_ckb::wallet::{Secp256k1, SigningKey, Wallet};
use perun_embedded_ckb::Chain;
use perun_node::{AnyLedger, CkbLedger, CkbOptions};

use crate::common::{CELLS, Party, World, secret};

pub(crate) struct Keeper {
    chain: Chain,
    keeps: AtomicBool,
    kept: Mutex<Vec<TransactionView>>,
}

impl Keeper {
    /// Starts the party's node behind a keeper that is honest until it is told otherwise.
    pub(crate) fn between(world: &World, party: &mut Party) -> Arc<Self> {
        let chain = world.chain.clone();
        let node = Arc::new(Self { chain, keeps: AtomicBool::new(false), kept: Mutex::default() });
        let wallet = Secp256k1::new(&world.deployment, SigningKey::new(secret()).unwrap());
        party.lock = wallet.locks()[0].script.clone();
        world.give(&party.lock, &CELLS);
        let options = CkbOptions::confirmed_by(Depth::new(1).unwrap());
        let deployment = world.deployment.clone();
        let ledger = CkbLedger::new(node.clone(), deployment, Arc::new(wallet), options).unwrap();
        party.node = Some(party.try_start(world, AnyLedger::joint(ledger)).unwrap());
        node
    }

    pub(crate) fn keep(&self, keeps: bool) {
        self.keeps.store(keeps, Ordering::SeqCst);
    }

    pub(crate) fn kept(&self) -> Vec<TransactionView> {
        self.kept.lock().unwrap().clone()
    }
}

impl Keeper {
    fn node(&self) -> &dyn Rpc {
        &self.chain
    }
}

impl Rpc for Keeper {
    fn estimate_cycles(&self, tx: &TransactionView) -> Result<u64, RpcError> {
        if self.keeps.load(Ordering::SeqCst) {
            self.kept.lock().unwrap().push(tx.clone());
            return Err(RpcError::Transport("no answer".into()));
        }
        self.chain.estimate_cycles(tx)
    }
    perun_embedded_ckb::forward_rpc! {
        chain tip_header header_by_number header_by_hash block_by_number block_by_hash
        send_transaction transaction live_cell cells transactions index_tip pool fee_rate
    }
}
