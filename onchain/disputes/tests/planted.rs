//! The comparison can fail: judges with one fault are found out, and the dispute that shows it is
//! made small. And every field of the law is needed: under a law with one of them changed, the
//! ledgers would differ.

use perun_disputes::dispute::Step;
use perun_disputes::{
    Bench, CKB_LAW, Clerk, Clerks, EVM_LAW, Judge, Law, Outcome, Scene, Verdict, ckb::Ckb,
    evm::Evm, report, search,
};

/// A court whose settlements give one unit of the last row to the wrong participant.
struct Thief<J>(J);

impl<J: Judge> Judge for Thief<J> {
    fn step(&mut self, step: &Step) -> Verdict {
        let mut verdict = self.0.step(step);
        if let Ok(Outcome::Settled(rows)) = &mut verdict
            && let Some(row) = rows.last_mut()
            && row[1] > 0
        {
            row[1] -= 1;
            row[0] += 1;
        }
        verdict
    }
}

/// A court whose clock is a second slow.
struct Slow<J>(J);

impl<J: Judge> Judge for Slow<J> {
    fn step(&mut self, step: &Step) -> Verdict {
        self.0.step(&Step { at: step.at - 1, act: step.act })
    }
}

type Court = for<'a> fn(&'a Scene) -> Box<dyn Judge + 'a>;

/// One court of the committed code with a fault, and a clerk in the other's place.
struct Planted {
    evm: Option<Court>,
    ckb: Option<Court>,
}

impl Bench for Planted {
    fn evm<'a>(&self, scene: &'a Scene) -> Box<dyn Judge + 'a> {
        let honest = || Box::new(Clerk::new(scene, EVM_LAW)) as Box<dyn Judge + 'a>;
        self.evm.map_or_else(honest, |court| court(scene))
    }

    fn ckb<'a>(&self, scene: &'a Scene) -> Box<dyn Judge + 'a> {
        let honest = || Box::new(Clerk::new(scene, CKB_LAW)) as Box<dyn Judge + 'a>;
        self.ckb.map_or_else(honest, |court| court(scene))
    }
}

/// The small dispute in words, and how long its tape is.
fn found(bench: &dyn Bench, runs: u64) -> (usize, String) {
    let tape = search(0..runs, bench).expect_err("the fault is seen");
    let (small, words) = report(&tape, bench);
    assert!(small.len() < tape.len(), "nothing was left out: {words}");
    (small.len(), words)
}

fn steps(words: &str) -> usize {
    words.matches("s after the opening").count()
}

#[test]
fn clerks_under_the_right_laws_agree() {
    search(0..2_000, &Clerks { evm: EVM_LAW, ckb: CKB_LAW }).expect("no difference");
}

#[test]
fn a_unit_for_the_wrong_payee_is_seen_and_shrunk() {
    let evm = Planted { evm: Some(|scene| Box::new(Thief(Evm::new(scene)))), ckb: None };
    let ckb = Planted { evm: None, ckb: Some(|scene| Box::new(Thief(Ckb::new(scene)))) };
    for (bench, ledger) in [(evm, "Ethereum"), (ckb, "CKB")] {
        let (length, words) = found(&bench, 400);
        assert!(words.contains(&format!("on {ledger}")) && words.contains("Settled"), "{words}");
        assert!(steps(&words) <= 2 && length <= 60, "{length}: {words}");
    }
}

#[test]
fn a_comparison_that_is_off_by_one_is_seen_and_shrunk() {
    let evm = Planted { evm: Some(|scene| Box::new(Slow(Evm::new(scene)))), ckb: None };
    let ckb = Planted { evm: None, ckb: Some(|scene| Box::new(Slow(Ckb::new(scene)))) };
    for bench in [evm, ckb] {
        let (length, words) = found(&bench, 400);
        assert!(steps(&words) <= 2 && length <= 80, "{length}: {words}");
    }
}

#[test]
fn every_field_of_the_law_is_needed() {
    let changes: [fn(&mut Law); 11] = [
        |law| law.window_restarts ^= true,
        |law| law.takes_late_states ^= true,
        |law| law.final_ends_window ^= true,
        |law| law.final_outranks ^= true,
        |law| law.has_slots ^= true,
        |law| law.stores_opening ^= true,
        |law| law.knows_totals ^= true,
        |law| law.settles_locked ^= true,
        |law| law.repeats ^= true,
        |law| law.ignores_kinds ^= true,
        |law| law.version_bits = 48 + 64 - law.version_bits,
    ];
    for (field, change) in changes.iter().enumerate() {
        let (mut evm, mut ckb) = (EVM_LAW, CKB_LAW);
        change(&mut evm);
        let tape = search(0..4_000, &Clerks { evm, ckb });
        assert!(tape.is_err(), "field {field} makes no difference on Ethereum");
        change(&mut ckb);
        let tape = search(0..4_000, &Clerks { evm: EVM_LAW, ckb });
        assert!(tape.is_err(), "field {field} makes no difference on CKB");
    }
}
