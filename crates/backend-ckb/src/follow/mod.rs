//! Following channels on CKB: what happened to each one, why, and how surely, across
//! reorganisations.
//!
//! [`Follower`] is a pure machine. It is given blocks and pool transactions, keeps a bounded window
//! of block hashes, and tells [`ChannelEvent`]s whose cause is decoded from the witness of the
//! transaction that made it; a cell that is merely gone explains nothing. [`sync`] is the edge: it
//! reads a node until the follower stands where the node does. Neither sends anything, decides
//! anything or checks signatures: the chain's scripts did that, and a state learned here is checked
//! by whoever uses it.
//!
//! A channel is told from all others by three things together: the exact vault lock, the hash of
//! the channel type script, and the id inside the cell. Whatever else lies under that lock is
//! ignored.
//!
//! Events are delivered at least once. The caller stores the follower, by its
//! [`Encode`](perun_channel::codec::Encode), in the same step as what it makes of the events; after
//! a crash in between, the stored follower tells the same events with the same [`EventKey`]s again.
//!
//! The invariant: what the follower believes committed is exactly what the blocks from its cursor
//! backwards say. A block is used only if its number, parent, header hash and transactions fit
//! together, so a node that omits, repeats or goes back can delay an event, not invent or hide one
//! for good.

mod block;
mod channel;
mod codec;
mod error;
mod event;
mod evidence;
mod follower;
mod plan;
mod sync;
mod time;
mod watch;
mod window;

pub use block::{Block, BlockStamp};
pub use error::{FollowError, Inconsistency};
pub use event::{Cause, Change, ChannelEvent, EventKey, PlacedCell, Status};
pub use follower::{CHANNELS_MAX, Follower};
pub use sync::{Standing, Walk, checkpoint, sync};
pub use time::{deadline_ms, deadline_reached, median_time};
pub use watch::{Creation, Depth, INPUTS_MAX, Watch};
pub use window::{Checkpoint, WINDOW_BLOCKS};
