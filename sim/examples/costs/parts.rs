//! Where the cycles of a transaction go: each script group is run by itself, under its name.
//!
//! The invariant: the parts add up to what the node counts for the whole.

use ckb_script::{TransactionScriptsVerifier, TxVerifyEnv};
use ckb_traits::{CellDataProvider, ExtensionProvider, HeaderProvider};
use ckb_types::bytes::Bytes;
use ckb_types::core::HeaderView;
use ckb_types::core::cell::{
    CellMetaBuilder, CellProvider, CellStatus, HeaderChecker, resolve_transaction,
};
use ckb_types::core::error::OutPointError;
use ckb_types::packed::{self, Byte32, OutPoint, Script};
use perun_backend_ckb::Deployment;
use perun_backend_ckb::rpc::{Rpc, View};
use perun_embedded_ckb::Chain;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use crate::Outcome;
use crate::table::{Table, Unit};
use crate::world::{Measured, World};

/// Adds what a transaction takes: all cycles, those of each kind of script, and bytes. `before` is
/// the world in which its inputs are still there.
pub(crate) fn add(
    table: &mut Table,
    before: &World,
    name: &str,
    measured: &Measured,
) -> Outcome<()> {
    let parts = split(before, measured)?;
    if parts.values().sum::<u64>() != measured.cycles {
        return Err(format!("{name}: the parts {parts:?} are not {}", measured.cycles).into());
    }
    table.add(name, Unit::Cycles, measured.cycles);
    for (part, cycles) in parts {
        table.add(&format!("{name} / {part}"), Unit::Cycles, cycles);
    }
    table.add(name, Unit::Bytes, measured.bytes()?);
    Ok(())
}

fn split(world: &World, measured: &Measured) -> Outcome<BTreeMap<&'static str, u64>> {
    let store = Store(world.chain.clone());
    let resolved = resolve_transaction(measured.tx.clone(), &mut HashSet::new(), &store, &store)?;
    let consensus = world.chain.genesis().consensus().clone();
    let env = Arc::new(TxVerifyEnv::new_submit(&world.chain.tip_header()?));
    let cycles_max = consensus.max_block_cycles();
    let verifier: TransactionScriptsVerifier<Store> =
        TransactionScriptsVerifier::new(Arc::new(resolved), store, consensus, env);
    let mut parts = BTreeMap::new();
    for (_, _, group) in verifier.groups_with_type() {
        let end = verifier.detailed_run(group, cycles_max)?;
        if end.exit_code != 0 {
            return Err(format!("a script ended with {}", end.exit_code).into());
        }
        let name = kind_of(&group.script, &world.deployment);
        *parts.entry(name).or_insert(0) += end.consumed_cycles;
    }
    Ok(parts)
}

/// What a script is called in the table.
fn kind_of(script: &Script, deployment: &Deployment) -> &'static str {
    let code: [u8; 32] = script.code_hash().into();
    if code == deployment.channel_type().data_hash {
        "channel type"
    } else if code == deployment.vault_lock().data_hash {
        "vault locks"
    } else if code == deployment.secp256k1().code_hash {
        "owner locks"
    } else {
        "token"
    }
}

/// The chain, as the node's verification reads one.
#[derive(Clone)]
struct Store(Chain);

impl CellProvider for Store {
    fn cell(&self, out_point: &OutPoint, _: bool) -> CellStatus {
        match self.0.live_cell(out_point, View::Chain) {
            Ok(Some(cell)) => {
                let meta = CellMetaBuilder::from_cell_output(cell.output, cell.data);
                CellStatus::live_cell(meta.out_point(out_point.clone()).build())
            }
            _ => CellStatus::Unknown,
        }
    }
}

impl CellDataProvider for Store {
    fn get_cell_data(&self, out_point: &OutPoint) -> Option<Bytes> {
        self.0.live_cell(out_point, View::Chain).ok().flatten().map(|cell| cell.data)
    }

    fn get_cell_data_hash(&self, out_point: &OutPoint) -> Option<Byte32> {
        self.get_cell_data(out_point).map(|data| packed::CellOutput::calc_data_hash(&data))
    }
}

// No transaction here names a header.
impl HeaderChecker for Store {
    fn check_valid(&self, block: &Byte32) -> Result<(), OutPointError> {
        Err(OutPointError::InvalidHeader(block.clone()))
    }
}

impl HeaderProvider for Store {
    fn get_header(&self, _: &Byte32) -> Option<HeaderView> {
        None
    }
}

impl ExtensionProvider for Store {
    fn get_block_extension(&self, _: &Byte32) -> Option<packed::Bytes> {
        None
    }
}
