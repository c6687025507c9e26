//! The first block: the node's bundled dev chain, and what a test wants to find on it from the
//! start.
//!
//! A [`Genesis`] is built once and cloned for free. It is made by the node's own spec reader from a
//! spec file, and [`Genesis::write_spec`] gives the same file to a real node. The invariant: both
//! chains have the same first block, so out points, dependencies and signed transactions are good
//! on both.

use ckb_chain_spec::{ChainSpec, consensus::Consensus};
use ckb_resource::Resource;
use ckb_types::{
    bytes::Bytes,
    core::{BlockView, DepType, ScriptHashType},
    packed::{Byte32, CellDep, CellOutput, OutPoint, Script},
    prelude::*,
};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// The genesis message. The node's default is the time of day, which would make every chain
/// another.
pub const MESSAGE: &str = "perun";

/// The system cells of the bundled dev spec, in the order of their outputs, from output 1 on.
const BUNDLED_CELLS: [&str; 4] =
    ["secp256k1_blake160_sighash_all", "dao", "secp256k1_data", "secp256k1_blake160_multisig_all"];

/// The dep groups of the bundled dev spec, in the order of their outputs in the second transaction.
const BUNDLED_GROUPS: [&str; 2] =
    ["secp256k1_blake160_sighash_all", "secp256k1_blake160_multisig_all"];

/// Cells of the bundled spec that no name leads to: the genesis cell before the system cells.
const CELLS_BEFORE: usize = 1;

/// How many different first blocks one process keeps. Tests of one crate share one or two.
const KEPT_MAX: usize = 8;

/// Why a first block could not be made.
#[derive(Debug, thiserror::Error)]
pub enum GenesisError {
    /// A name that cannot be a file name, or that is taken.
    #[error("the cell name {0:?} is taken, or is not made of a-z, 0-9, _ and -; choose another")]
    Name(String),
    /// A dep group names a cell that is not there.
    #[error("the dep group names the cell {0:?}, which was not added before it")]
    Member(String),
    /// The spec files could not be written.
    #[error("the chain's spec could not be written to {0}: {1}")]
    Write(PathBuf, std::io::Error),
    /// The node's spec reader refused the spec.
    #[error("the chain's spec was refused: {0}")]
    Spec(String),
}

/// A script or other cell that the first block holds.
#[derive(Clone, Debug)]
pub struct Deployed {
    /// The name it was given.
    pub name: String,
    /// Where it is.
    pub out_point: OutPoint,
    /// The hash of its data, for `hash_type: data1` and its like.
    pub data_hash: Byte32,
    /// The hash of its type script, for `hash_type: type`, if it has a type id.
    pub type_hash: Option<Byte32>,
}

impl Deployed {
    /// The dependency on this cell.
    #[must_use]
    pub fn dep(&self) -> CellDep {
        CellDep::new_builder().out_point(self.out_point.clone()).dep_type(DepType::Code).build()
    }

    /// The script that runs this cell's code: by type id if it has one, else by its data, as
    /// `data1`.
    #[must_use]
    pub fn script(&self, args: &[u8]) -> Script {
        let (code_hash, hash_type) = match &self.type_hash {
            Some(hash) => (hash, ScriptHashType::Type),
            None => (&self.data_hash, ScriptHashType::Data1),
        };
        Script::new_builder()
            .code_hash(code_hash.clone())
            .hash_type(hash_type)
            .args(Bytes::copy_from_slice(args))
            .build()
    }
}

/// The first block of a test chain, with everything that is on it.
#[derive(Clone, Debug)]
pub struct Genesis {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    consensus: Arc<Consensus>,
    spec: SpecFiles,
    cells: Vec<Deployed>,
    groups: Vec<(String, CellDep)>,
}

impl Genesis {
    /// The bundled dev chain as it is.
    pub fn dev() -> Result<Self, GenesisError> {
        GenesisBuilder::default().build()
    }

    /// A dev chain with more cells.
    #[must_use]
    pub fn builder() -> GenesisBuilder {
        GenesisBuilder::default()
    }

    /// The rules of the chain, as the node's crates read them.
    #[must_use]
    pub fn consensus(&self) -> &Arc<Consensus> {
        &self.inner.consensus
    }

    /// The first block.
    #[must_use]
    pub fn block(&self) -> &BlockView {
        self.inner.consensus.genesis_block()
    }

    /// A cell by its name: one that was added, or one of the bundled ones, such as `dao`.
    #[must_use]
    pub fn cell(&self, name: &str) -> Option<&Deployed> {
        self.inner.cells.iter().find(|cell| cell.name == name)
    }

    /// Every cell that has a name.
    #[must_use]
    pub fn cells(&self) -> &[Deployed] {
        &self.inner.cells
    }

    /// The dependency on a dep group by its name.
    #[must_use]
    pub fn group(&self, name: &str) -> Option<&CellDep> {
        self.inner.groups.iter().find(|(known, _)| known == name).map(|(_, dep)| dep)
    }

    /// The dependency that the standard single-key lock needs.
    #[must_use]
    pub fn sighash_dep(&self) -> CellDep {
        // The bundled groups are there: `build` has looked each of them up.
        self.group(BUNDLED_GROUPS[0]).cloned().unwrap_or_default()
    }

    /// The standard single-key lock of this key hash.
    #[must_use]
    pub fn sighash_lock(&self, key_hash: [u8; 20]) -> Script {
        self.cell(BUNDLED_CELLS[0]).map(|cell| cell.script(&key_hash)).unwrap_or_default()
    }

    /// Writes the spec for a real node: `dev.toml` and a folder `cells` beside it.
    pub fn write_spec(&self, folder: &Path) -> Result<(), GenesisError> {
        self.inner.spec.write(folder)
    }
}

/// Says what the first block holds beside the bundled cells.
#[derive(Clone, Debug, Default)]
pub struct GenesisBuilder {
    cells: Vec<Added>,
    groups: Vec<(String, Vec<String>)>,
    issued: Vec<Issued>,
}

#[derive(Clone, Debug)]
struct Added {
    name: String,
    bytes: Bytes,
    type_id: bool,
}

#[derive(Clone, Debug)]
struct Issued {
    output: CellOutput,
    data: Bytes,
}

impl GenesisBuilder {
    /// Adds a cell with this data, run by its data hash.
    #[must_use]
    pub fn cell(self, name: &str, bytes: impl Into<Bytes>) -> Self {
        self.add(name, bytes.into(), false)
    }

    /// Adds a cell with this data and a type id, run by the hash of that.
    #[must_use]
    pub fn cell_with_type_id(self, name: &str, bytes: impl Into<Bytes>) -> Self {
        self.add(name, bytes.into(), true)
    }

    fn add(mut self, name: &str, bytes: Bytes, type_id: bool) -> Self {
        self.cells.push(Added { name: name.to_owned(), bytes, type_id });
        self
    }

    /// Adds a dep group of cells that were added, or bundled ones such as `secp256k1_data`.
    #[must_use]
    pub fn group(mut self, name: &str, members: &[&str]) -> Self {
        let members = members.iter().map(|&member| member.to_owned()).collect();
        self.groups.push((name.to_owned(), members));
        self
    }

    /// Adds a cell that somebody owns from the start: money, or tokens if it has a type and data.
    #[must_use]
    pub fn issue(mut self, output: CellOutput, data: impl Into<Bytes>) -> Self {
        self.issued.push(Issued { output, data: data.into() });
        self
    }

    /// Makes the first block. The same one is made once in a process.
    pub fn build(self) -> Result<Genesis, GenesisError> {
        self.check_names()?;
        let spec = self.spec()?;
        static KEPT: Mutex<Vec<Genesis>> = Mutex::new(Vec::new());
        let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = kept.iter().find(|genesis| genesis.inner.spec == spec) {
            return Ok(known.clone());
        }
        let genesis = self.load(spec)?;
        if kept.len() == KEPT_MAX {
            kept.remove(0);
        }
        kept.push(genesis.clone());
        Ok(genesis)
    }

    fn check_names(&self) -> Result<(), GenesisError> {
        let plain = |name: &str| {
            let allowed = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '_' | '-');
            !name.is_empty() && name.chars().all(allowed)
        };
        let mut taken: Vec<&str> = BUNDLED_CELLS.to_vec();
        for Added { name, .. } in &self.cells {
            if !plain(name) || taken.contains(&name.as_str()) {
                return Err(GenesisError::Name(name.clone()));
            }
            taken.push(name);
        }
        let mut taken_groups: Vec<&str> = BUNDLED_GROUPS.to_vec();
        for (name, members) in &self.groups {
            if !plain(name) || taken_groups.contains(&name.as_str()) {
                return Err(GenesisError::Name(name.clone()));
            }
            taken_groups.push(name);
            if let Some(missing) = members.iter().find(|member| !taken.contains(&member.as_str())) {
                return Err(GenesisError::Member(missing.clone()));
            }
        }
        Ok(())
    }

    fn spec(&self) -> Result<SpecFiles, GenesisError> {
        let bundled = Resource::bundled("specs/dev.toml".to_owned());
        let bundled = bundled.get().map_err(|error| GenesisError::Spec(error.to_string()))?;
        let mut toml = String::from_utf8_lossy(&bundled).into_owned();
        replace_once(&mut toml, r#"message = "ckb_dev" #"#, &format!("message = \"{MESSAGE}\" #"))?;
        // The public chain's limit, not the dev chain's three times higher one.
        replace_once(&mut toml, "max_block_cycles = 10_000_000_000", MAX_BLOCK_CYCLES)?;
        let cells: String = self.cells.iter().map(Added::toml).collect();
        insert_before(&mut toml, "[genesis.system_cells_lock]", &cells)?;
        let groups: String = self.groups.iter().map(|group| self.group_toml(group)).collect();
        insert_before(&mut toml, "# For first 11 block", &groups)?;
        let issued: String = self.issued.iter().map(Issued::toml).collect();
        insert_before(&mut toml, "[params]", &issued)?;
        let files = self.cells.iter().map(|it| (it.name.clone(), it.bytes.clone())).collect();
        Ok(SpecFiles { toml, cells: files })
    }

    fn group_toml(&self, (name, members): &(String, Vec<String>)) -> String {
        let mut toml = format!("[[genesis.dep_groups]]\nname = \"{name}\"\nfiles = [\n");
        for member in members {
            let file = if BUNDLED_CELLS.contains(&member.as_str()) {
                format!("bundled = \"specs/cells/{member}\"")
            } else {
                format!("file = \"cells/{member}\"")
            };
            let _ = writeln!(toml, "  {{ {file} }},");
        }
        toml + "]\n\n"
    }

    fn load(&self, spec: SpecFiles) -> Result<Genesis, GenesisError> {
        let folder = TempFolder::new();
        spec.write(&folder.0)?;
        let resource = Resource::file_system(folder.0.join("dev.toml"));
        let refused = |error: Box<dyn std::error::Error>| GenesisError::Spec(error.to_string());
        let chain_spec = ChainSpec::load_from(&resource).map_err(refused)?;
        let consensus = Arc::new(chain_spec.build_consensus().map_err(refused)?);
        let names = BUNDLED_CELLS.into_iter().chain(self.cells.iter().map(|it| it.name.as_str()));
        let groups = BUNDLED_GROUPS.into_iter().chain(self.groups.iter().map(|it| it.0.as_str()));
        let cells = deployed(consensus.genesis_block(), names)?;
        let groups = deployed_groups(consensus.genesis_block(), groups)?;
        Ok(Genesis { inner: Arc::new(Inner { consensus, spec, cells, groups }) })
    }
}

/// The public chain's limit on the cycles of one block.
const MAX_BLOCK_CYCLES: &str = "max_block_cycles = 3_500_000_000";

impl Added {
    fn toml(&self) -> String {
        let Self { name, type_id, .. } = self;
        format!(
            "[[genesis.system_cells]]\nfile = {{ file = \"cells/{name}\" }}\n\
             create_type_id = {type_id}\n\n"
        )
    }
}

impl Issued {
    fn toml(&self) -> String {
        let capacity: u64 = self.output.capacity().into();
        let mut toml = format!("[[genesis.issued_cells]]\ncapacity = {capacity}\n");
        if !self.data.is_empty() {
            let _ = writeln!(toml, "data = \"{}\"", hex(&self.data));
        }
        script_toml(&mut toml, "lock", &self.output.lock());
        if let Some(script) = self.output.type_().to_opt() {
            script_toml(&mut toml, "type", &script);
        }
        toml + "\n"
    }
}

fn script_toml(toml: &mut String, field: &str, script: &Script) {
    let json = ckb_jsonrpc_types::Script::from(script.clone());
    let hash_type = serde_json::to_string(&json.hash_type).unwrap_or_default();
    let _ = writeln!(toml, "{field}.code_hash = \"{:#x}\"", json.code_hash);
    let _ = writeln!(toml, "{field}.args = \"{}\"", hex(json.args.as_bytes()));
    let _ = writeln!(toml, "{field}.hash_type = {hash_type}");
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold("0x".to_owned(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn replace_once(toml: &mut String, old: &str, new: &str) -> Result<(), GenesisError> {
    if toml.matches(old).count() != 1 {
        return Err(GenesisError::Spec(format!("the bundled spec has changed: no {old:?}")));
    }
    *toml = toml.replace(old, new);
    Ok(())
}

fn insert_before(toml: &mut String, mark: &str, text: &str) -> Result<(), GenesisError> {
    replace_once(toml, mark, &format!("{text}{mark}"))
}

fn deployed<'a>(
    genesis: &BlockView,
    names: impl Iterator<Item = &'a str>,
) -> Result<Vec<Deployed>, GenesisError> {
    let tx = genesis.transaction(0).ok_or_else(|| missing("first transaction"))?;
    let found = names.zip(CELLS_BEFORE..).map(|(name, index)| {
        let (output, data) = tx.output_with_data(index).ok_or_else(|| missing(name))?;
        Ok(Deployed {
            name: name.to_owned(),
            out_point: OutPoint::new(tx.hash(), u32::try_from(index).unwrap_or(u32::MAX)),
            data_hash: CellOutput::calc_data_hash(&data),
            type_hash: output.type_().to_opt().map(|script| script.calc_script_hash()),
        })
    });
    found.collect()
}

fn deployed_groups<'a>(
    genesis: &BlockView,
    names: impl Iterator<Item = &'a str>,
) -> Result<Vec<(String, CellDep)>, GenesisError> {
    let tx = genesis.transaction(1).ok_or_else(|| missing("second transaction"))?;
    let found = names.zip(0u32..).map(|(name, index)| {
        tx.outputs().get(index as usize).ok_or_else(|| missing(name))?;
        let dep = CellDep::new_builder()
            .out_point(OutPoint::new(tx.hash(), index))
            .dep_type(DepType::DepGroup)
            .build();
        Ok((name.to_owned(), dep))
    });
    found.collect()
}

fn missing(what: &str) -> GenesisError {
    GenesisError::Spec(format!("the first block has no {what}"))
}

/// A spec and the cells it names, as the files a node reads.
#[derive(Debug, PartialEq, Eq)]
struct SpecFiles {
    toml: String,
    cells: Vec<(String, Bytes)>,
}

impl SpecFiles {
    fn write(&self, folder: &Path) -> Result<(), GenesisError> {
        let write = |path: PathBuf, bytes: &[u8]| {
            std::fs::write(&path, bytes).map_err(|error| GenesisError::Write(path, error))
        };
        let cells = folder.join("cells");
        std::fs::create_dir_all(&cells)
            .map_err(|error| GenesisError::Write(cells.clone(), error))?;
        write(folder.join("dev.toml"), self.toml.as_bytes())?;
        self.cells.iter().try_for_each(|(name, bytes)| write(cells.join(name), bytes))
    }
}

/// The spec reader takes files only; they live as long as the reading.
struct TempFolder(PathBuf);

impl TempFolder {
    fn new() -> Self {
        static MADE: AtomicU64 = AtomicU64::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("perun-genesis-{}-{number}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }
}

impl Drop for TempFolder {
    fn drop(&mut self) {
        // Left-over files in the temporary folder harm nobody.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dev_chain_is_the_nodes_own() {
        let genesis = Genesis::dev().unwrap();
        assert_eq!(
            format!("{:#x}", genesis.block().hash()),
            "0xb8fe9eb544def91487735727dbb45074e59aff4c809dcb23159a59c15981b9c4"
        );
        assert_eq!(genesis.consensus().max_block_cycles(), 3_500_000_000);
        assert_eq!(genesis.consensus().max_block_bytes(), 597_000);
    }

    #[test]
    fn an_added_cell_stands_after_the_system_cells() {
        let genesis = Genesis::builder()
            .cell("plain", vec![1, 2, 3])
            .cell_with_type_id("named", vec![4, 5])
            .group("both", &["secp256k1_data", "plain"])
            .build()
            .unwrap();
        let plain = genesis.cell("plain").unwrap();
        assert_eq!(plain.out_point.index(), 5u32.into());
        assert_eq!(plain.data_hash, CellOutput::calc_data_hash(&[1, 2, 3]));
        assert!(plain.type_hash.is_none());
        assert!(genesis.cell("named").unwrap().type_hash.is_some());
        assert_eq!(genesis.group("both").unwrap().out_point().index(), 2u32.into());
        let sighash = genesis.cell(BUNDLED_CELLS[0]).unwrap();
        assert_eq!(
            format!("{:#x}", sighash.type_hash.clone().unwrap()),
            "0x9bd7e06f3ecf4be0f2fcd2188b23f1b9fcc88e5d4b65a8637b17723bbda3cce8"
        );
    }

    #[test]
    fn a_name_is_used_once_and_is_a_file_name() {
        for name in ["dao", "", "../dao", "a b"] {
            let built = Genesis::builder().cell(name, vec![0]).build();
            assert!(matches!(built, Err(GenesisError::Name(taken)) if taken == name));
        }
        let built = Genesis::builder().group("mine", &["absent"]).build();
        assert!(matches!(built, Err(GenesisError::Member(_))));
    }
}
