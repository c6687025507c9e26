//! The embedded chain against the real node: the same transactions, the same answers.
//!
//! Both start from one first block and get the same valid and spoiled transactions, drawn from a
//! seed. After each one they must agree: taken or not, for the same reason, at the same cycles and
//! fee; and block by block on what is committed and what the miner earns.
#![cfg(feature = "real-node-tests")]

mod common;

use ckb_types::{
    bytes::Bytes,
    core::TransactionView,
    packed::{Byte32, CellInput, CellOutput, OutPoint},
    prelude::*,
};
use common::tokens;
use perun_backend_ckb::rpc::{Cell, DevControl, HttpRpc, Rpc, RpcError, TransactionStatus, View};
use perun_embedded_ckb::real_node::RealNode;
use perun_embedded_ckb::testkit::{CKB, FEE, Key, Payment, output_cell, plain, shannons};
use perun_embedded_ckb::{Chain, Genesis};
use std::collections::BTreeMap;

/// Transactions in one run.
const STEPS: usize = 400;

/// Cells of money and of tokens that the run starts with.
const CELLS: usize = 60;

/// A generator of repeatable choices (splitmix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % sides as u64) as usize
    }
}

/// The answer without the sentence of a malformed transaction: one that JSON cannot express stops
/// at the client, with the client's words.
fn class(answer: Result<Byte32, RpcError>) -> Result<Byte32, RpcError> {
    answer.map_err(|error| match error {
        RpcError::Malformed { .. } => RpcError::Malformed { text: String::new() },
        other => other,
    })
}

struct Pair<'a> {
    genesis: Genesis,
    embedded: Chain,
    real: &'a HttpRpc,
    dice: Dice,
    user: Key,
    /// Cells of the user that a transaction may spend, pending ones too.
    money: Vec<Cell>,
    tokens: Vec<Cell>,
    /// Everything that was taken, in order.
    sent: Vec<TransactionView>,
    spent: Vec<Cell>,
}

impl<'a> Pair<'a> {
    fn new(genesis: Genesis, real: &'a HttpRpc, seed: u64) -> Self {
        let embedded = Chain::new(&genesis);
        let mut pair = Self {
            genesis,
            embedded,
            real,
            dice: Dice(seed),
            user: Key::number(77),
            money: Vec::new(),
            tokens: Vec::new(),
            sent: Vec::new(),
            spent: Vec::new(),
        };
        pair.mine();
        let lock = pair.user.lock(&pair.genesis);
        let mut outputs = vec![(plain(lock, 500 * CKB), Bytes::new()); CELLS];
        outputs.extend((0..CELLS).map(|_| pair.token_cell(1_000)));
        let mut funding = Payment::new(outputs);
        funding.deps.push(pair.udt_dep());
        funding.fee = 100_000;
        let tx = funding.build(&pair.embedded, &pair.genesis, &Key::dev(false)).unwrap();
        pair.compare("funding", &tx);
        (0..3).for_each(|_| pair.mine());
        pair
    }

    fn udt_dep(&self) -> ckb_types::packed::CellDep {
        self.genesis.cell("simple_udt").unwrap().dep()
    }

    fn token_cell(&self, amount: u128) -> (CellOutput, Bytes) {
        let issuer = Key::dev(false).lock(&self.genesis);
        tokens(&self.genesis, &issuer, self.user.lock(&self.genesis), amount)
    }

    /// Sends to both and compares everything they say about it.
    fn compare(&mut self, label: &str, tx: &TransactionView) {
        let ours = class(self.embedded.send_transaction(tx));
        let theirs = class(self.real.send_transaction(tx));
        assert_eq!(ours, theirs, "{label}, transaction {} of the run", self.sent.len());
        if ours.is_err() {
            return;
        }
        let (ours, theirs) = (
            self.embedded.transaction(&tx.hash()).unwrap(),
            self.real.transaction(&tx.hash()).unwrap(),
        );
        assert_eq!(ours.cycles, theirs.cycles, "{label}: cycles");
        assert_eq!(ours.replace_fee_min, theirs.replace_fee_min, "{label}: fee and size");
        self.account(tx);
    }

    /// Keeps the books on what the user can spend.
    fn account(&mut self, tx: &TransactionView) {
        self.sent.push(tx.clone());
        let lock = self.user.lock(&self.genesis);
        for index in 0..tx.outputs().len() as u32 {
            let cell = output_cell(tx, index).unwrap();
            if cell.output.lock().as_slice() != lock.as_slice() {
                continue;
            }
            match cell.output.type_().to_opt() {
                None => self.money.push(cell),
                Some(_) => self.tokens.push(cell),
            }
        }
        let embedded = &self.embedded;
        let live =
            |cell: &Cell| embedded.live_cell(&cell.out_point, View::WithPool).unwrap().is_some();
        for cells in [&mut self.money, &mut self.tokens] {
            self.spent.extend(cells.iter().filter(|cell| !live(cell)).cloned());
            cells.retain(live);
        }
    }

    /// One block on both, and what it holds.
    fn mine(&mut self) {
        let number = self.embedded.mine(1).unwrap().number();
        assert_eq!(self.real.mine(1).unwrap().number(), number);
        let [ours, theirs] =
            [self.embedded.block_by_number(number), self.real.block_by_number(number)];
        let (ours, theirs) = (ours.unwrap().unwrap(), theirs.unwrap().unwrap());
        let hashes = |block: &ckb_types::core::BlockView| {
            let mut hashes: Vec<Byte32> = block.tx_hashes()[1..].to_vec();
            hashes.sort();
            hashes
        };
        assert_eq!(hashes(&ours), hashes(&theirs), "what block {number} commits");
        let proposals = |block: &ckb_types::core::BlockView| block.union_proposal_ids();
        assert_eq!(proposals(&ours), proposals(&theirs), "what block {number} announces");
        let reward = |block: &ckb_types::core::BlockView| {
            block.transactions()[0]
                .outputs()
                .into_iter()
                .map(|it| shannons(&it))
                .collect::<Vec<_>>()
        };
        assert_eq!(reward(&ours), reward(&theirs), "what the miner gets in block {number}");
        assert_eq!(ours.epoch(), theirs.epoch());
        assert_eq!(ours.dao(), theirs.dao(), "the DAO field of block {number}");
    }

    fn pick(&mut self, from: &[Cell]) -> Cell {
        from[self.dice.roll(from.len())].clone()
    }

    /// A valid transaction of the user: money, or money and tokens.
    fn valid(&mut self) -> TransactionView {
        let cell = self.pick(&self.money.clone());
        let lock = self.user.lock(&self.genesis);
        if self.dice.roll(2) == 0 {
            let parts = self.dice.roll(3) + 1;
            let outputs = vec![(plain(lock, 70 * CKB), Bytes::new()); parts];
            return self.spend(outputs, &[cell]);
        }
        let tokens = self.pick(&self.tokens.clone());
        let amount = u128::from_le_bytes(tokens.data[..16].try_into().unwrap());
        let part = self.dice.roll(amount as usize + 1) as u128;
        let outputs = vec![self.token_cell(part), self.token_cell(amount - part)];
        self.spend(outputs, &[tokens, cell])
    }

    fn spend(&mut self, outputs: Vec<(CellOutput, Bytes)>, cells: &[Cell]) -> TransactionView {
        let fee = FEE + self.dice.roll(5_000) as u64;
        let deps = vec![self.udt_dep()];
        Payment { outputs, deps, fee }.spend(&self.genesis, &self.user, cells)
    }

    /// A transaction that is replaced when it was announced already stays in the real node's
    /// template: the next block commits it or its replacement, as it happens. That is not compared.
    fn anything_proposed(&self) -> bool {
        let status = |tx: &TransactionView| self.embedded.transaction(&tx.hash()).unwrap().status;
        self.sent.iter().any(|tx| status(tx) == TransactionStatus::Proposed)
    }

    fn sign(&self, tx: &TransactionView) -> TransactionView {
        self.user.sign(tx, &(0..tx.inputs().len()).collect::<Vec<_>>())
    }

    /// A transaction that may be refused, with the name of what was done to it.
    fn spoiled(&mut self) -> (&'static str, TransactionView) {
        let tx = self.valid();
        let builder = tx.as_advanced_builder();
        let mut inputs: Vec<CellInput> = tx.inputs().into_iter().collect();
        let mut outputs: Vec<CellOutput> = tx.outputs().into_iter().collect();
        let mut data: Vec<_> = tx.outputs_data().into_iter().collect();
        let last = outputs.len() - 1;
        let have = shannons(&outputs[last]);
        let signed =
            |pair: &Self, builder: ckb_types::core::TransactionBuilder| pair.sign(&builder.build());
        let sinces = [
            1,
            5,
            1 << 63,
            1 << 63 | 3,
            1 << 62,
            1 << 62 | 9_999_999_999,
            3 << 61,
            1 << 56,
            1 << 61,
            1 << 61 | 7,
            1 << 63 | 1 << 61 | 0x0000_0500_0200_0001,
            1 << 63 | 1 << 62 | 100,
            30,
        ];
        // Half of them stay valid, so that there is something to spend.
        match self.dice.roll(42) {
            0 => ("a foreign signature", Key::number(78).sign(&tx, &[0])),
            1 => {
                let mut witness = tx.witnesses().get(0).unwrap().raw_data().to_vec();
                let place = self.dice.roll(witness.len());
                witness[place] ^= 1 << self.dice.roll(8);
                (
                    "a flipped bit in a witness",
                    builder.set_witnesses(vec![Bytes::from(witness).pack()]).build(),
                )
            }
            2 => ("no witness", builder.set_witnesses(Vec::new()).build()),
            3 => {
                let more = self.dice.roll(30_000) as u64;
                outputs[last] = outputs[last].clone().as_builder().capacity(have + more).build();
                ("more out", signed(self, builder.set_outputs(outputs)))
            }
            4 => {
                let less = self.dice.roll(62) as u64 * CKB;
                outputs[last] = outputs[last].clone().as_builder().capacity(less).build();
                ("a small cell", signed(self, builder.set_outputs(outputs)))
            }
            5 => {
                inputs.push(inputs[0].clone());
                ("an input twice", signed(self, builder.set_inputs(inputs)))
            }
            6 => {
                let lost = OutPoint::new(tx.hash(), self.dice.roll(3) as u32);
                inputs[0] = CellInput::new(lost, 0);
                ("an unknown input", signed(self, builder.set_inputs(inputs)))
            }
            7 => ("no dependencies", signed(self, builder.set_cell_deps(Vec::new()))),
            8 => {
                let deps = tx.cell_deps().into_iter().skip(1).collect();
                ("no lock's dependency", signed(self, builder.set_cell_deps(deps)))
            }
            9 => {
                let deps = tx.cell_deps().into_iter().take(1).collect();
                ("no token's dependency", signed(self, builder.set_cell_deps(deps)))
            }
            10 => {
                let since: u64 = sinces[self.dice.roll(sinces.len())];
                inputs[0] = inputs[0].clone().as_builder().since(since).build();
                ("a since", signed(self, builder.set_inputs(inputs)))
            }
            11 => ("a version", signed(self, builder.version(1u32))),
            12 => {
                data.pop();
                ("less data than outputs", signed(self, builder.set_outputs_data(data)))
            }
            13 => {
                let amount = self.dice.roll(3_000) as u128;
                data[0] = Bytes::copy_from_slice(&amount.to_le_bytes()).pack();
                ("another amount", signed(self, builder.set_outputs_data(data)))
            }
            14 => {
                data[0] = Bytes::copy_from_slice(&[1; 15]).pack();
                ("short data", signed(self, builder.set_outputs_data(data)))
            }
            15 => ("sent before", self.sent[self.dice.roll(self.sent.len())].clone()),
            16 if !self.spent.is_empty() && !self.anything_proposed() => {
                // Lately spent ones are likely to be pending still: then it is a replacement.
                let late = self.dice.roll(self.spent.len().min(4));
                let cell = self.spent[self.spent.len() - 1 - late].clone();
                let fee = [FEE, 30_000, 100_000, 500_000][self.dice.roll(4)];
                let sweep = Payment { outputs: Vec::new(), deps: vec![self.udt_dep()], fee };
                ("a spent cell", sweep.spend(&self.genesis, &self.user, &[cell]))
            }
            17 => {
                let dep = tx.cell_deps().get(0).unwrap();
                ("a dependency twice", signed(self, builder.cell_dep(dep)))
            }
            18 => ("an unknown header", signed(self, builder.header_dep(tx.hash()))),
            19 => {
                let mut bytes = outputs[0].as_slice().to_vec();
                let place = self.dice.roll(bytes.len());
                bytes[place] ^= 1 << self.dice.roll(8);
                outputs[0] = CellOutput::from_slice(&bytes).unwrap_or_else(|_| outputs[0].clone());
                ("a flipped bit in an output", signed(self, builder.set_outputs(outputs)))
            }
            20 => {
                let code = self.dice.roll(8) as u8;
                let lock = outputs[0].lock().as_builder().hash_type(code).build();
                outputs[0] = outputs[0].clone().as_builder().lock(lock).build();
                ("another hash type", signed(self, builder.set_outputs(outputs)))
            }
            _ => ("nothing", tx),
        }
    }
}

#[test]
fn the_embedded_chain_answers_as_the_real_node_does() {
    let seed = std::env::var("PERUN_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    println!("PERUN_SEED={seed}");
    let genesis = common::genesis();
    let node = RealNode::start(&genesis).unwrap_or_else(|error| panic!("{error}"));
    let mut pair = Pair::new(genesis, node.rpc(), seed);
    let mut drawn = BTreeMap::<&str, (usize, usize)>::new();
    for _ in 0..STEPS {
        let before = pair.sent.len();
        let (label, tx) = pair.spoiled();
        pair.compare(label, &tx);
        let count = drawn.entry(label).or_default();
        count.0 += 1;
        count.1 += pair.sent.len() - before;
        if pair.dice.roll(6) == 0 {
            pair.mine();
        }
    }
    (0..12).for_each(|_| pair.mine());
    println!("drawn and taken: {drawn:#?}");
    assert!(pair.sent.len() > STEPS / 8, "only {} were taken", pair.sent.len());
}
