//! What each operation of a channel costs on Ethereum, in gas.
//!
//! Every transaction carries what the crate's own conversions make, is signed, and is mined on the
//! embedded chain with the committed contracts. Keys, amounts and times are fixed, so the numbers
//! repeat exactly; the table goes to standard output as JSON, a row a line. The invariant: what is
//! measured is the receipt's `gasUsed`, and the transaction did what it is named after.

mod coins;
mod disputes;
mod ends;
mod table;
mod tokens;
mod world;

use table::Table;

/// What a measurement ends with; whatever goes wrong ends the program.
type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Outcome<()> {
    let mut table = Table::default();
    world::measure(&mut table)?;
    for parties in [2, 16] {
        coins::measure(&mut table, parties)?;
        tokens::measure(&mut table, parties)?;
    }
    disputes::measure(&mut table)?;
    ends::measure(&mut table)?;
    print!("{table}");
    Ok(())
}
