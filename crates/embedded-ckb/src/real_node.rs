//! A real node for one test: its own folder, its own ports, the same first block.
//!
//! The binary is looked for in the variable [`BINARY_VARIABLE`], else where
//! `scripts/setup-ckb-node.sh` keeps it. Nothing is downloaded or built here. The invariant: the
//! node that was started is stopped, by its own process, when the value goes away, and its folder
//! goes with it.

use crate::chain::MINER_ARGS;
use crate::genesis::{Genesis, GenesisError, MESSAGE};
use perun_backend_ckb::rpc::{HttpRpc, Rpc, RpcError};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The variable that holds the path of the node's binary.
pub const BINARY_VARIABLE: &str = "PERUN_CKB_BIN";

/// The variable that holds the folder in which `scripts/setup-ckb-node.sh` keeps the node.
pub const HOME_VARIABLE: &str = "PERUN_DEVNET_HOME";

/// Where the binary is in that folder.
const BINARY_IN_FOLDER: &str = "bin/ckb";

/// That folder, below the home folder, if no variable is set.
const FOLDER_IN_HOME: &str = ".cache/perun-devnet";

/// How long a start may take. Normal is one second; a changed spec over an old folder hangs.
const START_TIME_MAX: Duration = Duration::from_secs(60);

/// How often to ask whether it is up.
const START_POLL: Duration = Duration::from_millis(20);

/// How many pairs of ports to try: another program may take one between choosing and using it.
const STARTS_MAX: usize = 3;

/// Why no node is running.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// There is no binary.
    #[error(
        "there is no CKB node at {0}: scripts/setup-ckb-node.sh install makes one, or set \
         {BINARY_VARIABLE} to the path of a ckb 0.210 binary"
    )]
    Missing(PathBuf),
    /// The folder, the files in it or the process could not be handled.
    #[error("the node's folder or process: {0}")]
    Io(#[from] io::Error),
    /// The spec could not be written.
    #[error(transparent)]
    Spec(#[from] GenesisError),
    /// Something else listens there, or may not.
    #[error("port {0} of this machine cannot be had: {1}; choose another")]
    Port(u16, io::Error),
    /// The program is something else.
    #[error(
        "{0} is no CKB node ({1}): scripts/setup-ckb-node.sh install makes one, or set \
         {BINARY_VARIABLE} to the path of a ckb 0.210 binary"
    )]
    NotANode(PathBuf, String),
    /// The node did not start.
    #[error("the node did not start: {0}")]
    Start(String),
    /// The node started, but with another first block.
    #[error("the node's first block is {node}, the spec's is {spec}: versions do not match")]
    OtherGenesis {
        /// The node's.
        node: String,
        /// Ours.
        spec: String,
    },
    /// Whoever wanted it does not any more.
    #[error("the node was not wanted any more before it had started")]
    Unwanted,
    /// The node does not answer.
    #[error(transparent)]
    Rpc(#[from] RpcError),
}

/// How a node is started.
#[derive(Clone, Copy, Default)]
struct How {
    /// The port of its RPC; a free one if none is named.
    rpc_port: Option<u16>,
    /// Whether it is in a process group of its own.
    of_its_own: bool,
}

/// A running node.
#[derive(Debug)]
pub struct RealNode {
    // Fields are dropped in this order: the process before its folder.
    process: Process,
    rpc: HttpRpc,
    url: String,
    _folder: Folder,
}

impl RealNode {
    /// Starts a node on this first block and waits until it answers.
    pub fn start(genesis: &Genesis) -> Result<Self, NodeError> {
        Self::start_as(How::default(), genesis, &|| true)
    }

    /// The same, with its RPC at this port.
    pub fn start_at(rpc_port: u16, genesis: &Genesis) -> Result<Self, NodeError> {
        let how = How { rpc_port: Some(rpc_port), ..How::default() };
        Self::start_as(how, genesis, &|| true)
    }

    /// The same, given up as soon as it is not wanted any more. Ctrl-C at the terminal does not
    /// reach this node: whoever asks for it here hears of that, and stops it.
    pub fn start_while(genesis: &Genesis, wanted: &dyn Fn() -> bool) -> Result<Self, NodeError> {
        let how = How { of_its_own: true, ..How::default() };
        Self::start_as(how, genesis, wanted)
    }

    fn start_as(how: How, genesis: &Genesis, wanted: &dyn Fn() -> bool) -> Result<Self, NodeError> {
        let binary = binary()?;
        let mut failure = NodeError::Start("no port was free".to_owned());
        for _ in 0..STARTS_MAX {
            match Self::start_once(&binary, how, genesis, wanted) {
                Err(error @ NodeError::Start(_)) => failure = error,
                done => return done,
            }
        }
        Err(failure)
    }

    fn start_once(
        binary: &Path,
        how: How,
        genesis: &Genesis,
        wanted: &dyn Fn() -> bool,
    ) -> Result<Self, NodeError> {
        if !wanted() {
            return Err(NodeError::Unwanted);
        }
        let folder = Folder::new()?;
        let (rpc_port, peer_port) = ports(how.rpc_port)?;
        init(binary, &folder.0, rpc_port, peer_port)?;
        genesis.write_spec(&folder.0.join("specs"))?;
        configure(&folder.0.join("ckb.toml"))?;
        let log = folder.0.join("output.log");
        let output = File::create(&log)?;
        let mut command = Command::new(binary);
        command.args(["run", "-C"]).arg(&folder.0).arg("--indexer").stdin(Stdio::null());
        command.stdout(output.try_clone()?).stderr(output);
        #[cfg(unix)]
        if how.of_its_own {
            std::os::unix::process::CommandExt::process_group(&mut command, 0);
        }
        let mut process = Process(command.spawn()?);
        let url = format!("http://127.0.0.1:{rpc_port}");
        let rpc = HttpRpc::new(&url)?;
        await_start(&mut process, &rpc, &log, wanted)?;
        let node = rpc.chain()?.genesis.hash();
        let spec = genesis.block().hash();
        if node != spec {
            return Err(NodeError::OtherGenesis { node: node.to_string(), spec: spec.to_string() });
        }
        Ok(Self { process, rpc, url, _folder: folder })
    }

    /// The client for the node.
    #[must_use]
    pub fn rpc(&self) -> &HttpRpc {
        &self.rpc
    }

    /// The node's address, for other clients.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The node's process id.
    #[must_use]
    pub fn process_id(&self) -> u32 {
        self.process.0.id()
    }
}

/// Where the node's binary is.
pub fn binary() -> Result<PathBuf, NodeError> {
    let named = |variable: &str| {
        std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from)
    };
    let folder = || {
        let home = || named("HOME").unwrap_or_default().join(FOLDER_IN_HOME);
        named(HOME_VARIABLE).unwrap_or_else(home)
    };
    let path = named(BINARY_VARIABLE).unwrap_or_else(|| folder().join(BINARY_IN_FOLDER));
    if path.is_file() { Ok(path) } else { Err(NodeError::Missing(path)) }
}

fn init(binary: &Path, folder: &Path, rpc_port: u16, peer_port: u16) -> Result<(), NodeError> {
    let miner = MINER_ARGS.iter().fold("0x".to_owned(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    });
    let made = Command::new(binary)
        .args(["init", "-C"])
        .arg(folder)
        .args(["--chain", "dev", "--force", "--genesis-message", MESSAGE, "--log-to", "file"])
        .args(["--rpc-port", &rpc_port.to_string(), "--p2p-port", &peer_port.to_string()])
        .args(["--ba-arg", &miner])
        .output()
        .map_err(|error| NodeError::NotANode(binary.to_owned(), error.to_string()))?;
    if made.status.success() {
        if folder.join("ckb.toml").is_file() {
            return Ok(());
        }
        let what = "its `init` made no ckb.toml".to_owned();
        return Err(NodeError::NotANode(binary.to_owned(), what));
    }
    Err(NodeError::Start(String::from_utf8_lossy(&made.stderr).into_owned()))
}

/// Listens on loopback alone, opens the modules that tests use, and lets new transactions into the
/// block template at once.
fn configure(file: &Path) -> Result<(), NodeError> {
    const MODULES: &str = r#"modules = ["Net", "Pool", "Miner", "Chain", "Stats", "Experiment", "Debug", "Indexer", "IntegrationTest"]"#;
    let mut config = String::new();
    for line in fs::read_to_string(file)?.lines() {
        match line {
            line if line.starts_with("modules = ") => config.push_str(MODULES),
            line if line.starts_with("listen_addresses = ") => {
                config.push_str(&line.replace("0.0.0.0", "127.0.0.1"));
            }
            "[block_assembler]" => config.push_str("[block_assembler]\nupdate_interval_millis = 0"),
            line => config.push_str(line),
        }
        config.push('\n');
    }
    Ok(fs::write(file, config)?)
}

fn await_start(
    process: &mut Process,
    rpc: &HttpRpc,
    log: &Path,
    wanted: &dyn Fn() -> bool,
) -> Result<(), NodeError> {
    let start = Instant::now();
    // Both modules answer, and the index has the first block: only then is everything up.
    while rpc.tip_header().is_err() || rpc.index_tip().is_err() {
        if !wanted() {
            return Err(NodeError::Unwanted);
        }
        if let Some(status) = process.0.try_wait()? {
            let text = fs::read_to_string(log).unwrap_or_default();
            return Err(NodeError::Start(format!("{status}: {text}")));
        }
        if start.elapsed() > START_TIME_MAX {
            return Err(NodeError::Start(format!("no answer in {START_TIME_MAX:?}")));
        }
        std::thread::sleep(START_POLL);
    }
    Ok(())
}

/// A port for RPC, which may be chosen, and one for peers.
fn ports(rpc: Option<u16>) -> Result<(u16, u16), NodeError> {
    // Both are held until both are known, so that they differ.
    let rpc = rpc.unwrap_or(0);
    let first =
        TcpListener::bind(("127.0.0.1", rpc)).map_err(|error| NodeError::Port(rpc, error))?;
    let second = TcpListener::bind("127.0.0.1:0")?;
    Ok((first.local_addr()?.port(), second.local_addr()?.port()))
}

#[derive(Debug)]
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to stop.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[derive(Debug)]
struct Folder(PathBuf);

impl Folder {
    fn new() -> io::Result<Self> {
        static MADE: AtomicU64 = AtomicU64::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("perun-ckb-node-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
