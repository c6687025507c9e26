//! A chain with the contracts on it, two parties with wallets and session keys, and time.

mod anvil;
mod chains;
mod node;

#[cfg(feature = "anvil-tests")]
pub(crate) use anvil::anvil;
pub(crate) use chains::{TestChain, embedded};
pub(crate) use node::Faulty;

use std::sync::Arc;

use alloy_primitives::{Address, B256, Bytes, TxKind, U256, keccak256};
use alloy_sol_types::{SolCall, sol};
use perun_backend_evm::account::{Account, KeyAccount};
use perun_backend_evm::deployment::{Artifact, Codes};
use perun_backend_evm::follow::{Depth, DepthTable, Follower, Report, Standing, Watch};
use perun_backend_evm::orders::{DepositOrder, Desk, Orders, Signer, TokenSource};
use perun_backend_evm::rpc::{At, Node};
use perun_backend_evm::sender::book::{Limits, News};
use perun_backend_evm::sender::{Progress, Sender, SenderOptions};
use perun_backend_evm::{Deployment, Error};
use perun_channel::{
    Allocation, Amount, Asset, Params, Participant, Signature, SignedState, State, Version,
};
use secp256k1::{PublicKey, SecretKey};

pub(crate) const ETHER: u64 = 1_000_000_000_000_000_000;
pub(crate) const DAY: u64 = 86_400;
pub(crate) const CHALLENGE: u64 = 3_600;
pub(crate) const GWEI: u128 = 1_000_000_000;

sol! {
    interface TestToken {
        function mint(address to, uint256 amount);
        function setLie(uint256 kind);
        function balanceOf(address owner) returns (uint256);
        function allowance(address owner, address spender) returns (uint256);
        function approve(address spender, uint256 amount);
    }
}

pub(crate) struct Party {
    pub(crate) account: Arc<KeyAccount>,
    pub(crate) session: SecretKey,
    pub(crate) orders: Orders,
}

impl Party {
    pub(crate) fn wallet(&self) -> Address {
        self.account.address()
    }
}

/// The contracts on a chain, and two parties.
pub(crate) struct Stage {
    pub(crate) chain: Arc<dyn TestChain>,
    pub(crate) deployment: Deployment,
    pub(crate) parties: [Party; 2],
    pub(crate) nonce: u8,
}

/// A channel of the two parties.
#[derive(Clone)]
pub(crate) struct Channel {
    pub(crate) params: Params,
    pub(crate) initial: State,
}

pub(crate) fn key(name: &str) -> [u8; 32] {
    keccak256(name).0
}

pub(crate) fn options() -> SenderOptions {
    let limits = Limits { stuck_blocks: 3, depth: 8, flights_max: 32 };
    SenderOptions { fee_cap: 1_000 * GWEI, gas_margin_percent: 25, limits }
}

fn artifact(name: &str) -> Artifact {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../onchain/evm/artifacts");
    let json = std::fs::read_to_string(format!("{folder}/{name}.json")).unwrap();
    Artifact::parse(&json).unwrap()
}

pub(crate) fn known() -> Vec<Codes> {
    let [hub, desk, facade] = ["PerunHub", "HubDesk", "AssetFacade"].map(artifact);
    vec![Codes::of(&hub, &desk, &facade)]
}

impl Stage {
    pub(crate) fn new(chain: Arc<dyn TestChain>) -> Self {
        let deployer = KeyAccount::new(key("deployer")).unwrap();
        chain.set_balance(deployer.address(), U256::from(1_000) * U256::from(ETHER));
        chain.mine(1);
        let hub = deploy(chain.as_ref(), artifact("PerunHub").creation().clone());
        let from = Node(chain.as_ref()).head().unwrap().number;
        let id = Node(chain.as_ref()).chain_id().unwrap();
        let deployment = Deployment::new(id, hub, from, known());
        deployment.check(Node(chain.as_ref())).unwrap();
        let party = |name: &str| {
            let account = Arc::new(KeyAccount::new(key(&format!("{name}'s wallet"))).unwrap());
            chain.set_balance(account.address(), U256::from(100) * U256::from(ETHER));
            let session = SecretKey::from_secret_bytes(key(&format!("{name}'s session"))).unwrap();
            let sender = Sender::new(account.clone(), id, options());
            Party { account, session, orders: Orders::new(deployment.clone(), sender) }
        };
        let parties = ["ann", "bob"].map(party);
        chain.mine(1);
        Self { chain, deployment, parties, nonce: 0 }
    }

    /// The same wallet and session key in a process that knows nothing.
    pub(crate) fn successor(&self, party: usize) -> Party {
        let Party { account, session, .. } = &self.parties[party];
        let sender = Sender::new(account.clone(), self.deployment.chain(), options());
        let orders = Orders::new(self.deployment.clone(), sender);
        Party { account: account.clone(), session: *session, orders }
    }

    pub(crate) fn node(&self) -> Node<'_> {
        Node(self.chain.as_ref())
    }

    pub(crate) fn now(&self) -> u64 {
        self.node().head().unwrap().timestamp
    }

    pub(crate) fn pass(&self, seconds: u64) {
        self.chain.advance(seconds);
    }

    /// A channel with one row per asset: what each of the two brings.
    pub(crate) fn channel(&mut self, rows: &[(Asset, [u128; 2])]) -> Channel {
        self.nonce += 1;
        let participant = |party: &Party| {
            let address =
                perun_channel::Address::of_key(&PublicKey::from_secret_key(&party.session));
            Participant::new(address, vec![0; 32]).unwrap()
        };
        let participants = self.parties.iter().map(participant).collect();
        let params = Params::new(CHALLENGE, [self.nonce; 32], participants).unwrap();
        let (assets, balances) =
            rows.iter().map(|(asset, row)| (asset.clone(), row.map(Amount::new).to_vec())).unzip();
        let outcome = Allocation::new(assets, balances, vec![]).unwrap();
        let initial = State::initial(params.id(), outcome);
        Channel { params, initial }
    }

    pub(crate) fn coin(&self) -> Asset {
        self.deployment.coin()
    }

    /// A token by its file, named by the hub, with this much in each wallet.
    pub(crate) fn token(&mut self, file: &str, each: u128) -> (Address, Asset) {
        let path = format!("{}/tests/tokens/{file}.hex", env!("CARGO_MANIFEST_DIR"));
        let code: Bytes = std::fs::read_to_string(path).unwrap().trim().parse().unwrap();
        let token = deploy(self.chain.as_ref(), code);
        for party in 0..2 {
            let to = self.parties[party].wallet();
            self.act(token, &TestToken::mintCall { to, amount: U256::from(each) });
        }
        self.until_done(0, |desk| desk.create_facade(token));
        let chain = self.chain.clone();
        let asset = self.deployment.add_token(Node(chain.as_ref()), token).unwrap();
        (token, asset)
    }

    /// The deployer calls a contract.
    pub(crate) fn act<C: SolCall>(&self, to: Address, call: &C) {
        let input = call.abi_encode().into();
        transact(self.chain.as_ref(), TxKind::Call(to), input);
    }

    pub(crate) fn balance_of(&self, token: Address, owner: Address) -> u128 {
        let call = TestToken::balanceOfCall { owner };
        self.node().read(token, &call, At::Latest).unwrap().to()
    }

    pub(crate) fn coins_of(&self, owner: Address) -> U256 {
        self.node().balance(owner, At::Latest).unwrap()
    }

    /// Gives one order.
    pub(crate) fn order(
        &mut self,
        party: usize,
        order: impl FnOnce(&mut Desk<'_>) -> Result<Progress, Error>,
    ) -> Result<Progress, Error> {
        let chain = self.chain.clone();
        order(&mut self.parties[party].orders.at(Node(chain.as_ref()), 0))
    }

    /// Repeats an order, with a block after each time, until it is done.
    pub(crate) fn until_done(
        &mut self,
        party: usize,
        order: impl Fn(&mut Desk<'_>) -> Result<Progress, Error>,
    ) -> usize {
        for round in 0..12 {
            if self.order(party, &order).unwrap() == Progress::Done {
                return round;
            }
            self.block();
        }
        panic!("an order is not done after twelve blocks");
    }

    /// A block, after which both look after what they sent.
    pub(crate) fn block(&mut self) -> Vec<News> {
        self.chain.mine(1);
        let chain = self.chain.clone();
        let mut news = Vec::new();
        for party in &mut self.parties {
            news.extend(party.orders.tend(Node(chain.as_ref())).unwrap());
        }
        news
    }

    pub(crate) fn deposit(
        &mut self,
        party: usize,
        channel: &Channel,
        source: TokenSource,
    ) -> Result<Progress, Error> {
        let session = self.parties[party].session;
        let sign = move |digest: &[u8; 32]| sign(digest, &session);
        let Channel { params, initial } = channel;
        let bind: Option<Signer<'_>> = Some(&sign);
        self.order(party, |desk| {
            desk.deposit(&DepositOrder { params, initial, index: party, source, bind })
        })
    }

    /// Both deposit everything.
    pub(crate) fn fund(&mut self, channel: &Channel, source: TokenSource) {
        for _ in 0..12 {
            let done = [0, 1].map(|party| self.deposit(party, channel, source).unwrap());
            if done == [Progress::Done; 2] {
                return;
            }
            self.block();
        }
        panic!("not funded after twelve blocks");
    }

    pub(crate) fn follower(&self, depth: u32, channels: &[&Channel]) -> Follower {
        let table = DepthTable::uniform(Depth::Blocks(depth));
        let mut follower = Follower::new(self.deployment.clone(), table);
        for channel in channels {
            follower.watch(watch(channel)).unwrap();
        }
        follower
    }

    /// How a channel stands at the head, to somebody who knows nothing.
    pub(crate) fn standing(&self, channel: &Channel) -> Standing {
        let mut follower = self.follower(1, &[channel]);
        look_at(&mut follower, self.node()).head.standing
    }

    /// A state signed by both.
    pub(crate) fn signed(&self, channel: &Channel, state: &State) -> SignedState {
        self.signed_by(&channel.params, state)
    }

    /// A state of any channel of the two.
    pub(crate) fn signed_by(&self, params: &Params, state: &State) -> SignedState {
        let digest = state.digest();
        let signatures = self.parties.iter().map(|party| sign(&digest, &party.session));
        SignedState::new(params, state.clone(), signatures.collect()).unwrap()
    }
}

/// The state of a channel after participant 0 paid so much of row 0 to participant 1.
pub(crate) fn paid(channel: &Channel, version: u64, amount: u128) -> State {
    let outcome = channel.initial.outcome().transfer(0, 1, 0, Amount::new(amount)).unwrap();
    channel.initial.at_version(Version::new(version), outcome)
}

pub(crate) fn watch(channel: &Channel) -> Watch {
    Watch { params: channel.params.clone(), initial: channel.initial.clone(), own: None }
}

pub(crate) fn sign(digest: &[u8; 32], key: &SecretKey) -> Signature {
    perun_channel::sig::sign(digest, key)
}

/// The one report of a look at one channel.
pub(crate) fn look_at(follower: &mut Follower, node: Node<'_>) -> Report {
    let look = follower.look(node).unwrap();
    assert_eq!(look.unread, []);
    look.reports.into_iter().next().expect("something is reported")
}

/// Sends the deployer's transaction, mines it, and wants it to succeed.
pub(crate) fn transact(chain: &dyn TestChain, to: TxKind, input: Bytes) -> B256 {
    let deployer = KeyAccount::new(key("deployer")).unwrap().address();
    let nonce = Node(chain).nonce(deployer, At::Pending).unwrap();
    let hash = chains::send(chain, &key("deployer"), nonce, to, U256::ZERO, input, 100 * GWEI);
    chain.mine(1);
    let fate = Node(chain).fate(hash).unwrap();
    let succeeded = matches!(fate, perun_backend_evm::rpc::Fate::Mined { succeeded: true, .. });
    assert!(succeeded, "{fate:?}");
    hash
}

/// Sends coins with somebody's key and a nonce, past the crate under test.
pub(crate) fn send_as(
    chain: &dyn TestChain,
    key: &[u8; 32],
    nonce: u64,
    to: Address,
    value: U256,
    max_fee: u128,
) -> B256 {
    chains::send(chain, key, nonce, TxKind::Call(to), value, Bytes::new(), max_fee)
}

/// An app that takes every step: its code is one instruction, to stop.
pub(crate) fn any_app(chain: &dyn TestChain) -> Address {
    deploy(chain, alloy_primitives::bytes!("6001600c60003960016000f300"))
}

pub(crate) fn deploy(chain: &dyn TestChain, code: Bytes) -> Address {
    let deployer = KeyAccount::new(key("deployer")).unwrap().address();
    let nonce = Node(chain).nonce(deployer, At::Latest).unwrap();
    transact(chain, TxKind::Create, code);
    deployer.create(nonce)
}
