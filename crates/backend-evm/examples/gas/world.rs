//! A chain with the committed contracts and a token, and people with fixed keys on it.
//!
//! Everybody signs states with the key of their account, to which they are paid. Accounts have
//! coins and tokens before, and so has the hub, as in any but the first use. The invariant: nothing
//! here is drawn by chance or read from a clock, so every run makes the same transactions.

use alloy_primitives::{Address, B256, Bytes, TxKind, U256, address, keccak256};
use alloy_sol_types::{SolCall, sol};
use perun_backend_evm::abi::{eth, solidity as sol};
use perun_backend_evm::deployment::Artifact;
use perun_channel::sig::sign;
use perun_channel::{
    Allocation, Amount, Asset, Params, Participant, Signature, SignedState, State,
};
use perun_embedded_evm::{Chain, GasParts, Options, testkit};
use secp256k1::{PublicKey, SecretKey};

use crate::Outcome;
use crate::table::Table;

/// The length of every window, in seconds.
pub(crate) const CHALLENGE: u64 = 3_600;
/// Until when what is signed for one transaction is good.
pub(crate) const DEADLINE: u64 = 2_000_000_000;
/// A thousandth of a coin: amounts are small multiples of it.
pub(crate) const UNIT: u128 = 1_000_000_000_000_000;
/// What each account has of the token, and of the coin.
const MINTED: u128 = 1_000_000 * UNIT;
const GAS_LIMIT: u64 = 16_000_000;
const PERMIT2: Address = address!("000000000022D473030F116dDEE9F6B43aC78BA3");

sol! {
    interface TestToken {
        function mint(address to, uint256 amount);
        function approve(address spender, uint256 amount);
        function DOMAIN_SEPARATOR() returns (bytes32);
    }
}

/// A channel, and how its state is when everybody has deposited.
pub(crate) struct Channel {
    pub(crate) params: Params,
    pub(crate) initial: State,
}

impl Channel {
    pub(crate) fn id(&self) -> B256 {
        perun_backend_evm::abi::word(&self.params.id())
    }

    pub(crate) fn count(&self) -> usize {
        self.params.participants().len()
    }

    /// The name of the deposits of one participant.
    pub(crate) fn funding(&self, number: usize) -> Outcome<B256> {
        let participant = self.params.participants().get(number).ok_or("no such participant")?;
        Ok(perun_backend_evm::abi::funding_id(&self.params.id(), participant.address()))
    }

    /// What one participant brings of an asset.
    pub(crate) fn share(&self, row: usize, number: usize) -> Outcome<U256> {
        let share = self.initial.outcome().balance(row, number).ok_or("no such share")?;
        Ok(U256::from(share.get()))
    }
}

/// A transaction that was mined and did its work.
pub(crate) struct Done {
    pub(crate) gas: u64,
    pub(crate) parts: GasParts,
}

/// A chain, its contracts, its people.
pub(crate) struct World {
    pub(crate) chain: Chain,
    pub(crate) hub: Address,
    pub(crate) token: Address,
    pub(crate) facade: Address,
    channels: u8,
}

/// What comes once for a chain, and once for a token.
pub(crate) fn measure(table: &mut Table) -> Outcome<()> {
    let world = World::with_hub()?;
    let gas = world.chain.head().header.gas_used;
    table.add("the hub's contracts, once for a chain", gas);
    let token = world.make_token()?;
    let made = world.act(&sol::Hub::createFacadeCall { token })?;
    table.add("a token's facade, once for a token", made.gas);
    Ok(())
}

impl World {
    fn with_hub() -> Outcome<Self> {
        let chain = Chain::new(Options { auto_mine: true, ..Options::dev() });
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../onchain/evm/artifacts");
        let json = std::fs::read_to_string(format!("{folder}/PerunHub.json"))?;
        let creation = Artifact::parse(&json)?.creation().clone();
        let hub = testkit::deploy(&chain, &testkit::dev_signer(0), creation)?;
        let (token, facade) = (Address::ZERO, Address::ZERO);
        Ok(Self { chain, hub, token, facade, channels: 0 })
    }

    /// A chain on which everything was used before.
    pub(crate) fn new() -> Outcome<Self> {
        let mut world = Self::with_hub()?;
        world.token = world.make_token()?;
        world.act(&sol::Hub::createFacadeCall { token: world.token })?;
        let token = world.token;
        world.facade = world.ask(world.hub, &sol::Hub::facadeOfCall { token })?;
        for number in 0..16 {
            let account = eth(&address_of(number)?);
            world.chain.set_balance(account, U256::from(MINTED));
            world.mint(account)?;
        }
        world.chain.set_balance(world.hub, U256::from(UNIT));
        world.mint(world.hub)?;
        let payer = testkit::dev_signer(1).address();
        world.mint(payer)?;
        for spender in [world.hub, world.facade, PERMIT2] {
            let call = TestToken::approveCall { spender, amount: U256::MAX };
            world.call(world.token, 0, &call)?;
        }
        Ok(world)
    }

    fn make_token(&self) -> Outcome<Address> {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tokens/TestToken.hex");
        let code: Bytes = std::fs::read_to_string(file)?.trim().parse()?;
        Ok(testkit::deploy(&self.chain, &testkit::dev_signer(0), code)?)
    }

    fn mint(&self, to: Address) -> Outcome<()> {
        let call = TestToken::mintCall { to, amount: U256::from(MINTED) };
        self.call(self.token, 0, &call).map(drop)
    }

    /// The domain of what is signed for the token.
    pub(crate) fn token_domain(&self) -> Outcome<B256> {
        self.ask(self.token, &TestToken::DOMAIN_SEPARATORCall {})
    }

    fn ask<C: SolCall>(&self, to: Address, call: &C) -> Outcome<C::Return> {
        let input = Bytes::from(call.abi_encode());
        let request = serde_json::json!([{ "to": to, "input": input }, "latest"]);
        let answer: Bytes = serde_json::from_value(self.chain.request("eth_call", request)?)?;
        Ok(C::abi_decode_returns(&answer)?)
    }

    pub(crate) fn coin(&self) -> Asset {
        Asset::ethereum(31_337, perun_backend_evm::abi::party(self.hub))
    }

    pub(crate) fn token_asset(&self) -> Asset {
        Asset::ethereum(31_337, perun_backend_evm::abi::party(self.facade))
    }

    /// A channel of the first people, who bring 100 units and more of each of these assets.
    pub(crate) fn channel(&mut self, count: usize, assets: &[Asset]) -> Outcome<Channel> {
        self.channels += 1;
        let participants = (0..count)
            .map(|number| Ok(Participant::new(address_of(number)?, vec![0; 32])?))
            .collect::<Outcome<Vec<_>>>()?;
        let nonce = keccak256([self.channels]).0;
        let params = Params::new(CHALLENGE, nonce, participants)?;
        let row: Vec<_> = (0_u8..).take(count).map(|n| units(100 + u128::from(n))).collect();
        let outcome = Allocation::new(assets.to_vec(), vec![row; assets.len()], vec![])?;
        let initial = State::initial(params.id(), outcome);
        Ok(Channel { params, initial })
    }

    /// Somebody who is no participant calls the hub.
    pub(crate) fn act<C: SolCall>(&self, call: &C) -> Outcome<Done> {
        self.call(self.hub, 0, call)
    }

    /// Somebody who is no participant calls, with coins.
    pub(crate) fn call<C: SolCall>(&self, to: Address, value: u128, call: &C) -> Outcome<Done> {
        let (signer, to) = (testkit::dev_signer(1), TxKind::Call(to));
        let (value, input) = (U256::from(value), Bytes::from(call.abi_encode()));
        let tx = testkit::call(&self.chain, &signer, to, value, input, GAS_LIMIT)?;
        let raw = testkit::signed(&signer, tx);
        let parts = self.chain.gas_parts(&raw)?;
        let hash = self.chain.send_raw(&raw)?;
        let receipt = self.chain.request("eth_getTransactionReceipt", serde_json::json!([hash]))?;
        let number = |name: &str| -> Outcome<u64> {
            let value = receipt.get(name).cloned().ok_or("a receipt without its numbers")?;
            Ok(serde_json::from_value::<U256>(value)?.to())
        };
        let (gas, status) = (number("gasUsed")?, number("status")?);
        if status != 1 || parts.total() != gas {
            let what = format!("{}: status {status}, {gas} of {parts:?}", C::SIGNATURE);
            return Err(what.into());
        }
        Ok(Done { gas, parts })
    }

    /// Everybody deposits everything of the first rows. Returns what the coins' deposits cost.
    pub(crate) fn fund(&self, channel: &Channel) -> Outcome<Vec<Done>> {
        let mut coins = Vec::new();
        for row in 0..channel.initial.outcome().assets().len() {
            for number in 0..channel.count() {
                let (name, amount) = (channel.funding(number)?, channel.share(row, number)?);
                let call = sol::Hub::depositCall { fundingID: name, amount };
                if row == 0 {
                    coins.push(self.call(self.hub, amount.to(), &call)?);
                } else {
                    self.call(self.facade, 0, &call)?;
                }
            }
        }
        Ok(coins)
    }

    pub(crate) fn pass(&self, seconds: u64) -> Outcome<()> {
        self.chain.advance(seconds)?;
        self.chain.mine(1)?;
        Ok(())
    }
}

/// So many thousandths of a coin.
pub(crate) fn units(count: u128) -> Amount {
    Amount::new(count * UNIT)
}

/// This version, after the first participant has paid 7 units of the first asset to the second.
pub(crate) fn paid(channel: &Channel, version: u64) -> Outcome<State> {
    let outcome = channel.initial.outcome().transfer(0, 1, 0, units(7))?;
    Ok(channel.initial.at_version(perun_channel::Version::new(version), outcome))
}

/// The state with everybody's signatures.
pub(crate) fn signed(channel: &Channel, state: State) -> Outcome<SignedState> {
    let signatures = signatures(channel, &state.digest())?;
    Ok(SignedState::new(&channel.params, state, signatures)?)
}

/// Everybody's signatures over a digest.
pub(crate) fn signatures(channel: &Channel, digest: &[u8; 32]) -> Outcome<Vec<Signature>> {
    (0..channel.count()).map(|number| Ok(sign(digest, &key(number)?))).collect()
}

/// The signature of one person, for a call.
pub(crate) fn signature(number: usize, digest: &B256) -> Outcome<Bytes> {
    Ok(Bytes::copy_from_slice(sign(&digest.0, &key(number)?).as_bytes()))
}

pub(crate) fn address_of(number: usize) -> Outcome<perun_channel::Address> {
    Ok(perun_channel::Address::of_key(&PublicKey::from_secret_key(&key(number)?)))
}

fn key(number: usize) -> Outcome<SecretKey> {
    Ok(SecretKey::from_secret_bytes(keccak256(format!("person {number}")).0)?)
}
