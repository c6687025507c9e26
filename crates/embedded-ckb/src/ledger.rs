//! The committed chain: headers, live cells, where each transaction stands, and how to undo a
//! block.
//!
//! It checks nothing; what it is given has been verified. A clone is a snapshot and costs nothing:
//! the verifiers take one behind the node's provider traits, and the tables are copied only if they
//! are changed while a snapshot lives. The invariant: undoing the last block gives back exactly the
//! ledger from before it.

use crate::index::Index;
use ckb_chain_spec::consensus::Consensus;
use ckb_traits::{
    CellDataProvider, EpochProvider, ExtensionProvider, HeaderFields, HeaderFieldsProvider,
    HeaderProvider,
};
use ckb_types::{
    bytes::Bytes,
    core::{
        BlockExt, BlockView, Capacity, EpochExt, HeaderView, TransactionInfo, TransactionView,
        cell::{CellMeta, CellMetaBuilder, CellProvider, CellStatus, HeaderChecker},
        error::OutPointError,
    },
    packed::{self, Byte32, OutPoint, ProposalShortId},
};
use std::collections::HashMap;
use std::sync::Arc;

#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    tables: Arc<Tables>,
}

#[derive(Clone, Debug)]
struct Tables {
    consensus: Arc<Consensus>,
    blocks: Vec<Arc<Block>>,
    numbers: HashMap<Byte32, usize>,
    cells: HashMap<OutPoint, CellMeta>,
    places: HashMap<Byte32, Place>,
    index: Index,
}

/// A committed block and what is remembered beside it.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    pub(crate) view: BlockView,
    pub(crate) epoch: EpochExt,
    /// Cycles and fees of the transactions after the cellbase, in order.
    pub(crate) costs: Vec<Cost>,
    /// The cells it spent, in order, to be given back if it is undone.
    spent: Vec<CellMeta>,
}

/// What a transaction took and paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cost {
    pub(crate) cycles: u64,
    pub(crate) fee: Capacity,
}

/// Where a committed transaction stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) block: usize,
    pub(crate) index: usize,
}

impl Ledger {
    pub(crate) fn new(consensus: Arc<Consensus>) -> Self {
        let genesis = consensus.genesis_block().clone();
        let epoch = consensus.genesis_epoch_ext().clone();
        let tables = Tables {
            consensus,
            blocks: Vec::new(),
            numbers: HashMap::new(),
            cells: HashMap::new(),
            places: HashMap::new(),
            index: Index::default(),
        };
        let mut ledger = Self { tables: Arc::new(tables) };
        ledger.push(genesis, epoch, Vec::new());
        ledger
    }

    pub(crate) fn consensus(&self) -> &Arc<Consensus> {
        &self.tables.consensus
    }

    pub(crate) fn index(&self) -> &Index {
        &self.tables.index
    }

    /// The last block. There is always one: the first block is never undone.
    pub(crate) fn tip(&self) -> &Arc<Block> {
        self.tables.blocks.last().expect("block 0 is pushed by `new` and kept by `pop`")
    }

    pub(crate) fn tip_header(&self) -> HeaderView {
        self.tip().view.header()
    }

    pub(crate) fn height(&self) -> u64 {
        self.tables.blocks.len() as u64 - 1
    }

    pub(crate) fn block(&self, number: u64) -> Option<&Arc<Block>> {
        self.tables.blocks.get(usize::try_from(number).ok()?)
    }

    pub(crate) fn block_by_hash(&self, hash: &Byte32) -> Option<&Arc<Block>> {
        self.tables.blocks.get(*self.tables.numbers.get(hash)?)
    }

    pub(crate) fn cell(&self, out_point: &OutPoint) -> Option<&CellMeta> {
        self.tables.cells.get(out_point)
    }

    /// A committed transaction with its block and its index there.
    pub(crate) fn transaction(&self, hash: &Byte32) -> Option<(TransactionView, &Block, usize)> {
        let place = self.tables.places.get(hash)?;
        let block = self.tables.blocks.get(place.block)?;
        Some((block.view.transaction(place.index)?, block, place.index))
    }

    pub(crate) fn is_committed(&self, hash: &Byte32) -> bool {
        self.tables.places.contains_key(hash)
    }

    /// The proposals of the blocks in this range of heights.
    pub(crate) fn proposals(&self, first: u64, last: u64) -> impl Iterator<Item = ProposalShortId> {
        (first..=last)
            .filter_map(|number| self.block(number))
            .flat_map(|block| block.view.union_proposal_ids_iter())
    }

    pub(crate) fn median_time(&self) -> u64 {
        let hash = self.tip_header().hash();
        self.block_median_time(&hash, self.tables.consensus.median_time_block_count())
    }

    pub(crate) fn push(&mut self, view: BlockView, epoch: EpochExt, costs: Vec<Cost>) {
        let tables = Arc::make_mut(&mut self.tables);
        let mut spent = Vec::new();
        for (index, tx) in view.transactions().iter().enumerate() {
            tables.places.insert(tx.hash(), Place { block: tables.blocks.len(), index });
            if index > 0 && view.number() > 0 {
                for (input, out_point) in tx.input_pts_iter().enumerate() {
                    let cell = tables.cells.remove(&out_point);
                    let cell = cell.expect("a block is assembled from transactions that resolve");
                    tables.index.spend(&cell, &view, index, tx, input);
                    spent.push(cell);
                }
            }
            for cell in made_cells(&view, index, tx) {
                tables.index.make(&cell);
                tables.cells.insert(cell.out_point.clone(), cell);
            }
        }
        tables.numbers.insert(view.hash(), tables.blocks.len());
        tables.blocks.push(Arc::new(Block { view, epoch, costs, spent }));
    }

    /// Undoes the last block, unless it is the first one.
    pub(crate) fn pop(&mut self) -> Option<Arc<Block>> {
        if self.tables.blocks.len() <= 1 {
            return None;
        }
        let tables = Arc::make_mut(&mut self.tables);
        let block = tables.blocks.pop()?;
        tables.numbers.remove(&block.view.hash());
        let mut spent = block.spent.iter().rev();
        for (index, tx) in block.view.transactions().iter().enumerate().rev() {
            tables.places.remove(&tx.hash());
            for cell in made_cells(&block.view, index, tx) {
                tables.index.unmake(&cell);
                tables.cells.remove(&cell.out_point);
            }
            if index > 0 {
                for (input, cell) in (0..tx.inputs().len()).rev().zip(spent.by_ref()) {
                    tables.index.unspend(cell, &block.view, index, input);
                    tables.cells.insert(cell.out_point.clone(), cell.clone());
                }
            }
        }
        Some(block)
    }
}

/// The cells that a transaction makes in this block.
pub(crate) fn made_cells<'a>(
    block: &'a BlockView,
    index: usize,
    tx: &'a TransactionView,
) -> impl Iterator<Item = CellMeta> + 'a {
    let info = TransactionInfo::new(block.number(), block.epoch(), block.hash(), index);
    tx.outputs_with_data_iter().zip(0u32..).map(move |((output, data), output_index)| {
        CellMetaBuilder::from_cell_output(output, data)
            .out_point(OutPoint::new(tx.hash(), output_index))
            .transaction_info(info.clone())
            .build()
    })
}

impl CellProvider for Ledger {
    fn cell(&self, out_point: &OutPoint, _eager_load: bool) -> CellStatus {
        // A cell that a block has spent is unknown, as it is to the node: it keeps live cells only.
        match self.tables.cells.get(out_point) {
            Some(cell) => CellStatus::live_cell(cell.clone()),
            None => CellStatus::Unknown,
        }
    }
}

impl HeaderChecker for Ledger {
    fn check_valid(&self, hash: &Byte32) -> Result<(), OutPointError> {
        if self.tables.numbers.contains_key(hash) {
            return Ok(());
        }
        Err(OutPointError::InvalidHeader(hash.clone()))
    }
}

impl CellDataProvider for Ledger {
    fn get_cell_data(&self, out_point: &OutPoint) -> Option<Bytes> {
        self.tables.cells.get(out_point)?.mem_cell_data.clone()
    }

    fn get_cell_data_hash(&self, out_point: &OutPoint) -> Option<Byte32> {
        self.tables.cells.get(out_point)?.mem_cell_data_hash.clone()
    }
}

impl HeaderProvider for Ledger {
    fn get_header(&self, hash: &Byte32) -> Option<HeaderView> {
        self.block_by_hash(hash).map(|block| block.view.header())
    }
}

impl HeaderFieldsProvider for Ledger {
    fn get_header_fields(&self, hash: &Byte32) -> Option<HeaderFields> {
        self.block_by_hash(hash).map(|block| HeaderFields {
            hash: hash.clone(),
            number: block.view.number(),
            epoch: block.view.epoch(),
            timestamp: block.view.timestamp(),
            parent_hash: block.view.parent_hash(),
        })
    }
}

impl ExtensionProvider for Ledger {
    fn get_block_extension(&self, hash: &Byte32) -> Option<packed::Bytes> {
        self.block_by_hash(hash)?.view.extension()
    }
}

impl EpochProvider for Ledger {
    fn get_epoch_ext(&self, header: &HeaderView) -> Option<EpochExt> {
        self.block_by_hash(&header.hash()).map(|block| block.epoch.clone())
    }

    fn get_block_hash(&self, number: u64) -> Option<Byte32> {
        self.block(number).map(|block| block.view.hash())
    }

    fn get_block_ext(&self, hash: &Byte32) -> Option<BlockExt> {
        // Epochs ask for the number of uncles, of which there are none here.
        self.block_by_hash(hash).map(|_| BlockExt::default())
    }

    fn get_block_header(&self, hash: &Byte32) -> Option<HeaderView> {
        self.get_header(hash)
    }
}
