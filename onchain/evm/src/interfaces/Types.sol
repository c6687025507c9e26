// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

// Field order is consensus: ids, state hashes and signatures are over the ABI encoding of these.

/// @notice One participant.
/// @param ethAddress the key that signs states
/// @param ccAddress its identity on one other ledger; 32 zero bytes where there is none
struct Participant {
    address ethAddress;
    bytes ccAddress;
}

/// @notice What the participants agree on once; its hash is the channel's id.
struct Params {
    uint256 challengeDuration;
    uint256 nonce;
    Participant[] participants;
    address app;
    bool ledgerChannel;
    bool virtualChannel;
}

/// @notice One asset. It is paid here iff `chainID` is this chain's and `ethHolder` is not zero.
struct Asset {
    uint256 chainID;
    address ethHolder;
    bytes ccHolder;
}

/// @notice Amounts set aside for one sub- or virtual channel. `indexMap[i]` is the participant of
/// the parent who stands for participant `i` of the locked channel; entries past its count pad.
struct SubAlloc {
    bytes32 ID;
    uint256[] balances;
    uint16[] indexMap;
}

/// @notice Who owns what: `balances[asset][participant]`.
struct Allocation {
    Asset[] assets;
    uint256[] backends;
    uint256[][] balances;
    SubAlloc[] locked;
}

/// @notice One state of a channel.
struct State {
    bytes32 channelID;
    uint64 version;
    Allocation outcome;
    bytes appData;
    bool isFinal;
}

/// @notice A state with its channel's parameters and one signature per participant, in order.
struct SignedState {
    Params params;
    State state;
    bytes[] sigs;
}

/// @notice Perun's authorisation of a withdrawal (signed as EIP-191 over its hash).
struct WithdrawalAuth {
    bytes32 channelID;
    Participant participant;
    address receiver;
    uint256 amount;
}

/// @notice The authorisation of a withdrawal that is bound to this hub and chain (EIP-712).
/// @param amount `type(uint256).max` for all that is held
/// @param fee the part of the amount that goes to whoever submits
struct WithdrawalV2 {
    bytes32 channelID;
    address holder;
    address participant;
    address receiver;
    uint256 amount;
    uint256 fee;
    uint256 nonce;
    uint256 deadline;
}

/// @notice The authorisation to take a credit elsewhere (EIP-712).
struct CreditWithdrawal {
    address account;
    address holder;
    address receiver;
    uint256 amount;
    uint256 nonce;
    uint256 deadline;
}

/// @notice Where a deposit of `open` comes from, and so what `Deposit.data` holds.
enum Source {
    /// from the caller: coins with the call, tokens by the allowance given to the hub. No data.
    Sender,
    /// `(address from, uint256 validAfter, uint256 validBefore, bytes signature)`
    Eip3009,
    /// `(address owner, uint256 nonce, uint256 deadline, bytes signature)`
    Permit2,
    /// `(address owner, uint256 nonce, uint256 deadline, bytes intentSig,
    ///   uint256 permitDeadline, bytes permitSig)`; an empty `permitSig` uses what is allowed
    Eip2612,
    /// from the caller's credit. No data.
    SenderCredit,
    /// from an owner's credit: `(address owner, uint256 nonce, uint256 deadline, bytes intentSig)`
    IntentCredit
}

/// @notice One deposit of `open`, for `participant` of the channel that is opened.
struct Deposit {
    address holder;
    address participant;
    uint256 amount;
    Source source;
    bytes data;
}

/// @notice Where a participant wants what the channel pays it (EIP-712 `PayeeBinding`).
struct Binding {
    address participant;
    address payee;
    uint256 deadline;
    bytes sig;
}

/// @notice One movement of a spend by consent: to the account `to`, or, if `fundingID` is not
/// zero, into that deposit (then `to` is zero).
struct Move {
    address holder;
    address to;
    bytes32 fundingID;
    uint256 amount;
}
