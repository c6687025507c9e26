//! Which block a call is about.
//!
//! The invariant: a tag means one block for the whole of a call, because the call looks once, under
//! one lock, and computes on a copy.

use super::params::Params;
use crate::execute::Rules;
use crate::refusal::Refusal;
use crate::state::State;
use crate::world::View;
use alloy_consensus::Header;
use alloy_eips::{BlockId, BlockNumberOrTag};

/// A block that is there, or the one that would be next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum At {
    Number(u64),
    Pending,
}

/// What a call runs on.
pub(super) struct Ground {
    pub(super) rules: Rules,
    pub(super) header: Header,
    pub(super) view: View,
}

/// The block of this tag or number, if it is there.
pub(super) fn tagged(state: &State, tag: BlockNumberOrTag) -> Option<At> {
    let height = state.ledger.height();
    let options = &state.options;
    let number = match tag {
        BlockNumberOrTag::Latest => height,
        BlockNumberOrTag::Safe => height.saturating_sub(options.safe_depth),
        BlockNumberOrTag::Finalized => height.saturating_sub(options.finalized_depth),
        BlockNumberOrTag::Earliest => 0,
        BlockNumberOrTag::Pending => return Some(At::Pending),
        BlockNumberOrTag::Number(number) => number,
    };
    (number <= height).then_some(At::Number(number))
}

/// The block that a call names, if it is there.
pub(super) fn identified(state: &State, id: BlockId) -> Option<At> {
    match id {
        BlockId::Number(tag) => tagged(state, tag),
        BlockId::Hash(hash) => state.ledger.number_of(&hash.block_hash).map(At::Number),
    }
}

/// The block parameter at this place, or the newest.
pub(super) fn parameter(state: &State, params: &Params, index: usize) -> Result<At, Refusal> {
    let id: BlockId = params.option(index)?.unwrap_or_else(BlockId::latest);
    identified(state, id).ok_or_else(|| Refusal::refused("header not found"))
}

/// What a call runs on at this block.
pub(super) fn ground(state: &State, at: At) -> Result<Ground, Refusal> {
    let rules = Rules::from(&state.options);
    let missing = || Refusal::refused("missing trie node: the block's state is not kept any more");
    let head = state.ledger.height();
    match at {
        At::Number(number) => {
            let view = state.ledger.view_at(number).ok_or_else(missing)?;
            let block = state.ledger.block(number).ok_or_else(missing)?;
            Ok(Ground { rules, header: block.header.inner().clone(), view })
        }
        At::Pending => {
            let pending = state.pending();
            let mut view = state.ledger.view_at(head).ok_or_else(missing)?;
            view.world = pending.world;
            Ok(Ground { rules, header: pending.block.header.into_inner(), view })
        }
    }
}
