//! Ethereum as a house's ledger: the backend's orders and reports, put behind [`DepositLedger`].
//!
//! It keeps no channel state: what it needs comes with every order, or is read from the chain. It
//! stores nothing: after a restart the machines repeat their orders, and channels are read anew.
//! The invariants: nothing is deposited into anything but the hub whose code was checked; and a
//! channel counts as open only when what it pays us goes to our wallet.

mod budget;
mod orders;
mod place;
mod promises;
mod standing;
mod waiting;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use alloy_primitives::{Address as Account, U256};
use perun_backend_evm::account::Account as Wallet;
use perun_backend_evm::fees::quote;
use perun_backend_evm::follow::DepthTable;
use perun_backend_evm::orders::{Orders, TokenSource};
use perun_backend_evm::rpc::{Node, Rpc};
use perun_backend_evm::sender::{Sender, SenderOptions};
use perun_backend_evm::{Deployment, Error};
use perun_channel::{Address, Allocation, ChannelId, LedgerId, Params, State};
use perun_protocol::{
    Agreed, Decision, LedgerBytes, LedgerTime, Plan, Sighting, Slot, Standing, Target, Terms,
};

use crate::{DepositLedger, Ledger, LedgerError, OpenRequest, Signer, entropy};
use budget::Budget;
use place::{Contribution, HubTerms, Place, read, written};
use promises::{Amounts, Promises};
use standing::Watcher;
use waiting::Waiting;

/// What an opening may take of gas until it is open, or until its deposits are back.
const OPENING_GAS: u64 = 700_000;
/// How much more for each token that we deposit: anybody's token may be made to waste it.
const TOKEN_OPENING_GAS: u64 = 1_000_000;

/// What a house tells its Ethereum ledger once.
#[derive(Clone, Debug)]
pub struct EvmOptions {
    /// How deep what money depends on must be buried, by value.
    pub depths: DepthTable,
    /// The limit of the fee, and when a transaction is stuck.
    pub sender: SenderOptions,
    /// How tokens get into the hub.
    pub tokens: TokenSource,
    /// Coins that no deposit takes, in wei: the fees of a dispute are paid from them.
    pub kept_for_fees: u128,
    /// How long questions and orders about openings may take between two looks at the chain. What
    /// comes later waits, or is refused.
    pub openings: Duration,
}

impl EvmOptions {
    /// These depths, the usual fees, tokens in the fewest transactions, and a fiftieth of an ether
    /// for disputes.
    #[must_use]
    pub fn confirmed_by(depths: DepthTable) -> Self {
        let (sender, tokens) = (SenderOptions::default(), TokenSource::Best);
        let openings = Duration::from_secs(10);
        Self { depths, sender, tokens, kept_for_fees: 20_000_000_000_000_000, openings }
    }
}

/// One Ethereum chain with one wallet.
pub struct EvmLedger {
    rpc: Arc<dyn Rpc>,
    deployment: Deployment,
    wallet: Account,
    orders: Orders,
    watcher: Watcher,
    promises: Promises,
    /// Our contributions to channels that are not funded yet.
    openings: BTreeMap<ChannelId, LedgerBytes>,
    tokens: TokenSource,
    kept_for_fees: U256,
    fee_cap: u128,
    /// The assets in which a payment of ours may wait at the hub.
    credits: BTreeSet<Account>,
    /// Orders that could not be given yet.
    waiting: Waiting,
    budget: Budget,
}

impl EvmLedger {
    /// A ledger on the chain behind `rpc`. Fails if the hub is not that chain's, or not one whose
    /// code the deployment knows.
    pub fn new(
        rpc: Arc<dyn Rpc>,
        deployment: Deployment,
        wallet: Arc<dyn Wallet>,
        options: EvmOptions,
    ) -> Result<Self, LedgerError> {
        deployment.check(Node(rpc.as_ref())).map_err(refused)?;
        let address = wallet.address();
        let (ledger, fee_cap) = (deployment.coin().ledger(), options.sender.fee_cap);
        let sender = Sender::new(wallet, deployment.chain(), options.sender);
        Ok(Self {
            rpc,
            wallet: address,
            orders: Orders::new(deployment.clone(), sender),
            watcher: Watcher::new(ledger, &deployment, options.depths),
            deployment,
            promises: Promises::default(),
            openings: BTreeMap::new(),
            tokens: options.tokens,
            kept_for_fees: U256::from(options.kept_for_fees),
            fee_cap,
            credits: BTreeSet::new(),
            waiting: Waiting::default(),
            budget: Budget::new(options.openings),
        })
    }

    /// Refuses rows that are said to be of this chain and that the hub cannot pay: nobody could
    /// deposit anything for them, so a peer could pay with what does not exist. Rows of other
    /// chains are for their own ledgers.
    fn check_assets(&self, outcome: &Allocation) -> Result<(), LedgerError> {
        for (row, asset) in outcome.assets().iter().enumerate() {
            if asset.ledger() != self.id() {
                continue;
            }
            if !self.deployment.is_ours(asset) {
                return Err(LedgerError::Refused(format!(
                    "asset {row} of the channel is neither the coin nor a token of this chain's \
                     hub, so nobody could deposit it and payments in it would be worth nothing; \
                     nothing was set aside or signed. Leave it out"
                )));
            }
            self.deployment.token(Node(self.rpc.as_ref()), asset).map_err(refused)?;
        }
        Ok(())
    }

    /// Our part of a channel in which we have this column, with what it deposits set aside.
    fn contribute(
        &mut self,
        outcome: &Allocation,
        column: usize,
    ) -> Result<LedgerBytes, LedgerError> {
        let amounts = self.amounts(outcome, column);
        self.within_budget(|this| {
            this.check_assets(outcome)?;
            this.check_fees(&amounts)
        })?;
        for (holder, amount) in &amounts {
            self.within_budget(|this| this.check_funds(*holder, *amount))?;
        }
        let drawn = entropy().map_err(|error| LedgerError::Refused(error.to_string()))?;
        let contribution = Contribution { drawn, payee: self.wallet, go_perun: false };
        let bytes = written(&contribution, "contribution")?;
        self.promises.make(bytes.as_bytes(), amounts);
        Ok(bytes)
    }

    /// Does something about an opening, if there is time for it before the next look.
    fn within_budget<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, LedgerError>,
    ) -> Result<T, LedgerError> {
        self.budget.check()?;
        let since = Instant::now();
        let done = work(self);
        self.budget.spend(since);
        done
    }

    /// What one side deposits here, by asset.
    fn amounts(&self, outcome: &Allocation, column: usize) -> Amounts {
        let mut amounts = Amounts::new();
        for row in self.deployment.rows(outcome) {
            let balance = outcome.balance(row, column).unwrap_or_default();
            if let Some(asset) = outcome.assets().get(row).filter(|_| balance.get() != 0) {
                amounts
                    .insert(perun_backend_evm::abi::eth(asset.holder()), U256::from(balance.get()));
            }
        }
        amounts
    }

    /// Whether, beside what disputes are paid from, the wallet has the fees of this opening and of
    /// all that are neither open nor over. Openings cost who asks for them nothing: without this, a
    /// stranger could begin so many, and let them fail, that nothing is left to answer an old state
    /// with.
    fn check_fees(&self, own: &Amounts) -> Result<(), LedgerError> {
        let (node, coin) = (Node(self.rpc.as_ref()), self.deployment.hub());
        let history = node.fee_history().map_err(|error| refused(error.into()))?;
        let price = quote(&history, self.fee_cap).map_err(refused)?.max_fee;
        let unsettled = self
            .watcher
            .unsettled()
            .map(|(initial, column)| opening_gas(&self.amounts(initial.outcome(), column), coin));
        let promised = self.promises.iter().map(|amounts| opening_gas(amounts, coin));
        let gas = promised.chain(unsettled).fold(opening_gas(own, coin), U256::saturating_add);
        self.check_funds(coin, gas.saturating_mul(U256::from(price)))
    }

    /// Whether the wallet has this much that is not promised.
    fn check_funds(&self, holder: Account, amount: U256) -> Result<(), LedgerError> {
        let (node, account) = (Node(self.rpc.as_ref()), self.wallet);
        let (promised, asset) = (self.promises.of(holder), self.deployment.asset(holder));
        let token = self.deployment.token(node, &asset).map_err(refused)?;
        let (has, kept) = match token {
            None => (orders::coins_of(node, account)?, self.kept_for_fees),
            Some(token) => (orders::tokens_of(node, token, account)?, U256::ZERO),
        };
        let have = has.saturating_sub(promised).saturating_sub(kept);
        let need = amount;
        match token {
            _ if have >= need => Ok(()),
            None => Err(refused(Error::InsufficientCoins { account, have, need })),
            Some(token) => Err(refused(Error::InsufficientTokens { account, token, have, need })),
        }
    }
}

impl Ledger for EvmLedger {
    fn id(&self) -> LedgerId {
        self.deployment.coin().ledger()
    }

    fn release_funds(&mut self, contribution: &LedgerBytes) -> Result<(), LedgerError> {
        self.promises.release(contribution.as_bytes());
        Ok(())
    }

    fn watch(&mut self, target: &Target) -> Result<(), LedgerError> {
        self.watcher.watch(target)
    }

    fn unwatch(&mut self, id: &ChannelId) {
        self.watcher.unwatch(id);
    }

    fn unread(&mut self) -> Vec<(ChannelId, LedgerError)> {
        self.watcher.unread()
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
        // This ledger counts no rights to register: it takes the newest state.
        _: Slot,
        attempt: u32,
        sign: Signer<'_>,
    ) -> Result<(), LedgerError> {
        self.order_registration(target, agreed, attempt, sign)
    }

    fn conclude(
        &mut self,
        target: &Target,
        state: &State,
        decision: Option<Decision>,
        attempt: u32,
    ) -> Result<(), LedgerError> {
        self.order_conclusion(target, state, decision, attempt).map(drop)
    }

    fn withdraw(
        &mut self,
        target: &Target,
        state: &State,
        rows: u32,
        attempt: u32,
        sign: Signer<'_>,
    ) -> Result<(), LedgerError> {
        self.order_withdrawal(target, state, rows, attempt, sign)
    }

    fn sync(&mut self) -> Result<Vec<Sighting>, LedgerError> {
        let rpc = self.rpc.clone();
        let node = Node(rpc.as_ref());
        self.budget.renew();
        // What is wrong with one of our transactions must not keep us from seeing what others do;
        // what is left to do for it is decided anew at the next look.
        let tended = self.orders.tend(node);
        self.give_waiting();
        let sightings = self.watcher.look(node)?;
        let decided = |it: &&Sighting| it.confirmed && !matches!(it.standing, Standing::Absent);
        for sighting in sightings.iter().filter(decided) {
            // What is in the hub is not promised any more: the wallet does not have it.
            if let Some(contribution) = self.openings.remove(&sighting.channel) {
                self.promises.release(contribution.as_bytes());
            }
        }
        self.credits.extend(self.watcher.paid_holders(&sightings));
        self.take_credits();
        match tended {
            Err(error) if !error.is_passing() && sightings.is_empty() => Err(refused(error)),
            _ => Ok(sightings),
        }
    }

    fn clock(&mut self) -> Result<LedgerTime, LedgerError> {
        self.watcher.clock().ok_or_else(|| LedgerError::Unavailable("no block was read".into()))
    }
}

impl DepositLedger for EvmLedger {
    fn offer(
        &mut self,
        _: Address,
        request: &OpenRequest,
    ) -> Result<(LedgerBytes, LedgerBytes), LedgerError> {
        let terms = written(&HubTerms { hub: self.deployment.hub() }, "terms")?;
        Ok((terms, self.contribute(&request.outcome, 0)?))
    }

    fn answer(&mut self, _: Address, terms: &Terms) -> Result<LedgerBytes, LedgerError> {
        let here = terms.ledgers.iter().find(|one| one.ledger == self.id());
        let here = here.ok_or(LedgerError::Malformed("terms"))?;
        let HubTerms { hub } = read(&here.chain, "terms")?;
        if hub != self.deployment.hub() {
            return Err(LedgerError::Refused(format!(
                "the peer's contract is {hub}, ours is {}; nothing was set aside or signed, for \
                 money at another contract could not be got back by this program. Agree on one \
                 with the peer",
                self.deployment.hub()
            )));
        }
        self.contribute(&terms.outcome, 1)
    }

    fn go_perun_share(&self, contribution: &LedgerBytes) -> Result<[u8; 32], LedgerError> {
        read::<Contribution>(contribution, "contribution").map(|it| it.drawn)
    }

    fn go_perun_part(
        &self,
        drawn: [u8; 32],
        signer: Address,
    ) -> Result<(LedgerBytes, LedgerBytes), LedgerError> {
        let terms = written(&HubTerms { hub: self.deployment.hub() }, "terms")?;
        // It names no payee: the hub pays the key that signs, unless that key says otherwise.
        let payee = perun_backend_evm::abi::eth(&signer);
        let contribution = Contribution { drawn, payee, go_perun: true };
        Ok((terms, written(&contribution, "contribution")?))
    }

    fn place(
        &mut self,
        plan: &Plan,
        params: &Params,
        initial: &State,
    ) -> Result<LedgerBytes, LedgerError> {
        let position = plan.ledgers.position(self.id()).ok_or(LedgerError::Malformed("plan"))?;
        let part = |side: usize| -> Result<Contribution, LedgerError> {
            let bytes = plan.contributions.get(side).and_then(|parts| parts.get(position));
            read(bytes.ok_or(LedgerError::Malformed("plan"))?, "contribution")
        };
        let parts = [part(0)?, part(1)?];
        let payees = parts.map(|part| part.payee);
        let go_perun = parts.iter().any(|part| part.go_perun);
        let own = plan.index.column();
        for (side, payee) in payees.iter().enumerate() {
            if side == own {
                self.check_payee(*payee)?;
            } else if *payee == Account::ZERO || *payee == self.deployment.hub() {
                return Err(LedgerError::Refused(format!(
                    "the peer wants to be paid at {payee}, where nobody can take it; nothing was \
                     signed or deposited. Ask the peer to set its wallet right"
                )));
            }
        }
        if *initial.id() != params.id() {
            return Err(LedgerError::Malformed("plan"));
        }
        written(&Place { payees, initial: initial.clone(), go_perun }, "setup")
    }

    fn deposit(
        &mut self,
        target: &Target,
        initial: &State,
        contribution: &LedgerBytes,
        sign: Signer<'_>,
    ) -> Result<(), LedgerError> {
        // It is ordered again at the next look.
        if self.budget.check().is_err() {
            return Ok(());
        }
        self.within_budget(|this| this.order_deposit(target, initial, contribution, sign))
    }
}

/// What an opening may take of gas in which we deposit these.
fn opening_gas(amounts: &Amounts, coin: Account) -> U256 {
    let tokens = amounts.keys().filter(|holder| **holder != coin).count();
    let tokens = U256::from(tokens).saturating_mul(U256::from(TOKEN_OPENING_GAS));
    tokens.saturating_add(U256::from(OPENING_GAS))
}

/// A backend's error as the house sees it.
fn refused(error: Error) -> LedgerError {
    match error.is_passing() {
        true => LedgerError::Unavailable(error.to_string()),
        false => LedgerError::Refused(error.to_string()),
    }
}
