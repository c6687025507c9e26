//! The two judges: the committed binaries in the virtual machine, and the pure functions.

use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use ckb_chain_spec::consensus::{Consensus, ConsensusBuilder};
use ckb_script::types::ScriptGroup;
use ckb_script::{ScriptGroupType, TransactionScriptsVerifier, TxVerifyEnv};
use ckb_traits::{CellDataProvider, ExtensionProvider, HeaderProvider};
use ckb_types::bytes::Bytes;
use ckb_types::core::cell::{CellMeta, CellMetaBuilder};
use ckb_types::core::hardfork::{CKB2021, CKB2023, HardForks};
use ckb_types::core::{HeaderBuilder, HeaderView, ScriptHashType};
use ckb_types::packed::{self, Byte32, CellDep, CellOutput, OutPoint, Script};
use ckb_types::prelude::{Builder, Entity};
use perun_channel::ChannelId;
use perun_channel::adjudicator::{Code, Env, judge, vault_lock_hash, vault_opens};
use perun_channel::hash::ckb_hash;

use crate::Sketch;

/// More than any node lets into its pool; a script that needs it has failed anyway.
const CYCLES_MAX: u64 = 400_000_000;

/// The compiled scripts.
pub struct Scripts {
    channel_type: CellMeta,
    vault_lock: CellMeta,
    /// The channel type script.
    pub kind: Script,
    /// What the verdict must know of them.
    pub env: Env,
}

/// The scripts under test: the committed ones, or those of the folder `PERUN_SCRIPTS_DIR`.
pub fn scripts() -> &'static Scripts {
    static SCRIPTS: LazyLock<Scripts> = LazyLock::new(Scripts::load);
    &SCRIPTS
}

impl Scripts {
    fn load() -> Self {
        let folder = std::env::var_os("PERUN_SCRIPTS_DIR").map_or_else(
            || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../artifacts")),
            PathBuf::from,
        );
        let read = |name: &str, index: u32| {
            let path = folder.join(name);
            let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
            let dep = OutPoint::new_builder().tx_hash(Byte32::from([0xde; 32])).index(index);
            CellMetaBuilder::from_cell_output(CellOutput::default(), Bytes::from(bytes))
                .out_point(dep.build())
                .build()
        };
        let (channel_type, vault_lock) = (read("channel-type", 0), read("vault-lock", 1));
        let kind = data2(&data_hash(&channel_type), &[]);
        let channel_hash = kind.calc_script_hash().into();
        let env = Env { channel_type: channel_hash, vault_code: data_hash(&vault_lock) };
        Self { channel_type, vault_lock, kind, env }
    }

    /// The lock of one channel: of its channel cell and its vaults.
    #[must_use]
    pub fn vault_lock(&self, id: &ChannelId) -> Script {
        let args = ckb_hash(&[&self.env.channel_type, id.as_bytes()]);
        let script = data2(&self.env.vault_code, &args);
        let hash: [u8; 32] = script.calc_script_hash().into();
        assert_eq!(hash, vault_lock_hash(&self.env, id), "the chain hashes scripts the same way");
        script
    }

    pub(crate) fn deps(&self) -> Vec<CellDep> {
        self.cells()
            .iter()
            .map(|cell| CellDep::new_builder().out_point(cell.out_point.clone()).build())
            .collect()
    }

    pub(crate) fn cells(&self) -> Vec<CellMeta> {
        vec![self.channel_type.clone(), self.vault_lock.clone()]
    }
}

fn data_hash(cell: &CellMeta) -> [u8; 32] {
    cell.mem_cell_data_hash.clone().expect("made with data").into()
}

/// A script found by data hash, run by the newest machine.
pub(crate) fn data2(code: &[u8; 32], args: &[u8]) -> Script {
    Script::new_builder()
        .code_hash(Byte32::from(*code))
        .hash_type(ScriptHashType::Data2)
        .args(Bytes::from(args.to_vec()))
        .build()
}

/// What both judges said, which is the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trial {
    /// Acceptance, or the first refusal: the channel type's before a vault's.
    pub verdict: Result<(), Code>,
    /// The cycles of the channel type script.
    pub channel_cycles: u64,
    /// The cycles of all vault locks together.
    pub vault_cycles: u64,
    /// How many script groups of ours ran.
    pub groups: usize,
}

#[derive(Clone)]
struct NoStore;

impl CellDataProvider for NoStore {
    fn get_cell_data(&self, _: &OutPoint) -> Option<Bytes> {
        None
    }
    fn get_cell_data_hash(&self, _: &OutPoint) -> Option<Byte32> {
        None
    }
}

impl HeaderProvider for NoStore {
    fn get_header(&self, _: &Byte32) -> Option<HeaderView> {
        None
    }
}

impl ExtensionProvider for NoStore {
    fn get_block_extension(&self, _: &Byte32) -> Option<packed::Bytes> {
        None
    }
}

static CONSENSUS: LazyLock<Arc<Consensus>> = LazyLock::new(|| {
    let forks =
        HardForks { ckb2021: CKB2021::new_dev_default(), ckb2023: CKB2023::new_dev_default() };
    Arc::new(ConsensusBuilder::default().hardfork_switch(forks).build())
});

static TIP: LazyLock<Arc<TxVerifyEnv>> =
    LazyLock::new(|| Arc::new(TxVerifyEnv::new_submit(&HeaderBuilder::default().build())));

pub(crate) fn try_transaction(sketch: &Sketch) -> Result<Trial, String> {
    let resolved = Arc::new(sketch.resolved());
    let verifier: TransactionScriptsVerifier<NoStore> =
        TransactionScriptsVerifier::new(resolved, NoStore, CONSENSUS.clone(), TIP.clone());
    let mut trial = Trial { verdict: Ok(()), channel_cycles: 0, vault_cycles: 0, groups: 0 };
    let mut vaults = Ok(());
    for (role, _, group) in verifier.groups_with_type() {
        let Some(pure) = pure_verdict(sketch, role, group) else { continue };
        let (exit, cycles) = match verifier.detailed_run(group, CYCLES_MAX) {
            Ok(end) => (end.exit_code, end.consumed_cycles),
            Err(error) => return Err(format!("the script did not end by itself: {error}")),
        };
        let expected = pure.err().map_or(0, Code::exit_code);
        let said = Code::from_exit_code(exit);
        if exit != expected {
            return Err(format!("the {role:?} script says {said:?}, the pure verdict {pure:?}"));
        }
        trial.groups += 1;
        if role == ScriptGroupType::Type {
            trial.verdict = pure;
            trial.channel_cycles += cycles;
        } else {
            vaults = vaults.and(pure);
            trial.vault_cycles += cycles;
        }
    }
    trial.verdict = trial.verdict.and(vaults);
    Ok(trial)
}

/// The pure verdict for one script group, if the script is ours.
fn pure_verdict(
    sketch: &Sketch,
    role: ScriptGroupType,
    group: &ScriptGroup,
) -> Option<Result<(), Code>> {
    let code: [u8; 32] = group.script.code_hash().into();
    if group.script.hash_type() != ScriptHashType::Data2.into() {
        return None;
    }
    let Scripts { channel_type, env, .. } = scripts();
    let args = group.script.args().raw_data();
    if role == ScriptGroupType::Type && code == data_hash(channel_type) {
        return Some(if args.is_empty() {
            judge(&sketch.view(), env)
        } else {
            Err(Code::ScriptArgs)
        });
    }
    if role == ScriptGroupType::Lock && code == env.vault_code {
        let cells = group.input_indices.iter().map(|index| &sketch.inputs[*index].cell);
        let heads: Vec<_> = cells.map(|cell| (cell.kind_hash(), cell.data.as_slice())).collect();
        return Some(vault_opens(&args, heads));
    }
    None
}
