//! How channels stand: the follower's changes, kept as a list per channel whose last entry is the
//! level.
//!
//! A list grows when a change appears and shrinks when a reorganisation or the pool takes it back,
//! so what is reported is always what the chain says now. Nothing of it needs to be stored: a
//! channel that is watched anew is read anew, by its exact lock.

use std::collections::{BTreeMap, BTreeSet};

use perun_backend_ckb::deployment::Deployment;
use perun_backend_ckb::follow::{
    self, Cause, Change, ChannelEvent, Creation, Depth, Follower, Standing as Walked, Status, Watch,
};
use perun_backend_ckb::rpc::Rpc;
use perun_channel::ChannelId;
use perun_channel::adjudicator::{Env, SlotKind};
use perun_protocol::{Index, LedgerTime, Sighting, Slot, Standing, Target, TransactionId};

use super::anchor::Anchor;
use crate::LedgerError;

/// How often one sync reads on if the node has more.
const WALKS_MAX: usize = 64;
/// Waits for ever: what is only in the pool cannot be concluded.
const NEVER: LedgerTime = LedgerTime::new(u64::MAX);

/// Watches channels and says how they stand.
pub(super) struct Watcher {
    env: Env,
    depth: Depth,
    follower: Option<Follower>,
    /// Channels to be watched as soon as the chain can be read.
    waiting: Vec<Watch>,
    changes: BTreeMap<ChannelId, Vec<Change>>,
    /// Channels whose level must be told although nothing changed: they are watched anew.
    untold: BTreeSet<ChannelId>,
}

impl Watcher {
    pub(super) fn new(deployment: &Deployment, depth: Depth) -> Self {
        Self {
            env: deployment.env(),
            depth,
            follower: None,
            waiting: Vec::new(),
            changes: BTreeMap::new(),
            untold: BTreeSet::new(),
        }
    }

    pub(super) fn watch(&mut self, target: &Target) -> Result<(), LedgerError> {
        let anchor = Anchor::of(target)?;
        let creation = Creation {
            transaction: (*target.transaction.as_bytes()).into(),
            inputs: anchor.inputs,
        };
        let (id, depth) = (target.id, self.depth);
        self.waiting.push(Watch { id, depth, creation: Some(creation) });
        self.untold.insert(target.id);
        Ok(())
    }

    pub(super) fn sync(&mut self, rpc: &dyn Rpc) -> Result<Vec<Sighting>, LedgerError> {
        let mut follower = match self.follower.take() {
            Some(follower) => follower,
            None => Follower::new(self.env, follow::checkpoint(rpc).map_err(unavailable)?),
        };
        for watch in self.waiting.drain(..) {
            // Watched before with other words: what the follower has is as good.
            let _ = follower.watch(watch);
        }
        let mut told = core::mem::take(&mut self.untold);
        let walked = self.walk(rpc, &mut follower, &mut told);
        self.follower = Some(follower);
        walked?;
        Ok(told.iter().map(|id| self.sighting(id)).collect())
    }

    /// The chain's clock, as the last sync saw it.
    pub(super) fn clock(&self) -> Option<LedgerTime> {
        let median_ms = self.follower.as_ref()?.median_time()?;
        Some(LedgerTime::new(median_ms / 1_000))
    }

    fn walk(
        &mut self,
        rpc: &dyn Rpc,
        follower: &mut Follower,
        told: &mut BTreeSet<ChannelId>,
    ) -> Result<(), LedgerError> {
        for _ in 0..WALKS_MAX {
            let walk = follow::sync(rpc, follower).map_err(unavailable)?;
            for event in walk.events {
                told.insert(event.key().channel);
                self.note(event);
            }
            if !matches!(walk.standing, Walked::More) {
                break;
            }
        }
        Ok(())
    }

    fn note(&mut self, event: ChannelEvent) {
        let key = *event.key();
        let changes = self.changes.entry(key.channel).or_default();
        match event {
            ChannelEvent::Now(change) => {
                match changes.iter_mut().find(|known| known.key == key) {
                    Some(known) => *known = change,
                    None => changes.push(change),
                }
                // What is only in the pool comes after what is in blocks.
                changes.sort_by_key(|change| change.block().map_or(u64::MAX, |block| block.number));
            }
            ChannelEvent::Reverted(_) | ChannelEvent::Dropped(_) => {
                changes.retain(|known| known.key != key);
            }
        }
    }

    fn sighting(&self, id: &ChannelId) -> Sighting {
        let last = self.changes.get(id).and_then(|changes| changes.last());
        Sighting {
            channel: *id,
            standing: last.map_or(Standing::Absent, standing),
            confirmed: last.is_some_and(|change| matches!(change.status, Status::Settled { .. })),
        }
    }
}

fn standing(change: &Change) -> Standing {
    match &change.cause {
        Cause::Opened { .. } => Standing::Open,
        Cause::Funding { .. } => Standing::Absent,
        Cause::Registered { state, slot, deadline_ms, .. } => Standing::Registered {
            state: state.clone(),
            by: Slot {
                participant: if slot.participant == 0 { Index::Zero } else { Index::One },
                delegate: slot.kind == SlotKind::Delegate,
            },
            until: deadline_ms.map_or(NEVER, |until| LedgerTime::new(until.div_ceil(1_000))),
        },
        Cause::ClosedFinal { state, unpaid: 0, .. } => Standing::Closed { state: state.clone() },
        Cause::Concluded { state, unpaid, .. }
        | Cause::Withdrawn { state, unpaid, .. }
        | Cause::ClosedFinal { state, unpaid, .. } => {
            Standing::Concluded { state: state.clone(), unpaid: *unpaid }
        }
        Cause::Cooperative { .. } => {
            Standing::Spent { transaction: TransactionId::new(change.key.transaction) }
        }
        Cause::FundingAborted | Cause::OpenImpossible { .. } => Standing::Impossible,
    }
}

fn unavailable(error: follow::FollowError) -> LedgerError {
    LedgerError::Unavailable(error.to_string())
}
