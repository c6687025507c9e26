//! How tokens get into the hub.
//!
//! Allowances are exact, so that nothing is left over for anybody. There is one allowance for all
//! channels, so only one of them at a time may be between its approval and its deposit. What a
//! wallet signs instead names the deposit it is for: whoever submits it can only make that deposit.

use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_sol_types::{SolCall, SolValue};
use perun_channel::ChannelId;

use super::deposit::{DepositOrder, Missing, TokenSource};
use super::money::signature;
use super::{Desk, SIGNED_SECS};
use crate::Error;
use crate::abi::{funding_id, solidity as sol, typed, word};
use crate::rpc::{At, CallRequest, Node};
use crate::sender::Progress;
use crate::sender::book::{Key, Task};

/// After how many blocks another channel may use the allowance, whatever became of the first.
const LANE_BLOCKS: u64 = 30;

/// Which channel's deposit uses a token's allowance.
pub(super) struct Lane {
    pub(super) channel: ChannelId,
    holder: Address,
    funding: B256,
    /// When this much is held, the deposit was made.
    until_held: U256,
    since: u64,
}

/// How a deposit comes by its tokens.
pub(super) enum Pull {
    /// With this source and data.
    Ready(sol::Source, Vec<u8>),
    /// Something else must happen first.
    First(Progress),
}

/// Which signed ways a token offers.
pub fn offers(node: Node<'_>, token: Address, owner: Address) -> Result<Vec<TokenSource>, Error> {
    let asks = |error: Result<(), Error>| match error {
        Ok(()) => Ok(true),
        // A contract without the function reverts or answers with nothing.
        Err(Error::Reverted(_) | Error::Malformed(_)) => Ok(false),
        Err(error) => Err(error),
    };
    let mut found = Vec::new();
    let separator = sol::Token::DOMAIN_SEPARATORCall {};
    if !asks(node.read(token, &separator, At::Latest).map(drop))? {
        return Ok(found);
    }
    let state = sol::Token::authorizationStateCall { owner, nonce: B256::ZERO };
    if asks(node.read(token, &state, At::Latest).map(drop))? {
        found.push(TokenSource::Eip3009);
    }
    if asks(node.read(token, &sol::Token::noncesCall { owner }, At::Latest).map(drop))? {
        found.push(TokenSource::Eip2612);
    }
    Ok(found)
}

impl Desk<'_> {
    pub(super) fn pull(
        &mut self,
        order: &DepositOrder<'_>,
        participant: &perun_channel::Address,
        token: Address,
        row: &Missing,
    ) -> Result<Pull, Error> {
        let need = U256::from(row.amount.get());
        let owner = self.wallet();
        let question = sol::Token::balanceOfCall { owner };
        let have = self.node.read(token, &question, At::Latest)?;
        if have < need {
            return Err(Error::InsufficientTokens { account: owner, token, have, need });
        }
        let id = order.params.id();
        let deposit = SignedDeposit { id, token, row, need, name: funding_id(&id, participant) };
        let source = match order.source {
            TokenSource::Best => {
                let offered = offers(self.node, token, owner)?;
                offered.first().copied().unwrap_or(TokenSource::Allowance)
            }
            source => source,
        };
        match source {
            TokenSource::Allowance | TokenSource::Best => self.by_allowance(&deposit, self.hub()),
            TokenSource::Facade => self.by_allowance(&deposit, row.holder),
            TokenSource::Eip3009 => self.by_authorization(&deposit),
            TokenSource::Eip2612 => self.by_permit(&deposit),
            TokenSource::Permit2 => self.by_permit2(&deposit),
        }
    }

    fn by_allowance(
        &mut self,
        deposit: &SignedDeposit<'_>,
        spender: Address,
    ) -> Result<Pull, Error> {
        let SignedDeposit { id, token, row, need, name } = *deposit;
        let head = self.node.head()?;
        if self.lane_is_taken(&id, token, head.number)? {
            return Ok(Pull::First(Progress::Queued));
        }
        let until_held = row.there.saturating_add(need);
        let (holder, funding, since) = (row.holder, name, head.number);
        self.orders.lanes.insert(token, Lane { channel: id, holder, funding, until_held, since });
        let owner = self.wallet();
        let question = sol::Token::allowanceCall { owner, spender };
        let have = self.node.read(token, &question, At::Latest)?;
        if have >= need {
            return Ok(Pull::Ready(sol::Source::Sender, Vec::new()));
        }
        // From one amount to another there is a moment for both, and some tokens refuse it.
        let (kind, amount) =
            if have.is_zero() { ("approve", need) } else { ("approve nothing", U256::ZERO) };
        let input: Bytes = sol::Token::approveCall { spender, amount }.abi_encode().into();
        self.check_approval(token, &input)?;
        let task = Task { to: token, value: U256::ZERO, input };
        let key = Key::of_account(kind, token);
        self.check_strikes(&key, id)?;
        self.ask_token(key, task, 1).map(Pull::First)
    }

    /// Whether another channel is between its approval and its deposit.
    fn lane_is_taken(&self, id: &ChannelId, token: Address, head: u64) -> Result<bool, Error> {
        let Some(lane) = self.orders.lanes.get(&token) else { return Ok(false) };
        if lane.channel == *id || head.saturating_sub(lane.since) > LANE_BLOCKS {
            return Ok(false);
        }
        let question = sol::Hub::heldCall { holder: lane.holder, fundingID: lane.funding };
        let held = self.node.read(self.hub(), &question, At::Latest)?;
        Ok(held < lane.until_held)
    }

    /// A token may answer `false` in the place of reverting, or, by an older custom, nothing.
    fn check_approval(&self, token: Address, input: &Bytes) -> Result<(), Error> {
        let (from, value) = (self.wallet(), U256::ZERO);
        let request = CallRequest { from, to: token, value, input: input.clone() };
        let said = self.node.run(&request, At::Latest)?;
        let is_false = said.len() >= 32 && said.iter().all(|byte| *byte == 0);
        if is_false {
            return Err(Error::LyingToken { token, what: "does not let the hub take anything" });
        }
        Ok(())
    }

    /// A transfer to the hub, whose number binds it to this deposit.
    fn by_authorization(&self, deposit: &SignedDeposit<'_>) -> Result<Pull, Error> {
        let SignedDeposit { id, token, row, need, name } = *deposit;
        let (from, until) = (self.wallet(), self.deadline()?);
        let nonce = typed::authorization_nonce(word(&id), name, row.holder, need);
        let message = sol::ReceiveWithAuthorization {
            from,
            to: self.hub(),
            value: need,
            validAfter: U256::ZERO,
            validBefore: until,
            nonce,
        };
        let sig = self.sign(typed::under(self.separator(token)?, &message))?;
        let data = (from, U256::ZERO, until, sig).abi_encode_params();
        Ok(Pull::Ready(sol::Source::Eip3009, data))
    }

    /// An allowance, and the intent that says what for: an allowance alone could be steered
    /// elsewhere.
    fn by_permit(&self, deposit: &SignedDeposit<'_>) -> Result<Pull, Error> {
        let SignedDeposit { id, token, row, need, name } = *deposit;
        let (owner, spender, deadline) = (self.wallet(), self.hub(), self.deadline()?);
        // What is there already makes each deposit of a channel another one.
        let number = row.there;
        let intent = sol::DepositIntent {
            channelID: word(&id),
            fundingID: name,
            holder: row.holder,
            amount: need,
            source: sol::Source::Eip2612 as u8,
            owner,
            nonce: number,
            deadline,
        };
        let domain = typed::hub_domain(self.orders.deployment.chain(), spender);
        let intent_sig = self.sign(typed::deposit_intent(&domain, &intent))?;
        let nonce = self.node.read(token, &sol::Token::noncesCall { owner }, At::Latest)?;
        let permit = sol::Permit { owner, spender, value: need, nonce, deadline };
        let permit_sig = self.sign(typed::under(self.separator(token)?, &permit))?;
        let data = (owner, number, deadline, intent_sig, deadline, permit_sig).abi_encode_params();
        Ok(Pull::Ready(sol::Source::Eip2612, data))
    }

    fn by_permit2(&self, deposit: &SignedDeposit<'_>) -> Result<Pull, Error> {
        let SignedDeposit { id, token, row, need, name } = *deposit;
        let (owner, deadline) = (self.wallet(), self.deadline()?);
        let question = sol::Token::allowanceCall { owner, spender: typed::PERMIT2 };
        let have = self.node.read(token, &question, At::Latest)?;
        if have < need {
            return Err(Error::InsufficientAllowance { token, have, need });
        }
        // Permit2 takes each number once, in any order: one for each deposit.
        let number = (word(&id), name, row.holder, row.there).abi_encode_params();
        let nonce = U256::from_be_bytes(alloy_primitives::keccak256(number).0);
        let message = sol::PermitWitnessTransferFrom {
            permitted: sol::TokenPermissions { token, amount: need },
            spender: self.hub(),
            nonce,
            deadline,
            witness: sol::ChannelDeposit { channelID: word(&id), fundingID: name },
        };
        let sig = self.sign(typed::permit2(self.orders.deployment.chain(), &message))?;
        let data = (owner, nonce, deadline, sig).abi_encode_params();
        Ok(Pull::Ready(sol::Source::Permit2, data))
    }

    /// The domain that the token's signatures are under. It is the token's word; but what is signed
    /// under it lets only the hub take anything, and the hub asks for an intent or a bound number.
    fn separator(&self, token: Address) -> Result<B256, Error> {
        let separator = self.node.read(token, &sol::Token::DOMAIN_SEPARATORCall {}, At::Latest)?;
        let chain = self.orders.deployment.chain();
        if separator == typed::hub_domain(chain, self.hub()).separator() {
            return Err(Error::LyingToken { token, what: "wants signatures for the hub" });
        }
        Ok(separator)
    }

    fn deadline(&self) -> Result<U256, Error> {
        Ok(U256::from(self.node.head()?.timestamp.saturating_add(SIGNED_SECS)))
    }

    fn sign(&self, digest: B256) -> Result<Bytes, Error> {
        Ok(signature(&self.orders.sender.account().sign(&digest.0)?))
    }
}

/// What the signatures of a token's deposit name.
#[derive(Clone, Copy)]
struct SignedDeposit<'a> {
    id: ChannelId,
    token: Address,
    row: &'a Missing,
    need: U256,
    name: B256,
}
