//! A real CKB node on a dev chain with the well-known scripts, until it is interrupted.
//!
//! `scripts/setup-ckb-node.sh start` runs it; its argument is the port of the RPC. What it prints
//! is what a client needs: the address, the keys that own money, and where each script is. The
//! chain is gone with the process.

use ckb_types::prelude::*;
use perun_embedded_ckb::testkit::Key;
use perun_embedded_ckb::{real_node::RealNode, well_known};
use std::sync::mpsc;

fn main() -> std::process::ExitCode {
    let Err(error) = run() else { return std::process::ExitCode::SUCCESS };
    eprintln!("{error}");
    std::process::ExitCode::FAILURE
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let genesis = well_known::builder()?.build()?;
    let (stop, stopped) = mpsc::channel();
    ctrlc::set_handler(move || {
        // Whoever waits may be gone already; then everything ends anyway.
        let _ = stop.send(());
    })?;
    let node = match std::env::args().nth(1) {
        None => RealNode::start(&genesis)?,
        Some(port) => RealNode::start_at(port.parse()?, &genesis)?,
    };
    println!("rpc      {}", node.url());
    println!("genesis  {:#x}", genesis.block().hash());
    for second in [false, true] {
        let key = Key::dev(second);
        println!("key      {} (lock args 0x{})", hex(&key.secret()), hex(&key.hash()));
    }
    for cell in genesis.cells() {
        let index: u32 = cell.out_point.index().unpack();
        println!("script   {} {:#x}", cell.name, cell.data_hash);
        println!("         in the cell {:#x}:{index}", cell.out_point.tx_hash());
    }
    if genesis.cell("xudt").is_none() {
        println!(
            "no xUDT: set {} to the file of the program to have it",
            well_known::XUDT_VARIABLE
        );
    }
    println!("everybody knows these keys; Ctrl-C ends the chain");
    stopped.recv()?;
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
