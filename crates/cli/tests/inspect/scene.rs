//! A channel of two with all its keys, and transactions on it: with made-up cells, or on a chain.

use ckb_types::bytes::Bytes;
use ckb_types::core::{ScriptHashType, TransactionBuilder, TransactionView};
use ckb_types::packed::{CellInput, CellOutput, OutPoint, Script, ScriptOpt};
use ckb_types::prelude::*;
use perun_backend_ckb::rpc::Cell;
use perun_channel::adjudicator::{
    Action, ChannelCell, CkbParticipant, Phase, Row, Setup, Slot, SlotKind, StateBody, WitnessArgs,
    origin, registration_digest,
};
use perun_channel::codec::Encode;
use perun_channel::sig::sign;
use perun_channel::{
    Address, Allocation, Amount, Asset, Participant, Signature, SignedState, State, Version,
};
use perun_cli::programs::Programs;
use perun_embedded_ckb::testkit::{Key, Payment, plain};
use perun_embedded_ckb::{Chain, Genesis};
use secp256k1::{PublicKey, SecretKey};

pub(crate) const CKB: u64 = 100_000_000;
pub(crate) const CHALLENGE: u64 = 5_400;
const LEDGER: u64 = 7;
const SECRETS: [[u8; 32]; 2] = [[1; 32], [2; 32]];

fn secret(party: usize) -> SecretKey {
    SecretKey::from_secret_bytes(SECRETS[party]).unwrap()
}

/// The address of a party's session key.
pub(crate) fn address(party: usize) -> Address {
    Address::of_key(&PublicKey::from_secret_key(&secret(party)))
}

/// A channel: its setup, and balances that move by one CKB from the first to the second per
/// version.
pub(crate) struct Scene {
    pub(crate) setup: Setup,
    coins: [u64; 2],
}

impl Scene {
    /// A channel of coins and a token, of a transaction that never was.
    pub(crate) fn with_token() -> Self {
        let locks = [[0xaa; 32], [0xbb; 32]];
        let token = Row {
            asset: Asset::ckb_token(LEDGER, &[0x77; 32]),
            total: Amount::new(1_000),
            vault_capacity: 154 * CKB,
        };
        Self::new([0x0f; 32], &locks, 249 * CKB, vec![token])
    }

    /// A channel of coins, whose creating transaction has this first input.
    pub(crate) fn of_coins(first_input: &[u8; 44], locks: &[[u8; 32]; 2]) -> Self {
        Self::new(origin(first_input, 0), locks, 111 * CKB, vec![])
    }

    fn new(origin: [u8; 32], locks: &[[u8; 32]; 2], reserve: u64, tokens: Vec<Row>) -> Self {
        let participants = locks.iter().enumerate().map(|(party, lock)| {
            let identity = CkbParticipant {
                consents_by_presence: false,
                lends_fee: false,
                payout_lock: *lock,
                owner_lock: *lock,
                reserve,
            };
            Participant::new(address(party), identity.to_foreign()).unwrap()
        });
        let coins = [100 * CKB, 50 * CKB];
        let total = Amount::new(u128::from(coins[0] + coins[1]));
        let mut rows = vec![Row { asset: Asset::ckb(LEDGER), total, vault_capacity: 0 }];
        rows.extend(tokens);
        rows.sort_by(|one, next| one.asset.cmp(&next.asset));
        let setup = Setup::new(origin, LEDGER, CHALLENGE, participants.collect(), rows).unwrap();
        Self { setup, coins }
    }

    /// The state with this version.
    pub(crate) fn state(&self, version: u64) -> State {
        let moved = version * CKB;
        let balances = self.setup.rows().iter().map(|row| match row.token() {
            Some(_) => vec![Amount::new(999), Amount::new(1)],
            None => [self.coins[0] - moved, self.coins[1] + moved]
                .map(|coins| Amount::new(coins.into()))
                .to_vec(),
        });
        let assets = self.setup.rows().iter().map(|row| row.asset.clone()).collect();
        let outcome = Allocation::new(assets, balances.collect(), vec![]).unwrap();
        State::new(self.setup.id(), Version::new(version), outcome, vec![], false).unwrap()
    }

    pub(crate) fn signed(&self, state: State) -> SignedState {
        let digest = state.digest();
        let signatures = (0..2).map(|party| sign(&digest, &secret(party))).collect();
        SignedState::new(self.setup.params(), state, signatures).unwrap()
    }

    /// The cell in this phase, storing this version.
    pub(crate) fn cell(&self, phase: Phase, marks: u32, version: u64) -> ChannelCell {
        let state_hash = self.state(version).hash();
        let version = Version::new(version);
        ChannelCell { phase, marks, id: self.setup.id(), state_hash, version, claimed: false }
    }

    /// The registration of a version through a party's own slot.
    pub(crate) fn register(&self, programs: &Programs, version: u64, party: u8) -> Action {
        let state = self.state(version);
        let slot = Slot { participant: party, kind: SlotKind::Own };
        let channel_type = programs.env().channel_type;
        let registration =
            registration_digest(&channel_type, &self.setup.id(), &state.hash(), slot);
        let digest =
            |index| if index == usize::from(party) { registration } else { state.digest() };
        let signatures: Vec<Signature> =
            (0..2).map(|index| sign(&digest(index), &secret(index))).collect();
        Action::Register {
            setup: self.setup.clone(),
            body: StateBody::of(&state),
            slot,
            signatures,
        }
    }

    /// A channel cell with everything but its data.
    pub(crate) fn output(&self, programs: &Programs, capacity: u64) -> CellOutput {
        CellOutput::new_builder()
            .capacity(capacity)
            .lock(programs.vault_lock_script(&self.setup.id()))
            .type_(ScriptOpt::new_builder().set(Some(programs.channel_type_script())).build())
            .build()
    }

    /// The capacity of a cell that holds all the coins and reserves.
    pub(crate) fn capacity(&self) -> u64 {
        let reserves: u64 = self.setup.identities().iter().map(|it| it.reserve).sum();
        let vaults: u64 = self.setup.rows().iter().map(|row| row.vault_capacity).sum();
        self.coins.iter().sum::<u64>() + reserves - vaults
    }
}

/// A witness with an action for the input, or for the output, at its place.
pub(crate) fn witness(action: &Action) -> Bytes {
    let bytes = Some(action.to_bytes());
    let args = match action {
        Action::Create { .. } => WitnessArgs { output_type: bytes, ..Default::default() },
        _ => WitnessArgs { input_type: bytes, ..Default::default() },
    };
    args.serialize().into()
}

/// A registration on made-up cells.
pub(crate) fn registration(scene: &Scene, programs: &Programs) -> TransactionView {
    let cell = scene.cell(Phase::Disputed, 0b0100, 3);
    TransactionBuilder::default()
        .input(CellInput::new(OutPoint::new([0x11; 32].pack(), 0), 0))
        .output(scene.output(programs, scene.capacity()))
        .output_data(Bytes::from(cell.to_data()).pack())
        .witness(witness(&scene.register(programs, 3, 1)).pack())
        .build()
}

/// The plain lock whose hash stands for a name.
pub(crate) fn lock(name: u8) -> Script {
    Script::new_builder()
        .code_hash([name; 32].pack())
        .hash_type(ScriptHashType::Data2)
        .args(Bytes::from(vec![name; 20]))
        .build()
}

/// A chain on which the first dev key pays for everything.
pub(crate) struct Ledger {
    pub(crate) programs: Programs,
    pub(crate) genesis: Genesis,
    pub(crate) chain: Chain,
    pub(crate) key: Key,
}

impl Ledger {
    pub(crate) fn new() -> Self {
        let programs = Programs::built_in();
        let genesis = programs.genesis().unwrap();
        Self { chain: Chain::new(&genesis), key: Key::dev(false), programs, genesis }
    }

    /// The key's next cell of money.
    pub(crate) fn money(&self) -> Cell {
        use perun_backend_ckb::rpc::{Rpc, SearchKey};
        let key = SearchKey::lock(self.key.lock(&self.genesis));
        let rows = self.chain.cells(&key, None, 100).unwrap().rows;
        let is_plain = |cell: &Cell| cell.data.is_empty() && cell.output.type_().is_none();
        rows.into_iter().map(|row| row.cell).find(is_plain).unwrap()
    }

    /// Sends a transaction with the actions of its first witnesses, paid by `money`, the last
    /// input.
    pub(crate) fn send(
        &self,
        spent: &[(OutPoint, u64, u64)],
        outputs: Vec<(CellOutput, Bytes)>,
        actions: &[Action],
    ) -> TransactionView {
        use perun_backend_ckb::rpc::{DevControl, Rpc};
        let tx = self.transaction(spent, outputs, actions);
        self.chain.send_transaction(&tx).unwrap();
        self.chain.mine(3).unwrap();
        tx
    }

    /// The same, not sent. `spent`: out point, `since`, capacity.
    pub(crate) fn transaction(
        &self,
        spent: &[(OutPoint, u64, u64)],
        mut outputs: Vec<(CellOutput, Bytes)>,
        actions: &[Action],
    ) -> TransactionView {
        const FEE: u64 = 100_000;
        let money = self.money();
        let capacity = |output: &CellOutput| -> u64 { output.capacity().unpack() };
        let taken: u64 = spent.iter().map(|(_, _, capacity)| capacity).sum();
        let made: u64 = outputs.iter().map(|(output, _)| capacity(output)).sum();
        let change = taken + capacity(&money.output) - made - FEE;
        outputs.push((plain(self.key.lock(&self.genesis), change), Bytes::new()));
        let inputs =
            spent.iter().map(|(out_point, since, _)| CellInput::new(out_point.clone(), *since));
        let (outputs, data): (Vec<_>, Vec<_>) = outputs.into_iter().unzip();
        let tx = TransactionBuilder::default()
            .cell_dep(self.genesis.sighash_dep())
            .cell_deps(Programs::deps(&self.genesis))
            .inputs(inputs)
            .input(CellInput::new(money.out_point, 0))
            .outputs(outputs)
            .outputs_data(data.into_iter().map(|data| data.pack()))
            .witnesses(actions.iter().map(|action| witness(action).pack()))
            .build();
        self.key.sign(&tx, &[spent.len()])
    }
}

/// A payment of these amounts, which touches no channel.
pub(crate) fn payment(ledger: &Ledger) -> TransactionView {
    let to = Payment::to(lock(9), 100 * CKB);
    to.build(&ledger.chain, &ledger.genesis, &ledger.key).unwrap()
}
