//! A chain with the committed scripts, and people with fixed keys on it.
//!
//! Everybody starts with one cell of coins and one of tokens. The invariant: nothing here is drawn
//! by chance or read from a clock, so every run makes the same transactions.

use ckb_types::bytes::Bytes;
use ckb_types::core::{DepType, ScriptHashType, TransactionView};
use ckb_types::packed::{CellOutput, Script, ScriptOpt};
use ckb_types::prelude::{Builder, Entity};
use perun_backend_ckb::Deployment;
use perun_backend_ckb::channel::{Contract, LiveChannel};
use perun_backend_ckb::deployment::{CodeCell, Token};
use perun_backend_ckb::money::CKB;
use perun_backend_ckb::rpc::{DevControl, Rpc, TransactionStatus};
use perun_backend_ckb::wallet::{Secp256k1, SigningKey, Wallet};
use perun_channel::sig::sign;
use perun_channel::{Address, Asset, Signature, SignedState, State};
use perun_embedded_ckb::{Chain, Commit, Genesis, Options};
use secp256k1::SecretKey;
use std::path::Path;
use std::sync::Arc;

use crate::Outcome;

/// Coins that each person starts with, in one cell.
const COINS: u64 = 1_000_000 * CKB;
/// Units of the token that each person starts with, and the capacity of their cell.
const TOKENS: u128 = 1_000_000;
const TOKEN_CELL: u64 = 200 * CKB;
/// Owner keys and session keys are these numbers and the person's.
const OWNER_KEYS: u64 = 1_000_000;
const SESSION_KEYS: u64 = 2_000_000;

/// The committed program of this name.
pub(crate) fn artifact(name: &str) -> Outcome<Vec<u8>> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../onchain/ckb/artifacts");
    let path = Path::new(folder).join(name);
    std::fs::read(&path).map_err(|reason| format!("{}: {reason}", path.display()).into())
}

/// Somebody with a wallet of two cells and a session key.
pub(crate) struct Person {
    pub(crate) wallet: Secp256k1,
    session: SecretKey,
}

impl Person {
    /// The lock that owns everything a person has, and that payouts go to.
    pub(crate) fn lock(&self) -> Script {
        self.wallet.locks().first().map(|lock| lock.script.clone()).unwrap_or_default()
    }

    pub(crate) fn address(&self) -> Address {
        Address::of_key(&self.session.public_key())
    }

    pub(crate) fn session_signature(&self, digest: &[u8; 32]) -> Signature {
        sign(digest, &self.session)
    }
}

/// A transaction that the node accepts.
pub(crate) struct Measured {
    pub(crate) tx: TransactionView,
    pub(crate) cycles: u64,
}

impl Measured {
    /// The serialized transaction with its witnesses, without the four bytes of its offset in a
    /// block.
    pub(crate) fn bytes(&self) -> Outcome<u64> {
        Ok(u64::try_from(self.tx.data().as_slice().len())?)
    }
}

/// A chain, its deployment, its people.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) chain: Chain,
    pub(crate) deployment: Deployment,
    pub(crate) coin: Asset,
    pub(crate) token: Asset,
    people: Arc<Vec<Person>>,
}

impl World {
    /// A chain with this many people.
    pub(crate) fn new(count: usize) -> Outcome<Self> {
        let token_code = artifact("simple-udt")?;
        let token_script = Script::new_builder()
            .code_hash(CellOutput::calc_data_hash(&token_code))
            .hash_type(ScriptHashType::Data2)
            .args(Bytes::from(vec![7; 32]))
            .build();
        let mut genesis = Genesis::builder()
            .cell("channel-type", artifact("channel-type")?)
            .cell("vault-lock", artifact("vault-lock")?)
            .cell("simple-udt", token_code);
        let dev = Genesis::dev()?;
        for number in 0..count {
            let lock = dev.sighash_lock(owner_key(number)?.hash());
            let coins = CellOutput::new_builder().capacity(COINS).lock(lock.clone());
            genesis = genesis.issue(coins.build(), Bytes::new());
            let kind = ScriptOpt::from(Some(token_script.clone()));
            let tokens = CellOutput::new_builder().capacity(TOKEN_CELL).lock(lock).type_(kind);
            let amount = Bytes::copy_from_slice(&TOKENS.to_le_bytes());
            genesis = genesis.issue(tokens.build(), amount);
        }
        Self::on(&genesis.build()?, token_script, count)
    }

    fn on(genesis: &Genesis, token_script: Script, count: usize) -> Outcome<Self> {
        let find = |name: &str| genesis.cell(name).ok_or(format!("no cell {name}"));
        let code = |name: &str| -> Outcome<CodeCell> {
            let cell = find(name)?;
            Ok(CodeCell {
                out_point: cell.out_point.clone(),
                dep_type: DepType::Code,
                data_hash: cell.data_hash.clone().into(),
            })
        };
        let programs = (code("channel-type")?, code("vault-lock")?);
        let mut deployment = Deployment::new(genesis.block(), programs.0, programs.1)?;
        let deps = vec![find("simple-udt")?.dep()];
        let token = deployment.add_token(Token { script: token_script, deps })?;
        let options = Options { commit: Commit::Instant, ..Options::new(genesis) };
        let chain = Chain::with_options(genesis, options);
        chain.mine(1)?;
        let people = (0..count).map(|number| {
            let wallet = Secp256k1::new(&deployment, owner_key(number)?);
            let session = SecretKey::from_secret_bytes(key_bytes(SESSION_KEYS, number)?)?;
            Ok(Person { wallet, session })
        });
        let people = Arc::new(people.collect::<Outcome<_>>()?);
        Ok(Self { chain, coin: deployment.coin(), deployment, token, people })
    }

    /// The same world up to now, with a future of its own.
    pub(crate) fn fork(&self) -> Self {
        Self { chain: self.chain.fork(), ..self.clone() }
    }

    pub(crate) fn person(&self, number: usize) -> Outcome<&Person> {
        Ok(self.people.get(number).ok_or("nobody has this number")?)
    }

    /// Sends a transaction and has it committed. The chain must count the cycles that were
    /// estimated.
    pub(crate) fn commit(&self, measured: &Measured) -> Outcome<()> {
        let hash = self.chain.send_transaction(&measured.tx)?;
        self.chain.mine(1)?;
        let found = self.chain.transaction(&hash)?;
        match found.status {
            TransactionStatus::Committed { .. } if found.cycles == Some(measured.cycles) => Ok(()),
            other => Err(format!("{other:?} with {:?} cycles", found.cycles).into()),
        }
    }

    pub(crate) fn live(&self, contract: &Contract) -> Outcome<LiveChannel> {
        Ok(LiveChannel::find(&self.chain, &self.deployment, contract)?)
    }

    /// A state with the signatures of these people.
    pub(crate) fn signed(
        &self,
        contract: &Contract,
        state: State,
        people: &[usize],
    ) -> Outcome<SignedState> {
        let digest = state.digest();
        let signatures =
            people.iter().map(|number| Ok(self.person(*number)?.session_signature(&digest)));
        let signatures = signatures.collect::<Outcome<_>>()?;
        Ok(SignedState::new(contract.setup().params(), state, signatures)?)
    }
}

fn owner_key(number: usize) -> Outcome<SigningKey> {
    Ok(SigningKey::new(key_bytes(OWNER_KEYS, number)?)?)
}

fn key_bytes(base: u64, number: usize) -> Outcome<[u8; 32]> {
    let number = u64::try_from(number)? + base;
    let mut bytes = [0; 32];
    bytes[24..].copy_from_slice(&number.to_be_bytes());
    Ok(bytes)
}
