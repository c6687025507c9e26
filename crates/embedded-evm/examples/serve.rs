//! Serves an embedded chain until its input ends: `cargo run --example serve -- 127.0.0.1:8545`.
//!
//! Ten accounts have money; their keys are printed. Transactions are mined as they come.

use perun_embedded_evm::testkit::dev_signers;
use perun_embedded_evm::{Chain, Options, serve};
use std::io::{Read, stdin};

fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:0".to_owned());
    let chain = Chain::new(Options { auto_mine: true, ..Options::dev() });
    let server = serve(chain, address)?;
    for signer in dev_signers() {
        println!("{} {}", signer.address(), signer.to_bytes());
    }
    println!("{}", server.url());
    stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
