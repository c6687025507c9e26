//! What the miner of a block gets once the block is final.
//!
//! The issuance comes from the node's own calculator; the fees are shared as the protocol says: 40
//! % to the block that announced a transaction first, the rest to the block that committed it.
//! Every block here has one miner, but the sums must be right all the same: the DAO field counts on
//! them. The invariant: each fee is paid out once.

use crate::ledger::{Block, Ledger};
use ckb_dao::DaoCalculator;
use ckb_types::{core::Capacity, packed::ProposalShortId};
use std::collections::HashSet;

/// The whole reward for this block, when the chain is long enough for it to be final.
pub(crate) fn reward(ledger: &Ledger, target: &Block) -> Capacity {
    let calculator = DaoCalculator::new(ledger.consensus().as_ref(), ledger);
    let header = target.view.header();
    let issued = [
        calculator.primary_block_reward(&header).unwrap_or_else(|_| Capacity::zero()),
        calculator.secondary_block_reward(&header).unwrap_or_else(|_| Capacity::zero()),
    ];
    let committed = target.costs.iter().map(|cost| commit_share(ledger, cost.fee));
    let proposed = proposed_fees(ledger, target);
    issued.into_iter().chain(committed).chain(proposed).fold(Capacity::zero(), |sum, part| {
        // All shannons there are fit into 64 bits several times.
        Capacity::shannons(sum.as_u64().saturating_add(part.as_u64()))
    })
}

fn propose_share(ledger: &Ledger, fee: Capacity) -> Capacity {
    fee.safe_mul_ratio(ledger.consensus().proposer_reward_ratio())
        .unwrap_or_else(|_| Capacity::zero())
}

fn commit_share(ledger: &Ledger, fee: Capacity) -> Capacity {
    fee.safe_sub(propose_share(ledger, fee)).unwrap_or_else(|_| Capacity::zero())
}

/// The proposer's shares for the transactions that this block was the first to announce, within the
/// window of the block that committed them.
fn proposed_fees(ledger: &Ledger, target: &Block) -> Vec<Capacity> {
    let window = ledger.consensus().tx_proposal_window();
    let number = target.view.number();
    let own: HashSet<ProposalShortId> = target.view.union_proposal_ids_iter().collect();
    if own.is_empty() {
        return Vec::new();
    }
    let committing = number + window.closest()..=number + window.farthest();
    let blocks = committing.filter_map(|height| ledger.block(height).map(|block| (height, block)));
    blocks
        .flat_map(|(height, block)| {
            let first = height.saturating_sub(window.farthest()).max(1);
            let earlier: HashSet<ProposalShortId> = match number.checked_sub(1) {
                Some(last) => ledger.proposals(first, last).collect(),
                None => HashSet::new(),
            };
            let hashes = block.view.tx_hashes().iter().skip(1).zip(&block.costs);
            let mine = hashes.filter(|(hash, _)| {
                let id = ProposalShortId::from_tx_hash(hash);
                own.contains(&id) && !earlier.contains(&id)
            });
            mine.map(|(_, cost)| propose_share(ledger, cost.fee)).collect::<Vec<_>>()
        })
        .collect()
}
