// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @title One error per rule of the hub.
interface IHubErrors {
    // What a channel is (the names of the Rust crate).

    /// @notice Not 2 to 16 participants.
    error ParticipantCount();
    /// @notice Two participants share one signing address.
    error DuplicateParticipant();
    /// @notice A participant without a signing address.
    error ZeroParticipant();
    /// @notice The challenge duration is not between 30 minutes and a year.
    error ChallengeDuration();
    /// @notice Not 1 to 16 assets.
    error AssetCount();
    /// @notice The same asset stands in two rows.
    error DuplicateAsset();
    /// @notice Balances are not one row per asset and one column per participant.
    error BalanceShape();
    /// @notice More than 32 locked entries.
    error LockedCount();
    /// @notice Two locked entries name the same channel.
    error DuplicateLocked();
    /// @notice A locked entry does not fit the assets or the participants.
    error LockedShape();
    /// @notice More than 1024 bytes of app data.
    error DataLength();
    /// @notice More than 128 bytes of an identity on another ledger.
    error ForeignBytes();
    /// @notice An amount or a sum leaves the range of 128 bits.
    error Amount();
    /// @notice The version is not newer, not the next one, or has more than 48 bits.
    error Version();
    /// @notice An index points past the last participant.
    error Index();
    /// @notice A final state locks amounts.
    error FinalWithLocked();
    /// @notice App data without an app that is not a swap, or a swap where none may be.
    error Data();
    /// @notice The arguments are not encoded the one way that is hashed and signed.
    error NotCanonical();

    // Who says so.

    /// @notice The state belongs to another channel than the parameters.
    error ChannelId();
    /// @notice Not one signature per participant.
    error SignatureCount();
    /// @notice A signature is not 65 bytes, low s, v 27 or 28, of the right signer.
    error BadSignature();

    // Disputes.

    /// @notice The root of a registration or conclusion must be a ledger channel.
    error NotLedger();
    /// @notice A channel inside another must not be a ledger channel.
    error ChildIsLedger();
    /// @notice A virtual channel has an app or locks amounts.
    error VirtualChannel();
    /// @notice A locked channel is missing from the list, or another stands there.
    error WrongChild();
    /// @notice A child's assets are not the parent's.
    error Assets();
    /// @notice A child's total is not what is locked for it, or a step changed a sum.
    error Sum();
    /// @notice A sub-channel's participants are not those of its parent that it is mapped to.
    error ChildParticipants();
    /// @notice More than four levels in one call; register the lower ones first.
    error TreeDepth();
    /// @notice More channels are given than the state locks.
    error TooManyChildren();
    /// @notice The channel is in forced execution or concluded.
    error WrongPhase();
    /// @notice The window for newer states is over.
    error RefutationOver();
    /// @notice Nothing is registered.
    error NotRegistered();
    /// @notice Another state is registered.
    error WrongState();
    /// @notice The channel is concluded.
    error AlreadyConcluded();
    /// @notice Its window, or one of a channel locked in it, is not over.
    error WindowOpen();
    /// @notice The window for the next step is over.
    error WindowOver();
    /// @notice The channel has no app.
    error NoApp();
    /// @notice The state is final; nothing follows it.
    error Final();
    /// @notice The state is not final.
    error NotFinal();
    /// @notice A step changed what is locked.
    error Locked();

    // Swaps.

    /// @notice The state has legs here: show the preimage, or wait for their expiry.
    error SwapPending();
    /// @notice The state has no leg on this chain to claim.
    error NoSwap();
    /// @notice Not the preimage of the swap's lock.
    error WrongPreimage();

    // Money.

    /// @notice The coins sent are not what the deposits say.
    error CoinAmount();
    /// @notice The hub's balance did not grow by the deposit: fees or lies of the token.
    error TokenDelta();
    /// @notice The token has no facade here, or is not a contract.
    error UnknownHolder();
    /// @notice This way of paying does not fit the asset.
    error WrongSource();
    /// @notice The channel is not concluded.
    error NotConcluded();
    /// @notice Less is held, or credited, than asked for.
    error Insufficient();
    /// @notice Perun's authorisation is only good for the whole holding.
    error NotFullHolding();
    /// @notice The authorisation was used.
    error AlreadyUsed();
    /// @notice The authorisation is too old.
    error DeadlineOver();
    /// @notice The fee is larger than the amount.
    error Fee();
    /// @notice The receiver refused.
    error PaymentFailed();
    /// @notice Too little gas is left to let the payee's code run as long as it may.
    error GasForPayment();
    /// @notice A payee is bound already.
    error PayeeBound();
    /// @notice The zero address can receive nothing.
    error ZeroAddress();
    /// @notice A movement goes to an account or into a deposit, not both and not neither.
    error MoveTarget();
    /// @notice The lists are not equally long.
    error ListLength();
    /// @notice No such function.
    error NoFunction();
}
