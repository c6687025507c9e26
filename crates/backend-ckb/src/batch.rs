//! Many channels' steps in few transactions, and what to do when one of them spoils the rest.
//!
//! One spent channel cell makes a whole transaction invalid. A batch that is refused is halved
//! until the one that stands in the way is alone; the others go on without it. The invariant: every
//! job has one result, and a job's error is the error of a transaction that held that job alone,
//! unless nothing could be sent at all.

use crate::Error;
use crate::dispute::{Job, draft};
use crate::purse::{Paid, Purse};
use crate::rpc::RpcError;

/// Most jobs that are tried in one transaction: what fits into its cycles if every job brings the
/// signatures of two participants, with room to spare.
pub const BATCH_MAX: usize = 16;

/// What became of a batch.
#[derive(Debug, Default)]
pub struct Batch {
    /// The transactions sent.
    pub sent: Vec<Paid>,
    /// For each job in order: the position of its transaction in `sent`, or why it was not sent.
    pub results: Vec<Result<usize, Error>>,
}

/// Sends all jobs in as few transactions as the chain takes, and isolates those that cannot be
/// sent.
#[must_use]
pub fn submit(purse: &Purse<'_>, jobs: &[Job]) -> Batch {
    submit_by(purse, jobs, BATCH_MAX)
}

/// [`submit`] with at most `most` jobs in one transaction.
#[must_use]
pub fn submit_by(purse: &Purse<'_>, jobs: &[Job], most: usize) -> Batch {
    let mut batch = Batch::default();
    // Groups still to be tried, the next one last.
    let mut groups: Vec<&[Job]> = jobs.chunks(most.max(1)).rev().collect();
    while let Some(group) = groups.pop() {
        match send(purse, group) {
            Ok(paid) => {
                batch.results.extend(group.iter().map(|_| Ok(batch.sent.len())));
                batch.sent.push(paid);
            }
            Err(error) if group.len() > 1 && may_be_one_jobs_fault(&error) => {
                let (first, second) = group.split_at(group.len().div_ceil(2));
                groups.push(second);
                groups.push(first);
            }
            Err(error) => batch.results.extend(group.iter().map(|_| Err(error.clone()))),
        }
    }
    batch
}

fn send(purse: &Purse<'_>, group: &[Job]) -> Result<Paid, Error> {
    let paid = purse.pay(&draft(group, purse.deployment())?)?;
    match purse.send(&paid) {
        Ok(_) => Ok(paid),
        Err(error) => {
            // A node that was not reached may have taken it all the same: the cells stay promised.
            if !matches!(error, Error::Rpc(RpcError::Transport(_) | RpcError::Reply(_))) {
                purse.release(&paid)?;
            }
            Err(error)
        }
    }
}

/// Whether fewer jobs could do better.
const fn may_be_one_jobs_fault(error: &Error) -> bool {
    !matches!(
        error,
        Error::Rpc(RpcError::Transport(_) | RpcError::Reply(_) | RpcError::PoolFull { .. })
            | Error::Reserved(_)
            | Error::BookFull { .. }
            | Error::ReservationUnknown
            | Error::NotOurs
            | Error::Key
    )
}
