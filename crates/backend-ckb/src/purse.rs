//! A wallet at work: its cells, its book and the node, put together to pay for drafts.
//!
//! This is the edge: it asks the node, reserves, signs and sends. It decides nothing about
//! channels. The invariant: nothing is signed that the verdict refuses, and nothing is sent that
//! was not signed after its cells were reserved.

use crate::Error;
use crate::balance::{Funds, balance};
use crate::cells::{Reservations, Ticket, free_cells};
use crate::deployment::Deployment;
use crate::fees::{Fee, RateBounds, TRANSACTION_CYCLES_MAX};
use crate::precheck::precheck;
use crate::rpc::{Cell, Rpc, RpcError};
use crate::tx::{Draft, Resolved, Spend};
use crate::wallet::{Wallet, fill, sign_inputs};
use ckb_types::packed::Byte32;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Rounds until fee and cycles agree. One is the rule, two where cycles outweigh bytes.
const ROUNDS_MAX: usize = 4;

/// A wallet's purse at one node.
pub struct Purse<'a> {
    rpc: &'a dyn Rpc,
    deployment: &'a Deployment,
    wallet: &'a dyn Wallet,
    book: &'a Mutex<Reservations>,
    /// The bounds on fee rates.
    pub bounds: RateBounds,
    /// The largest fee of one transaction.
    pub fee_cap: u64,
}

/// A transaction that is paid, judged, signed and dry-run, not sent.
#[derive(Clone, Debug)]
pub struct Paid {
    /// The draft that it completes, for a replacement.
    pub draft: Draft,
    /// The transaction and the cells it spends.
    pub spent: Resolved,
    /// The wallet's cells in it.
    pub taken: Vec<Cell>,
    /// The fee.
    pub fee: u64,
    /// The cycles of its scripts, by the node's dry run.
    pub cycles: u64,
    /// The promises of the wallet's cells, a replaced payment's among them.
    pub tickets: Vec<Ticket>,
}

impl Paid {
    /// The transaction's hash.
    #[must_use]
    pub fn hash(&self) -> Byte32 {
        self.spent.tx.hash()
    }
}

impl<'a> Purse<'a> {
    /// The purse of this wallet. All purses of one wallet must share one book.
    #[must_use]
    pub fn new(
        rpc: &'a dyn Rpc,
        deployment: &'a Deployment,
        wallet: &'a dyn Wallet,
        book: &'a Mutex<Reservations>,
    ) -> Self {
        /// One CKB: a thousand times a usual fee.
        const FEE_CAP: u64 = crate::money::CKB;
        Self { rpc, deployment, wallet, book, bounds: RateBounds::default(), fee_cap: FEE_CAP }
    }

    /// The node.
    #[must_use]
    pub const fn rpc(&self) -> &'a dyn Rpc {
        self.rpc
    }

    /// The chain's programs and tokens.
    #[must_use]
    pub const fn deployment(&self) -> &'a Deployment {
        self.deployment
    }

    /// The wallet.
    #[must_use]
    pub const fn wallet(&self) -> &'a dyn Wallet {
        self.wallet
    }

    /// The book of promised cells.
    pub fn book(&self) -> MutexGuard<'a, Reservations> {
        // The book changes in single steps: whoever panicked left it whole.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Free cells under the wallet's first lock.
    pub fn cells(&self) -> Result<Vec<Cell>, Error> {
        let lock = self.wallet.locks().first().ok_or(Error::NotOurs)?;
        let reserved = self.book().clone();
        free_cells(self.rpc, self.deployment, &lock.script, &reserved)
    }

    /// Completes, judges and signs a draft at the node's fee rate, and reserves what it takes.
    pub fn pay(&self, draft: &Draft) -> Result<Paid, Error> {
        let rate = self.bounds.ask(self.rpc)?;
        let fee = Fee { cap: self.fee_cap, ..Fee::rate(rate) };
        self.settle(draft, fee, &self.cells()?, None)
    }

    /// The same payment with a fee that takes the place of the one before in the pool. Its cells
    /// stay reserved under the same promise; a further cell is added if the change does not
    /// suffice.
    pub fn bump(&self, paid: &Paid, fee_cap: u64) -> Result<Paid, Error> {
        let lookup = self.rpc.transaction(&paid.hash())?;
        let floor = lookup.replace_fee_min.unwrap_or(0);
        let rate = self.bounds.ask(self.rpc)?;
        let fee = Fee { floor, replaces: Some(paid.fee), cap: fee_cap, ..Fee::rate(rate) };
        let lock = self.wallet.locks().first().ok_or(Error::NotOurs)?;
        // All its cells again: a payment that shared no cell with this one could be committed too.
        let mut draft = paid.draft.clone();
        for cell in &paid.taken {
            if !draft.spends.iter().any(|spend| spend.cell.out_point == cell.out_point) {
                draft.spends.push(Spend { cell: cell.clone(), since: lock.since });
            }
        }
        self.settle(&draft, fee, &self.cells()?, Some(paid))
    }

    /// Sends a signed transaction. `Ok` means pending.
    pub fn send(&self, paid: &Paid) -> Result<Byte32, Error> {
        match self.rpc.send_transaction(&paid.spent.tx) {
            // Sent before, by us or by somebody who saw it: it is where it should be.
            Err(RpcError::Duplicate) => Ok(paid.hash()),
            sent => Ok(sent?),
        }
    }

    /// Gives the cells of a payment back: it was not sent, or will never be committed, or is.
    pub fn release(&self, paid: &Paid) -> Result<(), Error> {
        let mut book = self.book();
        paid.tickets.iter().try_for_each(|ticket| book.release(*ticket))
    }

    fn settle(
        &self,
        draft: &Draft,
        mut fee: Fee,
        cells: &[Cell],
        replaces: Option<&Paid>,
    ) -> Result<Paid, Error> {
        let lock = self.wallet.locks().first().ok_or(Error::NotOurs)?;
        let funds = Funds { lock, cells };
        for _ in 0..ROUNDS_MAX {
            let balanced = balance(draft, &funds, self.deployment, &fee)?;
            precheck(&balanced.spent, self.deployment)?;
            let promise = self.promise(&balanced.taken, replaces)?;
            let finished = self.finish(&balanced.spent, balanced.fee, fee);
            if let Ok((spent, cycles)) = finished {
                let mut tickets = replaces.map(|paid| paid.tickets.clone()).unwrap_or_default();
                tickets.extend(promise);
                let (draft, taken, fee) = (draft.clone(), balanced.taken, balanced.fee);
                return Ok(Paid { draft, spent, taken, fee, cycles, tickets });
            }
            if let Some(ticket) = promise {
                self.book().release(ticket)?;
            }
            match finished {
                Err(Retry::Fatal(error)) => return Err(error),
                Err(Retry::Cycles(cycles)) => fee.cycles = cycles,
                Ok(_) => {}
            }
        }
        Err(Error::TooLarge { size: 0, cycles: fee.cycles })
    }

    /// Signs, once the spent cells are proven to hold what we believe, and asks the node for the
    /// cycles. The fee must be right for them too.
    fn finish(&self, unsigned: &Resolved, paid: u64, fee: Fee) -> Result<(Resolved, u64), Retry> {
        unsigned.prove(self.rpc)?;
        let witnesses = sign_inputs(self.wallet, unsigned)?;
        let tx = fill(&unsigned.tx, &witnesses)?;
        let spent = Resolved { tx, inputs: unsigned.inputs.clone() };
        let cycles = self.rpc.estimate_cycles(&spent.tx).map_err(Error::Rpc)?;
        let size = spent.size();
        if cycles > TRANSACTION_CYCLES_MAX {
            return Err(Error::TooLarge { size, cycles }.into());
        }
        let need = Fee { cycles, ..fee }.of(size)?;
        if paid < need { Err(Retry::Cycles(cycles)) } else { Ok((spent, cycles)) }
    }

    /// Reserves what is taken, except what the replaced payment holds already.
    fn promise(&self, taken: &[Cell], replaces: Option<&Paid>) -> Result<Option<Ticket>, Error> {
        let held = |cell: &&Cell| {
            replaces.is_some_and(|paid| paid.taken.iter().any(|it| it.out_point == cell.out_point))
        };
        let places: Vec<_> =
            taken.iter().filter(|cell| !held(cell)).map(|cell| &cell.out_point).collect();
        if places.is_empty() { Ok(None) } else { self.book().reserve(places).map(Some) }
    }
}

/// Why a round did not finish.
enum Retry {
    Cycles(u64),
    Fatal(Error),
}

impl From<Error> for Retry {
    fn from(error: Error) -> Self {
        Self::Fatal(error)
    }
}
