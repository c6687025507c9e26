//! How watched channels stand: levels, not edges.
//!
//! Each look reads every watched channel's record and deposits at two blocks by their hashes: at
//! the head, and at the depth that the channel's value asks for. What the levels do not say, the
//! state behind a registration, a preimage, the transaction that ended a channel, is looked for in
//! the logs, from the newest back to where it must be, however far that is. Nothing is remembered
//! that matters: a follower that forgets everything says the same after its next look.
//!
//! The invariant: a report is of one block. A node that goes backwards, that omits what its own
//! levels say must be there, or that contradicts itself is [`Error::Unavailable`], and never makes
//! a standing.

mod chain;
mod cursor;
mod depth;
mod evidence;
mod history;
mod levels;
mod standing;

pub use chain::WINDOW_BLOCKS;
pub use cursor::Cursor;
pub use depth::{BLOCKS_MAX, Depth, DepthTable};
pub use levels::{CONCLUDED, DISPUTE, Record, record};
pub use standing::{Ending, Fingerprint, Proof, Standing};

use std::collections::BTreeMap;

use alloy_primitives::B256;
use perun_channel::{Amount, ChannelId, Params, State};

use crate::rpc::{At, Block, Node};
use crate::{Deployment, Error};
use chain::{Recent, Step};
use evidence::Evidence;
use levels::Levels;

/// Most channels that one follower watches.
pub const CHANNELS_MAX: usize = 8_192;

/// A channel to watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watch {
    /// Its parameters.
    pub params: Params,
    /// Its first state: what must be deposited.
    pub initial: State,
    /// Of whose deposits it is told what is still held after the end; of everybody's if none.
    pub own: Option<usize>,
}

/// A standing and the block that it is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The block.
    pub block: Block,
    /// The standing after it.
    pub standing: Standing,
}

/// How a channel stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Which.
    pub channel: ChannelId,
    /// At the head.
    pub head: Seen,
    /// As deep as its value asks for; nothing while the chain is not that high.
    pub settled: Option<Seen>,
}

impl Report {
    /// Whether what is seen at the head is buried deep enough for money to depend on it.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.settled.as_ref().is_some_and(|settled| settled.standing == self.head.standing)
    }
}

/// What one look found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// The channels that stand otherwise than was told last.
    pub reports: Vec<Report>,
    /// The channels of which nothing can be said now, and why. What was told of them stands.
    pub unread: Vec<(ChannelId, Error)>,
}

#[derive(Clone, Debug)]
struct Watched {
    watch: Watch,
    depth: Depth,
    evidence: Evidence,
    told: Option<Report>,
}

/// Watches channels on one chain.
#[derive(Clone, Debug)]
pub struct Follower {
    deployment: Deployment,
    table: DepthTable,
    recent: Recent,
    /// The newest block that was called final.
    finalized: Option<Block>,
    /// What an earlier process had seen.
    resumed: Option<Cursor>,
    watched: BTreeMap<ChannelId, Watched>,
}

impl Follower {
    /// A follower that has seen nothing.
    #[must_use]
    pub fn new(deployment: Deployment, table: DepthTable) -> Self {
        let (recent, watched) = (Recent::default(), BTreeMap::new());
        Self { deployment, table, recent, finalized: None, resumed: None, watched }
    }

    /// A follower that knows how far an earlier one had seen: a node that is not as far yet is not
    /// believed.
    pub fn resume(deployment: Deployment, table: DepthTable, cursor: &[u8]) -> Result<Self, Error> {
        let resumed = Cursor::from_bytes(cursor).ok_or(Error::Cursor)?;
        Ok(Self { resumed: Some(resumed), ..Self::new(deployment, table) })
    }

    /// How far it has seen, for [`Follower::resume`].
    #[must_use]
    pub fn cursor(&self) -> Option<Cursor> {
        let seen = self.recent.head().map(|head| Cursor { number: head.number, hash: head.hash });
        seen.or(self.resumed)
    }

    /// The chain's clock: the time of the newest block that was seen, by which the contract
    /// measures every window.
    #[must_use]
    pub fn clock(&self) -> Option<u64> {
        self.recent.head().map(|head| head.timestamp)
    }

    /// The newest block that is as deep as a channel's value asks for, as of the last look.
    #[must_use]
    pub fn settled(&self, id: &ChannelId) -> Option<Block> {
        let head = self.recent.head()?;
        self.watched.get(id).and_then(|watched| self.settled_of(watched, head, self.finalized))
    }

    /// The newest block that was seen.
    #[must_use]
    pub fn head(&self) -> Option<Block> {
        self.recent.head().copied()
    }

    /// Forgets what it has seen, though not whom it watches: for when a node lied about how high
    /// the chain is.
    pub fn start_over(&mut self) {
        self.recent = Recent::default();
        (self.finalized, self.resumed) = (None, None);
        for watched in self.watched.values_mut() {
            watched.told = None;
        }
    }

    /// Watches a channel from the next look on, and tells its standing then.
    pub fn watch(&mut self, watch: Watch) -> Result<(), Error> {
        let id = watch.params.id();
        if *watch.initial.id() != id {
            return Err(Error::Unfit { channel: id, what: "the first state is another channel's" });
        }
        if self.deployment.rows(watch.initial.outcome()).is_empty() {
            return Err(Error::NotOurs(id));
        }
        if self.watched.len() >= CHANNELS_MAX && !self.watched.contains_key(&id) {
            return Err(Error::TooManyWatched(CHANNELS_MAX));
        }
        let depth = self.table.depth_of(&self.deployment, watch.initial.outcome());
        let evidence = Evidence::default();
        self.watched.insert(id, Watched { watch, depth, evidence, told: None });
        Ok(())
    }

    /// Watches it no longer.
    pub fn unwatch(&mut self, id: &ChannelId) {
        self.watched.remove(id);
    }

    /// The watched channels.
    pub fn watched(&self) -> impl Iterator<Item = &ChannelId> {
        self.watched.keys()
    }

    /// Looks at the chain. An error means that nothing was seen; what was told stands.
    pub fn look(&mut self, node: Node<'_>) -> Result<Look, Error> {
        let (head, finalized) = self.advance(node)?;
        let places = self.places(head, finalized);
        let mut levels: BTreeMap<B256, BTreeMap<ChannelId, Levels>> = BTreeMap::new();
        for (block, ids) in by_block(&places) {
            let watches = ids.iter().filter_map(|id| self.watched.get(id));
            let watches: Vec<&Watch> = watches.map(|one| &one.watch).collect();
            levels.insert(block.hash, levels::read(node, &self.deployment, &watches, block)?);
        }
        let mut look = Look::default();
        for (id, (head, settled)) in places {
            let Some(watched) = self.watched.get_mut(&id) else { continue };
            let mut view = View {
                node,
                deployment: &self.deployment,
                recent: &self.recent,
                levels: &levels,
                watched,
            };
            match view.report(id, head, settled) {
                Err(error) => look.unread.push((id, error)),
                Ok(report) if watched.is_told(&report) => {}
                Ok(report) => {
                    watched.told = Some(report.clone());
                    look.reports.push(report);
                }
            }
        }
        Ok(look)
    }

    /// Takes the node's newest blocks, as many as the deepest channel needs.
    fn advance(&mut self, node: Node<'_>) -> Result<(Block, Option<Block>), Error> {
        let head = node.head()?;
        if self.resumed.is_some_and(|seen| head.number < seen.number) {
            return Err(Error::unavailable("is behind what was seen of the chain before"));
        }
        let finalized = self.read_finalized(node, &head)?;
        // Down to what was final before, so that it can be seen whether it still is.
        let finals = finalized.iter().chain(&self.finalized).map(|block| block.number).min();
        let mut needed = finals.map_or(1, |number| head.number.saturating_sub(number));
        for watched in self.watched.values() {
            needed = needed.max(watched.depth.blocks().unwrap_or(1));
        }
        let needed = needed.saturating_add(1).min(WINDOW_BLOCKS);
        let mut branch = vec![head];
        loop {
            match self.recent.step(&branch, needed)? {
                Step::Known => break,
                Step::Joined => break self.recent.join(branch),
                Step::Apart => break self.recent.replace(branch),
                Step::Fetch(hash) => {
                    let block = node.block(At::Hash(hash))?;
                    let lacks = || Error::unavailable("shows a block and not the one before it");
                    branch.push(block.ok_or_else(lacks)?);
                }
            }
        }
        self.check_finalized(node, finalized)?;
        self.resumed = None;
        Ok((head, finalized))
    }

    fn read_finalized(&self, node: Node<'_>, head: &Block) -> Result<Option<Block>, Error> {
        if !self.watched.values().any(|one| one.depth == Depth::Finalized) {
            return Ok(None);
        }
        let block = node.block(At::Finalized)?;
        let lacks = || Error::unavailable("does not say which block is final");
        let block = block.ok_or_else(lacks)?;
        if block.number > head.number {
            return Err(Error::unavailable("calls a block final that is after its newest"));
        }
        Ok(Some(block))
    }

    /// What was final once stays, and what is final is part of the chain.
    fn check_finalized(&mut self, node: Node<'_>, finalized: Option<Block>) -> Result<(), Error> {
        for block in finalized.iter().chain(&self.finalized) {
            let here = match self.recent.at(block.number) {
                Some(here) => Some(*here),
                None => node.block(At::Number(block.number))?,
            };
            if here.is_none_or(|here| here.hash != block.hash) {
                return Err(Error::unavailable("contradicts what it called final"));
            }
        }
        match (finalized, self.finalized) {
            (Some(new), Some(old)) if new.number < old.number => {
                Err(Error::unavailable("takes back what it called final"))
            }
            (Some(new), _) => {
                self.finalized = Some(new);
                Ok(())
            }
            (None, _) => Ok(()),
        }
    }

    /// For each channel, the blocks that it is looked at.
    fn places(
        &self,
        head: Block,
        finalized: Option<Block>,
    ) -> BTreeMap<ChannelId, (Block, Option<Block>)> {
        let place = |(id, watched): (&ChannelId, &Watched)| {
            (*id, (head, self.settled_of(watched, &head, finalized)))
        };
        self.watched.iter().map(place).collect()
    }

    fn settled_of(
        &self,
        watched: &Watched,
        head: &Block,
        finalized: Option<Block>,
    ) -> Option<Block> {
        let settled = match watched.depth.blocks() {
            None => finalized,
            Some(depth) => {
                let number = head.number.checked_sub(depth.saturating_sub(1));
                number.and_then(|number| self.recent.at(number)).copied()
            }
        };
        settled.filter(|block| block.number >= self.deployment.from_block())
    }
}

impl Watched {
    fn is_told(&self, report: &Report) -> bool {
        let standing = |seen: &Option<Seen>| seen.as_ref().map(|seen| seen.standing.clone());
        self.told.as_ref().is_some_and(|told| {
            told.head.standing == report.head.standing
                && standing(&told.settled) == standing(&report.settled)
        })
    }
}

/// How a channel ended whose record after this block is this one. For whoever needs to know once;
/// a [`Follower`] remembers.
pub fn ended(
    node: Node<'_>,
    deployment: &Deployment,
    params: &Params,
    block: Block,
    record: Record,
) -> Result<Standing, Error> {
    let place = evidence::Place { node, deployment, recent: &Recent::default(), block };
    Evidence::default().standing(&place, params, record, 0)
}

/// Everything that one channel's report is made from.
struct View<'a> {
    node: Node<'a>,
    deployment: &'a Deployment,
    recent: &'a Recent,
    levels: &'a BTreeMap<B256, BTreeMap<ChannelId, Levels>>,
    watched: &'a mut Watched,
}

impl View<'_> {
    fn report(
        &mut self,
        channel: ChannelId,
        head: Block,
        settled: Option<Block>,
    ) -> Result<Report, Error> {
        let head = self.seen(channel, head)?;
        let settled = settled.map(|block| self.seen(channel, block)).transpose()?;
        Ok(Report { channel, head, settled })
    }

    fn seen(&mut self, id: ChannelId, block: Block) -> Result<Seen, Error> {
        let levels = self.levels.get(&block.hash).and_then(|all| all.get(&id));
        let Some(levels) = levels else {
            return Err(Error::unavailable("left out a channel"));
        };
        let Watched { watch, evidence, .. } = &mut *self.watched;
        let rows = self.deployment.rows(watch.initial.outcome());
        let standing = match levels.record {
            None => standing::unregistered(watch.initial.outcome(), &rows, &levels.held),
            Some(record) => {
                let place = evidence::Place {
                    node: self.node,
                    deployment: self.deployment,
                    recent: self.recent,
                    block,
                };
                let unpaid = unpaid(&rows, &levels.held, watch.own);
                evidence.standing(&place, &watch.params, record, unpaid)?
            }
        };
        Ok(Seen { block, standing })
    }
}

/// A bit for each row of which anything is still held, for this participant if one is named.
fn unpaid(rows: &[usize], held: &[Vec<Amount>], own: Option<usize>) -> u32 {
    let is_held = |held: &[Amount]| {
        let mut all = held.iter().enumerate();
        all.any(|(one, it)| *it != Amount::ZERO && own.is_none_or(|own| own == one))
    };
    let left = rows.iter().zip(held).filter(|(_, held)| is_held(held));
    left.filter_map(|(row, _)| u32::try_from(*row).ok())
        .fold(0, |bits, row| bits | 1_u32.checked_shl(row).unwrap_or_default())
}

fn by_block(
    places: &BTreeMap<ChannelId, (Block, Option<Block>)>,
) -> impl Iterator<Item = (Block, Vec<ChannelId>)> {
    let mut blocks: BTreeMap<B256, (Block, Vec<ChannelId>)> = BTreeMap::new();
    for (id, (head, settled)) in places {
        let different = settled.filter(|block| block.hash != head.hash);
        for block in [Some(*head), different].into_iter().flatten() {
            blocks.entry(block.hash).or_insert((block, Vec::new())).1.push(*id);
        }
    }
    blocks.into_values()
}
