//! A channel's logs, from the newest back.
//!
//! Providers limit how many blocks one question may span, and do not say the limit beforehand: a
//! refused range is halved, and grows again while questions are answered. There is no look-back
//! window: the search ends where its caller knows that nothing older can be meant.

use alloy_primitives::B256;
use alloy_sol_types::SolEvent;
use perun_channel::ChannelId;

use super::chain::Recent;
use crate::abi::{solidity as sol, word};
use crate::rpc::{At, Block, Log, LogQuery, Node, RpcError};
use crate::{Deployment, Error};

/// How many blocks the first question spans. What is looked for is usually new.
const SPAN_FIRST: u64 = 128;
/// How many blocks a question spans at most.
const SPAN_MAX: u64 = 10_000;

/// Where and for what is searched.
pub(super) struct Search<'a> {
    pub(super) node: Node<'a>,
    pub(super) deployment: &'a Deployment,
    pub(super) recent: &'a Recent,
    pub(super) channel: ChannelId,
    /// The block at which the level was read.
    pub(super) until: Block,
    /// Nothing older than this, in seconds, can be meant.
    pub(super) since: u64,
}

impl Search<'_> {
    /// The channel's logs, the newest first, page by page, until `wanted` has enough. Says whether
    /// it had.
    pub(super) fn newest_first(
        &self,
        mut wanted: impl FnMut(&[Log]) -> Result<bool, Error>,
    ) -> Result<bool, Error> {
        let query = self.query();
        let first = self.deployment.from_block();
        let (mut end, mut span) = (self.until.number, SPAN_FIRST);
        loop {
            let start = end.saturating_sub(span.saturating_sub(1)).max(first);
            let mut logs = match self.node.logs(&query, start, end) {
                Ok(logs) => logs,
                Err(RpcError::Refused { .. }) if start < end => {
                    span = (span / 2).max(1);
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            self.check(&logs)?;
            logs.sort_by_key(|log| std::cmp::Reverse((log.block_number, log.index)));
            logs.dedup();
            if wanted(&logs)? {
                return Ok(true);
            }
            if start <= first || self.is_before(start)? {
                return Ok(false);
            }
            end = start.saturating_sub(1);
            span = span.saturating_mul(2).min(SPAN_MAX);
        }
    }

    fn query(&self) -> LogQuery {
        LogQuery {
            address: self.deployment.hub(),
            events: vec![
                sol::Hub::ChannelUpdate::SIGNATURE_HASH,
                sol::Hub::StateRegistered::SIGNATURE_HASH,
                sol::Hub::StateProgressed::SIGNATURE_HASH,
                sol::Hub::SwapClaimed::SIGNATURE_HASH,
                sol::Hub::SpentByConsent::SIGNATURE_HASH,
            ],
            subject: word(&self.channel),
        }
    }

    /// Logs of blocks that we know must be of those blocks.
    fn check(&self, logs: &[Log]) -> Result<(), Error> {
        let is_elsewhere = |log: &Log| {
            let here = self.recent.at(log.block_number);
            here.is_some_and(|here: &Block| here.hash != log.block_hash)
        };
        if logs.iter().any(is_elsewhere) {
            return Err(Error::unavailable("shows logs of another chain than its blocks"));
        }
        Ok(())
    }

    /// Whether the block at this height is older than anything that can be meant.
    fn is_before(&self, number: u64) -> Result<bool, Error> {
        let block = match self.recent.at(number) {
            Some(block) => Some(*block),
            None => self.node.block(At::Number(number))?,
        };
        let lacks = || Error::unavailable("lacks a block below its newest");
        Ok(block.ok_or_else(lacks)?.timestamp < self.since)
    }
}

/// The event of one of ours, if it is this one.
pub(super) fn event<E: SolEvent>(log: &Log) -> Result<Option<E>, Error> {
    if log.topics.first() != Some(&E::SIGNATURE_HASH) {
        return Ok(None);
    }
    let topics = log.topics.iter().copied();
    let read = E::decode_raw_log_validate::<_, B256>(topics, &log.data);
    read.map(Some).map_err(|_| Error::Malformed("event of the hub"))
}
