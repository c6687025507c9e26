//! The stage: a CKB chain with the scripts on it, somebody who gives everybody money, and the
//! Ethereum chain beside it.
//!
//! The CKB chain is the embedded one, or a dev node behind RPC; both are driven through the same
//! two traits. Money comes from the dev chain's first account, whose key everybody knows.

use std::sync::Arc;

use ckb_types::bytes::Bytes;
use ckb_types::core::{DepType, TransactionBuilder};
use ckb_types::packed::{CellInput, CellOutput, OutPoint, Script};
use ckb_types::prelude::*;
use perun_backend_ckb::cells::{Reservations, free_cells};
use perun_backend_ckb::deployment::{CodeCell, Deployment, Token};
use perun_backend_ckb::money::{CKB, is_plain, occupied, script_hash};
use perun_backend_ckb::rpc::{Cell, DevControl, HttpRpc, Rpc, RpcError, TransactionStatus};
use perun_backend_ckb::tx::Resolved;
use perun_backend_ckb::wallet::{Secp256k1, SigningKey, Wallet, fill, sign_inputs};
use perun_channel::Asset;
use perun_channel::hash::ckb_hash;
use perun_embedded_ckb::Chain;
use perun_embedded_ckb::real_node::RealNode;

use super::ethereum::Ethereum;
use super::{DemoOptions, Failure, leftovers, words};
use crate::narrate::Narrator;
use crate::problem::node_words;
use crate::programs::Programs;

/// The key of the first account of every CKB dev chain. It is public.
const DEV_KEY: &str = "d00c06bfd800d27397002dca6fb0993d5ba6399b4238b2f29ee9deb97593d2bc";
/// How many blocks a transaction may take until it is committed.
const BLOCKS_MAX: u64 = 20;
/// What a transaction of the giver pays.
const GIFT_FEE: u64 = CKB / 10;

/// The chains and everything on them that the scenes share.
pub(super) struct Stage {
    pub(super) rpc: Arc<dyn Rpc>,
    dev: Arc<dyn DevControl>,
    pub(super) deployment: Deployment,
    /// The token of the demo.
    pub(super) token: Asset,
    token_script: Script,
    giver: Secp256k1,
    pub(super) ethereum: Ethereum,
}

impl Stage {
    pub(super) fn set(options: &DemoOptions, narrator: &mut dyn Narrator) -> Result<Self, Failure> {
        let programs = Programs::of_environment().map_err(words)?;
        let (rpc, dev) = chain(options, &programs, narrator)?;
        let genesis = rpc.chain().map_err(words)?.genesis;
        // Only to find the standard lock; the programs' places are not known yet.
        let nowhere = |name: &str| CodeCell {
            out_point: OutPoint::default(),
            dep_type: DepType::Code,
            data_hash: ckb_hash(&[programs.bytes(name)]),
        };
        let (channel_type, vault_lock) = (nowhere("channel-type"), nowhere("vault-lock"));
        let system = Deployment::new(&genesis, channel_type, vault_lock).map_err(words)?;
        let giver = Secp256k1::new(&system, SigningKey::new(dev_key()).map_err(words)?);
        let find = |name: &str| -> Result<CodeCell, Failure> {
            let program = programs.bytes(name);
            let cell = deployed(rpc.as_ref(), &giver, program)?;
            let out_point = match cell {
                Some(out_point) => out_point,
                None => deploy(rpc.as_ref(), dev.as_ref(), &giver, program)?,
            };
            let data_hash = ckb_hash(&[program]);
            Ok(CodeCell { out_point, dep_type: DepType::Code, data_hash })
        };
        let mut deployment =
            Deployment::new(&genesis, find("channel-type")?, find("vault-lock")?).map_err(words)?;
        let token_script = programs.token_script(&owner(&giver)?);
        let deps = vec![find("simple-udt")?.dep()];
        let script = token_script.clone();
        let token = deployment.add_token(Token { script, deps }).map_err(words)?;
        let ethereum = Ethereum::set(options, narrator)?;
        Ok(Self { rpc, dev, deployment, token, token_script, giver, ethereum })
    }

    /// Makes one block on CKB.
    pub(super) fn mine(&self) -> Result<(), Failure> {
        self.dev.mine(1).map_err(words).map(|_| ())
    }

    /// Moves the clock of CKB.
    pub(super) fn advance(&self, seconds: u64) -> Result<(), Failure> {
        self.dev.advance(seconds).map_err(words).map(|_| ())
    }

    /// Moves both clocks.
    pub(super) fn advance_both(&self, seconds: u64) -> Result<(), Failure> {
        self.advance(seconds)?;
        self.ethereum.advance(seconds)
    }

    /// What the clock of CKB shows, in seconds: the median of its blocks' times.
    fn now_on_ckb(&self) -> Result<u64, Failure> {
        Ok(self.dev.median_time().map_err(words)? / 1_000)
    }

    /// Moves the clock that is behind up to the other, as they are among people: a swap's two
    /// expiries are dates. Returns what they show, up to a few seconds.
    pub(super) fn align_clocks(&self) -> Result<u64, Failure> {
        let (ckb, ethereum) = (self.now_on_ckb()?, self.ethereum.head()?.timestamp);
        if ckb < ethereum {
            self.advance(ethereum - ckb)?;
        }
        let (ckb, ethereum) = (self.now_on_ckb()?, self.ethereum.head()?.timestamp);
        if ethereum < ckb {
            self.ethereum.advance(ckb - ethereum)?;
        }
        Ok(self.now_on_ckb()?.max(self.ethereum.head()?.timestamp))
    }

    /// Gives each of these people cells of these capacities.
    pub(super) fn give_all(&self, locks: &[Script], capacities: &[u64]) -> Result<(), Failure> {
        let cells = locks.iter().flat_map(|lock| {
            capacities.iter().map(|capacity| (output(lock, *capacity, None), Bytes::new()))
        });
        let outputs: Vec<_> = cells.collect();
        issue(self.rpc.as_ref(), self.dev.as_ref(), &self.giver, &outputs, &[])?;
        Ok(())
    }

    /// Gives somebody cells of these capacities, and of the token.
    pub(super) fn give(
        &self,
        lock: &Script,
        capacities: &[u64],
        tokens: &[u128],
    ) -> Result<(), Failure> {
        let mut outputs: Vec<(CellOutput, Bytes)> = capacities
            .iter()
            .map(|capacity| (output(lock, *capacity, None), Bytes::new()))
            .collect();
        for amount in tokens {
            let capacity = occupied(lock, Some(&self.token_script), 16);
            let cell = output(lock, capacity, Some(&self.token_script));
            outputs.push((cell, Bytes::copy_from_slice(&amount.to_le_bytes())));
        }
        let deps = self.deployment.token(&script_hash(&self.token_script)).map_err(words)?;
        issue(self.rpc.as_ref(), self.dev.as_ref(), &self.giver, &outputs, &deps.deps)?;
        Ok(())
    }
}

type Chains = (Arc<dyn Rpc>, Arc<dyn DevControl>);

fn chain(
    options: &DemoOptions,
    programs: &Programs,
    narrator: &mut dyn Narrator,
) -> Result<Chains, Failure> {
    if let Some(url) = &options.ckb_rpc {
        let rpc = Arc::new(HttpRpc::new(url).map_err(words)?);
        rpc.chain().map_err(|error| {
            // Its words of what is unknown now are for transactions; nothing was sent yet.
            let reason = match error {
                RpcError::Transport(reason) => format!("the CKB node cannot be reached ({reason})"),
                error => node_words(&error),
            };
            format!(
                "{reason}. --ckb-rpc wants a CKB chain that runs and makes blocks on demand: `perun \
                 devnet` in another terminal, then --ckb-rpc http://127.0.0.1:8114"
            )
        })?;
        narrator.note(&format!(
            "the node at {url}, which must be a dev chain that makes blocks on demand"
        ));
        return Ok((rpc.clone(), rpc));
    }
    let genesis = programs.genesis().map_err(words)?;
    if options.real_node {
        let url = leftovers::keep(|wanted| RealNode::start_while(&genesis, wanted));
        let url = url.map_err(words)?;
        let rpc = Arc::new(HttpRpc::new(&url).map_err(words)?);
        narrator.note(&format!("a real CKB node of its own, at {url}"));
        return Ok((rpc.clone(), rpc));
    }
    let chain = Arc::new(Chain::new(&genesis));
    narrator.note("an embedded CKB chain that runs the real scripts under the real verification");
    Ok((chain.clone(), chain))
}

fn dev_key() -> [u8; 32] {
    let digit = |character: u8| char::from(character).to_digit(16).unwrap_or(0);
    let mut key = [0; 32];
    for (byte, pair) in key.iter_mut().zip(DEV_KEY.as_bytes().chunks_exact(2)) {
        let value = pair.iter().fold(0, |value, character| value * 16 + digit(*character));
        *byte = u8::try_from(value).unwrap_or(0);
    }
    key
}

fn owner(wallet: &dyn Wallet) -> Result<Script, Failure> {
    let lock = wallet.locks().first().ok_or("a wallet without a lock")?;
    Ok(lock.script.clone())
}

fn output(lock: &Script, capacity: u64, kind: Option<&Script>) -> CellOutput {
    CellOutput::new_builder()
        .lock(lock.clone())
        .type_(kind.cloned().pack())
        .capacity(capacity)
        .build()
}

/// Where a program already is: in the first block, or in a cell of the giver.
fn deployed(rpc: &dyn Rpc, giver: &Secp256k1, program: &[u8]) -> Result<Option<OutPoint>, Failure> {
    for tx in rpc.chain().map_err(words)?.genesis.transactions() {
        let datas = tx.outputs_data().into_iter();
        if let Some(index) = datas.into_iter().position(|data| data.raw_data() == program) {
            return Ok(Some(OutPoint::new(tx.hash(), u32::try_from(index).map_err(words)?)));
        }
    }
    let key = perun_backend_ckb::rpc::SearchKey::lock(owner(giver)?);
    let mut after = None;
    loop {
        let page = rpc.cells(&key, after.as_ref(), 100).map_err(words)?;
        let mut cells = page.rows.into_iter().map(|row| row.cell);
        if let Some(cell) = cells.find(|cell| cell.data == program) {
            return Ok(Some(cell.out_point));
        }
        after = page.next;
        if after.is_none() {
            return Ok(None);
        }
    }
}

fn deploy(
    rpc: &dyn Rpc,
    dev: &dyn DevControl,
    giver: &Secp256k1,
    program: &[u8],
) -> Result<OutPoint, Failure> {
    let lock = owner(giver)?;
    let cell = output(&lock, occupied(&lock, None, program.len()), None);
    let outputs = [(cell, Bytes::copy_from_slice(program))];
    let hash = issue(rpc, dev, giver, &outputs, &[])?;
    Ok(OutPoint::new(hash, 0))
}

/// Pays for these outputs from the giver's largest cell, and waits until they are there.
fn issue(
    rpc: &dyn Rpc,
    dev: &dyn DevControl,
    giver: &Secp256k1,
    outputs: &[(CellOutput, Bytes)],
    deps: &[ckb_types::packed::CellDep],
) -> Result<ckb_types::packed::Byte32, Failure> {
    let lock = giver.locks().first().ok_or("a wallet without a lock")?;
    let source = largest(rpc, &lock.script)?;
    let held: u64 = source.output.capacity().into();
    let given: u64 = outputs.iter().map(|(cell, _)| u64::from(cell.capacity())).sum();
    let change = held.checked_sub(given.saturating_add(GIFT_FEE));
    let change = change.ok_or("the dev chain's first account has too little in one cell")?;
    let tx = TransactionBuilder::default()
        .input(CellInput::new(source.out_point.clone(), 0))
        .outputs(outputs.iter().map(|(cell, _)| cell.clone()))
        .outputs_data(outputs.iter().map(|(_, data)| data.clone().pack()))
        .output(output(&lock.script, change, None))
        .output_data(Bytes::new())
        .cell_deps(lock.deps.iter().chain(deps).cloned())
        .build();
    let unsigned = Resolved { tx, inputs: vec![source] };
    let locks = sign_inputs(giver, &unsigned).map_err(words)?;
    let tx = fill(&unsigned.tx, &locks).map_err(words)?;
    let hash = rpc.send_transaction(&tx).map_err(|error| rival(&error))?;
    for _ in 0..BLOCKS_MAX {
        let status = rpc.transaction(&hash).map_err(words)?.status;
        if matches!(status, TransactionStatus::Committed { .. }) {
            return Ok(hash);
        }
        dev.mine(1).map_err(words)?;
    }
    Err(format!("the gift {hash:#x} was not committed within {BLOCKS_MAX} blocks"))
}

/// Why the first account's money could not be spent, from which every demo takes its own.
fn rival(error: &RpcError) -> Failure {
    match error {
        RpcError::Rbf { .. } | RpcError::Dead { .. } | RpcError::Unknown { .. } => format!(
            "somebody else spends the money of the dev chain's first account, as another demo on \
             this chain does; nothing was lost; start again when that is done ({error})"
        ),
        error => words(error),
    }
}

fn largest(rpc: &dyn Rpc, lock: &Script) -> Result<Cell, Failure> {
    let key = perun_backend_ckb::rpc::SearchKey::lock(lock.clone());
    let mut after = None;
    let mut best: Option<Cell> = None;
    loop {
        let page = rpc.cells(&key, after.as_ref(), 100).map_err(words)?;
        let cells = page.rows.into_iter().map(|row| row.cell).filter(is_plain);
        best = best.into_iter().chain(cells).max_by_key(|cell| u64::from(cell.output.capacity()));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    best.ok_or_else(|| "the dev chain's first account has no free cell".into())
}

/// What somebody's free cells hold: capacity of plain cells, capacity of token cells, the token.
pub(super) fn holdings(stage: &Stage, lock: &Script) -> Result<(u64, u128), Failure> {
    let none = Reservations::default();
    let cells = free_cells(stage.rpc.as_ref(), &stage.deployment, lock, &none).map_err(words)?;
    let capacity = cells.iter().map(|cell| u64::from(cell.output.capacity())).sum();
    let tokens = cells.iter().filter_map(perun_backend_ckb::money::token_in);
    Ok((capacity, tokens.map(|(_, amount)| amount).sum()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_demos_on_one_chain_are_told_of_each_other() {
        let taken = RpcError::from_node(-1111, "PoolRejectedRBF: RBF rejected");
        assert!(rival(&taken).contains("another demo on this chain"), "{}", rival(&taken));
        assert!(!rival(&RpcError::Duplicate).contains("another demo"));
    }
}
