//! How watched channels stand: the follower's reports as a house's sightings.
//!
//! A report of the follower is about the chain alone. Here it becomes one about our money: a
//! channel is open only when what it pays us reaches our wallet, what is unpaid is what we are not
//! paid, and a registration whose window is over is the outcome. The follower stays silent while
//! the chain shows the same, so its last report is kept and read anew at every look.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::Address;
use perun_backend_evm::Deployment;
use perun_backend_evm::abi::{eth, funding_id, solidity as sol};
use perun_backend_evm::follow::{
    BLOCKS_MAX, DepthTable, Ending, Follower, Proof, Report, Standing as Seen, Watch,
};
use perun_backend_evm::rpc::{At, Node};
use perun_channel::{Amount, ChannelId, LedgerId, Signature, State, Swap, Version};
use perun_protocol::{LedgerTime, Preimage, Sighting, Slot, Standing, Target, TransactionId};

use super::place::Place;
use super::refused;
use crate::LedgerError;

/// One watched channel.
struct Watched {
    target: Target,
    place: Place,
    report: Option<Report>,
    told: Option<Sighting>,
    /// Whether our payee was bound at a depth that no reorganisation reaches.
    bound: bool,
    /// The newest state that an order named: the chain does not always show a final one.
    ordered: Option<State>,
    /// In which block it was seen that nothing is left to do.
    over: Option<u64>,
}

/// The channels of a house on this chain.
pub(super) struct Watcher {
    ledger: LedgerId,
    deployment: Deployment,
    follower: Follower,
    watched: BTreeMap<ChannelId, Watched>,
    /// Those that the last look could not read, and those of them that were not named yet.
    unread: BTreeSet<ChannelId>,
    unnamed: Vec<(ChannelId, LedgerError)>,
}

impl Watcher {
    pub(super) fn new(ledger: LedgerId, deployment: &Deployment, depths: DepthTable) -> Self {
        let follower = Follower::new(deployment.clone(), depths);
        let deployment = deployment.clone();
        let (watched, unread, unnamed) = (BTreeMap::new(), BTreeSet::new(), Vec::new());
        Self { ledger, deployment, follower, watched, unread, unnamed }
    }

    /// Watches a channel from the next look on, and tells its standing then.
    pub(super) fn watch(&mut self, target: &Target) -> Result<(), LedgerError> {
        let place = Place::of(target)?;
        let (params, initial) = (target.params.clone(), place.initial.clone());
        let own = Some(target.index.column());
        self.follower.watch(Watch { params, initial, own }).map_err(refused)?;
        let ordered = self.watched.remove(&target.id).and_then(|watched| watched.ordered);
        let (report, told, bound, over) = (None, None, false, None);
        let target = target.clone();
        let watched = Watched { target, place, report, told, bound, ordered, over };
        self.watched.insert(watched.target.id, watched);
        Ok(())
    }

    /// Watches a channel no longer.
    pub(super) fn unwatch(&mut self, id: &ChannelId) {
        self.watched.remove(id);
        self.follower.unwatch(id);
    }

    /// Remembers a state that an order named.
    pub(super) fn ordered(&mut self, state: &State) {
        if let Some(watched) = self.watched.get_mut(state.id()) {
            watched.ordered = Some(state.clone());
        }
    }

    /// The chain's clock, as the last look saw it.
    pub(super) fn clock(&self) -> Option<LedgerTime> {
        self.follower.clock().map(LedgerTime::new)
    }

    /// Looks at the chain: how the channels stand that stand otherwise than was told last.
    pub(super) fn look(&mut self, node: Node<'_>) -> Result<Vec<Sighting>, LedgerError> {
        let look = self.follower.look(node).map_err(refused)?;
        for report in look.reports {
            if let Some(watched) = self.watched.get_mut(&report.channel) {
                watched.report = Some(report);
            }
        }
        // One channel of which nothing can be said must not hold up the others.
        let mut unread = look.unread;
        let mut sightings = Vec::new();
        let ids: Vec<_> = self.watched.keys().copied().collect();
        for id in ids {
            if unread.iter().any(|(other, _)| *other == id) {
                continue;
            }
            match self.sighting(node, &id) {
                Ok(news) => sightings.extend(news),
                Err(error) => unread.push((id, error)),
            }
        }
        self.let_go();
        self.note_unread(unread);
        Ok(sightings)
    }

    fn note_unread(&mut self, unread: Vec<(ChannelId, perun_backend_evm::Error)>) {
        let before = std::mem::take(&mut self.unread);
        self.unread = unread.iter().map(|(id, _)| *id).collect();
        let news = unread.into_iter().filter(|(id, _)| !before.contains(id));
        self.unnamed.extend(news.map(|(id, error)| (id, refused(error))));
    }

    /// Channels that the last looks could not read, each named once until it is read again.
    pub(super) fn unread(&mut self) -> Vec<(ChannelId, LedgerError)> {
        std::mem::take(&mut self.unnamed)
    }

    fn sighting(
        &mut self,
        node: Node<'_>,
        id: &ChannelId,
    ) -> Result<Option<Sighting>, perun_backend_evm::Error> {
        let settled = self.follower.settled(id);
        let (ledger, channel) = (self.ledger, *id);
        let Some(watched) = self.watched.get_mut(id) else { return Ok(None) };
        let Some(report) = watched.report.clone() else { return Ok(None) };
        let mut confirmed = report.is_settled();
        let standing = match report.head.standing {
            Seen::Absent | Seen::Funding { .. } => Standing::Absent,
            Seen::Open => {
                let (reaches, is_final) =
                    self.reaches_us(node, id, settled.map(|at| At::Hash(at.hash)))?;
                confirmed = confirmed && is_final;
                if reaches { Standing::Open } else { Standing::Absent }
            }
            Seen::Registered { state, proof, until, concludable } => {
                let is_over = settled.is_some_and(|block| block.timestamp >= concludable);
                let peer = watched.target.index.other();
                match confirmed && is_over && !self.is_undecided(&state) {
                    // No newer state can be shown any more: it is the outcome.
                    true => {
                        let unpaid = self.due(id, &state);
                        Standing::Concluded { state, unpaid, preimage: None }
                    }
                    false => registered(peer, state, &proof, until),
                }
            }
            Seen::Concluded(ending) => {
                let (unpaid, preimage) = (ending.unpaid, ending.preimage.map(Preimage::new));
                let state = watched.outcome(ending);
                let lacks = perun_backend_evm::Error::Unavailable(
                    "does not show the state that ended a channel".into(),
                );
                Standing::Concluded { state: state.ok_or(lacks)?, unpaid, preimage }
            }
            Seen::Spent { digest, .. } => {
                Standing::Spent { transaction: TransactionId::new(digest) }
            }
        };
        let sighting = Sighting { ledger, channel, standing, confirmed };
        let Some(watched) = self.watched.get_mut(id) else { return Ok(None) };
        if watched.told.as_ref() == Some(&sighting) {
            return Ok(None);
        }
        watched.bound = watched.bound && matches!(sighting.standing, Standing::Open);
        let is_over = confirmed && ends(&sighting.standing);
        watched.over = is_over.then_some(report.head.block.number);
        watched.told = Some(sighting.clone());
        Ok(Some(sighting))
    }

    /// Whether what the channel pays us goes to the payee that we named: at the newest block, and
    /// at the depth. A deposit binds it in the same transaction, but who brings nothing binds it
    /// alone.
    fn reaches_us(
        &mut self,
        node: Node<'_>,
        id: &ChannelId,
        settled: Option<At>,
    ) -> Result<(bool, bool), perun_backend_evm::Error> {
        let Some(watched) = self.watched.get_mut(id) else { return Ok((false, false)) };
        if watched.bound {
            return Ok((true, true));
        }
        let column = watched.target.index.column();
        let own = watched.target.params.participants().get(column);
        let (Some(own), Some(payee)) = (own, watched.place.payees.get(column)) else {
            return Ok((false, false));
        };
        let question = sol::Hub::payeeOfCall { fundingID: funding_id(id, own.address()) };
        let is_bound = |at| -> Result<bool, perun_backend_evm::Error> {
            let bound = node.read(self.deployment.hub(), &question, at)?;
            Ok(bound == *payee || (bound == Address::ZERO && eth(own.address()) == *payee))
        };
        watched.bound = settled.map_or(Ok(false), is_bound)?;
        Ok((watched.bound || is_bound(At::Latest)?, watched.bound))
    }

    /// Whether a swap has a leg on this chain: then not the end of the window decides what comes
    /// out, but who shows the preimage or lets the leg lapse.
    fn is_undecided(&self, state: &State) -> bool {
        let rows = self.deployment.rows(state.outcome());
        let swap = Swap::pending(state).ok().flatten();
        swap.is_some_and(|swap| {
            swap.legs().iter().any(|leg| rows.contains(&usize::from(leg.asset)))
        })
    }

    /// A bit for each row of this chain in which we are due anything, or would get our deposit
    /// back.
    fn due(&self, id: &ChannelId, state: &State) -> u32 {
        let Some(watched) = self.watched.get(id) else { return 0 };
        let column = watched.target.index.column();
        let is_due = |row: &usize| {
            let balance = state.outcome().balance(*row, column).unwrap_or_default();
            balance != Amount::ZERO || watched.place.share(*row, column) != Amount::ZERO
        };
        let rows = self.deployment.rows(state.outcome()).into_iter().filter(is_due);
        rows.filter_map(|row| 1_u32.checked_shl(u32::try_from(row).ok()?)).fold(0, |a, b| a | b)
    }

    /// The assets of channels of which everything is paid: what could not be paid out waits for us
    /// there as a credit.
    pub(super) fn paid_holders(&self, sightings: &[Sighting]) -> Vec<Address> {
        let over = sightings.iter().filter(|it| it.confirmed && ends(&it.standing));
        let watched = over.filter_map(|it| self.watched.get(&it.channel));
        let outcomes = watched.map(|watched| watched.place.initial.outcome());
        let holders = outcomes.flat_map(|outcome| {
            let rows = self.deployment.rows(outcome);
            rows.into_iter().filter_map(|row| outcome.assets().get(row))
        });
        holders.map(|asset| eth(asset.holder())).collect()
    }

    /// The channels that are neither open nor over: version 0 of each, and our column.
    pub(super) fn unsettled(&self) -> impl Iterator<Item = (&State, usize)> {
        let is_open = |it: &Sighting| it.confirmed && matches!(it.standing, Standing::Open);
        let is_quiet =
            move |it: &Watched| it.over.is_some() || it.told.as_ref().is_some_and(is_open);
        let unsettled = self.watched.values().filter(move |watched| !is_quiet(watched));
        unsettled.map(|watched| (&watched.place.initial, watched.target.index.column()))
    }

    /// Lets go of channels of which nothing more can be heard.
    fn let_go(&mut self) {
        let Some(head) = self.follower.head() else { return };
        let follower = &mut self.follower;
        self.watched.retain(|id, watched| {
            let is_gone = watched
                .over
                .is_some_and(|over| head.number.saturating_sub(over) > u64::from(BLOCKS_MAX));
            if is_gone {
                follower.unwatch(id);
            }
            !is_gone
        });
    }
}

impl Watched {
    /// The state that ended the channel, if the chain shows it or an order named it. The chain does
    /// not always show a final one, and one that we proposed the peer may have kept to itself: it
    /// has the balances of the newest complete state, which an order named.
    fn outcome(&self, ending: Ending) -> Option<State> {
        let named = || self.ordered.iter().chain([&self.place.initial]);
        let version = Version::new(ending.version);
        let last = |state: &State| state.at_version(version, state.outcome().clone()).finalized();
        let known = named().cloned().chain(named().map(last));
        let (state, fingerprint) = (ending.state, ending.fingerprint);
        state.or_else(|| known.into_iter().find(|state| fingerprint.is_of(state)))
    }
}

/// Whether nothing follows this standing.
const fn ends(standing: &Standing) -> bool {
    matches!(standing, Standing::Concluded { unpaid: 0, .. } | Standing::Spent { .. })
}

/// A registration, by whichever right: this ledger counts none.
fn registered(peer: perun_protocol::Index, state: State, proof: &Proof, until: u64) -> Standing {
    let by = Slot { participant: peer, delegate: false };
    let proof: Option<[Signature; 2]> = match proof {
        Proof::Signed(signatures) => signatures.as_slice().try_into().ok(),
        Proof::Step { .. } => None,
    };
    Standing::Registered { state, by, until: LedgerTime::new(until), proof }
}
