//! A dispute before all judges, many disputes, and what is said of a difference.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::ckb::Ckb;
use crate::dispute::Act;
use crate::evm::Evm;
use crate::rules::{Fault, Rules, Ruling};
use crate::{CKB_LAW, EVM_LAW, Judge, Scene, Verdict, tape};

/// Who sits on the two ledgers. Tests put judges with faults in their place.
pub trait Bench: Sync {
    /// The court on Ethereum.
    fn evm<'a>(&self, scene: &'a Scene) -> Box<dyn Judge + 'a> {
        Box::new(Evm::new(scene))
    }

    /// The court on CKB.
    fn ckb<'a>(&self, scene: &'a Scene) -> Box<dyn Judge + 'a> {
        Box::new(Ckb::new(scene))
    }
}

/// The committed contracts and scripts.
pub struct Committed;

impl Bench for Committed {}

/// Two judges that disagree.
#[derive(Clone, Debug)]
pub struct Difference {
    /// Which step.
    pub step: usize,
    /// On which ledger.
    pub ledger: &'static str,
    /// What the rules say.
    pub rules: Ruling,
    /// What the ledger says.
    pub court: Verdict,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  step {} on {}:", self.step, self.ledger)?;
        match &self.rules {
            Ok(outcome) => writeln!(f, "    the rules accept it: {outcome:?}")?,
            Err(faults) => writeln!(f, "    the rules refuse it for one of {faults:?}")?,
        }
        match &self.court {
            Ok(outcome) => writeln!(f, "    the ledger accepts it: {outcome:?}"),
            Err((faults, words)) => writeln!(f, "    the ledger refuses it as {faults:?}: {words}"),
        }
    }
}

/// How often what happened: so that a run can be seen to have met everything.
pub type Census = BTreeMap<String, u64>;

/// One dispute before all judges.
pub fn trial(bytes: &[u8], bench: &dyn Bench, census: &mut Census) -> Result<(), Difference> {
    let scene = Scene::of(bytes);
    let courts = [
        ("Ethereum", bench.evm(&scene), Rules::new(&scene, EVM_LAW)),
        ("CKB", bench.ckb(&scene), Rules::new(&scene, CKB_LAW)),
    ];
    for (ledger, mut judge, mut rules) in courts {
        for (position, step) in scene.dispute.steps.iter().enumerate() {
            let ruling = rules.step(step);
            let verdict = judge.step(step);
            if !agree(&ruling, &verdict) {
                return Err(Difference { step: position, ledger, rules: ruling, court: verdict });
            }
            let act = match step.act {
                Act::Register { .. } => "register",
                Act::Conclude { .. } => "conclude",
                Act::Close { .. } => "close",
            };
            let said = match &verdict {
                Ok(_) => "accepted".to_owned(),
                Err((faults, _)) => format!("{faults:?}"),
            };
            *census.entry(format!("{ledger} {act}: {said}")).or_default() += 1;
        }
    }
    Ok(())
}

/// Accepted with the same outcome, or refused for something that is wrong with the step.
fn agree(rules: &Ruling, court: &Verdict) -> bool {
    match (rules, court) {
        (Ok(expected), Ok(found)) => expected == found,
        (Err(faults), Err((classes, _))) => {
            classes.iter().any(|class| *class != Fault::Strange && faults.contains(class))
        }
        _ => false,
    }
}

/// The disputes of these seeds, on two threads. The first difference ends the search.
pub fn search(seeds: Range<u64>, bench: &dyn Bench) -> Result<Census, Vec<u8>> {
    let census = Mutex::new(Census::new());
    let found = Mutex::new(None);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for thread in 0..2 {
            let (seeds, census, found, over) = (seeds.clone(), &census, &found, &over);
            scope.spawn(move || {
                let mut own = Census::new();
                for seed in seeds.filter(|seed| seed % 2 == thread) {
                    if over.load(Ordering::Relaxed) {
                        break;
                    }
                    let tape = tape::recorded(seed);
                    if fails(&tape, bench, &mut own) {
                        over.store(true, Ordering::Relaxed);
                        found.lock().expect("no judge holds it").get_or_insert(tape);
                    }
                }
                let mut all = census.lock().expect("no judge holds it");
                own.into_iter().for_each(|(what, times)| *all.entry(what).or_default() += times);
            });
        }
    });
    match found.into_inner().expect("no judge holds it") {
        Some(tape) => Err(tape),
        None => Ok(census.into_inner().expect("no judge holds it")),
    }
}

/// Whether judges disagree on this tape. One that panics disagrees with everybody.
fn fails(tape: &[u8], bench: &dyn Bench, census: &mut Census) -> bool {
    let ended = catch_unwind(AssertUnwindSafe(|| trial(tape, bench, census)));
    !matches!(ended, Ok(Ok(())))
}

/// The smallest dispute with a difference that was found from this one, and all that is to be said
/// of it.
#[must_use]
pub fn report(tape: &[u8], bench: &dyn Bench) -> (Vec<u8>, String) {
    let small = tape::shrink(tape, |tape| fails(tape, bench, &mut Census::new()));
    let ended = catch_unwind(AssertUnwindSafe(|| trial(&small, bench, &mut Census::new())));
    let difference = match ended {
        Ok(Err(difference)) => difference.to_string(),
        Ok(Ok(())) => "  the judges agree after all\n".to_owned(),
        Err(_) => "  a judge panicked\n".to_owned(),
    };
    let dispute = Scene::of(&small).dispute;
    let hex: String = small.iter().map(|byte| format!("{byte:02x}")).collect();
    (small, format!("judges disagree\n{difference}{dispute}  tape {hex}\n"))
}
