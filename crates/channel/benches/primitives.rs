//! What one of each costs: encoding, ABI and digest, a signature, a verification.

mod scene;

use std::hint::black_box;

use criterion::Criterion;
use perun_channel::codec::{Decode, Encode};
use perun_channel::{Amount, State, abi, sig, transition};

fn encoding(criterion: &mut Criterion, state: &State) {
    let bytes = state.to_bytes();
    criterion.bench_function("encode state", |b| b.iter(|| black_box(state).to_bytes()));
    criterion.bench_function("decode state", |b| b.iter(|| State::from_bytes(black_box(&bytes))));
    criterion.bench_function("abi of state", |b| b.iter(|| abi::state(black_box(state))));
    criterion.bench_function("abi and digest of state", |b| b.iter(|| black_box(state).digest()));
}

fn main() -> Result<(), perun_channel::Invalid> {
    let mut criterion = Criterion::default().configure_from_args();
    let scene::Scene { keys, addresses, params, state } = scene::scene()?;
    encoding(&mut criterion, &state);

    let next = state.successor(state.outcome().transfer(0, 1, 0, Amount::new(1))?)?;
    criterion.bench_function("transfer and successor", |b| {
        b.iter(|| {
            let outcome = black_box(&state).outcome().transfer(0, 1, 0, Amount::new(1));
            outcome.and_then(|outcome| state.successor(outcome))
        });
    });
    criterion.bench_function("transition check", |b| {
        let version = next.version();
        b.iter(|| transition::check_ordinary(&params, &state, black_box(&next), version));
    });

    let digest = state.digest();
    let [key, _] = keys;
    let [address, _] = addresses;
    let signature = sig::sign(&digest, &key);
    criterion.bench_function("sign", |b| b.iter(|| sig::sign(black_box(&digest), &key)));
    criterion
        .bench_function("verify", |b| b.iter(|| signature.verify(black_box(&digest), &address)));
    criterion.final_summary();
    Ok(())
}
