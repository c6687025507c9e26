//! The channel type script: one script for all channels of a transaction.
//!
//! It makes a `perun_channel::adjudicator::View` of the transaction by syscalls and exits with
//! the verdict of `perun_channel::adjudicator::judge`. It knows no rule of its own.
#![cfg_attr(target_arch = "riscv64", no_std, no_main)]

#[cfg(not(target_arch = "riscv64"))]
fn main() {}

#[cfg(target_arch = "riscv64")]
extern crate alloc;

#[cfg(target_arch = "riscv64")]
mod load;

#[cfg(target_arch = "riscv64")]
mod script {
    use ckb_std::{default_alloc, entry};
    use perun_channel::adjudicator::{Code, Env, judge};

    use crate::load;

    entry!(program_entry);
    default_alloc!(16384, 1_258_306, 64);

    /// The data hash of the vault lock that this build goes with, in hexadecimal.
    const VAULT_CODE: &str = include_str!("../../artifacts/vault-lock.hash");

    pub(crate) fn program_entry() -> i8 {
        match run() {
            Ok(()) => 0,
            Err(code) => code.exit_code(),
        }
    }

    fn run() -> Result<(), Code> {
        let channel_type = load::script_hash()?;
        load::no_arguments()?;
        let view = load::view(&channel_type)?;
        judge(&view, &Env { channel_type, vault_code: const { hash_from_hex(VAULT_CODE) } })
    }

    /// Reads `0x` and 64 hexadecimal digits; anything else does not compile.
    const fn hash_from_hex(text: &str) -> [u8; 32] {
        let digits = text.as_bytes();
        assert!(digits.len() >= 66 && digits[0] == b'0' && digits[1] == b'x', "not a hash");
        let mut hash = [0; 32];
        let mut position = 0;
        while position < 32 {
            hash[position] = digit(digits[2 + 2 * position]) * 16 + digit(digits[3 + 2 * position]);
            position += 1;
        }
        hash
    }

    const fn digit(character: u8) -> u8 {
        match character {
            b'0'..=b'9' => character - b'0',
            b'a'..=b'f' => character - b'a' + 10,
            _ => panic!("not a hexadecimal digit"),
        }
    }
}
