//! R1 and R3: decoding never panics, undoes encoding, and takes one spelling only.

use perun_channel::codec::{Decode, Encode};
use perun_channel::sig::{SIGNATURE_LENGTH, UncheckedState};
use perun_channel::{Params, Signature, State};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::{config, draw};

/// Whatever is taken from `bytes` is spelt exactly so.
fn canonical<T: Decode + Encode>(bytes: &[u8]) -> Result<(), TestCaseError> {
    if let Ok(value) = T::from_bytes(bytes) {
        prop_assert_eq!(value.to_bytes(), bytes);
    }
    Ok(())
}

fn canonical_signed(bytes: &[u8]) -> Result<(), TestCaseError> {
    if let Ok(unchecked) = UncheckedState::from_bytes(bytes) {
        prop_assert_eq!(encode_unchecked(&unchecked), bytes);
    }
    Ok(())
}

/// An unchecked state has no encoding of its own; this one is of its parts.
fn encode_unchecked(unchecked: &UncheckedState) -> Vec<u8> {
    let mut bytes = unchecked.state.to_bytes();
    perun_channel::codec::put_list(&mut bytes, &unchecked.signatures);
    bytes
}

fn signature() -> impl Strategy<Value = Signature> {
    (any::<[u8; 32]>(), 0..0x7f_u8, any::<[u8; 31]>(), 27..=28_u8).prop_map(|(r, top, s, v)| {
        let bytes: [u8; SIGNATURE_LENGTH] =
            [r.as_slice(), &[top], &s, &[v]].concat().try_into().unwrap();
        Signature::new(&bytes).unwrap()
    })
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn params_survive_the_round_trip(params in draw::params()) {
        prop_assert_eq!(Params::from_bytes(&params.to_bytes()), Ok(params));
    }

    #[test]
    fn states_survive_the_round_trip(state in draw::state()) {
        prop_assert_eq!(State::from_bytes(&state.to_bytes()), Ok(state));
    }

    #[test]
    fn signed_states_survive_the_round_trip(
        state in draw::state(),
        signatures in vec(signature(), 0..=16),
    ) {
        let unchecked = UncheckedState { state, signatures };
        prop_assert_eq!(UncheckedState::from_bytes(&encode_unchecked(&unchecked)), Ok(unchecked));
    }

    #[test]
    fn noise_never_panics_and_what_is_taken_is_canonical(noise in vec(any::<u8>(), 0..600)) {
        canonical::<Params>(&noise)?;
        canonical::<State>(&noise)?;
        canonical::<Signature>(&noise)?;
        canonical_signed(&noise)?;
    }

    #[test]
    fn damaged_params_are_refused_or_canonical(
        params in draw::params(),
        damage in draw::damage(),
    ) {
        let mut bytes = params.to_bytes();
        damage.iter().for_each(|one| one.apply(&mut bytes));
        canonical::<Params>(&bytes)?;
    }

    #[test]
    fn damaged_states_are_refused_or_canonical(
        state in draw::state(),
        signatures in vec(signature(), 0..=2),
        damage in draw::damage(),
    ) {
        let mut bytes = state.to_bytes();
        damage.iter().for_each(|one| one.apply(&mut bytes));
        canonical::<State>(&bytes)?;
        let mut bytes = encode_unchecked(&UncheckedState { state, signatures });
        damage.iter().for_each(|one| one.apply(&mut bytes));
        canonical_signed(&bytes)?;
    }

    #[test]
    fn different_values_have_different_bytes(one in draw::state(), other in draw::state()) {
        prop_assert_eq!(one == other, one.to_bytes() == other.to_bytes());
    }

    #[test]
    fn no_encoding_is_a_prefix_of_another(one in draw::state(), other in draw::state()) {
        let (one, other) = (one.to_bytes(), other.to_bytes());
        prop_assert!(one == other || !other.starts_with(&one));
    }
}
