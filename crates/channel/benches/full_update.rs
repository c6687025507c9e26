//! What an update costs beyond its cryptography: the work of both parties for one payment, as a
//! ratio to the two signatures and two verifications that no protocol can do without.
//!
//! Both are measured in the same run, in turn, so that a busy machine slows them alike. The ratio
//! is taken per round; its median must stay below the limit, or the bench fails. Only functions of
//! this crate run here: messages, journal and machines are measured where they live.

mod scene;

use std::error::Error;
use std::hint::black_box;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use perun_channel::{Amount, SignedState, State, sig, transition};

use scene::Scene;

/// The largest median of the ratio that passes.
const LIMIT: f64 = 1.15;
/// Rounds that are measured; an odd number has a median.
const ROUNDS: usize = 301;
/// Updates in one round: enough for a round to be far longer than the clock's grain.
const UPDATES: u32 = 20;
/// Rounds before the measurement, for caches and the processor's frequency.
const WARM_UP: usize = 20;

/// One payment from party 0 to party 1, everything that both of them do.
fn update(scene: &Scene, current: &State) -> Result<[SignedState; 2], Box<dyn Error>> {
    let [payer_key, payee_key] = &scene.keys;
    let [payer, payee] = &scene.addresses;
    let amount = Amount::new(1);

    // The payer builds the next state and signs it.
    let proposed = current.successor(current.outcome().transfer(0, 1, 0, amount)?)?;
    let payer_digest = proposed.digest();
    let offer = sig::sign(&payer_digest, payer_key);

    // The payee builds the only state it expects, compares, checks, and signs as well.
    let expected = current.successor(current.outcome().transfer(0, 1, 0, amount)?)?;
    if proposed != expected {
        return Err("the payer proposes another state".into());
    }
    transition::check_ordinary(&scene.params, current, &proposed, expected.version())?;
    let payee_digest = expected.digest();
    offer.verify(&payee_digest, payer)?;
    let answer = sig::sign(&payee_digest, payee_key);
    let of_payee = SignedState::from_checked(expected, vec![offer, answer]);

    // The payer checks the answer; both hold the same signed state.
    answer.verify(&payer_digest, payee)?;
    Ok([SignedState::from_checked(proposed, vec![offer, answer]), of_payee])
}

/// The cryptography of one payment and nothing else.
fn floor(scene: &Scene, digest: &[u8; 32]) -> Result<(), Box<dyn Error>> {
    for (key, address) in scene.keys.iter().zip(&scene.addresses) {
        let signature = black_box(sig::sign(black_box(digest), key));
        signature.verify(black_box(digest), address)?;
    }
    Ok(())
}

#[allow(clippy::disallowed_methods, reason = "a bench reads the clock")]
fn timed(mut work: impl FnMut() -> Result<(), Box<dyn Error>>) -> Result<Duration, Box<dyn Error>> {
    let start = Instant::now();
    for _ in 0..UPDATES {
        work()?;
    }
    Ok(start.elapsed())
}

/// The values at a tenth, the half and nine tenths.
fn spread(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    [1, 5, 9].map(|tenth| values[values.len() * tenth / 10])
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let scene = scene::scene()?;
    let mut current = scene.state.clone();
    let (mut ratios, mut updates, mut floors) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..WARM_UP + ROUNDS {
        let digest = current.digest();
        let mut run_update = || {
            timed(|| {
                let [payer, payee] = update(&scene, &current)?;
                black_box(payee);
                current = payer.state().clone();
                Ok(())
            })
        };
        let run_floor = || timed(|| floor(&scene, &digest));
        // Each goes first in every second round.
        let (full, bare) = if round % 2 == 0 {
            let full = run_update()?;
            (full, run_floor()?)
        } else {
            let bare = run_floor()?;
            (run_update()?, bare)
        };
        if round >= WARM_UP {
            ratios.push(full.as_secs_f64() / bare.as_secs_f64());
            updates.push(full.as_secs_f64() * 1e6 / f64::from(UPDATES));
            floors.push(bare.as_secs_f64() * 1e6 / f64::from(UPDATES));
        }
    }
    for (name, unit, values) in [
        ("update, both parties", "us", updates),
        ("2 signatures, 2 verifications", "us", floors),
        ("ratio", "", ratios.clone()),
    ] {
        let [low, median, high] = spread(values);
        println!("{name:<32} median {median:8.3} {unit}  (10 % {low:.3}, 90 % {high:.3})");
    }
    let [_, median, _] = spread(ratios);
    if median > LIMIT {
        println!("an update costs more than {LIMIT} times its cryptography");
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}
