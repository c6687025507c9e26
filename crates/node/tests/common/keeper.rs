//! A ledger's node that keeps each transaction that it is asked to dry-run, and answers nothing.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use ckb_types::core::{BlockView, HeaderView, TransactionView};
use ckb_types::packed::{Byte32, OutPoint};
use perun_backend_ckb::follow::Depth;
use perun_backend_ckb::rpc::{
    BlockId, Cell, ChainIdentity, Cursor, IndexedCell, Page, Rpc, RpcError, SearchKey, Touch,
    TransactionLookup, View,
};
use perun_backend_ckb::wallet::{Secp256k1, SigningKey, Wallet};
use perun_embedded_ckb::Chain;
use perun_node::{CkbLedger, CkbOptions};

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
        party.node = Some(party.try_start(world, Box::new(ledger)).unwrap());
        node
    }

    pub(crate) fn keep(&self, keeps: bool) {
        self.keeps.store(keeps, Ordering::SeqCst);
    }

    pub(crate) fn kept(&self) -> Vec<TransactionView> {
        self.kept.lock().unwrap().clone()
    }
}

impl Rpc for Keeper {
    fn chain(&self) -> Result<ChainIdentity, RpcError> {
        Rpc::chain(&self.chain)
    }
    fn tip_header(&self) -> Result<HeaderView, RpcError> {
        self.chain.tip_header()
    }
    fn header_by_number(&self, number: u64) -> Result<Option<HeaderView>, RpcError> {
        self.chain.header_by_number(number)
    }
    fn header_by_hash(&self, hash: &Byte32) -> Result<Option<HeaderView>, RpcError> {
        self.chain.header_by_hash(hash)
    }
    fn block_by_number(&self, number: u64) -> Result<Option<BlockView>, RpcError> {
        self.chain.block_by_number(number)
    }
    fn block_by_hash(&self, hash: &Byte32) -> Result<Option<BlockView>, RpcError> {
        self.chain.block_by_hash(hash)
    }
    fn send_transaction(&self, tx: &TransactionView) -> Result<Byte32, RpcError> {
        self.chain.send_transaction(tx)
    }
    fn transaction(&self, hash: &Byte32) -> Result<TransactionLookup, RpcError> {
        self.chain.transaction(hash)
    }
    fn live_cell(&self, out_point: &OutPoint, view: View) -> Result<Option<Cell>, RpcError> {
        self.chain.live_cell(out_point, view)
    }
    fn cells(
        &self,
        key: &SearchKey,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Page<IndexedCell>, RpcError> {
        self.chain.cells(key, after, limit)
    }
    fn transactions(
        &self,
        key: &SearchKey,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Page<Touch>, RpcError> {
        self.chain.transactions(key, after, limit)
    }
    fn index_tip(&self) -> Result<BlockId, RpcError> {
        self.chain.index_tip()
    }
    fn pool(&self) -> Result<Vec<Byte32>, RpcError> {
        self.chain.pool()
    }
    fn fee_rate(&self) -> Result<u64, RpcError> {
        self.chain.fee_rate()
    }
    fn estimate_cycles(&self, tx: &TransactionView) -> Result<u64, RpcError> {
        if self.keeps.load(Ordering::SeqCst) {
            self.kept.lock().unwrap().push(tx.clone());
            return Err(RpcError::Transport("no answer".into()));
        }
        self.chain.estimate_cycles(tx)
    }
}
