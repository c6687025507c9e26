//! A plain token with the rules of sUDT, for development chains and demos.
//!
//! The arguments are the hash of the issuer's lock. A transaction with an input under that lock may
//! do anything; any other may not make more of the token than it spends. The amount is the first 16
//! bytes of a cell's data, little-endian. Channels work with any token; this one is here so that a
//! demo needs none.
#![cfg_attr(target_arch = "riscv64", no_std, no_main)]

#[cfg(not(target_arch = "riscv64"))]
fn main() {}

#[cfg(target_arch = "riscv64")]
mod script {
    use ckb_std::ckb_constants::{CellField, Source};
    use ckb_std::error::SysError;
    use ckb_std::{default_alloc, entry, syscalls};

    entry!(program_entry);
    default_alloc!(4096, 4096, 64);

    /// A script without arguments: Molecule header, code hash, hash type, length of the arguments.
    const SCRIPT_HEAD: usize = 53;
    const LOCK_HASH: usize = 32;

    /// Why a transaction is refused; the number is the exit code.
    #[derive(Clone, Copy)]
    #[repr(i8)]
    enum Refusal {
        Syscall = 1,
        Args = 2,
        Amount = 3,
        Overflow = 4,
        Inflation = 5,
    }

    pub(crate) fn program_entry() -> i8 {
        match run() {
            Ok(()) => 0,
            Err(refusal) => refusal as i8,
        }
    }

    fn run() -> Result<(), Refusal> {
        let mut script = [0; SCRIPT_HEAD + LOCK_HASH];
        match syscalls::load_script(&mut script, 0) {
            Ok(length) if length == script.len() => {}
            _ => return Err(Refusal::Args),
        }
        let (_, issuer) = script.split_at(SCRIPT_HEAD);
        if issuer_takes_part(issuer)? || sum(Source::GroupInput)? >= sum(Source::GroupOutput)? {
            Ok(())
        } else {
            Err(Refusal::Inflation)
        }
    }

    fn issuer_takes_part(issuer: &[u8]) -> Result<bool, Refusal> {
        let mut lock = [0; LOCK_HASH];
        for index in 0.. {
            let field = CellField::LockHash;
            match syscalls::load_cell_by_field(&mut lock, 0, index, Source::Input, field) {
                Ok(_) if lock == *issuer => return Ok(true),
                Ok(_) => {}
                Err(SysError::IndexOutOfBound) => break,
                Err(_) => return Err(Refusal::Syscall),
            }
        }
        Ok(false)
    }

    fn sum(source: Source) -> Result<u128, Refusal> {
        let mut sum: u128 = 0;
        let mut amount = [0; 16];
        for index in 0.. {
            match syscalls::load_cell_data(&mut amount, 0, index, source) {
                Ok(16) | Err(SysError::LengthNotEnough(_)) => {}
                Ok(_) => return Err(Refusal::Amount),
                Err(SysError::IndexOutOfBound) => break,
                Err(_) => return Err(Refusal::Syscall),
            }
            sum = sum.checked_add(u128::from_le_bytes(amount)).ok_or(Refusal::Overflow)?;
        }
        Ok(sum)
    }
}
