//! A chain with the committed scripts, and people on it.

use ckb_types::{
    bytes::Bytes,
    core::{DepType, ScriptHashType, TransactionView},
    packed::{Byte32, CellOutput, Script},
    prelude::*,
};
use perun_backend_ckb::cells::Reservations;
use perun_backend_ckb::channel::{Contract, LiveChannel};
use perun_backend_ckb::deployment::{CodeCell, LockCode, Token};
use perun_backend_ckb::dispute::{Job, Step, registration_signatures};
use perun_backend_ckb::money::{CKB, token_in};
use perun_backend_ckb::open::{
    Assembly, ChannelTerms, Checked, Contribution, Offer, OpenedChannel, Party, Terms, assemble,
    contribute, default_reserves,
};
use perun_backend_ckb::purse::{Paid, Purse};
use perun_backend_ckb::rpc::{DevControl, Rpc, SearchKey, TransactionStatus};
use perun_backend_ckb::wallet::{LockWitness, Secp256k1, SigningKey, Wallet};
use perun_backend_ckb::{Deployment, Error};
use perun_channel::adjudicator::{Slot, SlotKind, registration_digest};
use perun_channel::sig::sign;
use perun_channel::{Address, Amount, Asset, Signature, SignedState, State};
use perun_embedded_ckb::{Genesis, GenesisBuilder, testkit::Key, well_known};
use secp256k1::SecretKey;
use std::sync::{Mutex, OnceLock};

pub(crate) const CHALLENGE: u64 = 3_600;
pub(crate) const RATE: u64 = 1_000;
/// Units of the token that each person starts with.
pub(crate) const TOKENS: u128 = 1_000_000;

#[cfg(not(feature = "real-node-tests"))]
mod site {
    use super::{Genesis, Site};
    use perun_embedded_ckb::{Chain, START_MS};

    /// What has to live as long as the chain.
    pub(super) type Process = ();

    pub(super) fn start(genesis: &Genesis) -> (Box<dyn Site>, Process) {
        (Box::new(Chain::new(genesis)), ())
    }

    /// The time of the first blocks, in seconds.
    pub(crate) fn start_secs() -> u64 {
        START_MS / 1_000
    }
}

#[cfg(feature = "real-node-tests")]
mod site {
    use super::{Genesis, Site};
    use perun_backend_ckb::rpc::HttpRpc;
    use perun_embedded_ckb::real_node::RealNode;

    /// What has to live as long as the chain.
    pub(super) type Process = RealNode;

    pub(super) fn start(genesis: &Genesis) -> (Box<dyn Site>, Process) {
        let node = RealNode::start(genesis).unwrap_or_else(|error| panic!("{error}"));
        (Box::new(HttpRpc::new(node.url()).unwrap()), node)
    }

    /// The time of the first blocks, in seconds.
    pub(crate) fn start_secs() -> u64 {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        now.unwrap().as_secs()
    }
}

pub(crate) use site::start_secs;

fn artifact(name: &str) -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../onchain/ckb/artifacts/");
    std::fs::read(format!("{folder}{name}")).unwrap()
}

/// The lock of the standard kind with this key hash; the same on every dev chain.
pub(crate) fn sighash_lock(hash: [u8; 20]) -> Script {
    Genesis::dev().unwrap().sighash_lock(hash)
}

/// What the tests run on: the embedded chain or, with the feature `real-node-tests`, a real node.
pub(crate) trait Site: Rpc + DevControl {}
impl<T: Rpc + DevControl> Site for T {}

pub(crate) struct World {
    pub(crate) chain: Box<dyn Site>,
    pub(crate) genesis: Genesis,
    pub(crate) deployment: Deployment,
    pub(crate) coin: Asset,
    pub(crate) token: Asset,
    /// Another token of the same program; whoever starts with some of one has as much of both.
    pub(crate) second: Asset,
    _process: site::Process,
}

/// The program of the token on a chain: the cell that holds it, how scripts name it, and its
/// arguments.
pub(crate) struct TokenKind(pub(crate) &'static str, pub(crate) ScriptHashType, pub(crate) usize);

/// The token program of this project.
const OWN_TOKEN: TokenKind = TokenKind("simple-udt", ScriptHashType::Data2, 32);

/// The project's programs and the ones that everybody knows; looked up once.
fn programs() -> GenesisBuilder {
    static FOUND: OnceLock<GenesisBuilder> = OnceLock::new();
    let find = || {
        let mut builder = well_known::builder().unwrap();
        for name in ["channel-type", "vault-lock", "simple-udt"] {
            builder = builder.cell(name, artifact(name));
        }
        builder
    };
    FOUND.get_or_init(find).clone()
}

/// A lock whose program is on the chains of these tests under this name, with its dep group.
pub(crate) fn lock_code(genesis: &Genesis, name: &str) -> LockCode {
    let cell = genesis.cell(name).unwrap();
    let (hash_type, code_hash) = match &cell.type_hash {
        Some(hash) => (ScriptHashType::Type, hash),
        None => (ScriptHashType::Data1, &cell.data_hash),
    };
    let deps = vec![genesis.group(name).unwrap().clone()];
    LockCode { code_hash: code_hash.clone().into(), hash_type, deps }
}

/// One cell that a person owns from the start.
pub(crate) struct Owned(pub(crate) Script, pub(crate) u64, pub(crate) u128);

impl World {
    /// A chain with persons 1 to 6, who each have ten cells of 1,000 CKB and a token cell.
    pub(crate) fn new() -> Self {
        Self::of_token(&OWN_TOKEN)
    }

    /// The same with another program for the token.
    pub(crate) fn of_token(kind: &TokenKind) -> Self {
        let persons = (1..=6).flat_map(|number| {
            let lock = sighash_lock(key(number).hash());
            let money = (0..10).map({
                let lock = lock.clone();
                move |_| Owned(lock.clone(), 1_000 * CKB, 0)
            });
            money.chain([Owned(lock, 200 * CKB, TOKENS)]).collect::<Vec<_>>()
        });
        Self::made(persons, kind)
    }

    pub(crate) fn with(owned: impl IntoIterator<Item = Owned>) -> Self {
        Self::made(owned, &OWN_TOKEN)
    }

    fn made(owned: impl IntoIterator<Item = Owned>, kind: &TokenKind) -> Self {
        let TokenKind(token_name, hash_type, args) = *kind;
        let mut genesis = programs();
        let token_code = genesis.clone().build().unwrap().cell(token_name).unwrap().clone();
        // The flags behind an issuer, where a program has them, are zeros: no extension.
        let mut issuer = vec![0; args];
        issuer[..32].fill(7);
        let token_script = Script::new_builder()
            .code_hash(token_code.data_hash)
            .hash_type(hash_type)
            .args(Bytes::from(issuer.clone()))
            .build();
        issuer[..32].fill(8);
        let second_script = token_script.clone().as_builder().args(Bytes::from(issuer)).build();
        for Owned(lock, capacity, amount) in owned {
            let output = CellOutput::new_builder().capacity(capacity).lock(lock);
            if amount == 0 {
                genesis = genesis.issue(output.build(), Bytes::new());
                continue;
            }
            let data = Bytes::copy_from_slice(&amount.to_le_bytes());
            for script in [&token_script, &second_script] {
                let output = output.clone().type_(Some(script.clone()).pack()).build();
                genesis = genesis.issue(output, data.clone());
            }
        }
        let genesis = genesis.build().unwrap();
        let code = |name: &str| {
            let cell = genesis.cell(name).unwrap();
            CodeCell {
                out_point: cell.out_point.clone(),
                dep_type: DepType::Code,
                data_hash: cell.data_hash.clone().into(),
            }
        };
        let programs = (code("channel-type"), code("vault-lock"));
        let mut deployment = Deployment::new(genesis.block(), programs.0, programs.1).unwrap();
        let deps = vec![genesis.cell(token_name).unwrap().dep()];
        let second = Token { script: second_script, deps: deps.clone() };
        let second = deployment.add_token(second).unwrap();
        let token = deployment.add_token(Token { script: token_script, deps }).unwrap();
        let (chain, process) = site::start(&genesis);
        chain.mine(1).unwrap();
        deployment.check(&*chain).unwrap();
        Self {
            chain,
            genesis,
            coin: deployment.coin(),
            deployment,
            token,
            second,
            _process: process,
        }
    }

    pub(crate) fn person(&self, number: u8) -> Person {
        let wallet = Secp256k1::new(&self.deployment, key(number));
        Person::new(number, Box::new(wallet))
    }

    /// Sends a transaction and waits for its block.
    pub(crate) fn commit(&self, tx: &TransactionView) {
        self.chain.send_transaction(tx).unwrap();
        self.mined(&tx.hash());
    }

    pub(crate) fn mined(&self, hash: &Byte32) {
        self.chain.mine(3).unwrap();
        let status = self.chain.transaction(hash).unwrap().status;
        assert!(matches!(status, TransactionStatus::Committed { .. }), "{status:?}");
    }

    /// What a lock holds: all capacity, and all units of the token.
    pub(crate) fn holdings(&self, lock: &Script) -> (u64, u128) {
        let page = self.chain.cells(&SearchKey::lock(lock.clone()), None, 1_000).unwrap();
        assert!(page.next.is_none());
        page.rows.iter().fold((0, 0), |(capacity, amount), row| {
            let held: u64 = row.cell.output.capacity().into();
            let token = self.token.ckb_type_hash().unwrap();
            let units = token_in(&row.cell).filter(|(kind, _)| *kind == token);
            (capacity + held, amount + units.map_or(0, |(_, amount)| amount))
        })
    }

    pub(crate) fn live(&self, contract: &Contract) -> LiveChannel {
        LiveChannel::find(&*self.chain, &self.deployment, contract).unwrap()
    }

    pub(crate) fn is_gone(&self, contract: &Contract) -> bool {
        let found = LiveChannel::find(&*self.chain, &self.deployment, contract);
        matches!(found, Err(Error::ChannelGone(_)))
    }

    pub(crate) fn purse<'a>(&'a self, person: &'a Person) -> Purse<'a> {
        Purse::new(&*self.chain, &self.deployment, person.wallet.as_ref(), &person.book)
    }

    /// Pays for one step of a channel, sends it and waits for its block.
    pub(crate) fn act(&self, by: &Person, contract: &Contract, step: Step) -> Result<Paid, Error> {
        let job = Job { contract: contract.clone(), live: self.live(contract), step };
        let purse = self.purse(by);
        let paid = purse.pay(&perun_backend_ckb::dispute::draft(&[job], &self.deployment)?)?;
        purse.send(&paid)?;
        self.mined(&paid.hash());
        purse.release(&paid)?;
        Ok(paid)
    }

    /// The step by which a person registers a state, signed by all unless it is version 0.
    pub(crate) fn register(
        &self,
        by: &Person,
        seat: u8,
        contract: &Contract,
        state: &State,
        signed: Option<&SignedState>,
    ) -> Step {
        let slot = Slot { participant: seat, kind: SlotKind::Own };
        let channel_type = self.deployment.env().channel_type;
        let digest = registration_digest(&channel_type, &contract.id(), &state.hash(), slot);
        let signatures = registration_signatures(signed, slot, by.session_signature(&digest));
        Step::Register { state: state.clone(), slot, signatures }
    }
}

pub(crate) fn key(number: u8) -> SigningKey {
    let mut bytes = [0; 32];
    bytes[30..].copy_from_slice(&(1_000 + u16::from(number)).to_be_bytes());
    SigningKey::new(bytes).unwrap()
}

/// Somebody with a wallet, a session key and a book.
pub(crate) struct Person {
    pub(crate) wallet: Box<dyn Wallet>,
    pub(crate) payout: Script,
    pub(crate) book: Mutex<Reservations>,
    session: SecretKey,
}

impl Person {
    pub(crate) fn new(number: u8, wallet: Box<dyn Wallet>) -> Self {
        let payout = wallet.locks()[0].script.clone();
        let session = SecretKey::from_secret_bytes([number + 100; 32]).unwrap();
        Self { wallet, payout, book: Mutex::default(), session }
    }

    pub(crate) fn paid_to(mut self, payout: Script) -> Self {
        self.payout = payout;
        self
    }

    pub(crate) fn lock(&self) -> Script {
        self.wallet.locks()[0].script.clone()
    }

    pub(crate) fn address(&self) -> Address {
        Address::of_key(&self.session.public_key())
    }

    pub(crate) fn session_signature(&self, digest: &[u8; 32]) -> Signature {
        sign(digest, &self.session)
    }

    pub(crate) fn contribute(
        &self,
        world: &World,
        terms: &Terms,
        party: usize,
        reserves: Vec<u64>,
    ) -> Result<Contribution, Error> {
        let cells = world.purse(self).cells()?;
        let offer = Offer {
            owner: &self.wallet.locks()[0],
            cells: &cells,
            payout: self.payout.clone(),
            change: self.payout.clone(),
            consents_by_presence: false,
            reserves,
        };
        contribute(&world.deployment, terms, party, &offer, RATE)
    }
}

/// A state with everybody's signature.
pub(crate) fn signed(contract: &Contract, state: State, people: &[&Person]) -> SignedState {
    let digest = state.digest();
    let signatures = people.iter().map(|person| person.session_signature(&digest)).collect();
    SignedState::new(contract.setup().params(), state, signatures).unwrap()
}

/// Terms of one channel between two people; balances are `[asset][participant]`.
pub(crate) fn terms(assets: &[&Asset], balances: &[[u128; 2]], people: [&Person; 2]) -> Terms {
    let mut rows: Vec<_> = assets.iter().copied().cloned().zip(balances).collect();
    rows.sort_by(|(one, _), (other, _)| one.cmp(other));
    let amounts = |pair: &[u128; 2]| pair.iter().map(|units| Amount::new(*units)).collect();
    let channel = ChannelTerms {
        challenge_secs: CHALLENGE,
        assets: rows.iter().map(|(asset, _)| asset.clone()).collect(),
        balances: rows.iter().map(|(_, pair)| amounts(pair)).collect(),
        parties: (0..2)
            .map(|seat| Party { contribution: seat, address: people[seat].address() })
            .collect(),
    };
    Terms { channels: vec![channel], ends: Vec::new() }
}

/// Both parties' contributions and the transaction they make of them.
pub(crate) fn propose(world: &World, terms: &Terms, people: [&Person; 2]) -> Assembly {
    let payouts = people.map(|person| person.payout.clone());
    let reserves: Vec<Vec<u64>> = match terms.channels.first() {
        Some(channel) => default_reserves(&world.deployment, &channel.assets, &payouts)
            .unwrap()
            .into_iter()
            .map(|reserve| vec![reserve])
            .collect(),
        None => vec![Vec::new(); 2],
    };
    let contributions = (0..2)
        .map(|seat| people[seat].contribute(world, terms, seat, reserves[seat].clone()).unwrap())
        .collect();
    assemble(&world.deployment, terms.clone(), contributions).unwrap()
}

pub(crate) fn checked(world: &World, assembly: &Assembly, own: usize) -> Result<Checked, Error> {
    let ours = assembly.contributions()[own].clone();
    assembly.clone().read(&*world.chain, &world.deployment, own, &ours)
}

/// Everybody's lock witnesses, by contribution.
pub(crate) fn witnesses(
    world: &World,
    assembly: &Assembly,
    people: &[&Person],
) -> Vec<Vec<LockWitness>> {
    let signed = people.iter().enumerate().map(|(seat, person)| {
        checked(world, assembly, seat).unwrap().sign(person.wallet.as_ref()).unwrap()
    });
    signed.collect()
}

/// Opens a channel between two people and waits for its block.
pub(crate) fn open(
    world: &World,
    assets: &[&Asset],
    balances: &[[u128; 2]],
    people: [&Person; 2],
) -> OpenedChannel {
    let terms = terms(assets, balances, people);
    let assembly = propose(world, &terms, people);
    let witnesses = witnesses(world, &assembly, &people);
    let own = checked(world, &assembly, 0).unwrap();
    let completed =
        own.dry_run(&*world.chain, &world.deployment, &witnesses, &[None, None], RATE).unwrap();
    world.commit(&completed.spent.tx);
    assembly.channels()[0].clone()
}

pub(crate) fn dev_key_lock() -> Script {
    sighash_lock(Key::number(77).hash())
}
