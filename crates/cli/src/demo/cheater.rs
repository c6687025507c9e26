//! A cheater's program: the usual ledger of Ethereum, which on command registers an old state
//! instead of the newest one.

use std::sync::{Arc, Mutex, PoisonError};

use perun_channel::{Address, Params, State};
use perun_node::{DepositLedger, EvmLedger, Ledger, LedgerError, OpenRequest, Signer};
use perun_protocol::{Agreed, LedgerBytes, Plan, Slot, Target, Terms};

/// The old state that is registered from now on, if there is one.
pub(super) type Instead = Arc<Mutex<Option<Agreed>>>;

pub(super) struct Cheater {
    pub(super) inner: EvmLedger,
    pub(super) instead: Instead,
}

impl Ledger for Cheater {
    fn register(
        &mut self,
        target: &Target,
        agreed: &Agreed,
        slot: Slot,
        attempt: u32,
        sign: Signer<'_>,
    ) -> Result<(), LedgerError> {
        let instead = self.instead.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.inner.register(target, instead.as_ref().unwrap_or(agreed), slot, attempt, sign)
    }
    perun_node::forward_ledger! {
        id release_funds watch unwatch unread close conclude withdraw sync clock
    }
}

impl DepositLedger for Cheater {
    fn offer(
        &mut self,
        session: Address,
        request: &OpenRequest,
    ) -> Result<(LedgerBytes, LedgerBytes), LedgerError> {
        self.inner.offer(session, request)
    }
    fn answer(&mut self, session: Address, terms: &Terms) -> Result<LedgerBytes, LedgerError> {
        self.inner.answer(session, terms)
    }
    fn params(&mut self, plan: &Plan) -> Result<Params, LedgerError> {
        self.inner.params(plan)
    }
    fn place(
        &mut self,
        plan: &Plan,
        params: &Params,
        initial: &State,
    ) -> Result<LedgerBytes, LedgerError> {
        self.inner.place(plan, params, initial)
    }
    fn deposit(
        &mut self,
        target: &Target,
        initial: &State,
        contribution: &LedgerBytes,
        sign: Signer<'_>,
    ) -> Result<(), LedgerError> {
        self.inner.deposit(target, initial, contribution, sign)
    }
}
