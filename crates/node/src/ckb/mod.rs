//! CKB as a house's ledger: the backend's building, paying and following, put behind
//! [`JointLedger`].
//!
//! It keeps no channel state: what it needs comes with every order, or is read from the chain. It
//! stores nothing: after a restart the machines repeat their orders, and channels are read anew by
//! their locks.

mod anchor;
mod blueprint;
mod joint;
mod orders;
mod standing;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use ckb_types::packed::{OutPoint, Script};
use perun_backend_ckb::Error;
use perun_backend_ckb::cells::{Reservations, Ticket};
use perun_backend_ckb::deployment::Deployment;
use perun_backend_ckb::follow::Depth;
use perun_backend_ckb::purse::Purse;
use perun_backend_ckb::rpc::{Rpc, RpcError};
use perun_backend_ckb::wallet::{OwnedLock, Wallet};
use perun_channel::hash::ckb_hash;
use perun_channel::{Address, Allocation, Asset, ChannelId, LedgerId, Participant, State};
use perun_protocol::{
    Agreed, Changes, Decision, LedgerBytes, LedgerTime, Plan, Sighting, Slot, Standing, Target,
    Terms, Transaction, Witness,
};

use crate::{JointAssembly, JointLedger, JointOffer, Ledger, LedgerError, OpenRequest, Signer};
use orders::Outstanding;
use standing::Watcher;

/// What a house tells its CKB ledger once.
#[derive(Clone, Debug)]
pub struct CkbOptions {
    /// The lock that channels pay to; the wallet's own first lock if none.
    pub payout: Option<Script>,
    /// How many blocks bury what money depends on.
    pub confirmations: Depth,
    /// The largest fee of one transaction, in shannons.
    pub fee_cap: u64,
}

impl CkbOptions {
    /// Payouts to the wallet, fees of at most one CKB, and this depth.
    #[must_use]
    pub const fn confirmed_by(confirmations: Depth) -> Self {
        Self { payout: None, confirmations, fee_cap: 100_000_000 }
    }
}

/// CKB with one wallet.
pub struct CkbLedger {
    rpc: Arc<dyn Rpc>,
    deployment: Deployment,
    wallet: Arc<dyn Wallet>,
    owner: OwnedLock,
    options: CkbOptions,
    book: Mutex<Reservations>,
    /// The promises of contributions, by their hash.
    promised: BTreeMap<[u8; 32], Ticket>,
    /// Our contributions to transactions whose fate is open, by the channel that they would make.
    openings: BTreeMap<ChannelId, LedgerBytes>,
    outstanding: Vec<Outstanding>,
    watcher: Watcher,
}

impl CkbLedger {
    /// A ledger on the chain behind `rpc`. Fails if the deployment is not that chain's.
    pub fn new(
        rpc: Arc<dyn Rpc>,
        deployment: Deployment,
        wallet: Arc<dyn Wallet>,
        options: CkbOptions,
    ) -> Result<Self, LedgerError> {
        deployment.check(rpc.as_ref()).map_err(refused)?;
        let owner = wallet.locks().first().cloned().ok_or_else(|| refused(Error::NotOurs))?;
        let watcher = Watcher::new(&deployment, options.confirmations);
        Ok(Self {
            rpc,
            deployment,
            wallet,
            owner,
            options,
            book: Mutex::default(),
            promised: BTreeMap::new(),
            openings: BTreeMap::new(),
            outstanding: Vec::new(),
            watcher,
        })
    }

    fn payout(&self) -> Script {
        self.options.payout.clone().unwrap_or_else(|| self.owner.script.clone())
    }

    fn purse(&self) -> Purse<'_> {
        let wallet = self.wallet.as_ref();
        let mut purse = Purse::new(self.rpc.as_ref(), &self.deployment, wallet, &self.book);
        purse.fee_cap = self.options.fee_cap;
        purse
    }

    /// Refuses rows that are said to be of this chain and that no transaction on it funds: nobody
    /// deposits anything for them, so a peer could pay with what does not exist. Rows of other
    /// chains are for their own ledgers.
    fn check_assets(&self, outcome: &Allocation) -> Result<(), LedgerError> {
        let id = self.id();
        let is_good = |asset: &Asset| {
            asset.ledger() != id || asset.is_ckb_coin() || asset.ckb_type_hash().is_some()
        };
        match outcome.assets().iter().position(|asset| !is_good(asset)) {
            None => Ok(()),
            Some(row) => Err(LedgerError::Refused(format!(
                "asset {row} of the channel is neither the coin nor a token of this chain, so nobody \
                 would deposit it and payments in it would be worth nothing; nothing was set aside \
                 or signed. Leave it out"
            ))),
        }
    }

    /// Promises the cells of our contribution to it, unless they are already.
    fn promise(&mut self, bytes: &[u8], inputs: &[OutPoint]) -> Result<(), LedgerError> {
        let name = ckb_hash(&[bytes]);
        if inputs.is_empty() || self.promised.contains_key(&name) {
            return Ok(());
        }
        let ticket = self.purse().book().reserve(inputs).map_err(refused)?;
        self.promised.insert(name, ticket);
        Ok(())
    }
}

impl Ledger for CkbLedger {
    fn id(&self) -> LedgerId {
        self.deployment.coin().ledger()
    }

    fn release_funds(&mut self, contribution: &LedgerBytes) -> Result<(), LedgerError> {
        if let Some(ticket) = self.promised.remove(&ckb_hash(&[contribution.as_bytes()])) {
            self.purse().book().release(ticket).map_err(refused)?;
        }
        Ok(())
    }

    fn watch(&mut self, target: &Target) -> Result<(), LedgerError> {
        self.watcher.watch(target)
    }

    fn close(
        &mut self,
        target: &Target,
        agreed: &Agreed,
        attempt: u32,
        sign: Signer<'_>,
    ) -> Result<(), LedgerError> {
        self.order_close(target, agreed, attempt, sign)
    }

    fn register(
        &mut self,
        target: &Target,
        agreed: &Agreed,
        slot: Slot,
        attempt: u32,
        sign: Signer<'_>,
    ) -> Result<(), LedgerError> {
        self.order_registration(target, agreed, slot, attempt, sign)
    }

    fn conclude(
        &mut self,
        target: &Target,
        state: &State,
        decision: Option<Decision>,
        attempt: u32,
    ) -> Result<(), LedgerError> {
        self.order_conclusion(target, state, decision, attempt)
    }

    fn withdraw(
        &mut self,
        target: &Target,
        state: &State,
        rows: u32,
        attempt: u32,
        _: Signer<'_>,
    ) -> Result<(), LedgerError> {
        self.order_withdrawal(target, state, rows, attempt)
    }

    fn sync(&mut self) -> Result<Vec<Sighting>, LedgerError> {
        self.settle_outstanding()?;
        let sightings = self.watcher.sync(self.rpc.as_ref())?;
        // The cells of a transaction that committed are gone, and those of one that never will are
        // free: held any longer, they would be missed when a dispute needs a fee.
        let decided = |sighting: &&Sighting| {
            sighting.confirmed && !matches!(sighting.standing, Standing::Absent)
        };
        for sighting in sightings.iter().filter(decided) {
            if let Some(contribution) = self.openings.remove(&sighting.channel) {
                // It fails only if they are free already, and what was seen is not told twice.
                let _ = self.release_funds(&contribution);
            }
        }
        Ok(sightings)
    }

    fn clock(&mut self) -> Result<LedgerTime, LedgerError> {
        self.watcher.clock().ok_or_else(|| LedgerError::Unavailable("no block was read".into()))
    }
}

impl JointLedger for CkbLedger {
    fn offer(
        &mut self,
        session: Address,
        request: &OpenRequest,
    ) -> Result<JointOffer, LedgerError> {
        self.check_assets(&request.outcome)?;
        self.make_offer(session, request)
    }

    fn answer(
        &mut self,
        session: Address,
        terms: &Terms,
    ) -> Result<(Participant, LedgerBytes), LedgerError> {
        self.check_assets(&terms.outcome)?;
        self.make_answer(session, terms)
    }

    fn resize_offer(
        &mut self,
        target: &Target,
        state: &State,
        changes: &Changes,
    ) -> Result<(LedgerBytes, LedgerBytes), LedgerError> {
        let contribution = self.contribute_to_resize(target, state, changes)?;
        Ok((LedgerBytes::default(), contribution))
    }

    fn resize_answer(
        &mut self,
        target: &Target,
        state: &State,
        changes: &Changes,
    ) -> Result<LedgerBytes, LedgerError> {
        self.contribute_to_resize(target, state, changes)
    }

    fn assemble(
        &mut self,
        plan: &Plan,
        ended: Option<State>,
    ) -> Result<JointAssembly, LedgerError> {
        self.assemble_plan(plan, ended)
    }

    fn witness(&mut self, joint: &Transaction, sign: Signer<'_>) -> Result<Witness, LedgerError> {
        self.our_witness(joint, sign)
    }

    fn check_witness(
        &mut self,
        joint: &Transaction,
        witness: &Witness,
        sign: Signer<'_>,
    ) -> Result<(), LedgerError> {
        self.check_joint(joint, witness, sign)
    }

    fn submit_assembly(
        &mut self,
        joint: &Transaction,
        theirs: &Witness,
        sign: Signer<'_>,
    ) -> Result<(), LedgerError> {
        self.submit_joint(joint, theirs, sign)
    }

    fn abort_open(&mut self, joint: &Transaction) -> Result<(), LedgerError> {
        self.abort_joint(joint)
    }
}

/// A backend's error as the house sees it.
fn refused(error: Error) -> LedgerError {
    match error {
        Error::Rpc(RpcError::Transport(text)) => LedgerError::Unavailable(text),
        error => LedgerError::Refused(error.to_string()),
    }
}

/// Bytes for the protocol to carry.
fn ledger_bytes(bytes: Vec<u8>, what: &'static str) -> Result<LedgerBytes, LedgerError> {
    LedgerBytes::new(bytes).map_err(|_| LedgerError::Malformed(what))
}
