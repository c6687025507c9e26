//! A node that does not always show what is.
#![allow(dead_code, reason = "each story uses its part")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use ckb_types::core::HeaderView;
use perun_backend_ckb::follow::Depth;
use perun_backend_ckb::rpc::{BlockId, Rpc, RpcError};
use perun_backend_ckb::wallet::{Secp256k1, SigningKey};
use perun_embedded_ckb::Chain;
use perun_node::{CkbLedger, CkbOptions};

use crate::common::{World, secret};

/// A node that can show another chain, go away in the middle, or have an index that trails.
pub(crate) struct Liar {
    pub(crate) honest: Chain,
    pub(crate) other: Chain,
    pub(crate) shows_other: AtomicBool,
    /// How many more tips it names before it is away.
    pub(crate) tips: AtomicUsize,
    /// Its index is behind by this many blocks.
    pub(crate) index_lag: AtomicU64,
}

impl Liar {
    pub(crate) fn new(world: &World) -> Arc<Self> {
        Arc::new(Self {
            honest: world.chain.clone(),
            other: world.chain.fork(),
            shows_other: AtomicBool::new(false),
            tips: AtomicUsize::new(usize::MAX),
            index_lag: AtomicU64::new(0),
        })
    }

    /// A ledger that reads this node, with a wallet of its own.
    pub(crate) fn ledger(self: &Arc<Self>, world: &World) -> CkbLedger {
        let wallet = Secp256k1::new(&world.deployment, SigningKey::new(secret()).unwrap());
        let options = CkbOptions::confirmed_by(Depth::new(1).unwrap());
        let deployment = world.deployment.clone();
        CkbLedger::new(self.clone(), deployment, Arc::new(wallet), options).unwrap()
    }

    fn at(&self) -> &Chain {
        if self.shows_other.load(Ordering::SeqCst) { &self.other } else { &self.honest }
    }
}

impl Liar {
    fn node(&self) -> &dyn Rpc {
        self.at()
    }
}

impl Rpc for Liar {
    fn tip_header(&self) -> Result<HeaderView, RpcError> {
        let left = self.tips.load(Ordering::SeqCst);
        if left == 0 {
            return Err(RpcError::Transport("away for a moment".into()));
        }
        self.tips.store(left - 1, Ordering::SeqCst);
        self.at().tip_header()
    }
    fn index_tip(&self) -> Result<BlockId, RpcError> {
        let tip = self.at().index_tip()?;
        let number = tip.number.saturating_sub(self.index_lag.load(Ordering::SeqCst));
        let hash = self.at().header_by_number(number)?.unwrap().hash();
        Ok(BlockId { number, hash })
    }
    perun_embedded_ckb::forward_rpc! {
        chain header_by_number header_by_hash block_by_number block_by_hash send_transaction
        transaction live_cell cells transactions pool fee_rate estimate_cycles
    }
}
