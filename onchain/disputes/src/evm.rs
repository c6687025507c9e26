//! The second judge: the committed bytecode of the hub, run by `revm`.
//!
//! The contracts are deployed once; every dispute gets a copy of that world that only writes down
//! what changes. Blocks have no costs and no limits here: what is judged is what calls do.

use std::sync::LazyLock;

use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use alloy_sol_types::{SolCall, sol};
use perun_backend_evm::abi::{convert, eth, funding_id, solidity as sol, word};
use perun_backend_evm::deployment::Artifact;
use perun_backend_evm::revert::Revert;
use revm::context::result::{ExecutionResult, Output};
use revm::context::{BlockEnv, CfgEnv, Context, TxEnv};
use revm::database::{CacheDB, EmptyDB};
use revm::primitives::hardfork::SpecId;
use revm::{DatabaseRef, ExecuteCommitEvm, MainBuilder, MainContext};

use crate::dispute::{Act, End, OPENING, Step};
use crate::ledgers::{DEPLOYER, EVM_CHAIN, facade, hub, token};
use crate::rules::{Fault, Outcome};
use crate::scene::Scene;
use crate::{Judge, Verdict};

sol! {
    interface TestToken {
        function mint(address to, uint256 amount);
        function balanceOf(address owner) returns (uint256);
        function approve(address spender, uint256 amount);
    }
}

/// Gas of every call: far more than any needs, and what the chain allows for one transaction.
const GAS: u64 = 16_000_000;

/// A database that can be written over another.
type Over<D> = CacheDB<D>;

static WORLD: LazyLock<Over<EmptyDB>> = LazyLock::new(deploy);

/// Where the token's facade is.
pub(crate) static FACADE: LazyLock<Address> = LazyLock::new(|| {
    let mut world = CacheDB::new(&*WORLD);
    let call = sol::Hub::facadeOfCall { token: token() };
    read(&mut world, OPENING, hub(), &call)
});

fn deploy() -> Over<EmptyDB> {
    let mut world = CacheDB::new(EmptyDB::default());
    let rich = revm::state::AccountInfo { balance: U256::MAX >> 1, ..Default::default() };
    world.insert_account_info(DEPLOYER, rich);
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../evm/artifacts");
    let path = format!("{folder}/PerunHub.json");
    let json = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let artifact = Artifact::parse(&json).expect("an artifact");
    let code =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../crates/backend-evm/tests/tokens/TestToken.hex");
    let code = std::fs::read_to_string(code).unwrap_or_else(|error| panic!("{code}: {error}"));
    let code: Bytes = code.trim().parse().expect("hexadecimal");
    let mut make = |code: Bytes, at: Address| {
        let result = transact(&mut world, OPENING - 100, TxKind::Create, U256::ZERO, code);
        let made = match &result {
            Ok(ExecutionResult::Success { output: Output::Create(_, made), .. }) => *made,
            _ => None,
        };
        assert_eq!(made, Some(at), "{result:?}");
    };
    make(artifact.creation().clone(), hub());
    make(code, token());
    let all = U256::MAX >> 1;
    let mut call = |to, data: Vec<u8>| {
        send(&mut world, OPENING - 50, to, U256::ZERO, data).expect("it works");
    };
    call(token(), TestToken::mintCall { to: DEPLOYER, amount: all }.abi_encode());
    call(token(), TestToken::approveCall { spender: hub(), amount: U256::MAX }.abi_encode());
    call(hub(), sol::Hub::createFacadeCall { token: token() }.abi_encode());
    world
}

fn transact<D: DatabaseRef>(
    world: &mut CacheDB<D>,
    at: u64,
    kind: TxKind,
    value: U256,
    data: Bytes,
) -> Result<ExecutionResult, String>
where
    D::Error: core::error::Error + Send + Sync + 'static,
{
    let mut cfg = CfgEnv::new().with_spec_and_mainnet_gas_params(SpecId::PRAGUE);
    cfg = cfg.with_chain_id(EVM_CHAIN);
    cfg.disable_nonce_check = true;
    let block = BlockEnv {
        number: U256::from(at + 1_000 - OPENING),
        timestamp: U256::from(at),
        gas_limit: GAS,
        basefee: 0,
        ..BlockEnv::default()
    };
    let tx = TxEnv {
        caller: DEPLOYER,
        gas_limit: GAS,
        gas_price: 0,
        kind,
        value,
        data,
        chain_id: Some(EVM_CHAIN),
        ..TxEnv::default()
    };
    let context = Context::mainnet().with_cfg(cfg).with_block(block).with_db(world);
    context.build_mainnet().transact_commit(tx).map_err(|error| format!("{error:?}"))
}

/// Sends a call, and gives what came back, or what it reverted with.
fn send<D: DatabaseRef>(
    world: &mut CacheDB<D>,
    at: u64,
    to: Address,
    value: U256,
    data: Vec<u8>,
) -> Result<Bytes, Result<Revert, String>>
where
    D::Error: core::error::Error + Send + Sync + 'static,
{
    match transact(world, at, TxKind::Call(to), value, data.into()) {
        Ok(ExecutionResult::Success { output, .. }) => Ok(output.into_data()),
        Ok(ExecutionResult::Revert { output, .. }) => Err(Ok(Revert::read(&output))),
        other => Err(Err(format!("{other:?}"))),
    }
}

fn read<D: DatabaseRef, C: SolCall>(
    world: &mut CacheDB<D>,
    at: u64,
    to: Address,
    call: &C,
) -> C::Return
where
    D::Error: core::error::Error + Send + Sync + 'static,
{
    let answer = send(world, at, to, U256::ZERO, call.abi_encode()).expect("a view");
    C::abi_decode_returns(&answer).expect("what the interface says")
}

/// The hub with one channel in it.
pub struct Evm<'a> {
    scene: &'a Scene,
    world: CacheDB<&'static Over<EmptyDB>>,
    parties: Vec<Address>,
}

impl<'a> Evm<'a> {
    /// Opens the channel with all deposits.
    #[must_use]
    pub fn new(scene: &'a Scene) -> Self {
        let participants = scene.params().participants();
        let parties = participants.iter().map(|one| eth(one.address())).collect();
        let mut court = Self { scene, world: CacheDB::new(&*WORLD), parties };
        court.open();
        court
    }

    fn open(&mut self) {
        let mut value = U256::ZERO;
        let mut deposits = Vec::new();
        let rows = self.rows();
        for (place, (row, holder)) in rows.iter().enumerate() {
            // Two rows of one holder: nobody can register such a channel, nor should fund it.
            if rows[..place].iter().any(|(_, other)| other == holder) {
                continue;
            }
            for (amount, participant) in self.scene.opening(*row).iter().zip(&self.parties) {
                let amount = U256::from(*amount);
                if *holder == hub() {
                    value += amount;
                }
                let (holder, participant) = (*holder, *participant);
                let source = sol::Source::Sender;
                deposits.push(sol::Deposit {
                    holder,
                    participant,
                    amount,
                    source,
                    data: Bytes::new(),
                });
            }
        }
        let id = word(&self.scene.params().id());
        let call = sol::Hub::openCall { id, deposits, payees: Vec::new() };
        send(&mut self.world, OPENING, hub(), value, call.abi_encode()).expect("sound deposits");
    }

    /// The rows of this chain, with their holders.
    fn rows(&self) -> Vec<(usize, Address)> {
        let rows = self.scene.channel.setup.rows().iter().enumerate();
        let holders = rows.map(|(row, terms)| (row, eth(terms.asset.holder()), &terms.asset));
        let here = holders.filter(|(_, holder, asset)| {
            asset.chain() == EVM_CHAIN && (*holder == hub() || *holder == facade())
        });
        here.map(|(row, holder, _)| (row, holder)).collect()
    }

    fn call(&self, act: Act) -> Vec<u8> {
        // Every other dispute takes the forms that pay at once.
        let pays = self.scene.dispute.whim & 1 == 1;
        let params = convert::params(self.scene.params());
        match act {
            Act::Register { paper, .. } => {
                let channel = sol::SignedState {
                    params,
                    state: convert::state(&self.scene.sheets[paper].state),
                    sigs: self.signatures(paper),
                };
                sol::Hub::registerCall { channel, subChannels: self.children(paper) }.abi_encode()
            }
            Act::Conclude { paper, end } => {
                let state = convert::state(&self.scene.sheets[paper].state);
                let children = self.children(paper).into_iter();
                let subs = children.map(|child| child.state).collect();
                let preimage = match end {
                    End::Lapse => None,
                    End::Claim => Some(B256::new(self.scene.secret)),
                    End::Guess => Some(B256::repeat_byte(7)),
                };
                use sol::Hub as H;
                match (preimage, pays) {
                    (None, false) => {
                        H::concludeCall { params, state, subStates: subs }.abi_encode()
                    }
                    (None, true) => {
                        H::concludeAndPayCall { params, state, subStates: subs }.abi_encode()
                    }
                    (Some(preimage), false) => {
                        H::concludeWithPreimageCall { params, state, subStates: subs, preimage }
                            .abi_encode()
                    }
                    (Some(preimage), true) => H::concludeAndPayWithPreimageCall {
                        params,
                        state,
                        subStates: subs,
                        preimage,
                    }
                    .abi_encode(),
                }
            }
            Act::Close { paper } => {
                let state = convert::state(&self.scene.sheets[paper].state);
                let sigs = self.signatures(paper);
                match pays {
                    false => sol::Hub::concludeFinalCall { params, state, sigs }.abi_encode(),
                    true => sol::Hub::closeAndPayCall { params, state, sigs }.abi_encode(),
                }
            }
        }
    }

    fn signatures(&self, paper: usize) -> Vec<Bytes> {
        let all: Vec<usize> = (0..self.parties.len()).collect();
        let bytes = self.scene.signatures(paper, &all, |_, state| state.digest());
        bytes.into_iter().map(Bytes::from).collect()
    }

    fn children(&self, paper: usize) -> Vec<sol::SignedState> {
        let child = self.scene.sheets[paper].child.iter().filter(|child| child.is_shown);
        let signed = child.map(|child| sol::SignedState {
            params: convert::params(&child.params),
            state: convert::state(&child.state),
            sigs: child.signatures.iter().cloned().map(Bytes::from).collect(),
        });
        signed.collect()
    }

    fn registered(&mut self, at: u64) -> Outcome {
        let call = sol::Hub::disputesCall { id: word(&self.scene.params().id()) };
        let shown = read(&mut self.world, at, hub(), &call);
        let hash = *shown.stateHash.first_chunk().expect("32 bytes");
        Outcome::Registered { hash, version: shown.version, until: shown.timeout }
    }

    /// What everybody has got, or can withdraw.
    fn paid(&mut self, at: u64) -> Outcome {
        let id = self.scene.params().id();
        let rows = self.rows();
        let participants = self.scene.params().participants();
        let mut payouts = Vec::new();
        for (_, holder) in rows {
            let mut row = Vec::new();
            for participant in participants {
                let funding_id = funding_id(&id, participant.address());
                let call = sol::Hub::heldCall { holder, fundingID: funding_id };
                let held = read(&mut self.world, at, hub(), &call);
                let owner = eth(participant.address());
                let has = match holder == hub() {
                    true => {
                        let account = self.world.basic_ref(owner).expect("no database can fail");
                        account.unwrap_or_default().balance
                    }
                    false => {
                        read(&mut self.world, at, token(), &TestToken::balanceOfCall { owner })
                    }
                };
                row.push(u128::try_from(held + has).unwrap_or(u128::MAX));
            }
            payouts.push(row);
        }
        Outcome::Settled(payouts)
    }
}

impl Judge for Evm<'_> {
    fn step(&mut self, step: &Step) -> Verdict {
        let call = self.call(step.act);
        match send(&mut self.world, step.at, hub(), U256::ZERO, call) {
            Ok(_) => Ok(match step.act {
                Act::Register { .. } => self.registered(step.at),
                Act::Conclude { .. } | Act::Close { .. } => self.paid(step.at),
            }),
            Err(Ok(revert)) => {
                Err((vec![fault(revert.name())], format!("reverts with {}", revert.name())))
            }
            Err(Err(error)) => Err((vec![Fault::Strange], error)),
        }
    }
}

/// The class of an error of the hub.
fn fault(name: &str) -> Fault {
    match name {
        "ChannelId" | "BalanceShape" | "FinalWithLocked" | "Data" | "Amount" | "DuplicateAsset" => {
            Fault::State
        }
        "WrongChild" => Fault::Locked,
        "SignatureCount" | "BadSignature" => Fault::Signature,
        "Version" => Fault::Version,
        "RefutationOver" => Fault::Late,
        "WindowOpen" => Fault::Early,
        "NotRegistered" => Fault::NotRegistered,
        "WrongState" => Fault::WrongState,
        "NotFinal" => Fault::NotFinal,
        "AlreadyConcluded" | "WrongPhase" => Fault::Over,
        "SwapPending" => Fault::Pending,
        "NoSwap" => Fault::NoSwap,
        "WrongPreimage" => Fault::Preimage,
        _ => Fault::Strange,
    }
}
