//! The chain: a real Anvil with one set of contracts or the other, whose time can be moved.

use std::path::Path;

use alloy_primitives::{Address, B256, Bytes, U256, bytes, keccak256};
use alloy_sol_types::{SolCall, SolEvent, sol};
use perun_backend_evm::Deployment;
use perun_backend_evm::abi::solidity as hub;
use perun_backend_evm::deployment::{Artifact, Codes};
use perun_backend_evm::rpc::{At, CallRequest, Fate, HttpRpc, Node, Rpc};
use perun_embedded_evm::anvil::Anvil;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::theirs::Process;
use crate::trouble::Result;

sol! {
    interface Mint {
        function mint(address to, uint256 amount);
        function transfer(address to, uint256 amount) returns (bool);
    }
}

/// An app that takes every step: its code is one instruction, to stop.
const ANY_APP: Bytes = bytes!("6001600c60003960016000f300");
/// What a wallet has for deposits and gas.
pub(crate) const WALLET: u128 = 100_000_000_000_000_000_000;
/// More tokens than all scenarios use.
const TOKENS: u128 = 1_000_000_000_000_000_000_000;
/// For making contracts: what making the hub takes, and half as much.
const GAS_MAX: u64 = 15_000_000;

pub(crate) struct Chain {
    anvil: Anvil,
    rpc: HttpRpc,
    maker: Address,
}

/// A `ChannelUpdate` among the chain's logs.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Update {
    transaction_hash: B256,
    data: Bytes,
}

impl Chain {
    /// Blocks come with transactions and every second: go-perun measures time by blocks.
    pub(crate) fn start() -> Result<Self> {
        let program = Anvil::program().ok_or("PERUN_ANVIL_BIN must name the program `anvil`")?;
        let blocks = ["--block-time", "1", "--mixed-mining", "--hardfork", "prague"];
        let anvil = Anvil::start(&program, &blocks)?;
        let rpc = HttpRpc::new(anvil.url());
        let accounts: Vec<Address> =
            serde_json::from_value(rpc.request("eth_accounts", json!([]))?)?;
        let maker = *accounts.first().ok_or("an Anvil without accounts")?;
        Ok(Self { anvil, rpc, maker })
    }

    /// Where our node finds it.
    pub(crate) fn url(&self) -> String {
        self.anvil.url()
    }

    /// Where go-perun finds it.
    pub(crate) fn socket_url(&self) -> String {
        self.anvil.socket_url()
    }

    fn node(&self) -> Node<'_> {
        Node(&self.rpc)
    }

    /// Moves the clock.
    pub(crate) fn pass(&self, seconds: u64) -> Result<()> {
        self.rpc.request("evm_increaseTime", json!([seconds]))?;
        self.rpc.request("evm_mine", json!([]))?;
        Ok(())
    }

    pub(crate) fn give_coins(&self, account: Address) -> Result<()> {
        self.rpc.request("anvil_setBalance", json!([account, U256::from(WALLET)]))?;
        Ok(())
    }

    pub(crate) fn give_tokens(&self, token: Address, to: Address, amount: u128) -> Result<()> {
        self.call(token, &Mint::transferCall { to, amount: U256::from(amount) })
    }

    pub(crate) fn height(&self) -> Result<u64> {
        Ok(self.node().head()?.number)
    }

    /// What an account has paid for gas in the blocks above this one.
    pub(crate) fn fees_of(&self, account: Address, above: u64) -> Result<u128> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Receipt {
            from: Address,
            gas_used: U256,
            effective_gas_price: U256,
        }
        let mut sum = U256::ZERO;
        for number in above + 1..=self.height()? {
            let receipts = self.rpc.request("eth_getBlockReceipts", json!([U256::from(number)]))?;
            let receipts: Vec<Receipt> = serde_json::from_value(receipts)?;
            for receipt in receipts.iter().filter(|receipt| receipt.from == account) {
                sum += receipt.gas_used * receipt.effective_gas_price;
            }
        }
        Ok(sum.to())
    }

    pub(crate) fn coins_of(&self, account: Address) -> Result<u128> {
        Ok(self.node().balance(account, At::Latest)?.to())
    }

    pub(crate) fn tokens_of(&self, token: Address, owner: Address) -> Result<u128> {
        let call = hub::Token::balanceOfCall { owner };
        Ok(self.node().read(token, &call, At::Latest)?.to())
    }

    /// The versions that were registered, in their order.
    pub(crate) fn history(&self, adjudicator: Address, channel: B256) -> Result<Vec<u64>> {
        let version = |log: &Update| {
            let parts = hub::Hub::ChannelUpdate::abi_decode_data(&log.data);
            parts.map(|(version, ..)| version).map_err(|error| error.to_string().into())
        };
        self.updates(adjudicator, channel)?.iter().map(version).collect()
    }

    fn updates(&self, adjudicator: Address, channel: B256) -> Result<Vec<Update>> {
        let topics = [hub::Hub::ChannelUpdate::SIGNATURE_HASH, channel];
        let query = json!({ "address": adjudicator, "fromBlock": "0x0", "topics": topics });
        Ok(serde_json::from_value(self.rpc.request("eth_getLogs", json!([query]))?)?)
    }

    /// Concludes what is registered and pays everybody, as a stranger who read the registration.
    /// Our contracts only.
    pub(crate) fn conclude_and_pay(&self, adjudicator: Address, channel: B256) -> Result<()> {
        let updates = self.updates(adjudicator, channel)?;
        let last = updates.last().ok_or("nothing is registered")?;
        let (_, input) =
            self.node().transaction_input(last.transaction_hash)?.ok_or("no such transaction")?;
        let register = hub::Hub::registerCall::abi_decode(&input)
            .map_err(|error| format!("the registration cannot be read: {error}"))?;
        let (params, state) = (register.channel.params, register.channel.state);
        self.call(
            adjudicator,
            &hub::Hub::concludeAndPayCall { params, state, subStates: Vec::new() },
        )
    }

    fn call<C: SolCall>(&self, to: Address, call: &C) -> Result<()> {
        self.transact(json!({ "to": to, "data": Bytes::from(call.abi_encode()) })).map(drop)
    }

    fn make(&self, code: &Bytes) -> Result<Address> {
        let nonce = self.node().nonce(self.maker, At::Latest)?;
        self.transact(json!({ "data": code }))?;
        Ok(self.maker.create(nonce))
    }

    /// Sends a transaction of the maker's, which Anvil signs, and wants it to succeed.
    fn transact(&self, mut transaction: Value) -> Result<()> {
        transaction["from"] = json!(self.maker);
        transaction["gas"] = json!(U256::from(GAS_MAX));
        let hash = self.rpc.request("eth_sendTransaction", json!([transaction]))?;
        self.rpc.request("evm_mine", json!([]))?;
        let fate = self.node().fate(serde_json::from_value(hash)?)?;
        if matches!(fate, Fate::Mined { succeeded: true, .. }) {
            Ok(())
        } else {
            Err(format!("a transaction that prepares the chain: {fate:?}").into())
        }
    }
}

/// Contracts for channels, and what a scenario uses with them.
pub(crate) struct Contracts {
    pub(crate) ours: bool,
    pub(crate) adjudicator: Address,
    pub(crate) coin_holder: Address,
    pub(crate) token: Address,
    pub(crate) token_holder: Address,
    pub(crate) app: Address,
    /// What our node needs to know of ours.
    pub(crate) deployment: Option<Deployment>,
}

impl Contracts {
    pub(crate) const fn name(&self) -> &'static str {
        if self.ours { "our contracts" } else { "Perun's contracts" }
    }

    /// Who keeps the tokens of all channels.
    pub(crate) const fn vault(&self) -> Address {
        if self.ours { self.adjudicator } else { self.token_holder }
    }

    /// Ours, as they are committed.
    pub(crate) fn ours(chain: &Chain) -> Result<Self> {
        let [maker, desk, facade] = ["PerunHub", "HubDesk", "AssetFacade"].map(artifact);
        let (maker, desk, facade) = (maker?, desk?, facade?);
        let adjudicator = chain.make(maker.creation())?;
        let known = vec![Codes::of(&maker, &desk, &facade)];
        let id = chain.node().chain_id()?;
        let mut deployment = Deployment::new(id, adjudicator, 0, known);
        deployment.check(chain.node())?;
        let token = chain.make(&test_token()?)?;
        chain.call(token, &Mint::mintCall { to: chain.maker, amount: U256::from(TOKENS) })?;
        chain.call(adjudicator, &hub::Hub::createFacadeCall { token })?;
        // go-perun's limit of gas is too small where there is nothing yet: see `deposit_gas`.
        chain.give_tokens(token, adjudicator, 1)?;
        let asset = deployment.add_token(chain.node(), token)?;
        let token_holder = Address::from(*asset.holder().as_bytes());
        let app = chain.make(&ANY_APP)?;
        Ok(Self {
            ours: true,
            adjudicator,
            coin_holder: adjudicator,
            token,
            token_holder,
            app,
            deployment: Some(deployment),
        })
    }

    /// Perun's own, which the Go module brings.
    pub(crate) fn perun(chain: &Chain, program: &Path) -> Result<Self> {
        #[derive(Deserialize)]
        struct Deployed {
            adjudicator: Address,
            coin_holder: Address,
            token: Address,
            token_holder: Address,
            app: Address,
        }
        let key = keccak256("who brings Perun's contracts");
        let deployer = address_of(key)?;
        chain.give_coins(deployer)?;
        let log = Path::new(env!("CARGO_TARGET_TMPDIR")).join("deploy.log");
        let mut process = Process::start(program, "the deployer", &log)?;
        let told = process.call(
            "deploy",
            &json!({
                "rpc": chain.socket_url(), "key": key, "owners": [chain.maker],
                "each": TOKENS.to_string(),
            }),
        )?;
        let Deployed { adjudicator, coin_holder, token, token_holder, app } =
            serde_json::from_value(told)?;
        let (ours, deployment) = (false, None);
        Ok(Self { ours, adjudicator, coin_holder, token, token_holder, app, deployment })
    }
}

/// The gas that must be given for the first and the second deposit of a token, by the facade of a
/// hub of ours.
pub(crate) fn deposit_gas(chain: &Chain, adjudicator: Address) -> Result<[u64; 2]> {
    let token = chain.make(&test_token()?)?;
    chain.call(token, &Mint::mintCall { to: chain.maker, amount: U256::from(TOKENS) })?;
    chain.call(adjudicator, &hub::Hub::createFacadeCall { token })?;
    let question = hub::Hub::facadeOfCall { token };
    let facade = chain.node().read(adjudicator, &question, At::Latest)?;
    let amount = U256::from(1_000);
    let mut gas = [0; 2];
    for (gas, name) in gas.iter_mut().zip(["the first", "the second"]) {
        chain.call(token, &hub::Token::approveCall { spender: facade, amount })?;
        let call = hub::Hub::depositCall { fundingID: keccak256(name), amount };
        let input = call.abi_encode().into();
        let request = CallRequest { from: chain.maker, to: facade, value: U256::ZERO, input };
        *gas = chain.node().estimate(&request)?;
        chain.call(facade, &call)?;
    }
    Ok(gas)
}

/// The account of a key.
pub(crate) fn address_of(key: B256) -> Result<Address> {
    use perun_backend_evm::account::{Account as _, KeyAccount};
    Ok(KeyAccount::new(key.0)?.address())
}

fn artifact(name: &str) -> Result<Artifact> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../onchain/evm/artifacts");
    let json = std::fs::read_to_string(format!("{folder}/{name}.json"))?;
    Ok(Artifact::parse(&json)?)
}

fn test_token() -> Result<Bytes> {
    let tokens = concat!(env!("CARGO_MANIFEST_DIR"), "/../../crates/backend-evm/tests/tokens");
    let code = std::fs::read_to_string(format!("{tokens}/TestToken.hex"))?;
    code.trim().parse().map_err(|_| "TestToken.hex is not hexadecimal".into())
}
