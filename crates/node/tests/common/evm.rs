//! An Ethereum chain in the process with the real contracts and a token on it, and wallets for two
//! people. Blocks come only when a story makes them.
#![allow(dead_code, reason = "each story uses its part")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use alloy_primitives::{Address, Bytes, TxKind, U256};
use perun_backend_evm::Deployment;
use perun_backend_evm::abi::solidity as sol;
use perun_backend_evm::account::{Account, KeyAccount};
use perun_backend_evm::deployment::{Artifact, Codes};
use perun_backend_evm::fees::quote;
use perun_backend_evm::follow::{Depth, DepthTable};
use perun_backend_evm::orders::{Orders, TokenSource};
use perun_backend_evm::rpc::{At, Node, Rpc, RpcError};
use perun_backend_evm::sender::{Sender, SenderOptions};
use perun_channel::{Amount, Asset, Params, Signature, SignedState, State};
use perun_embedded_evm::testkit::{call, deploy, dev_signer, pass_time, signed};
use perun_embedded_evm::{Chain, Dropped, Options};
use perun_node::{EvmLedger, EvmOptions};
use serde_json::{Value, json};

pub(crate) const ETHER: u128 = 1_000_000_000_000_000_000;
/// What each wallet has at first.
pub(crate) const COINS: u128 = 100 * ETHER;
pub(crate) const TOKENS: u128 = 1_000_000;

/// The chain, as one person's node: it can lose what that person sends, or say nothing at all.
struct Line {
    chain: Chain,
    is_cut: Arc<AtomicBool>,
    is_silent: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
}

impl Rpc for Line {
    fn request(&self, method: &str, params: Value) -> Result<Value, RpcError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let sends = method == "eth_sendRawTransaction";
        if self.is_silent.load(Ordering::SeqCst) || (sends && self.is_cut.load(Ordering::SeqCst)) {
            return Err(RpcError::Transport("the connection was lost".into()));
        }
        self.chain.request(method, params).map_err(|refusal| RpcError::Refused {
            code: refusal.code,
            message: refusal.message,
            data: refusal.data,
        })
    }
}

/// The chain with the contracts.
pub(crate) struct Ethereum {
    pub(crate) chain: Chain,
    deployment: Deployment,
    token: Address,
    wallets: [Arc<KeyAccount>; 3],
    /// Whose transactions do not arrive.
    pub(crate) cut: [Arc<AtomicBool>; 2],
    /// Whose node does not answer.
    pub(crate) silent: [Arc<AtomicBool>; 2],
    /// How many questions each one's node was asked.
    pub(crate) asked: [Arc<AtomicUsize>; 2],
    depth: u32,
}

fn artifact(name: &str) -> Artifact {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../onchain/evm/artifacts");
    let json = std::fs::read_to_string(format!("{folder}/{name}.json")).unwrap();
    Artifact::parse(&json).unwrap()
}

fn token_code() -> Bytes {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../backend-evm/tests/tokens");
    std::fs::read_to_string(format!("{folder}/TestToken.hex")).unwrap().trim().parse().unwrap()
}

impl Ethereum {
    /// A chain where so many blocks bury what money depends on.
    pub(crate) fn buried_by(depth: u32) -> Self {
        let chain = Chain::new(Options::dev());
        let maker = dev_signer(0);
        let [hub, desk, facade] = ["PerunHub", "HubDesk", "AssetFacade"].map(artifact);
        let known = vec![Codes::of(&hub, &desk, &facade)];
        let address = deploy(&chain, &maker, hub.creation().clone()).unwrap();
        let (id, from) = (Options::dev().chain_id, chain.head().number);
        let deployment = Deployment::new(id, address, from, known);
        let token = deploy(&chain, &maker, token_code()).unwrap();
        let wallets = [0x21, 0x22, 0x23].map(|byte| Arc::new(KeyAccount::new([byte; 32]).unwrap()));
        for wallet in &wallets {
            chain.set_balance(wallet.address(), U256::from(COINS));
            // mint(address,uint256)
            let amount = U256::from(TOKENS).to_be_bytes::<32>();
            let to = wallet.address().into_word();
            let input = [&[0x40, 0xc1, 0x0f, 0x19], to.as_slice(), &amount].concat();
            let mint = call(&chain, &maker, TxKind::Call(token), U256::ZERO, input.into(), 200_000);
            chain.send_raw(&signed(&maker, mint.unwrap())).unwrap();
        }
        chain.mine(1).unwrap();
        let flags = || [(); 2].map(|()| Arc::new(AtomicBool::new(false)));
        let (cut, silent) = (flags(), flags());
        let asked = [(); 2].map(|()| Arc::default());
        let mut this = Self { chain, deployment, token, wallets, cut, silent, asked, depth };
        this.name_token();
        this
    }

    /// A stranger lets the hub name the token.
    fn name_token(&mut self) {
        let line = self.line(None);
        let mut orders = self.orders(2);
        orders.at(Node(&line), 0).create_facade(self.token).unwrap();
        self.chain.mine(1).unwrap();
        self.deployment.add_token(Node(&line), self.token).unwrap();
    }

    fn line(&self, side: Option<usize>) -> Line {
        let flag = |of: &[Arc<AtomicBool>; 2]| side.map_or_else(Arc::default, |it| of[it].clone());
        let (is_cut, is_silent) = (flag(&self.cut), flag(&self.silent));
        let asked = side.map_or_else(Arc::default, |it| self.asked[it].clone());
        Line { chain: self.chain.clone(), is_cut, is_silent, asked }
    }

    fn orders(&self, wallet: usize) -> Orders {
        let (account, id) = (self.wallets[wallet].clone(), self.deployment.chain());
        let sender = Sender::new(account, id, SenderOptions::default());
        Orders::new(self.deployment.clone(), sender)
    }

    /// One person's way to it.
    pub(crate) fn ledger(&self, side: usize) -> EvmLedger {
        self.ledger_with(side, |_| {})
    }

    /// The same, set up otherwise.
    pub(crate) fn ledger_with(
        &self,
        side: usize,
        change: impl FnOnce(&mut EvmOptions),
    ) -> EvmLedger {
        let depths = DepthTable::uniform(Depth::Blocks(self.depth));
        let mut options = EvmOptions::confirmed_by(depths);
        // One pays tokens in by an allowance, the other by a signature.
        options.tokens = [TokenSource::Allowance, TokenSource::Best][side];
        change(&mut options);
        let (rpc, wallet) = (Arc::new(self.line(Some(side))), self.wallets[side].clone());
        EvmLedger::new(rpc, self.deployment.clone(), wallet, options).unwrap()
    }

    pub(crate) fn coin(&self) -> Asset {
        self.deployment.coin()
    }

    pub(crate) fn token(&self) -> Asset {
        let line = self.line(None);
        self.deployment.clone().add_token(Node(&line), self.token).unwrap()
    }

    pub(crate) fn pass(&self, seconds: u64) {
        pass_time(&self.chain, seconds).unwrap();
    }

    /// Takes so many blocks away, and forgets their transactions.
    pub(crate) fn rewind(&self, blocks: u64) {
        self.chain.rewind(self.chain.head().number - blocks, Dropped::Forgotten).unwrap();
    }

    /// A stranger registers a state that both signed.
    pub(crate) fn register(&self, params: &Params, state: &State, signatures: [Signature; 2]) {
        let signed = SignedState::new(params, state.clone(), signatures.to_vec()).unwrap();
        let line = self.line(None);
        self.orders(2).at(Node(&line), 0).register(params, &signed, &[]).unwrap();
        self.chain.mine(1).unwrap();
    }

    /// A stranger concludes with a final state that both signed, and pays nobody.
    pub(crate) fn conclude_unpaid(
        &self,
        params: &Params,
        state: &State,
        signatures: [Signature; 2],
    ) {
        let signed = SignedState::new(params, state.clone(), signatures.to_vec()).unwrap();
        let line = self.line(None);
        self.orders(2).at(Node(&line), 0).close_unpaid(params, &signed).unwrap();
        self.chain.mine(1).unwrap();
    }

    /// What a person has of coins, with all fees that it paid, and of tokens: how much more or less
    /// than at first.
    pub(crate) fn gains(&self, side: usize) -> [i128; 2] {
        let address = self.wallets[side].address();
        let coins = self.chain.balance(&address) + self.fees(address);
        let tokens = self.tokens_of(address);
        let gain = |now: U256, first: u128| {
            i128::try_from(now.to::<u128>()).unwrap() - i128::try_from(first).unwrap()
        };
        [gain(coins, COINS), gain(tokens, TOKENS)]
    }

    /// Leaves so many coins to a person.
    pub(crate) fn leave_coins(&self, side: usize, wei: u128) {
        self.chain.set_balance(self.wallets[side].address(), U256::from(wei));
    }

    /// What so much gas may cost now.
    pub(crate) fn price_of(&self, gas: u128) -> u128 {
        let history = Node(&self.line(None)).fee_history().unwrap();
        quote(&history, u128::MAX).unwrap().max_fee * gas
    }

    /// What the hub holds: coins and tokens.
    pub(crate) fn held(&self) -> [u128; 2] {
        let hub = self.deployment.hub();
        [self.chain.balance(&hub), self.tokens_of(hub)].map(|amount| amount.to())
    }

    fn tokens_of(&self, owner: Address) -> U256 {
        let question = sol::Token::balanceOfCall { owner };
        Node(&self.line(None)).read(self.token, &question, At::Latest).unwrap()
    }

    /// What an account paid for all its transactions that are in blocks.
    fn fees(&self, account: Address) -> U256 {
        let ask = |method: &str, params: Value| self.chain.request(method, params).unwrap();
        let number = |value: &Value| -> U256 { serde_json::from_value(value.clone()).unwrap() };
        let mut sum = U256::ZERO;
        for block in 0..=self.chain.head().number {
            let block = ask("eth_getBlockByNumber", json!([format!("0x{block:x}"), true]));
            for tx in block["transactions"].as_array().unwrap() {
                let from: Address = serde_json::from_value(tx["from"].clone()).unwrap();
                if from == account {
                    let receipt = ask("eth_getTransactionReceipt", json!([tx["hash"]]));
                    sum += number(&receipt["gasUsed"]) * number(&receipt["effectiveGasPrice"]);
                }
            }
        }
        sum
    }
}

/// What each side brings of a row.
pub(crate) fn row(amounts: [u128; 2]) -> Vec<Amount> {
    amounts.map(Amount::new).to_vec()
}
