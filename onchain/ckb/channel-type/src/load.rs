//! The transaction, read by syscalls into the view that the verdict judges.

use alloc::vec;
use alloc::vec::Vec;

use ckb_std::ckb_constants::{CellField, InputField, Source};
use ckb_std::error::SysError;
use ckb_std::syscalls;
use perun_channel::adjudicator::{Cell, Code, DATA_PREFIX, Input, MAX_CELLS, View};

/// A script without arguments: Molecule header, code hash, hash type, length of the arguments.
const SCRIPT_WITHOUT_ARGS: usize = 53;

/// The hash of the running script.
pub(crate) fn script_hash() -> Result<[u8; 32], Code> {
    let mut hash = [0; 32];
    whole(syscalls::load_script_hash(&mut hash, 0))?;
    Ok(hash)
}

/// Refuses arguments: one script hash for all channels is what makes one trial of them.
pub(crate) fn no_arguments() -> Result<(), Code> {
    let mut script = [0; SCRIPT_WITHOUT_ARGS];
    whole(syscalls::load_script(&mut script, 0)).map_err(|_| Code::ScriptArgs)
}

/// The transaction, with the witnesses that belong to channel cells.
pub(crate) fn view(channel_type: &[u8; 32]) -> Result<View, Code> {
    let mut hash = [0; 32];
    whole(syscalls::load_tx_hash(&mut hash, 0))?;
    let mut first_input = [0; 44];
    whole(syscalls::load_input(&mut first_input, 0, 0, Source::Input))?;
    let mut inputs = Vec::new();
    while let Some(cell) = cell(inputs.len(), Source::Input)? {
        below_limit(inputs.len())?;
        inputs.push(Input { since: since(inputs.len())?, cell });
    }
    let mut outputs = Vec::new();
    while let Some(cell) = cell(outputs.len(), Source::Output)? {
        below_limit(outputs.len())?;
        outputs.push(cell);
    }
    let witnesses = (0..inputs.len().max(outputs.len()))
        .map(|index| {
            let spent = inputs.get(index).map(|input: &Input| &input.cell);
            let made = outputs.get(index);
            let ours = spent.into_iter().chain(made).any(|cell| cell.kind == Some(*channel_type));
            if ours { witness(index) } else { Ok(Vec::new()) }
        })
        .collect::<Result<_, _>>()?;
    Ok(View { hash, first_input, inputs, outputs, witnesses })
}

fn cell(index: usize, source: Source) -> Result<Option<Cell>, Code> {
    let mut capacity = [0; 8];
    match syscalls::load_cell_by_field(&mut capacity, 0, index, source, CellField::Capacity) {
        Err(SysError::IndexOutOfBound) => return Ok(None),
        loaded => whole(loaded)?,
    }
    let mut lock = [0; 32];
    whole(syscalls::load_cell_by_field(&mut lock, 0, index, source, CellField::LockHash))?;
    let mut kind = [0; 32];
    let kind = match syscalls::load_cell_by_field(&mut kind, 0, index, source, CellField::TypeHash)
    {
        Err(SysError::ItemMissing) => None,
        loaded => whole(loaded).map(|()| Some(kind))?,
    };
    let mut prefix = [0; DATA_PREFIX];
    let (Ok(length) | Err(SysError::LengthNotEnough(length))) =
        syscalls::load_cell_data(&mut prefix, 0, index, source)
    else {
        return Err(Code::Syscall);
    };
    Ok(Some(Cell {
        capacity: u64::from_le_bytes(capacity),
        lock,
        kind,
        data: prefix.get(..length).unwrap_or(&prefix).to_vec(),
        data_length: u64::try_from(length).unwrap_or(u64::MAX),
    }))
}

/// Ends with the verdict's own code before the memory does.
const fn below_limit(count: usize) -> Result<(), Code> {
    if count < MAX_CELLS { Ok(()) } else { Err(Code::TooManyCells) }
}

fn since(index: usize) -> Result<u64, Code> {
    let mut since = [0; 8];
    let field = InputField::Since;
    whole(syscalls::load_input_by_field(&mut since, 0, index, Source::Input, field))?;
    Ok(u64::from_le_bytes(since))
}

/// A witness; empty where there is none, for the verdict to refuse.
fn witness(index: usize) -> Result<Vec<u8>, Code> {
    let length = match syscalls::load_witness(&mut [], 0, index, Source::Input) {
        Err(SysError::LengthNotEnough(length)) => length,
        Ok(_) | Err(SysError::IndexOutOfBound) => return Ok(Vec::new()),
        Err(_) => return Err(Code::Syscall),
    };
    let mut bytes = vec![0; length];
    whole(syscalls::load_witness(&mut bytes, 0, index, Source::Input))?;
    Ok(bytes)
}

/// A load that fills its buffer or fails.
fn whole(loaded: Result<usize, SysError>) -> Result<(), Code> {
    loaded.map(|_| ()).map_err(|_| Code::Syscall)
}
