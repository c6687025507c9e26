//! Orders of disputes that could not be given yet. Pure.
//!
//! There is one of each kind for a channel, the newest: an older one of the same kind is overtaken.

use std::collections::BTreeMap;

use perun_backend_evm::orders::Decision;
use perun_channel::{ChannelId, Params, SignedState, State};

/// An order about a channel.
#[derive(Clone)]
pub(super) struct Given {
    pub(super) params: Params,
    pub(super) order: Order,
}

/// What is ordered.
#[derive(Clone)]
pub(super) enum Order {
    Register(SignedState),
    Close(SignedState),
    Conclude(State, Decision),
}

/// What the orders are told apart by, those first whose time is the shortest.
type Key = (u8, ChannelId);

/// The orders that wait.
#[derive(Default)]
pub(super) struct Waiting(BTreeMap<Key, Given>);

impl Given {
    fn key(&self) -> Key {
        let kind = match self.order {
            Order::Register(_) => 0,
            Order::Conclude(..) => 1,
            Order::Close(_) => 2,
        };
        (kind, self.params.id())
    }
}

impl Waiting {
    pub(super) fn put(&mut self, given: Given) {
        self.0.insert(given.key(), given);
    }

    /// It need not wait any more.
    pub(super) fn take(&mut self, given: &Given) {
        self.0.remove(&given.key());
    }

    /// All of them, in the order in which they are to be given.
    pub(super) fn all(&self) -> Vec<Given> {
        self.0.values().cloned().collect()
    }
}
