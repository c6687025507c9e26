//! The stage's other half: an Ethereum chain with the hub and a token, and ether for everybody.
//!
//! The chain is the embedded one, an Anvil that the demo starts, or a dev node behind RPC. All are
//! driven through the same JSON-RPC, with the words for time and money that Anvil and Hardhat know;
//! a node that does not take these is refused before anything is put on it.

use std::ffi::OsStr;
use std::sync::Arc;

use alloy_consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use perun_backend_evm::Deployment;
use perun_backend_evm::abi::solidity as sol;
use perun_backend_evm::account::{Account, KeyAccount};
use perun_backend_evm::deployment::{Artifact, Codes};
use perun_backend_evm::follow::{Depth, DepthTable};
use perun_backend_evm::orders::Orders;
use perun_backend_evm::rpc::{At, Block, Fate, HttpRpc, Node, Rpc, RpcError};
use perun_backend_evm::sender::{Sender, SenderOptions};
use perun_channel::Asset;
use perun_embedded_evm::anvil::{self, Anvil};
use perun_embedded_evm::{Chain, Options};
use perun_node::{EvmLedger, EvmOptions, entropy};
use serde_json::{Value, json};

use super::{DemoOptions, Failure, leftovers, words};
use crate::narrate::Narrator;

/// One ether in wei.
pub(super) const ETHER: u128 = 1_000_000_000_000_000_000;

/// What each wallet starts with.
const WALLET: u128 = 100 * ETHER;
/// What makers of contracts offer for gas: more than any dev chain asks.
const FEE_MAX: u128 = 1_000_000_000_000;
const TIP: u128 = 1_000_000_000;
/// Most gas of one of the stage's own transactions: what making the hub takes, and half as much.
const GAS_MAX: u64 = 15_000_000;
const GAS_OF_CALL: u64 = 300_000;
/// How many blocks a transaction of the stage may take.
const BLOCKS_MAX: usize = 20;

const HUB: &str = include_str!("../../../../onchain/evm/artifacts/PerunHub.json");
const DESK: &str = include_str!("../../../../onchain/evm/artifacts/HubDesk.json");
const FACADE: &str = include_str!("../../../../onchain/evm/artifacts/AssetFacade.json");
const TOKEN: &str = include_str!("../../../backend-evm/tests/tokens/TestToken.hex");

/// The chain in this process, as a node.
struct Embedded(Chain);

impl Rpc for Embedded {
    fn request(&self, method: &str, params: Value) -> Result<Value, RpcError> {
        self.0.request(method, params).map_err(|refusal| RpcError::Refused {
            code: refusal.code,
            message: refusal.message,
            data: refusal.data,
        })
    }
}

/// The Ethereum chain and everything on it that the scenes share.
pub(super) struct Ethereum {
    rpc: Arc<dyn Rpc>,
    deployment: Deployment,
    token: Address,
    /// The token as channels know it.
    asset: Asset,
    maker: Arc<KeyAccount>,
}

impl Ethereum {
    pub(super) fn set(options: &DemoOptions, narrator: &mut dyn Narrator) -> Result<Self, Failure> {
        let rpc = chain(options, narrator)?;
        let maker = Arc::new(account()?);
        let node = Node(rpc.as_ref());
        let id = check_dev(node, maker.address())
            .map_err(|reason| format!("{reason}{}", advice(options)))?;
        let known = codes()?;
        let hub = deploy(node, &maker, known.1)?;
        let from = node.head().map_err(words)?.number;
        let mut deployment = Deployment::new(id, hub, from, vec![known.0]);
        deployment.check(node).map_err(words)?;
        let token = deploy(node, &maker, TOKEN.trim().parse().map_err(words)?)?;
        let sender = Sender::new(maker.clone(), id, SenderOptions::default());
        let mut orders = Orders::new(deployment.clone(), sender);
        orders.at(node, 0).create_facade(token).map_err(words)?;
        mine(node)?;
        let asset = deployment.add_token(node, token).map_err(words)?;
        Ok(Self { rpc, deployment, token, asset, maker })
    }

    pub(super) fn node(&self) -> Node<'_> {
        Node(self.rpc.as_ref())
    }

    /// Makes one block.
    pub(super) fn mine(&self) -> Result<(), Failure> {
        mine(self.node())
    }

    /// Moves the chain's clock.
    pub(super) fn advance(&self, seconds: u64) -> Result<(), Failure> {
        advance(self.node(), seconds)
    }

    pub(super) fn head(&self) -> Result<Block, Failure> {
        self.node().head().map_err(words)
    }

    pub(super) fn coin(&self) -> Asset {
        self.deployment.coin()
    }

    pub(super) fn token(&self) -> Asset {
        self.asset.clone()
    }

    /// A new wallet with ether, and with so much of the token.
    pub(super) fn wallet(&self, tokens: u128) -> Result<Arc<KeyAccount>, Failure> {
        let wallet = Arc::new(account()?);
        give(self.node(), wallet.address(), WALLET)?;
        if tokens != 0 {
            // mint(address,uint256), which the token of the demo lets everybody call.
            let (to, amount) = (wallet.address().into_word(), U256::from(tokens));
            let input =
                [&[0x40, 0xc1, 0x0f, 0x19], to.as_slice(), &amount.to_be_bytes::<32>()].concat();
            let call = (TxKind::Call(self.token), input.into(), GAS_OF_CALL);
            transact(self.node(), &self.maker, call)?;
        }
        Ok(wallet)
    }

    /// Somebody's way to the chain.
    pub(super) fn ledger(&self, wallet: Arc<KeyAccount>) -> Result<EvmLedger, Failure> {
        let options = EvmOptions::confirmed_by(DepthTable::uniform(Depth::Blocks(1)));
        EvmLedger::new(self.rpc.clone(), self.deployment.clone(), wallet, options).map_err(words)
    }

    /// What an account has now: wei, and units of the token.
    pub(super) fn holdings(&self, account: Address) -> Result<[u128; 2], Failure> {
        let coins = self.node().balance(account, At::Latest).map_err(words)?;
        let question = sol::Token::balanceOfCall { owner: account };
        let tokens = self.node().read(self.token, &question, At::Latest).map_err(words)?;
        let number = |amount: U256| u128::try_from(amount).map_err(words);
        Ok([number(coins)?, number(tokens)?])
    }
}

fn chain(options: &DemoOptions, narrator: &mut dyn Narrator) -> Result<Arc<dyn Rpc>, Failure> {
    if let Some(url) = &options.evm_rpc {
        narrator.note(&format!("the Ethereum node at {url}, whose time can be moved"));
        return Ok(Arc::new(HttpRpc::new(url)));
    }
    if options.real_node
        && let Some(program) = Anvil::program()
    {
        let starting = leftovers::keep_anvil(|| {
            let arguments = ["--no-mining", "--hardfork", "prague"];
            Anvil::launch(&program, &arguments).map_err(|error| cannot_start(&program, &error))
        })?;
        let url = starting.url().map_err(|error| cannot_start(&program, &error))?;
        narrator.note(&format!("an Anvil of its own, at {url}"));
        return Ok(Arc::new(HttpRpc::new(url)));
    }
    narrator.note("an embedded Ethereum chain that runs the real contracts on revm");
    Ok(Arc::new(Embedded(Chain::new(Options::dev()))))
}

fn cannot_start(program: &OsStr, error: &std::io::Error) -> Failure {
    format!(
        "Anvil, which {} names as {}, did not start: {error}; unset the variable to use the chain \
         inside this process",
        anvil::PROGRAM_VARIABLE,
        program.display()
    )
}

fn advice(options: &DemoOptions) -> &'static str {
    match options.evm_rpc {
        None => "",
        Some(_) => {
            ". Nothing of value was touched. --evm-rpc wants a dev chain that gives money away and \
             whose time can be moved, as Anvil is: `anvil`, then --evm-rpc http://127.0.0.1:8545"
        }
    }
}

/// Gives the maker money and moves the clock a little: what no chain but a dev chain does.
fn check_dev(node: Node<'_>, maker: Address) -> Result<u64, Failure> {
    let id = node.chain_id().map_err(|error| match error {
        RpcError::Refused { message, .. } => {
            format!("the node does not speak as an Ethereum node does ({message})")
        }
        // Its words of what may have arrived are for transactions; nothing was sent yet.
        RpcError::Transport(reason) if reason.starts_with("HTTP ") => {
            format!("the node does not speak as an Ethereum node does ({reason})")
        }
        RpcError::Transport(reason) => format!("the Ethereum node cannot be reached ({reason})"),
        error => format!("the Ethereum node does not answer as it should: {error}"),
    })?;
    let refused = |what: &str, error: Failure| {
        format!("chain {id} is not a dev chain: it does not {what} ({error})")
    };
    give(node, maker, 1_000 * ETHER).map_err(|error| refused("give money away", error))?;
    let before = node.head().map_err(words)?;
    advance(node, 10).map_err(|error| refused("let its time be moved", error))?;
    let after = node.head().map_err(words)?;
    if after.number <= before.number || after.timestamp < before.timestamp.saturating_add(10) {
        let from = before.timestamp;
        return Err(format!(
            "chain {id} is not a dev chain: asked to go on from {from} by 10 s, its time is {}",
            after.timestamp
        ));
    }
    Ok(id)
}

fn codes() -> Result<(Codes, Bytes), Failure> {
    let read = |json: &str| Artifact::parse(json).map_err(words);
    let (hub, desk, facade) = (read(HUB)?, read(DESK)?, read(FACADE)?);
    Ok((Codes::of(&hub, &desk, &facade), hub.creation().clone()))
}

/// A key that nobody else has.
fn account() -> Result<KeyAccount, Failure> {
    KeyAccount::new(entropy().map_err(words)?).map_err(words)
}

fn give(node: Node<'_>, account: Address, wei: u128) -> Result<(), Failure> {
    ask(node, "anvil_setBalance", json!([account, U256::from(wei)]))
}

/// One block, at least a second after the last one: on nodes that follow the wall clock many
/// blocks would have one time.
fn mine(node: Node<'_>) -> Result<(), Failure> {
    advance(node, 1)
}

fn advance(node: Node<'_>, seconds: u64) -> Result<(), Failure> {
    ask(node, "evm_increaseTime", json!([seconds]))?;
    ask(node, "evm_mine", json!([]))
}

fn ask(node: Node<'_>, method: &str, params: Value) -> Result<(), Failure> {
    let answer = node.0.request(method, params);
    answer.map(drop).map_err(|error| format!("{method}: {error}"))
}

fn deploy(node: Node<'_>, maker: &KeyAccount, code: Bytes) -> Result<Address, Failure> {
    let nonce = node.nonce(maker.address(), At::Latest).map_err(words)?;
    transact(node, maker, (TxKind::Create, code, GAS_MAX))?;
    Ok(maker.address().create(nonce))
}

/// Sends a transaction of the stage's own and waits until it is in a block.
fn transact(
    node: Node<'_>,
    from: &KeyAccount,
    (to, input, gas_limit): (TxKind, Bytes, u64),
) -> Result<B256, Failure> {
    let transaction = TxEip1559 {
        chain_id: node.chain_id().map_err(words)?,
        nonce: node.nonce(from.address(), At::Latest).map_err(words)?,
        gas_limit,
        max_fee_per_gas: FEE_MAX,
        max_priority_fee_per_gas: TIP,
        to,
        value: U256::ZERO,
        access_list: alloy_eips::eip2930::AccessList::default(),
        input,
    };
    let signature = from.sign(&transaction.signature_hash().0).map_err(words)?;
    let signature = alloy_primitives::Signature::from_raw(signature.as_bytes()).map_err(words)?;
    let envelope = TxEnvelope::from(transaction.into_signed(signature));
    let hash = node.send_raw(&envelope.encoded_2718().into()).map_err(words)?;
    for _ in 0..BLOCKS_MAX {
        match node.fate(hash).map_err(words)? {
            Fate::Mined { succeeded: true, .. } => return Ok(hash),
            Fate::Mined { succeeded: false, .. } => {
                return Err(format!("{hash}, which prepares the stage, failed on the chain"));
            }
            _ => mine(node)?,
        }
    }
    Err(format!("{hash}, which prepares the stage, was not mined within {BLOCKS_MAX} blocks"))
}
