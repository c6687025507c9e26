//! What each operation of a channel costs on chain: cycles, bytes and locked capacity.
//!
//! Every transaction is made by the builders that users have, signed, run by the node's
//! verification on the embedded chain and committed. Keys, cells and times are fixed, so the
//! numbers repeat exactly; the table goes to standard output as JSON, a row a line. The invariant:
//! what is measured is the whole transaction, locks included, and the node accepts it.

mod batches;
mod funding;
mod jobs;
mod joint;
mod lives;
mod parts;
mod table;
mod world;

use table::{Table, Unit};

/// What a measurement ends with; whatever goes wrong ends the program.
type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// Bytes of a cell without data that is locked by one key: its capacity, and its lock.
const CODE_CELL_BYTES: u64 = 61;

fn main() -> Outcome<()> {
    let mut table = Table::default();
    scripts(&mut table)?;
    for parties in [2, 16] {
        for with_token in [false, true] {
            lives::measure(&mut table, parties, with_token)?;
        }
    }
    funding::measure(&mut table)?;
    batches::measure(&mut table)?;
    print!("{table}");
    Ok(())
}

/// The size of the programs, and what the cells that hold them lock.
fn scripts(table: &mut Table) -> Outcome<()> {
    for name in ["channel-type", "vault-lock"] {
        let size = u64::try_from(world::artifact(name)?.len())?;
        table.add(&format!("script {name}"), Unit::Bytes, size);
        let locked = (size + CODE_CELL_BYTES) * perun_backend_ckb::money::CKB;
        table.add(&format!("script {name}: code cell"), Unit::Shannons, locked);
    }
    Ok(())
}
