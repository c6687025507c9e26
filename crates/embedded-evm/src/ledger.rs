//! The blocks, and the states after the newest of them.
//!
//! One chain and no branches: after going back, what was above is forgotten, as a node that never
//! saw it. The invariant: every index (by hash, by transaction) speaks of the blocks that are
//! there, and the newest block has its state.

use crate::options::Options;
use crate::world::{View, World, randomness};
use alloy_consensus::transaction::Recovered;
use alloy_consensus::{
    EMPTY_OMMER_ROOT_HASH, Header, ReceiptEnvelope, Sealed, Transaction, TxEnvelope,
};
use alloy_eips::eip1559::{BaseFeeParams, calc_next_block_base_fee};
use alloy_eips::eip7685::EMPTY_REQUESTS_HASH;
use alloy_primitives::{Address, B256, Bytes, Log};
use alloy_trie::EMPTY_ROOT_HASH;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// How many blocks back the `BLOCKHASH` instruction sees.
const HASHES: u64 = 256;

/// What a transaction did in its block.
#[derive(Clone, Debug)]
pub(crate) struct Done {
    pub(crate) receipt: ReceiptEnvelope<Log>,
    pub(crate) gas_used: u64,
    pub(crate) contract: Option<Address>,
    /// How many logs the block has before this transaction's.
    pub(crate) first_log: u64,
}

/// A block with all that is told about it.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    pub(crate) header: Sealed<Header>,
    pub(crate) transactions: Vec<Recovered<TxEnvelope>>,
    pub(crate) done: Vec<Done>,
}

impl Block {
    pub(crate) fn base_fee(&self) -> u64 {
        self.header.base_fee_per_gas.unwrap_or_default()
    }

    /// What a transaction paid its miner for each gas.
    pub(crate) fn tip(&self, tx: &Recovered<TxEnvelope>) -> u128 {
        tx.effective_tip_per_gas(self.base_fee()).unwrap_or_default()
    }

    /// The base fee that the protocol computes for the next block.
    pub(crate) fn next_base_fee(&self) -> u64 {
        let Header { gas_used, gas_limit, .. } = *self.header.inner();
        let params = BaseFeeParams::ethereum();
        calc_next_block_base_fee(gas_used, gas_limit, self.base_fee(), params)
    }
}

/// The header of a block that has no transactions yet.
pub(crate) fn empty_header(options: &Options) -> Header {
    Header {
        ommers_hash: EMPTY_OMMER_ROOT_HASH,
        beneficiary: options.beneficiary,
        transactions_root: EMPTY_ROOT_HASH,
        receipts_root: EMPTY_ROOT_HASH,
        withdrawals_root: Some(EMPTY_ROOT_HASH),
        gas_limit: options.block_gas_limit,
        extra_data: Bytes::from_static(b"perun"),
        blob_gas_used: Some(0),
        excess_blob_gas: Some(0),
        parent_beacon_block_root: Some(B256::ZERO),
        requests_hash: Some(EMPTY_REQUESTS_HASH),
        ..Header::default()
    }
}

/// The chain.
#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    blocks: Vec<Arc<Block>>,
    by_hash: HashMap<B256, u64>,
    by_transaction: HashMap<B256, (u64, usize)>,
    /// After the newest blocks, the oldest of them first; never empty.
    states: VecDeque<World>,
    states_max: usize,
}

impl Ledger {
    pub(crate) fn new(options: &Options) -> Self {
        let mut world = World::new(&options.accounts);
        let header = Header {
            state_root: world.root(),
            base_fee_per_gas: Some(options.base_fee),
            timestamp: options.genesis_time,
            mix_hash: randomness(B256::ZERO, options.chain_id),
            ..empty_header(options)
        };
        let header = Sealed::new(header);
        let hash = header.hash();
        Self {
            blocks: vec![Arc::new(Block { header, transactions: Vec::new(), done: Vec::new() })],
            by_hash: HashMap::from([(hash, 0)]),
            by_transaction: HashMap::new(),
            states: VecDeque::from([world]),
            states_max: options.limits.states.max(1),
        }
    }

    /// The number of the newest block.
    pub(crate) fn height(&self) -> u64 {
        self.blocks.len().saturating_sub(1) as u64
    }

    /// The newest block.
    pub(crate) fn head(&self) -> &Arc<Block> {
        self.blocks.last().expect("the first block is never taken away")
    }

    pub(crate) fn block(&self, number: u64) -> Option<&Arc<Block>> {
        self.blocks.get(usize::try_from(number).ok()?)
    }

    pub(crate) fn number_of(&self, hash: &B256) -> Option<u64> {
        self.by_hash.get(hash).copied()
    }

    /// The block of a transaction and its place there.
    pub(crate) fn transaction(&self, hash: &B256) -> Option<(&Arc<Block>, usize)> {
        let (number, index) = self.by_transaction.get(hash)?;
        Some((self.block(*number)?, *index))
    }

    /// The state after the newest block.
    pub(crate) fn world(&self) -> &World {
        self.states.back().expect("the newest block has its state")
    }

    /// Changes the state after the newest block without a block: for tools, not for transactions.
    pub(crate) fn world_mut(&mut self) -> &mut World {
        self.states.back_mut().expect("the newest block has its state")
    }

    /// The state after a block, if it is kept.
    pub(crate) fn world_at(&self, number: u64) -> Option<&World> {
        let back = usize::try_from(self.height().checked_sub(number)?).ok()?;
        self.states.get(self.states.len().checked_sub(back.checked_add(1)?)?)
    }

    /// The state after a block, as code that runs on top of it sees it.
    pub(crate) fn view_at(&self, number: u64) -> Option<View> {
        let world = self.world_at(number)?.clone();
        let first = (number + 1).saturating_sub(HASHES);
        let hashes = (first..=number)
            .filter_map(|at| Some((at, self.block(at)?.header.hash())))
            .collect::<Vec<_>>();
        Some(View { world, hashes: hashes.into() })
    }

    pub(crate) fn push(&mut self, block: Block, world: World) {
        let number = self.blocks.len() as u64;
        self.by_hash.insert(block.header.hash(), number);
        for (index, tx) in block.transactions.iter().enumerate() {
            self.by_transaction.insert(*tx.tx_hash(), (number, index));
        }
        self.blocks.push(Arc::new(block));
        self.states.push_back(world);
        while self.states.len() > self.states_max {
            self.states.pop_front();
        }
    }

    /// Takes away all blocks above this one and gives them back, the oldest first. Nothing if its
    /// state is not kept any more.
    pub(crate) fn rewind(&mut self, number: u64) -> Option<Vec<Arc<Block>>> {
        self.world_at(number)?;
        let keep = usize::try_from(number).ok()?.checked_add(1)?;
        let dropped = self.blocks.split_off(keep.min(self.blocks.len()));
        for block in &dropped {
            self.by_hash.remove(&block.header.hash());
            for tx in &block.transactions {
                self.by_transaction.remove(tx.tx_hash());
            }
            self.states.pop_back();
        }
        Some(dropped)
    }
}
