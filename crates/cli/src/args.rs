//! What can be typed. The texts here are the program's help.

use clap::{Parser, Subcommand};
use std::net::SocketAddr;

/// Perun: payment and state channels on Nervos CKB and Ethereum.
#[derive(Debug, Parser)]
#[command(name = "perun", version, after_help = EXIT_CODES)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  the demo failed, for whatever reason; it says at which step, and why
  2  the command line was not understood
  3  the input is not something that can be explained
  4  the CKB node was not reached, refused, or does not know what was asked for
  5  something on this machine is in the way: a file, a port, a signal, a full disk

Environment:
  NO_COLOR           if set, no colours
  PERUN_SCRIPTS_DIR  a folder with `channel-type`, `vault-lock` and `simple-udt`, instead of the
                     programs that are built in
  PERUN_CKB_BIN      the `ckb` program for `demo --real-node`, instead of the one that
                     scripts/setup-ckb-node.sh keeps
  PERUN_DEVNET_HOME  where that script keeps it, if not in ~/.cache/perun-devnet
  PERUN_ANVIL_BIN    the `anvil` program for `demo --real-node`; unset: the chain in the process";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show channels at work: open, pay, dispute, close, and what it costs.
    Demo(Demo),
    /// Run a CKB chain with the Perun programs, for others to connect to.
    Devnet(Devnet),
    /// Explain a transaction, a channel's cell, or an encoded state.
    Inspect(Inspect),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Demo {
    /// Tell the story as one JSON object per line.
    #[arg(long)]
    pub(crate) json: bool,
    /// Use the CKB node at this address: `perun devnet`, or a dev chain with the RPC modules
    /// Indexer and IntegrationTest and a block assembler, as `scripts/setup-ckb-node.sh start`
    /// runs one.
    #[arg(long, value_name = "URL", value_parser = ckb_url, conflicts_with = "real_node")]
    pub(crate) ckb_rpc: Option<String>,
    /// Use the Ethereum node at this address: an Anvil, or another dev chain that takes
    /// anvil_setBalance, evm_increaseTime and evm_mine.
    #[arg(long, value_name = "URL", value_parser = evm_url, conflicts_with = "real_node")]
    pub(crate) evm_rpc: Option<String>,
    /// Start a real CKB node and use it, instead of the chain inside this process; and an Anvil, if
    /// PERUN_ANVIL_BIN names its program.
    #[arg(long)]
    pub(crate) real_node: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Devnet {
    /// Where to listen. The server has no passwords: keep it on this machine. Port 0 takes a free
    /// one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8114")]
    pub(crate) listen: SocketAddr,
    /// Make a block every so many seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 1,
          value_parser = clap::value_parser!(u64).range(1..=3_600), conflicts_with = "instant")]
    pub(crate) block_interval: u64,
    /// Make a block as soon as a transaction waits, and none otherwise.
    #[arg(long)]
    pub(crate) instant: bool,
    /// Print JSON, one object per line.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
#[command(after_help = INSPECTABLE)]
pub(crate) struct Inspect {
    /// What to explain: a file, `-` for standard input, bytes in hexadecimal, a transaction hash,
    /// a channel id, or an out point such as 0x…:0.
    #[arg(value_name = "WHAT")]
    pub(crate) what: String,
    /// The CKB node to ask for what the input does not contain.
    #[arg(long, value_name = "URL", value_parser = ckb_url)]
    pub(crate) ckb_rpc: Option<String>,
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

const INSPECTABLE: &str = "\
What can be explained:
  a transaction     as JSON (also a whole RPC request or reply), as bytes, or by its hash
  a channel         by its id, by the out point of its cell, or the cell's data
  encoded values    a state, a signed state, parameters, a setup, a witness or its action, in this
                    project's encoding (docs/encoding.md), not in Ethereum's ABI or go-perun's
A hash, an id or an out point needs --ckb-rpc. With it, a transaction's spent cells are looked up,
and the verdict of the channel script is computed here.";

fn ckb_url(text: &str) -> Result<String, String> {
    url(text, &["http://"], "http://127.0.0.1:8114")
}

fn evm_url(text: &str) -> Result<String, String> {
    url(text, &["http://", "https://"], "http://127.0.0.1:8545")
}

/// Takes an address that has a scheme that is spoken here and a host, and whose port is one.
fn url(text: &str, schemes: &[&str], example: &str) -> Result<String, String> {
    let rest = schemes.iter().find_map(|scheme| text.strip_prefix(scheme));
    let authority = rest.and_then(|rest| rest.split(['/', '?']).next()).unwrap_or_default();
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse::<u16>().is_ok()),
        _ => (authority, true),
    };
    if host.is_empty() || !port || text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(format!(
            "not an address that starts with {}, such as {example}",
            schemes.join(" or ")
        ));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_checked_before_anything_is_done_with_them() {
        for good in ["http://127.0.0.1:8114", "http://localhost", "http://[::1]:1/path"] {
            assert_eq!(ckb_url(good).as_deref(), Ok(good));
        }
        for bad in ["", "garbage", "ftp://x", "http://", "http:///x", "http://:1", "http://a b"] {
            assert!(ckb_url(bad).is_err() && evm_url(bad).is_err(), "{bad}");
        }
        assert!(ckb_url("http://x:99999").is_err() && ckb_url("https://x").is_err());
        assert!(evm_url("https://x/key").is_ok());
    }
    use clap::CommandFactory;

    #[test]
    fn the_arguments_do_not_contradict_each_other() {
        Args::command().debug_assert();
    }
}
