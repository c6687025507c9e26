//! Transactions that several parties make together: opening channels, and changing them with
//! everybody's consent.
//!
//! Each party sends one [`Contribution`]; from the same [`Terms`] and contributions, [`assemble`]
//! gives every party the same transaction, hence the same channel ids. [`Assembly::check`] proves,
//! before anything is signed, that every shannon and token goes where it was agreed; only its
//! result can be signed. The same steps close channels cooperatively and replace them by
//! successors: a channel that ends is one more source of money. The invariant: a lock witness of
//! ours leaves only for a transaction that pays us in full, whoever completes it, and whenever.

mod abort;
mod assemble;
mod check;
mod contribution;
mod propose;
mod reserve;

pub use abort::{abort_open, is_abort};
pub use assemble::{Assembly, ChannelTerms, Ending, OpenedChannel, Party, Terms, assemble};
pub use check::{Checked, Completed};
pub use contribution::{
    CHANGE_MAX, CHANNELS_MAX, Change, ContributedInput, Contribution, DEPS_MAX, INPUTS_MAX,
};
pub use propose::{Offer, contribute};
pub use reserve::default_reserves;
