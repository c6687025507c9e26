//! Deposits: everything that a participant owes a channel on this chain, in one transaction.
//!
//! A coin alone goes the cheapest way. Tokens go by an allowance of exactly the amount, or, where
//! they take signatures, without one. Where the peer runs go-perun, coins and the payee go first,
//! and then each token by itself. The invariant: what is deposited is what is missing, so that
//! the same order twice deposits once.

use alloy_primitives::{Address, U256};
use perun_channel::{Amount, ChannelId, Params, State};

use super::token::Pull;
use super::{Desk, Signer};
use crate::Error;
use crate::abi::{eth, funding_id, solidity as sol, word};
use crate::rpc::At;
use crate::sender::Progress;
use crate::sender::book::{Key, Task};

/// How the hub gets a token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TokenSource {
    /// By an allowance, in a transaction before. Every token can do that.
    #[default]
    Allowance,
    /// By a signed transfer for this very deposit (EIP-3009).
    Eip3009,
    /// By a signed allowance and a signed intent (EIP-2612).
    Eip2612,
    /// By Permit2, to which the wallet has given an allowance.
    Permit2,
    /// By an allowance to the token's name in channels, each token in a transaction of its own:
    /// then the name tells of the deposit, as go-perun expects of every asset.
    Facade,
    /// The first of EIP-3009, EIP-2612 and an allowance that the token offers.
    Best,
}

/// A deposit.
#[derive(Clone, Copy)]
pub struct DepositOrder<'a> {
    /// The channel.
    pub params: &'a Params,
    /// Its first state, which says who deposits what.
    pub initial: &'a State,
    /// Whose deposit.
    pub index: usize,
    /// How tokens go.
    pub source: TokenSource,
    /// The session key of that participant, to be paid at the wallet and not at its own address.
    pub bind: Option<Signer<'a>>,
}

/// One row of what is missing.
pub(super) struct Missing {
    pub(super) holder: Address,
    /// Nothing for the coin.
    pub(super) token: Option<Address>,
    pub(super) amount: Amount,
    /// What is there already.
    pub(super) there: U256,
}

impl Desk<'_> {
    /// Deposits what the participant owes and has not deposited. Refused once a state is
    /// registered: then the channel is on its way out.
    pub fn deposit(&mut self, order: &DepositOrder<'_>) -> Result<Progress, Error> {
        match self.deposit_by(order) {
            // Some tokens look as if they took signatures and take another kind.
            Err(Error::Reverted(_)) if order.source == TokenSource::Best => {
                let plain = DepositOrder { source: TokenSource::Allowance, ..*order };
                self.deposit_by(&plain)
            }
            done => done,
        }
    }

    fn deposit_by(&mut self, order: &DepositOrder<'_>) -> Result<Progress, Error> {
        let id = order.params.id();
        let missing = self.missing(order)?;
        let binding = match order.bind {
            Some(sign) => self.binding(order.params, order.index, sign)?,
            None => None,
        };
        if missing.is_empty() && binding.is_none() {
            self.orders.lanes.retain(|_, lane| lane.channel != id);
            return Ok(Progress::Done);
        }
        let (_, record) = self.record(&id)?;
        if record.is_some() {
            let what = "a state is registered or concluded, so a deposit would come too late";
            return Err(Error::Unfit { channel: id, what });
        }
        let participant = self.participant(order)?;
        let key = Key::new("deposit", &id, participant.as_bytes());
        if let Some(hash) = self.orders.sender.book().waiting(&key)
            && self.attempt == 0
        {
            return Ok(Progress::Waiting(hash));
        }
        self.check_strikes(&key, id)?;
        if let ([Missing { token: None, amount, .. }], None) = (missing.as_slice(), &binding) {
            let amount = U256::from(amount.get());
            let name = funding_id(&id, &participant);
            let call = sol::Hub::depositCall { fundingID: name, amount };
            let task = self.task(amount, &call);
            return self.put_in(key, task, 0);
        }
        let (mut deposits, mut coins) = (Vec::new(), U256::ZERO);
        for row in &missing {
            let pull = match row.token {
                None => {
                    coins = U256::from(row.amount.get());
                    Pull::Ready(sol::Source::Sender, Vec::new())
                }
                Some(token) => self.pull(order, &participant, token, row)?,
            };
            let (source, data) = match pull {
                Pull::Ready(source, data) => (source, data),
                Pull::First(progress) => return Ok(progress),
            };
            deposits.push(sol::Deposit {
                holder: row.holder,
                participant: eth(&participant),
                amount: U256::from(row.amount.get()),
                source,
                data: data.into(),
            });
        }
        if order.source == TokenSource::Facade {
            // What the hub takes itself comes first: after it, what is paid back comes to us.
            let rest = binding.is_none() && coins.is_zero();
            match deposits.iter().find(|it| it.holder != self.hub()) {
                Some(one) if rest => return self.put_in(key, self.by_name(&id, one), 1),
                _ => deposits.retain(|it| it.holder == self.hub()),
            }
        }
        let payees = binding.into_iter().collect();
        let tokens = missing.iter().filter(|row| row.token.is_some()).count();
        let task = self.task(coins, &sol::Hub::openCall { id: word(&id), deposits, payees });
        self.put_in(key, task, tokens)
    }

    /// The deposit of a token through its name in channels.
    fn by_name(&self, id: &ChannelId, deposit: &sol::Deposit) -> Task {
        let participant = perun_channel::Address::new(deposit.participant.into_array());
        let (name, amount) = (funding_id(id, &participant), deposit.amount);
        let call = sol::Hub::depositCall { fundingID: name, amount };
        Task { to: deposit.holder, ..self.task(U256::ZERO, &call) }
    }

    fn participant(&self, order: &DepositOrder<'_>) -> Result<perun_channel::Address, Error> {
        let participant = order.params.participants().get(order.index);
        Ok(*participant.ok_or(perun_channel::Invalid::Index)?.address())
    }

    /// The rows in which the participant owes more than it has deposited.
    fn missing(&self, order: &DepositOrder<'_>) -> Result<Vec<Missing>, Error> {
        let rows = self.rows(order.params, order.initial)?;
        let participant = self.participant(order)?;
        let (outcome, at) = (order.initial.outcome(), At::Latest);
        let mut missing = Vec::new();
        for row in rows {
            let asset = outcome.assets().get(row).ok_or(perun_channel::Invalid::Index)?;
            let share = outcome.balance(row, order.index).ok_or(perun_channel::Invalid::Index)?;
            if share == Amount::ZERO {
                continue;
            }
            let holder = eth(asset.holder());
            let name = funding_id(&order.params.id(), &participant);
            let question = sol::Hub::heldCall { holder, fundingID: name };
            let there = self.node.read(self.hub(), &question, at)?;
            let rest = U256::from(share.get()).saturating_sub(there);
            if rest.is_zero() {
                continue;
            }
            let amount = crate::abi::convert::read_amount(rest)?;
            // Asked only now: what is deposited already needs no token.
            let token = self.orders.deployment.token(self.node, asset)?;
            missing.push(Missing { holder, token, amount, there });
        }
        Ok(missing)
    }
}
