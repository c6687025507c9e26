//! The vault lock script: opens iff a cell under the same lock is the channel cell it commits to.
//!
//! It reads its arguments and the heads of its own group's cells, and asks
//! `perun_channel::adjudicator::vault_opens`. It knows no rule of its own.
#![cfg_attr(target_arch = "riscv64", no_std, no_main)]

#[cfg(not(target_arch = "riscv64"))]
fn main() {}

#[cfg(target_arch = "riscv64")]
mod script {
    use ckb_std::ckb_constants::{CellField, Source};
    use ckb_std::error::SysError;
    use ckb_std::{default_alloc, entry, syscalls};
    use perun_channel::adjudicator::{Code, vault_opens};

    entry!(program_entry);
    default_alloc!(4096, 65536, 64);

    /// A script without arguments: Molecule header, code hash, hash type, length of the arguments.
    const SCRIPT_HEAD: usize = 53;
    const ARGS: usize = 32;
    /// The head of a channel cell's data, up to the end of its id.
    const DATA_HEAD: usize = 40;

    /// A cell's type script hash and the head of its data.
    type Head = (Option<[u8; 32]>, ArrayHead);

    /// The head of a cell's data, as much of it as there is.
    struct ArrayHead([u8; DATA_HEAD], usize);

    impl AsRef<[u8]> for ArrayHead {
        fn as_ref(&self) -> &[u8] {
            self.0.get(..self.1).unwrap_or_default()
        }
    }

    pub(crate) fn program_entry() -> i8 {
        match run() {
            Ok(()) => 0,
            Err(code) => code.exit_code(),
        }
    }

    fn run() -> Result<(), Code> {
        let mut script = [0; SCRIPT_HEAD + ARGS];
        match syscalls::load_script(&mut script, 0) {
            Ok(length) if length == script.len() => {}
            _ => return Err(Code::VaultArgs),
        }
        let (_, args) = script.split_at(SCRIPT_HEAD);
        // One cell after the other: anybody can put any number of cells under this lock.
        let mut failed = Ok(());
        let heads = (0..).map_while(|index| match load_head(index) {
            Ok(head) => head,
            Err(code) => {
                failed = Err(code);
                None
            }
        });
        let opened = vault_opens(args, heads);
        failed.and(opened)
    }

    fn load_head(index: usize) -> Result<Option<Head>, Code> {
        let mut data = [0; DATA_HEAD];
        let length = match syscalls::load_cell_data(&mut data, 0, index, Source::GroupInput) {
            Ok(length) => length,
            Err(SysError::LengthNotEnough(_)) => DATA_HEAD,
            Err(SysError::IndexOutOfBound) => return Ok(None),
            Err(_) => return Err(Code::Syscall),
        };
        let mut hash = [0; 32];
        let field = CellField::TypeHash;
        let kind =
            match syscalls::load_cell_by_field(&mut hash, 0, index, Source::GroupInput, field) {
                Ok(_) => Some(hash),
                Err(SysError::ItemMissing) => None,
                Err(_) => return Err(Code::Syscall),
            };
        Ok(Some((kind, ArrayHead(data, length.min(DATA_HEAD)))))
    }
}
