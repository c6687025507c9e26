//! Builds the on-chain scripts, and checks that the committed ones are what the sources give.
//!
//! It does not judge a script: that is what its tests are for. The invariant: the committed
//! programs change only by `cargo xtask scripts`, called by a person, because a new program is a
//! new code hash. `vault-lock` is built first, since `channel-type` contains the hash of it.

use std::path::{Path, PathBuf};
use std::process::Command;

use blake2b_ref::Blake2bBuilder;

use crate::shell;

/// In the order in which they must be built.
const SCRIPTS: [&str; 3] = ["vault-lock", "channel-type", "simple-udt"];
const ARTIFACTS: &str = "onchain/ckb/artifacts";
const TARGET: &str = "riscv64imac-unknown-none-elf";
/// A folder of its own, so that the outer cargo and the inner one do not wait for each other.
const BUILD_FOLDER: &str = "target/onchain";
/// Where `--check` leaves scripts that another compiler built. `make again` looks for it.
const FRESH: &str = "target/onchain-fresh";
/// The copy of the sources they are built from. It has a build folder of its own too: cargo cannot
/// tell it from the checkout, and in a shared folder would take one's programs for the other's.
const FRESH_SOURCES: &str = "target/onchain-sources";
/// Small tables for libsecp256k1: the default ones make a script of a megabyte.
const C_FLAGS: &str = "-DECMULT_WINDOW_SIZE=8 -DCOMB_BLOCKS=2 -DCOMB_TEETH=5 -Wno-macro-redefined";

/// Builds the scripts into the committed folder.
pub(crate) fn build(root: &Path) -> Result<(), String> {
    let toolchain = Toolchain::find()?;
    let artifacts = root.join(ARTIFACTS);
    for name in SCRIPTS {
        let elf = toolchain.build(root, name)?;
        save(&artifacts, name, &elf)?;
        println!("{name}: {} bytes, data hash {}", elf.len(), hash_text(&elf));
    }
    shell::write(&artifacts.join("VERSION"), &toolchain.version)
}

/// Builds the scripts beside the committed ones and compares.
pub(crate) fn check(root: &Path) -> Result<(), String> {
    let toolchain = Toolchain::find()?;
    let artifacts = root.join(ARTIFACTS);
    shell::remove_folder(&root.join(FRESH))?;
    for name in SCRIPTS {
        committed_hash_fits(&artifacts, name)?;
    }
    let committed_version = shell::read_text(&artifacts.join("VERSION"))?;
    if committed_version != toolchain.version {
        return build_fresh(root, &toolchain, &committed_version);
    }
    for name in SCRIPTS {
        let committed = shell::read(&artifacts.join(name))?;
        let elf = toolchain.build(root, name)?;
        if elf != committed {
            return Err(format!(
                "{name}: the sources give {} bytes with data hash {},\n\
                 but {ARTIFACTS} has {} bytes with {}.\n\
                 The code hash of the script changed. If that is meant, run `cargo xtask scripts` \
                 and commit the result together with its sources.",
                elf.len(),
                hash_text(&elf),
                committed.len(),
                hash_text(&committed),
            ));
        }
        println!("{name}: {} bytes, the same as committed", elf.len());
    }
    Ok(())
}

/// Runs the on-chain compiler's clippy over the scripts.
pub(crate) fn lint(root: &Path) -> Result<(), String> {
    let mut command = Toolchain::find()?.cargo(root);
    command.args(["clippy", "--locked", "--profile", "onchain", "--target", TARGET]);
    for name in SCRIPTS {
        command.args(["--package", name]);
    }
    shell::run(command.args(["--", "-D", "warnings"]))
}

/// Another compiler makes other bytes, hence another hash inside `channel-type`. So that the
/// committed hash stays untouched, the build runs on a copy of the sources.
fn build_fresh(root: &Path, toolchain: &Toolchain, committed: &str) -> Result<(), String> {
    let line = |version: &str| version.lines().collect::<Vec<_>>().join(", ");
    println!(
        "The committed scripts come from another compiler, so their bytes cannot be compared.\n  \
         committed: {}\n  here:      {}",
        line(committed),
        line(&toolchain.version),
    );
    let copy = root.join(FRESH_SOURCES);
    copy_sources(root, &copy)?;
    let fresh = root.join(FRESH);
    for name in SCRIPTS {
        let elf = toolchain.build(&copy, name)?;
        save(&copy.join(ARTIFACTS), name, &elf)?;
        save(&fresh, name, &elf)?;
    }
    shell::write(&fresh.join("VERSION"), &toolchain.version)?;
    println!("PERUN_SCRIPTS_DIR={}", fresh.display());
    println!("`make again` runs the tests on these scripts; the committed ones stay as they are.");
    Ok(())
}

fn copy_sources(root: &Path, copy: &Path) -> Result<(), String> {
    shell::remove_folder(copy)?;
    for path in shell::files_below(root)? {
        if let Ok(relative) = path.strip_prefix(root) {
            shell::write(&copy.join(relative), shell::read(&path)?)?;
        }
    }
    Ok(())
}

fn save(folder: &Path, name: &str, elf: &[u8]) -> Result<(), String> {
    shell::write(&folder.join(name), elf)?;
    // `channel-type` includes this file, so its form is fixed: `0x`, 64 digits, a line end.
    shell::write(&folder.join(format!("{name}.hash")), format!("{}\n", hash_text(elf)))
}

fn committed_hash_fits(artifacts: &Path, name: &str) -> Result<(), String> {
    let elf = shell::read(&artifacts.join(name))?;
    let written = shell::read_text(&artifacts.join(format!("{name}.hash")))?;
    if written.trim_end() == hash_text(&elf) {
        return Ok(());
    }
    Err(format!("{ARTIFACTS}/{name}.hash is not the hash of {name}, which is {}", hash_text(&elf)))
}

/// CKB's data hash, by which a transaction names a program, in hexadecimal digits.
fn hash_text(data: &[u8]) -> String {
    let mut hash = [0; 32];
    let mut hasher = Blake2bBuilder::new(hash.len()).personal(b"ckb-default-hash").build();
    hasher.update(data);
    hasher.finalize(&mut hash);
    hash.iter().fold("0x".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

/// The compiler that `scripts/setup-onchain-toolchain.sh` prepared.
struct Toolchain {
    cargo: PathBuf,
    version: String,
}

impl Toolchain {
    fn find() -> Result<Self, String> {
        let folder = match (std::env::var_os("PERUN_ONCHAIN_TOOLCHAIN"), std::env::var_os("HOME")) {
            (Some(folder), _) => PathBuf::from(folder),
            (None, Some(home)) => Path::new(&home).join(".cache/perun-onchain-toolchain"),
            (None, None) => {
                return Err("neither PERUN_ONCHAIN_TOOLCHAIN nor HOME is set".to_owned());
            }
        };
        let version = shell::read_text(&folder.join("VERSION")).map_err(|reason| {
            format!("{reason}\nscripts/setup-onchain-toolchain.sh makes the on-chain compiler")
        })?;
        Ok(Self { cargo: folder.join("bin/onchain-cargo"), version })
    }

    /// Its cargo, for the checkout `sources`.
    fn cargo(&self, sources: &Path) -> Command {
        let mut command = shell::command(&self.cargo, sources);
        command
            .env("CARGO_TARGET_DIR", sources.join(BUILD_FOLDER))
            .env("PERUN_ONCHAIN_RV_CFLAGS", C_FLAGS)
            .env_remove("PERUN_ONCHAIN_RV_RUSTFLAGS")
            .env_remove("PERUN_ONCHAIN_RV_FEATURES");
        command
    }

    fn build(&self, sources: &Path, name: &str) -> Result<Vec<u8>, String> {
        println!("building {name}");
        let mut command = self.cargo(sources);
        command.args(["build", "--quiet", "--locked", "--profile", "onchain"]);
        shell::run(command.args(["--target", TARGET, "--package", name]))?;
        shell::read(&sources.join(BUILD_FOLDER).join(TARGET).join("onchain").join(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_ckbs_own() {
        // The hash of nothing, as CKB's documents give it.
        assert_eq!(
            hash_text(&[]),
            "0x44f4c69744d5f8c55d642062949dcae49bc4e7ef43d388c5a12f42b5633d163e"
        );
    }

    #[test]
    fn a_hash_that_is_not_of_the_program_is_refused() {
        let folder = std::env::temp_dir().join(format!("perun-xtask-hash-{}", std::process::id()));
        save(&folder, "script", b"program").expect("a writable folder");
        assert!(committed_hash_fits(&folder, "script").is_ok());
        shell::write(&folder.join("script"), b"another").expect("a writable folder");
        assert!(committed_hash_fits(&folder, "script").is_err());
        shell::remove_folder(&folder).expect("a folder of ours");
    }
}
