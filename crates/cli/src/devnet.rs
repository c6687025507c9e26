//! `perun devnet`: a CKB chain with the Perun programs on it, for others to connect to.
//!
//! The chain of `perun-embedded-ckb` behind its JSON-RPC server, plus the two things it lacks on
//! purpose: a clock and somebody who makes blocks. It lives in memory and ends with the process.
//! The invariant: chain time never runs backwards by our doing, and nothing is printed of a block
//! twice.

mod listener;
mod opening;

pub use listener::Listener;

use crate::problem::Problem;
use crate::programs::Programs;
use ckb_types::packed::Byte32;
use perun_backend_ckb::rpc::{DevControl, Rpc};
use perun_embedded_ckb::{Chain, Commit, serve};
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// What can be chosen for the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Where its server listens.
    pub listen: SocketAddr,
    /// When blocks are made.
    pub pace: Pace,
}

/// When blocks are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// One after each of these spans. A transaction is committed by the third block, as on every
    /// chain.
    Every(Duration),
    /// One as soon as a transaction waits, which that block commits.
    Instant,
}

/// How often the chain is looked at: for waiting transactions, and for blocks that a client made.
const LOOK: Duration = Duration::from_millis(20);

/// The most blocks that are told about after one look; a client can make thousands with one call.
const TOLD_MAX: u64 = 1_000;

/// Runs the chain until somebody sends on `stopped`, or nobody can any more.
pub fn run(
    options: &Options,
    stopped: &Receiver<()>,
    listener: &mut Listener,
) -> Result<(), Problem> {
    let programs = Programs::of_environment()?;
    let failed = |error: &dyn std::error::Error| Problem::Chain(error.to_string());
    let genesis = programs.genesis().map_err(|error| failed(&error))?;
    let mut chosen = perun_embedded_ckb::Options::new(&genesis);
    if options.pace == Pace::Instant {
        chosen.commit = Commit::Instant;
    }
    chosen.start_ms = now_ms();
    let chain = Chain::with_options(&genesis, chosen);
    // The index and `since` want a block with a time of today.
    mine(&chain)?;
    let server = serve(chain.clone(), options.listen)
        .map_err(|error| Problem::Listen { address: options.listen, error })?;
    listener.opened(&opening::report(server.url(), &chain, &programs, options.pace)?);
    // Nobody would know where the chain is.
    listener.check()?;

    let mut teller = Teller::new(&chain)?;
    let mut last_block = Instant::now();
    while stopped.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
        let due = match options.pace {
            Pace::Every(span) => last_block.elapsed() >= span,
            Pace::Instant => !chain.pool()?.is_empty(),
        };
        if due {
            last_block = Instant::now();
            mine(&chain)?;
        }
        teller.tell(&chain, listener)?;
    }
    drop(server);
    listener.closed(chain.tip_header()?.number());
    listener.check()
}

/// Makes a block of now, or of just after the tip if a client has moved the chain's clock ahead.
fn mine(chain: &Chain) -> Result<(), Problem> {
    let after_tip = chain.tip_header()?.timestamp().saturating_add(1);
    chain.mine_at(now_ms().max(after_tip))?;
    Ok(())
}

fn now_ms() -> u64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX)
}

/// Knows up to which block everything was told.
struct Teller {
    number: u64,
    hash: Byte32,
}

impl Teller {
    fn new(chain: &Chain) -> Result<Self, Problem> {
        let tip = chain.tip_header()?;
        Ok(Self { number: tip.number(), hash: tip.hash() })
    }

    /// Tells of blocks with transactions since the last time, whoever made them.
    fn tell(&mut self, chain: &Chain, listener: &mut Listener) -> Result<(), Problem> {
        let known = chain.header_by_number(self.number)?;
        let tip = chain.tip_header()?;
        if known.is_none_or(|header| header.hash() != self.hash) {
            // A client rolled back. Everything from the tip down may be new to us; who did that
            // knows.
            listener.rolled_back(tip.number());
            self.number = tip.number();
        }
        let first = self.number.max(tip.number().saturating_sub(TOLD_MAX)) + 1;
        for number in first..=tip.number() {
            if let Some(block) = chain.block_by_number(number)?
                && block.transactions().len() > 1
            {
                listener.block(&block);
            }
        }
        (self.number, self.hash) = (tip.number(), tip.hash());
        Ok(())
    }
}
