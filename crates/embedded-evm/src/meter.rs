//! Where the gas of a transaction goes: every instruction is counted for what it does.
//!
//! A call hands gas to what it calls and gets back what is left. So a call itself took what it was
//! charged, less what came back, less what was counted inside. The invariant: the parts are what
//! the block counts, see [`GasParts::total`].

use revm::inspector::Inspector;
use revm::interpreter::interpreter_types::Jumps;
use revm::interpreter::{
    CallInputs, CallOutcome, CallScheme, CreateInputs, CreateOutcome, Interpreter,
};
use revm::precompile::secp256k1::ECRECOVER;

/// What the gas of a transaction is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GasParts {
    /// What every transaction takes, and the bytes that come with it.
    pub transaction: u64,
    /// Reading and writing storage, the transient one included.
    pub storage: u64,
    /// Recovering signers.
    pub signatures: u64,
    /// Logs.
    pub logs: u64,
    /// Calls of other contracts and accounts: coins that are sent, and all that a token does.
    pub calls: u64,
    /// Every other instruction.
    pub code: u64,
    /// What is given back at the end for storage that was cleared.
    pub refund: u64,
}

impl GasParts {
    /// What the block counts, unless the bytes alone cost more.
    #[must_use]
    pub const fn total(&self) -> u64 {
        let run = self.storage + self.signatures + self.logs + self.calls + self.code;
        (self.transaction + run).saturating_sub(self.refund)
    }
}

#[derive(Clone, Copy)]
enum Part {
    Storage,
    Signatures,
    Logs,
    Calls,
    Code,
}

/// A call that is running.
struct Frame {
    /// What the call was charged, with all that it handed over.
    charged: u64,
    /// What was counted inside.
    inside: u64,
    /// What all inside counts for, if it is one thing.
    part: Option<Part>,
}

/// Counts while a transaction runs.
#[derive(Default)]
pub(crate) struct Meter {
    parts: GasParts,
    frames: Vec<Frame>,
    opcode: u8,
    left: u64,
    charged: u64,
    handed: u64,
}

impl Meter {
    /// What was counted, of a transaction that had this limit and gets this refund.
    pub(crate) fn parts(self, gas_limit: u64, refund: u64) -> GasParts {
        GasParts { transaction: gas_limit.saturating_sub(self.handed), refund, ..self.parts }
    }

    fn count(&mut self, part: Part, gas: u64) {
        let within = self.frames.last_mut().and_then(|frame| {
            frame.inside = frame.inside.saturating_add(gas);
            frame.part
        });
        let sum = match within.unwrap_or(part) {
            Part::Storage => &mut self.parts.storage,
            Part::Signatures => &mut self.parts.signatures,
            Part::Logs => &mut self.parts.logs,
            Part::Calls => &mut self.parts.calls,
            Part::Code => &mut self.parts.code,
        };
        *sum = sum.saturating_add(gas);
    }

    fn enter(&mut self, part: Option<Part>, gas: u64) {
        if self.frames.is_empty() {
            self.handed = gas;
        }
        let part = self.frames.last().and_then(|outer| outer.part).or(part);
        self.frames.push(Frame { charged: self.charged, inside: 0, part });
    }

    fn leave(&mut self, left: u64) {
        let Some(frame) = self.frames.pop() else { return };
        if let Some(outer) = self.frames.last_mut() {
            outer.inside = outer.inside.saturating_add(frame.inside);
            let own = frame.charged.saturating_sub(left).saturating_sub(frame.inside);
            self.count(frame.part.unwrap_or(Part::Code), own);
        }
    }
}

impl<CTX> Inspector<CTX> for Meter {
    fn step(&mut self, interpreter: &mut Interpreter, _: &mut CTX) {
        self.opcode = interpreter.bytecode.opcode();
        self.left = interpreter.gas.remaining();
    }

    fn step_end(&mut self, interpreter: &mut Interpreter, _: &mut CTX) {
        let gas = self.left.saturating_sub(interpreter.gas.remaining());
        let part = match self.opcode {
            // SLOAD, SSTORE, TLOAD, TSTORE
            0x54 | 0x55 | 0x5c | 0x5d => Part::Storage,
            // LOG0 to LOG4
            0xa0..=0xa4 => Part::Logs,
            // CREATE, CALL, CALLCODE, DELEGATECALL, CREATE2, STATICCALL: counted when they end.
            0xf0..=0xf2 | 0xf4 | 0xf5 | 0xfa => {
                self.charged = gas;
                return;
            }
            _ => Part::Code,
        };
        self.count(part, gas);
    }

    fn call(&mut self, _: &mut CTX, inputs: &mut CallInputs) -> Option<CallOutcome> {
        let part = match inputs.scheme {
            _ if self.frames.is_empty() => None,
            CallScheme::DelegateCall | CallScheme::CallCode => None,
            _ if inputs.target_address == *ECRECOVER.address() => Some(Part::Signatures),
            _ => Some(Part::Calls),
        };
        self.enter(part, inputs.gas_limit);
        None
    }

    fn call_end(&mut self, _: &mut CTX, _: &CallInputs, outcome: &mut CallOutcome) {
        self.leave(outcome.gas().remaining());
    }

    fn create(&mut self, _: &mut CTX, inputs: &mut CreateInputs) -> Option<CreateOutcome> {
        self.enter(None, inputs.gas_limit());
        None
    }

    fn create_end(&mut self, _: &mut CTX, _: &CreateInputs, outcome: &mut CreateOutcome) {
        self.leave(outcome.gas().remaining());
    }
}
