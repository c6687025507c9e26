//! A provider that misbehaves when it is told to.
//!
//! Everything here happens to clients of real providers: calls that time out after they were done,
//! lists with a hole, answers from a node that is behind. The invariant: without a fault, an answer
//! is the chain's own.

use crate::chain::{Chain, Dropped};
use crate::refusal::Refusal;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What can go wrong with a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The call does not arrive: the chain does nothing, the caller gets a transport error.
    Unreachable,
    /// The call is done, but its answer is lost: the caller gets a transport error.
    AnswerLost,
    /// The call is done, but no answer ever comes, not even an error. What a caller's own time
    /// limit is for.
    Hang,
    /// The provider answers with this HTTP status, and the chain does nothing.
    Status(u16),
    /// The provider refuses with this code and sentence, and the chain does nothing.
    Refuse(i64, String),
    /// The answer has a hole: a list lacks its last item, anything else is null.
    Omit,
    /// The answer comes twice: a list has every item twice, anything else is what the same method
    /// answered before.
    Repeat,
    /// The answer comes from a node that is so many blocks behind. Transactions still reach the
    /// chain.
    Behind(u64),
}

/// Which faults are to come. Clones are the same plan; a new one has no faults.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    plan: Arc<Mutex<Plan>>,
}

#[derive(Debug, Default)]
struct Plan {
    rules: Vec<Rule>,
    calls: BTreeMap<String, u64>,
    answers: BTreeMap<String, Value>,
}

#[derive(Debug)]
struct Rule {
    /// For this method, or for all.
    method: Option<String>,
    fault: Fault,
    /// How often yet, or always.
    times: Option<u32>,
}

/// What a call came to.
pub(crate) enum Misbehaved {
    Answer(Result<Value, Refusal>),
    Never,
    Broken(&'static str),
    Status(u16),
}

impl Faults {
    /// The next call, whatever its method, goes wrong.
    pub fn next(&self, fault: Fault) {
        self.add(None, fault, Some(1));
    }

    /// The next so many calls of this method go wrong.
    pub fn on(&self, method: &str, fault: Fault, times: u32) {
        self.add(Some(method), fault, Some(times));
    }

    /// All calls of this method go wrong, or all calls if no method is named, until
    /// [`Faults::clear`].
    pub fn always(&self, method: Option<&str>, fault: Fault) {
        self.add(method, fault, None);
    }

    /// Nothing goes wrong any more.
    pub fn clear(&self) {
        self.plan().rules.clear();
    }

    /// How many calls of this method there were, with and without faults.
    #[must_use]
    pub fn calls(&self, method: &str) -> u64 {
        self.plan().calls.get(method).copied().unwrap_or_default()
    }

    fn add(&self, method: Option<&str>, fault: Fault, times: Option<u32>) {
        if times == Some(0) {
            return;
        }
        let method = method.map(str::to_owned);
        self.plan().rules.push(Rule { method, fault, times });
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers a call as the plan says.
    pub(crate) fn answer(&self, chain: &Chain, method: &str, params: Value) -> Misbehaved {
        let fault = self.plan().fault(method);
        let timeout = "the request timed out";
        match fault {
            Some(Fault::Unreachable) => return Misbehaved::Broken("connection refused"),
            Some(Fault::Status(status)) => return Misbehaved::Status(status),
            Some(Fault::Refuse(code, message)) => {
                return Misbehaved::Answer(Err(Refusal::new(code, message)));
            }
            Some(Fault::Behind(blocks)) if method != "eth_sendRawTransaction" => {
                return Misbehaved::Answer(behind(chain, blocks, method, params));
            }
            _ => {}
        }
        let answer = chain.request(method, params);
        let before = match &answer {
            Ok(value) => self.plan().answers.insert(method.to_owned(), value.clone()),
            Err(_) => None,
        };
        match fault {
            Some(Fault::AnswerLost) => Misbehaved::Broken(timeout),
            Some(Fault::Hang) => Misbehaved::Never,
            Some(Fault::Omit) => Misbehaved::Answer(answer.map(with_hole)),
            Some(Fault::Repeat) => Misbehaved::Answer(answer.map(|now| twice(now, before))),
            _ => Misbehaved::Answer(answer),
        }
    }
}

impl Plan {
    /// The fault of this call, if there is one: of the rules that fit, the first.
    fn fault(&mut self, method: &str) -> Option<Fault> {
        *self.calls.entry(method.to_owned()).or_default() += 1;
        let fits = |rule: &Rule| rule.method.as_deref().is_none_or(|name| name == method);
        let at = self.rules.iter().position(fits)?;
        let rule = self.rules.get_mut(at)?;
        let fault = rule.fault.clone();
        if let Some(times) = &mut rule.times {
            *times = times.saturating_sub(1);
            if *times == 0 {
                self.rules.remove(at);
            }
        }
        Some(fault)
    }
}

fn behind(chain: &Chain, blocks: u64, method: &str, params: Value) -> Result<Value, Refusal> {
    let older = chain.fork();
    let number = older.head().number.saturating_sub(blocks);
    older.rewind(number, Dropped::Forgotten)?;
    older.request(method, params)
}

fn with_hole(answer: Value) -> Value {
    match answer {
        Value::Array(mut items) => {
            items.pop();
            Value::Array(items)
        }
        _ => Value::Null,
    }
}

fn twice(answer: Value, before: Option<Value>) -> Value {
    match answer {
        Value::Array(items) => {
            Value::Array(items.into_iter().flat_map(|item| [item.clone(), item]).collect())
        }
        other => before.unwrap_or(other),
    }
}
