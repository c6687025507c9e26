//! Signatures in any but the one strict spelling, wherever they stand (W28, W33, P-A6).

use perun_channel::Signature;
use perun_onchain_tests::spoil::scratch;
use perun_onchain_tests::story::{Stands, Story};
use perun_onchain_tests::{At, ConsentKind, Sketch};

use crate::{closing, pair, registering, spoilings};

/// The order of secp256k1.
const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe,
    0xba, 0xae, 0xdc, 0xe6, 0xaf, 0x48, 0xa0, 0x3b, 0xbf, 0xd2, 0x5e, 0x8c, 0xd0, 0x36, 0x41, 0x41,
];

fn agreeing() -> Story {
    let channel = pair();
    let mut story = Story::default();
    story.agree(&channel, &Stands::open(&channel), &[ConsentKind::Signature; 2]);
    story.pay_out(&channel, &channel.initial());
    story.submitted()
}

/// Changes the last signature of the action of input 0.
fn signature(story: Story, change: impl FnOnce(&mut [u8])) -> Sketch {
    let mut sketch = Sketch::from(story);
    scratch(&mut sketch, At::Spent(0), |bytes| {
        let start = bytes.len() - 65;
        change(&mut bytes[start..]);
    });
    sketch
}

/// `n - x`, big-endian.
fn negated(x: &[u8]) -> Vec<u8> {
    let mut borrow = 0;
    let mut out = vec![0; 32];
    for position in (0..32).rev() {
        let digit = i32::from(ORDER[position]) - i32::from(x[position]) - borrow;
        borrow = i32::from(digit < 0);
        out[position] = u8::try_from(digit.rem_euclid(256)).unwrap();
    }
    out
}

/// The other spelling of the same signature: s in the upper half, the other v.
fn high_s(signature: &mut [u8]) {
    let s = negated(&signature[32..64]);
    signature[32..64].copy_from_slice(&s);
    signature[64] = 55 - signature[64];
}

fn zeros(signature: &mut [u8], from: usize, to: usize) {
    signature[from..to].fill(0);
}

/// Cuts or adds the last byte of the witness: the last signature has 64 or 66 bytes.
fn resized(story: Story, longer: bool) -> Sketch {
    let mut sketch = Sketch::from(story);
    scratch(&mut sketch, At::Spent(0), |bytes| {
        if longer { bytes.push(27) } else { bytes.truncate(bytes.len() - 1) }
    });
    sketch
}

spoilings! {
    w28_a_high_s_in_a_registration is Signature { signature(registering(&pair()), high_s) }
    w28_a_high_s_in_a_close is Signature { signature(closing(&pair()), high_s) }
    w28_a_high_s_in_a_consent is Signature { signature(agreeing(), high_s) }
    a_v_of_0 is Signature { signature(closing(&pair()), |bytes| bytes[64] -= 27) }
    a_v_of_1 is Signature { signature(closing(&pair()), |bytes| bytes[64] = 1) }
    a_v_of_26 is Signature { signature(closing(&pair()), |bytes| bytes[64] = 26) }
    a_v_of_29 is Signature { signature(closing(&pair()), |bytes| bytes[64] = 29) }
    a_v_of_0_in_a_registration is Signature {
        signature(registering(&pair()), |bytes| bytes[64] = 0)
    }
    a_v_of_29_in_a_consent is Signature { signature(agreeing(), |bytes| bytes[64] = 29) }
    the_other_v is WrongSigner { signature(closing(&pair()), |bytes| bytes[64] = 55 - bytes[64]) }
    a_zero_r is Signature { signature(closing(&pair()), |bytes| zeros(bytes, 0, 32)) }
    a_zero_s is Signature { signature(closing(&pair()), |bytes| zeros(bytes, 32, 64)) }
    zero_r_and_s is Signature { signature(closing(&pair()), |bytes| zeros(bytes, 0, 64)) }
    a_zero_r_in_a_registration is Signature {
        signature(registering(&pair()), |bytes| zeros(bytes, 0, 32))
    }
    a_zero_s_in_a_consent is Signature { signature(agreeing(), |bytes| zeros(bytes, 32, 64)) }
    an_r_of_the_order is Signature {
        signature(closing(&pair()), |bytes| bytes[..32].copy_from_slice(&ORDER))
    }
    an_r_above_the_order is Signature {
        signature(closing(&pair()), |bytes| bytes[..32].fill(0xff))
    }
    an_s_of_the_order is Signature {
        signature(closing(&pair()), |bytes| bytes[32..64].copy_from_slice(&ORDER))
    }
    /// Five is no point's abscissa on this curve.
    an_r_off_the_curve is Signature {
        signature(closing(&pair()), |bytes| {
            zeros(bytes, 0, 32);
            bytes[31] = 5;
        })
    }
    w33_a_signature_of_64_bytes is Witness { resized(closing(&pair()), false) }
    w33_a_signature_of_66_bytes is Witness { resized(closing(&pair()), true) }
    a_registration_signature_of_64_bytes is Witness { resized(registering(&pair()), false) }
    a_registration_signature_of_66_bytes is Witness { resized(registering(&pair()), true) }
    a_consent_of_64_bytes is Witness { resized(agreeing(), false) }
    a_consent_of_66_bytes is Witness { resized(agreeing(), true) }
    an_unknown_kind_of_consent is Witness {
        let mut sketch = Sketch::from(agreeing());
        scratch(&mut sketch, At::Spent(0), |bytes| {
            let tag = bytes.len() - 66;
            bytes[tag] = 3;
        });
        sketch
    }
}

#[test]
fn the_pure_function_refuses_the_same_spellings() {
    let channel = pair();
    let good = *channel.sign(&channel.initial())[0].as_bytes();
    let spelt = |change: &dyn Fn(&mut [u8])| {
        let mut bytes = good;
        change(&mut bytes);
        Signature::new(&bytes)
    };
    assert!(spelt(&|_| {}).is_ok());
    assert!(spelt(&|bytes| high_s(bytes)).is_err());
    for v in (0..=u8::MAX).filter(|v| !matches!(v, 27 | 28)) {
        assert!(spelt(&|bytes| bytes[64] = v).is_err(), "{v}");
    }
    assert!(Signature::new(&good[..64]).is_err());
    assert!(Signature::new(&[&good[..], &[0]].concat()).is_err());
    let digest = channel.initial().digest();
    for (from, to) in [(0, 32), (32, 64), (0, 64)] {
        let signature = spelt(&|bytes| zeros(bytes, from, to)).unwrap();
        assert!(signature.signer(&digest).is_err(), "zeros from {from} to {to}");
    }
}
