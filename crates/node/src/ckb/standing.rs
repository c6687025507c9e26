//! How channels stand: the follower's changes, kept as a list per channel whose last entry is the
//! level.
//!
//! A list grows when a change appears and shrinks when a reorganisation or the pool takes it back,
//! so what is reported is always what the chain says now. Nothing of it needs to be stored: a
//! channel that is watched anew is read anew, by its exact lock.

use std::collections::{BTreeMap, BTreeSet};

use ckb_types::packed::Script;
use perun_backend_ckb::deployment::Deployment;
use perun_backend_ckb::follow::{
    self, CHANNELS_MAX, Cause, Change, ChannelEvent, Creation, Depth, FollowError, Follower,
    Standing as Walked, Status, WINDOW_BLOCKS, Watch,
};
use perun_backend_ckb::rpc::Rpc;
use perun_channel::adjudicator::{Env, SlotKind};
use perun_channel::{ChannelId, LedgerId};
use perun_protocol::{
    Index, LedgerTime, Preimage, Sighting, Slot, Standing, Target, TransactionId,
};

use super::anchor::Anchor;
use crate::LedgerError;

/// How often one sync reads on if the node has more.
const WALKS_MAX: usize = 64;
/// How many looks in a row may find a node that knows fewer blocks than it once showed: one that
/// has just restarted catches up meanwhile; one that lied does not.
const BEHIND_MAX: u32 = 12;
const _: () = assert!(2 * crate::house::CHANNELS_MOST <= CHANNELS_MAX);
/// Waits for ever: what is only in the pool cannot be concluded.
const NEVER: LedgerTime = LedgerTime::new(u64::MAX);

/// Watches channels and says how they stand.
pub(super) struct Watcher {
    ledger: LedgerId,
    env: Env,
    channel_type: Script,
    depth: Depth,
    follower: Option<Follower>,
    /// Channels to be watched as soon as the chain can be read.
    waiting: BTreeMap<ChannelId, Watch>,
    changes: BTreeMap<ChannelId, Vec<Change>>,
    /// Channels whose level must be told although nothing changed: they are watched anew.
    untold: BTreeSet<ChannelId>,
    /// How many looks in a row found the node behind what it once showed.
    behind: u32,
}

impl Watcher {
    pub(super) fn new(deployment: &Deployment, depth: Depth) -> Self {
        Self {
            ledger: deployment.coin().ledger(),
            env: deployment.env(),
            channel_type: deployment.channel_type_script(),
            depth,
            follower: None,
            waiting: BTreeMap::new(),
            changes: BTreeMap::new(),
            untold: BTreeSet::new(),
            behind: 0,
        }
    }

    pub(super) fn watch(&mut self, target: &Target) -> Result<(), LedgerError> {
        let anchor = Anchor::of(target)?;
        let transaction = target.transaction.ok_or(LedgerError::Malformed("transaction"))?;
        let creation =
            Creation { transaction: (*transaction.as_bytes()).into(), inputs: anchor.inputs };
        let (id, depth) = (target.id, self.depth);
        self.waiting.insert(id, Watch { id, depth, creation: Some(creation) });
        self.untold.insert(id);
        let known = self.follower.as_ref();
        let all = self.waiting.len().saturating_add(known.map_or(0, |it| it.watched().len()));
        if all > CHANNELS_MAX && known.is_none_or(|it| it.vault_lock(&id).is_none()) {
            return Err(LedgerError::Refused(format!(
                "channel {id} is not watched yet, for {CHANNELS_MAX} others are; it is when one of \
                 these has closed for good. Until then look after it from another node: an old \
                 state that the peer registers would not be noticed here"
            )));
        }
        Ok(())
    }

    pub(super) fn sync(&mut self, rpc: &dyn Rpc) -> Result<Vec<Sighting>, LedgerError> {
        let mut follower = match self.follower.take() {
            Some(follower) => follower,
            None => Follower::new(self.env, follow::checkpoint(rpc).map_err(unavailable)?),
        };
        self.take_up(&mut follower);
        let mut told = core::mem::take(&mut self.untold);
        let walked = self.walk(rpc, &mut follower, &mut told);
        if let Err(error) = walked {
            // The follower does not tell twice what it told before the node went away.
            self.untold.append(&mut told);
            self.follower = Some(follower);
            return Err(error);
        }
        let sightings = told.iter().map(|id| self.sighting(id)).collect();
        self.let_go(&mut follower);
        self.follower = Some(follower);
        Ok(sightings)
    }

    /// Hands the follower what it is to watch, as far as it has places.
    fn take_up(&mut self, follower: &mut Follower) {
        self.waiting.retain(|_, watch| {
            matches!(follower.watch(watch.clone()), Err(FollowError::Full { .. }))
            // Watched before with other words: what the follower has is as good.
        });
    }

    /// A node that knows fewer blocks than before may be restarting. If that lasts it is said; and
    /// if it ends below everything that is remembered, what it showed before is no longer waited
    /// for.
    fn wait_for_node(&mut self, rpc: &dyn Rpc, follower: &mut Follower) -> Result<(), LedgerError> {
        self.behind = self.behind.saturating_add(1);
        if self.behind < BEHIND_MAX {
            return Ok(());
        }
        let tip = rpc.tip_header().map_err(|error| unavailable(error.into()))?.number();
        let oldest = follower.recent_blocks().last().map_or(0, |block| block.number);
        if tip < oldest {
            return Err(self.start_over(rpc, follower));
        }
        let shown = follower.cursor().number;
        Err(LedgerError::Unavailable(format!(
            "the node ends at block {tip} and has shown {shown} before, so nothing new is seen of \
             any channel; see whether it is still reading the chain, or use another node"
        )))
    }

    /// Reads everything anew on the chain that the node shows now; returns what to say about it.
    fn start_over(&mut self, rpc: &dyn Rpc, follower: &mut Follower) -> LedgerError {
        let checkpoint = match follow::checkpoint(rpc) {
            Ok(checkpoint) => checkpoint,
            Err(error) => return unavailable(error),
        };
        *follower = follower.restarted(checkpoint);
        self.changes.clear();
        self.untold.extend(follower.watched().map(|watch| watch.id));
        self.behind = 0;
        LedgerError::OtherChain
    }

    /// Lets go of channels of which nothing more can be heard.
    fn let_go(&mut self, follower: &mut Follower) {
        let tip = follower.cursor().number;
        let is_final = |changes: &Vec<Change>| {
            let last = changes.last();
            let block = last.and_then(Change::block).map(|block| block.number);
            last.is_some_and(ends)
                && block.is_some_and(|number| tip.saturating_sub(number) > u64::from(WINDOW_BLOCKS))
        };
        self.changes.retain(|id, changes| {
            let gone = is_final(changes);
            if gone {
                follower.unwatch(id);
            }
            !gone
        });
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
        let mut unread = Vec::new();
        for _ in 0..WALKS_MAX {
            let walk = match follow::sync(rpc, &self.channel_type, follower) {
                Ok(walk) => walk,
                Err(FollowError::ReorgTooDeep { .. }) => {
                    return Err(self.start_over(rpc, follower));
                }
                Err(error) => return Err(unavailable(error)),
            };
            for event in walk.events {
                told.insert(event.key().channel);
                self.note(event);
            }
            match walk.standing {
                Walked::NodeBehind => self.wait_for_node(rpc, follower)?,
                Walked::Current | Walked::More => self.behind = 0,
            }
            unread = walk.unread;
            if !matches!(walk.standing, Walked::More) {
                break;
            }
        }
        // Of a channel that was not read yet it is not known that it is absent.
        let unseen = |id: &ChannelId| self.changes.get(id).is_none_or(Vec::is_empty);
        for id in unread.iter().filter(|id| unseen(id)) {
            told.remove(id);
            self.untold.insert(*id);
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
        let changes = self.changes.get(id).map_or(&[][..], Vec::as_slice);
        let last = changes.last();
        // A withdrawal after the claim does not show the secret again.
        let secret = changes.iter().rev().find_map(|change| change.cause.secret());
        let preimage = secret.copied().map(Preimage::new);
        Sighting {
            ledger: self.ledger,
            channel: *id,
            standing: last.map_or(Standing::Absent, |change| standing(change, preimage)),
            confirmed: last.is_some_and(|change| matches!(change.status, Status::Settled { .. })),
        }
    }
}

/// Whether nothing follows this change.
const fn ends(change: &Change) -> bool {
    match &change.cause {
        Cause::Cooperative { .. } | Cause::FundingAborted | Cause::OpenImpossible { .. } => true,
        Cause::Concluded { unpaid, .. }
        | Cause::Withdrawn { unpaid, .. }
        | Cause::ClosedFinal { unpaid, .. } => *unpaid == 0,
        Cause::Opened { .. } | Cause::Funding { .. } | Cause::Registered { .. } => false,
    }
}

fn standing(change: &Change, preimage: Option<Preimage>) -> Standing {
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
            proof: None,
        },
        Cause::ClosedFinal { state, unpaid: 0, .. } => Standing::Closed { state: state.clone() },
        Cause::Concluded { state, unpaid, .. }
        | Cause::Withdrawn { state, unpaid, .. }
        | Cause::ClosedFinal { state, unpaid, .. } => {
            Standing::Concluded { state: state.clone(), unpaid: *unpaid, preimage }
        }
        Cause::Cooperative { .. } => {
            Standing::Spent { transaction: TransactionId::new(change.key.transaction) }
        }
        Cause::FundingAborted | Cause::OpenImpossible { .. } => Standing::Impossible,
    }
}

fn unavailable(error: FollowError) -> LedgerError {
    LedgerError::Unavailable(error.to_string())
}
