//! What a house tells its user: events as they happen, and how a channel stands when asked.

use perun_channel::ChannelId;
use perun_protocol::{Agreed, Event, OpeningId, PhaseName, Sighting, Target, WaitingFor};
use perun_wire::PeerId;

/// Something the user should know.
#[derive(Clone, Debug)]
pub struct NodeEvent {
    /// Which channel.
    pub opening: OpeningId,
    /// With whom.
    pub peer: PeerId,
    /// What.
    pub event: UserEvent,
}

/// What a user is told.
#[derive(Clone, Debug)]
pub enum UserEvent {
    /// The channel's machine says it.
    Channel(Box<Event>),
    /// An order to the ledger failed; the machine tries again at its deadline.
    LedgerTrouble(String),
    /// The node cannot go on, for this reason. Every channel is told; all are safe in the store.
    Stopped(String),
}

/// How a channel stands in this house.
#[derive(Clone, Debug)]
pub struct Status {
    /// Its id, once there is one.
    pub id: Option<ChannelId>,
    /// Where its machine stands.
    pub phase: PhaseName,
    /// What it waits for.
    pub waiting_for: WaitingFor,
    /// Our newest complete state.
    pub agreed: Option<Agreed>,
    /// How many of our payments wait.
    pub queued: usize,
    /// What each of its ledgers needs to know of the channel, once it is looked for there.
    pub targets: Vec<Target>,
    /// How it stands on them, as last reported.
    pub sightings: Vec<Sighting>,
}
