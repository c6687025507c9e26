//! Orders that one side carries out alone: deposit, close, register, conclude, withdraw.
//!
//! The backend's orders look at the chain first and may be repeated. What the chain has gone past
//! already is no error here: the next look tells how the channel stands.

use alloy_primitives::{Address as Account, U256};
use perun_backend_evm::Error;
use perun_backend_evm::abi::solidity as sol;
use perun_backend_evm::orders::{Decision as Verdict, DepositOrder, TokenSource};
use perun_backend_evm::rpc::{At, Node};
use perun_backend_evm::sender::Progress;
use perun_channel::{Amount, SignedState, State};
use perun_protocol::{Agreed, Decision, LedgerBytes, Target};

use super::place::{Contribution, Place, read};
use super::waiting::{Given, Order};
use super::{EvmLedger, refused};
use crate::{Ledger, LedgerError, Signer};

/// What an account has of the coin.
pub(super) fn coins_of(node: Node<'_>, account: Account) -> Result<U256, LedgerError> {
    node.balance(account, At::Latest).map_err(|error| refused(error.into()))
}

/// What an account has of a token.
pub(super) fn tokens_of(
    node: Node<'_>,
    token: Account,
    owner: Account,
) -> Result<U256, LedgerError> {
    let question = sol::Token::balanceOfCall { owner };
    node.read(token, &question, At::Latest).map_err(refused)
}

impl EvmLedger {
    /// Refuses a channel that pays another wallet than the one that this node has.
    pub(super) fn check_payee(&self, payee: Account) -> Result<(), LedgerError> {
        if payee == self.wallet {
            return Ok(());
        }
        Err(LedgerError::Refused(format!(
            "this channel was begun with the wallet {payee}, the node has {} now; nothing was \
             deposited. Start the node with that wallet, or let the channel end",
            self.wallet
        )))
    }

    pub(super) fn order_deposit(
        &mut self,
        target: &Target,
        initial: &State,
        contribution: &LedgerBytes,
        sign: Signer<'_>,
    ) -> Result<(), LedgerError> {
        let part: Contribution = read(contribution, "contribution")?;
        self.check_payee(part.payee)?;
        let (params, index) = (&target.params, target.index.column());
        let amounts = self.amounts(initial.outcome(), index);
        let rpc = self.rpc.clone();
        let node = Node(rpc.as_ref());
        if amounts.is_empty() {
            // Who brings nothing pays nothing until the peer's money is in.
            return match self.is_in(node, target, initial)? {
                true => self.bind(target, 0, sign),
                false => Ok(()),
            };
        }
        // go-perun waits for what the name of each token tells.
        let source = match Place::of(target)?.go_perun {
            true => TokenSource::Facade,
            false => self.tokens,
        };
        let bind = Some(sign);
        let order = DepositOrder { params, initial, index, source, bind };
        match self.orders.at(node, 0).deposit(&order).map_err(refused)? {
            Progress::Done => self.release_funds(contribution),
            _ => {
                // After a restart nobody else has promised it.
                self.promises.make(contribution.as_bytes(), amounts);
                self.openings.insert(target.id, contribution.clone());
                Ok(())
            }
        }
    }

    /// Whether the peer's deposits are there, at the newest block.
    fn is_in(
        &mut self,
        node: Node<'_>,
        target: &Target,
        initial: &State,
    ) -> Result<bool, LedgerError> {
        let peer = target.index.other().column();
        let owner = target.params.participants().get(peer);
        let owner = *owner.ok_or(LedgerError::Malformed("parameters"))?.address();
        let amounts = self.amounts(initial.outcome(), peer);
        let desk = self.orders.at(node, 0);
        for (holder, amount) in amounts {
            if desk.held(&target.id, holder, &owner).map_err(refused)? < amount {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Binds our wallet as what the channel pays us to, unless it is.
    fn bind(&mut self, target: &Target, attempt: u32, sign: Signer<'_>) -> Result<(), LedgerError> {
        let rpc = self.rpc.clone();
        let mut desk = self.orders.at(Node(rpc.as_ref()), attempt);
        desk.bind_payee(&target.params, target.index.column(), sign).map(drop).map_err(refused)
    }

    /// Binds our wallet once more before a channel ends, if a reorganisation took that back. Only
    /// what there is anything for is worth the fee; and what fails here stops nothing.
    fn bind_again(&mut self, target: &Target, state: &State, attempt: u32, sign: Signer<'_>) {
        let Ok(place) = Place::of(target) else { return };
        let column = target.index.column();
        let is_due = |row: &usize| {
            let balance = state.outcome().balance(*row, column).unwrap_or_default();
            balance != Amount::ZERO || place.share(*row, column) != Amount::ZERO
        };
        if self.deployment.rows(state.outcome()).iter().any(is_due) {
            // Another payee cannot be bound without our signature; an unbound one is paid to the
            // session key, and the order that follows says what is wrong with the node.
            let _ = self.bind(target, attempt, sign);
        }
    }

    pub(super) fn order_close(
        &mut self,
        target: &Target,
        agreed: &Agreed,
        attempt: u32,
        sign: Signer<'_>,
    ) -> Result<(), LedgerError> {
        self.order_signed(target, agreed, Order::Close, attempt, sign)
    }

    pub(super) fn order_registration(
        &mut self,
        target: &Target,
        agreed: &Agreed,
        attempt: u32,
        sign: Signer<'_>,
    ) -> Result<(), LedgerError> {
        self.order_signed(target, agreed, Order::Register, attempt, sign)
    }

    /// Gives an order that takes a state with both signatures.
    fn order_signed(
        &mut self,
        target: &Target,
        agreed: &Agreed,
        order: fn(SignedState) -> Order,
        attempt: u32,
        sign: Signer<'_>,
    ) -> Result<(), LedgerError> {
        let signed = signed(target, agreed, sign)?;
        self.watcher.ordered(signed.state());
        self.bind_again(target, signed.state(), attempt, sign);
        let (params, order) = (target.params.clone(), order(signed));
        self.give(Given { params, order }, attempt).map(drop)
    }

    /// Concludes and pays everybody; whether the chain shows it done.
    pub(super) fn order_conclusion(
        &mut self,
        target: &Target,
        state: &State,
        decision: Option<Decision>,
        attempt: u32,
    ) -> Result<bool, LedgerError> {
        let verdict = match decision {
            Some(Decision::Claim { preimage }) => Verdict::Preimage(*preimage.as_bytes()),
            // The contract asks for no decision where there is no leg on its chain.
            Some(Decision::Refund {}) | None => Verdict::Refund,
        };
        self.watcher.ordered(state);
        let order = Order::Conclude(state.clone(), verdict);
        let progress = self.give(Given { params: target.params.clone(), order }, attempt)?;
        Ok(progress == Some(Progress::Done))
    }

    /// Gives an order of a dispute. One that only has to wait, for a place among what is on its way
    /// or for the node, is given again at every look: who registers many old states at once must
    /// not win by the last ones.
    fn give(&mut self, given: Given, attempt: u32) -> Result<Option<Progress>, LedgerError> {
        let rpc = self.rpc.clone();
        let mut desk = self.orders.at(Node(rpc.as_ref()), attempt);
        let progress = match &given.order {
            Order::Close(signed) => desk.close(&given.params, signed),
            Order::Register(signed) => desk.register(&given.params, signed, &[]),
            Order::Conclude(state, verdict) => desk.conclude(&given.params, state, &[], *verdict),
        };
        match &progress {
            Err(error) if error.is_passing() => self.waiting.put(given),
            _ => self.waiting.take(&given),
        }
        unless_overtaken(progress)
    }

    /// Gives the orders again that had to wait, until one has to wait once more.
    pub(super) fn give_waiting(&mut self) {
        for given in self.waiting.all() {
            if matches!(self.give(given, 0), Err(LedgerError::Unavailable(_))) {
                return;
            }
        }
    }

    /// Takes what a channel whose outcome stands still holds for us. It may not be concluded yet,
    /// or be concluded without having paid anybody.
    pub(super) fn order_withdrawal(
        &mut self,
        target: &Target,
        state: &State,
        rows: u32,
        attempt: u32,
        sign: Signer<'_>,
    ) -> Result<(), LedgerError> {
        if !self.order_conclusion(target, state, None, attempt)? {
            return Ok(());
        }
        let (rpc, wallet) = (self.rpc.clone(), self.wallet);
        let mut desk = self.orders.at(Node(rpc.as_ref()), attempt);
        let index = target.index.column();
        let taken = desk.withdraw(&target.params, state, index, rows, wallet, sign);
        taken.map(drop).map_err(refused)
    }

    /// Takes the payments that could not be made to our wallet when they were due. What still
    /// cannot move is tried again at the next look.
    pub(super) fn take_credits(&mut self) {
        let (rpc, wallet) = (self.rpc.clone(), self.wallet);
        let orders = &mut self.orders;
        self.credits.retain(|holder| {
            let mut desk = orders.at(Node(rpc.as_ref()), 0);
            !matches!(desk.withdraw_credit(*holder, wallet), Ok(Progress::Done))
        });
    }
}

/// What an order came to; nothing if the chain has gone past it.
fn unless_overtaken(progress: Result<Progress, Error>) -> Result<Option<Progress>, LedgerError> {
    match progress {
        Ok(progress) => Ok(Some(progress)),
        Err(Error::NotNewer { .. } | Error::Concluded(_) | Error::OtherState(_)) => Ok(None),
        Err(error) => Err(refused(error)),
    }
}

/// The state with both signatures in order. Version 0 has them too where each side deposits.
fn signed(target: &Target, agreed: &Agreed, sign: Signer<'_>) -> Result<SignedState, LedgerError> {
    let proof = agreed.proof.as_ref().ok_or(LedgerError::Malformed("newest state"))?;
    let mut signatures = vec![sign(proof.digest.as_bytes()), proof.signature];
    if target.index.column() == 1 {
        signatures.reverse();
    }
    SignedState::new(&target.params, agreed.state.clone(), signatures)
        .map_err(|_| LedgerError::Malformed("newest state"))
}
