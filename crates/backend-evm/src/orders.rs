//! What a wallet does on the ledger: deposit, register, close, conclude, withdraw.
//!
//! Every order may be repeated, and is to be repeated until it is done: it looks at the chain
//! first, does nothing if that shows it done, waits if its transaction is on its way, and otherwise
//! sends the next one, which was run before. So a process that forgets everything only asks again.
//! The invariant: an order's transaction is what the contract takes at the newest block, or it is
//! not sent.

mod deposit;
mod dispute;
mod money;
mod strikes;
mod token;

pub use deposit::{DepositOrder, TokenSource};
pub use dispute::{Decision, Node as TreeNode};
pub use token::offers;

use std::collections::BTreeMap;

use alloy_primitives::{Address, U256};
use alloy_sol_types::SolCall;
use perun_channel::{ChannelId, Params, Signature, State};

use crate::follow::{self, Record};
use crate::rpc::{At, Block, Node};
use crate::sender::book::{Key, News, Task};
use crate::sender::{Manner, Progress, Sender};
use crate::{Deployment, Error};
use strikes::Strikes;
use token::Lane;

/// Makes a session key's signature over a digest.
pub type Signer<'a> = &'a dyn Fn(&[u8; 32]) -> Signature;

/// How long what a key signs for one transaction is good, in seconds: longer than a transaction
/// waits, shorter than anybody forgets.
const SIGNED_SECS: u64 = 86_400;
/// Most gas of what the hub does beside asking tokens, in an order about them.
const HUB_GAS: u64 = 250_000;
/// Most gas that one token may take: several times what any well-known one needs.
const TOKEN_GAS: u64 = 500_000;
/// How often a deposit is sent that fails in blocks.
const DEPOSIT_TRIES: u32 = 3;

/// A wallet with its hub.
pub struct Orders {
    deployment: Deployment,
    sender: Sender,
    /// Which channel's deposit uses a token's allowance now: there is one for all of them.
    lanes: BTreeMap<Address, Lane>,
    strikes: Strikes,
}

impl Orders {
    /// The orders of this sender at this hub.
    #[must_use]
    pub const fn new(deployment: Deployment, sender: Sender) -> Self {
        Self { deployment, sender, lanes: BTreeMap::new(), strikes: Strikes::new() }
    }

    /// The deployment.
    #[must_use]
    pub const fn deployment(&self) -> &Deployment {
        &self.deployment
    }

    /// The sender.
    pub const fn sender(&mut self) -> &mut Sender {
        &mut self.sender
    }

    /// Looks after what is in flight; to be called at every new block.
    pub fn tend(&mut self, node: Node<'_>) -> Result<Vec<News>, Error> {
        let news = self.sender.tend(node)?;
        self.strikes.heard(&news);
        Ok(news)
    }

    /// Takes orders. With an `attempt` above zero, what is on its way already is offered again for
    /// a higher fee.
    pub const fn at<'a>(&'a mut self, node: Node<'a>, attempt: u32) -> Desk<'a> {
        Desk { orders: self, node, attempt }
    }
}

/// Where orders are given.
pub struct Desk<'a> {
    orders: &'a mut Orders,
    node: Node<'a>,
    attempt: u32,
}

impl Desk<'_> {
    fn hub(&self) -> Address {
        self.orders.deployment.hub()
    }

    fn wallet(&self) -> Address {
        self.orders.sender.address()
    }

    /// The channel's record at the newest block, with that block.
    fn record(&self, id: &ChannelId) -> Result<(Block, Option<Record>), Error> {
        let head = self.node.head()?;
        let at = At::Hash(head.hash);
        Ok((head, follow::record(self.node, &self.orders.deployment, id, at)?))
    }

    /// Calls the hub, unless this order is on its way.
    fn call<C: SolCall>(&mut self, key: Key, value: U256, call: &C) -> Result<Progress, Error> {
        let task = self.task(value, call);
        self.send(key, task)
    }

    fn task<C: SolCall>(&self, value: U256, call: &C) -> Task {
        Task { to: self.hub(), value, input: call.abi_encode().into() }
    }

    /// Calls the hub so that it pays, with gas for payees and tokens that take more of it in a
    /// block than when they were tried.
    fn call_paying<C: SolCall>(
        &mut self,
        key: Key,
        call: &C,
        spare: u64,
    ) -> Result<Progress, Error> {
        let task = self.task(U256::ZERO, call);
        self.send_within(key, task, Manner { spare, ..Manner::default() })
    }

    /// Makes a token do something for us alone. It gets no more gas than tokens need; and if it
    /// failed in blocks though not when it was tried, it is tried ever more rarely.
    fn ask_token(&mut self, key: Key, task: Task, tokens: usize) -> Result<Progress, Error> {
        self.ask_tokens(key, task, tokens, false)
    }

    /// The same for a deposit: twice, it would be shared with the other side.
    fn put_in(&mut self, key: Key, task: Task, tokens: usize) -> Result<Progress, Error> {
        self.ask_tokens(key, task, tokens, true)
    }

    fn ask_tokens(
        &mut self,
        key: Key,
        task: Task,
        tokens: usize,
        once: bool,
    ) -> Result<Progress, Error> {
        if let Some(until) = self.orders.strikes.until(&key)
            && self.node.head()?.number < until
        {
            return Ok(Progress::Queued);
        }
        let tokens = u64::try_from(tokens).unwrap_or(u64::MAX);
        let most = HUB_GAS.saturating_add(TOKEN_GAS.saturating_mul(tokens));
        self.send_within(key, task, Manner { most, once, ..Manner::default() })
    }

    /// Refuses what failed in blocks too often to be worth another fee.
    fn check_strikes(&self, key: &Key, id: ChannelId) -> Result<(), Error> {
        if self.orders.strikes.count(key) < DEPOSIT_TRIES {
            return Ok(());
        }
        let what = "its deposit passed whenever it was tried and failed in every block, so one of \
                    its tokens may be made to waste fees; let the channel end";
        Err(Error::Unfit { channel: id, what })
    }

    fn send(&mut self, key: Key, task: Task) -> Result<Progress, Error> {
        self.send_within(key, task, Manner::default())
    }

    fn send_within(&mut self, key: Key, task: Task, manner: Manner) -> Result<Progress, Error> {
        if let Some(hash) = self.orders.sender.book().waiting(&key) {
            let raised = match self.attempt {
                0 => None,
                _ => self.orders.sender.urge(self.node, &key)?,
            };
            return Ok(match raised {
                Some(News::Raised { hash, .. }) => Progress::Sent(hash),
                _ => Progress::Waiting(hash),
            });
        }
        self.orders.sender.send_within(self.node, key, task, manner)
    }

    /// The rows of this chain, if there are any.
    fn rows(&self, params: &Params, state: &State) -> Result<Vec<usize>, Error> {
        let id = params.id();
        if *state.id() != id {
            return Err(Error::Unfit { channel: id, what: "the state is another channel's" });
        }
        let rows = self.orders.deployment.rows(state.outcome());
        if rows.is_empty() { Err(Error::NotOurs(id)) } else { Ok(rows) }
    }
}
