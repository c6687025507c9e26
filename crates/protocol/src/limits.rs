//! Every limit of the protocol, with the reason for its size. Nothing a peer or a user sends can
//! make a machine hold more than these say.

/// The most payments in one update. A full batch of the longest memos is below 300 KB, so an update
/// fits well into one frame of 1 MiB and into one journal record.
pub const MAX_BATCH: usize = 1_024;
/// The most payments that wait for an update: a minute of payments at a thousand per second, at
/// most 20 MB of memory per channel.
pub const MAX_QUEUE: usize = 65_536;
/// The most bytes of a payment's memo: an invoice reference or a hash with a little text.
pub const MAX_MEMO: usize = 256;
/// The most bytes of one opaque ledger payload (inputs and change, witnesses, setups): what the
/// two-byte length in front of it can say.
pub const MAX_LEDGER_BYTES: usize = 65_535;
/// The most ledgers of one channel: each costs a dispute of its own, which must be paid for and
/// answered in time on all of them.
pub const MAX_LEDGERS: usize = 4;
/// The most versions that a peer's word alone makes us skip. Skipped versions are never used again;
/// at this step the counter of 64 bits lasts for ever, whatever a peer does.
pub const MAX_VERSION_SKIP: u64 = 1_048_576;
/// How often a cooperative close is submitted before the channel goes through a dispute with the
/// same final state instead.
pub const MAX_CLOSE_ATTEMPTS: u32 = 3;
/// The longest wait that a configuration may name, in seconds (one week): longer is no deadline.
pub const MAX_WAIT_SECS: u64 = 604_800;
/// The most assets that a configuration lets move in a swap of a single update. A person sets each.
pub const MAX_PLAIN_SWAPS: usize = 8;
/// The most bytes of a swap: one leg for each asset that one byte can name.
pub const MAX_SWAP_BYTES: usize = 33 + 27 * 256;
