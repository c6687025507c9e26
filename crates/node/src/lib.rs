//! The house: one party's node.
//!
//! It owns what the lower floors must not: clock, keys, sockets, disk. For each input it asks a
//! [`perun_protocol::Machine`] what to do, stores what the machine wants remembered, and only then
//! carries out the effects: messages to the peer, orders to each [`Ledger`], events to the user.
//! Many inputs that arrive together share one sync of the disk.
#![forbid(unsafe_code)]

mod chance;
mod ckb;
mod error;
mod evm;
mod forward;
mod gate;
mod goperun;
mod house;
mod journal;
mod keys;
mod ledger;
mod ledgers;
mod networks;
mod node;
mod outbox;
mod redial;
mod report;
mod timing;

pub use chance::entropy;
pub use ckb::{CkbLedger, CkbOptions};
pub use error::{LedgerError, NodeError};
pub use evm::{EvmLedger, EvmOptions};
pub use goperun::peer_id as go_perun_peer_id;
pub use house::{House, Post};
pub use keys::SessionKey;
pub use ledger::{
    DepositLedger, JointAssembly, JointLedger, JointOffer, Ledger, OpenRequest, Signer,
};
pub use ledgers::AnyLedger;
pub use node::{Clock, Node, NodeOptions, system_clock};
pub use report::{NodeEvent, Status, UserEvent};
