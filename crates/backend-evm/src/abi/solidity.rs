//! The contracts' interface, as their Solidity sources declare it.
//!
//! Names, fields and their order are those of the sources: they make selectors and digests. Nothing
//! here is checked; [`super::convert`] does that.

#![allow(missing_docs, unreachable_pub, clippy::too_many_arguments, clippy::pub_underscore_fields)]

use alloy_sol_types::sol;

sol! {
    #![sol(all_derives)]

    struct Participant {
        address ethAddress;
        bytes ccAddress;
    }

    struct Params {
        uint256 challengeDuration;
        uint256 nonce;
        Participant[] participants;
        address app;
        bool ledgerChannel;
        bool virtualChannel;
    }

    struct Asset {
        uint256 chainID;
        address ethHolder;
        bytes ccHolder;
    }

    struct SubAlloc {
        bytes32 ID;
        uint256[] balances;
        uint16[] indexMap;
    }

    struct Allocation {
        Asset[] assets;
        uint256[] backends;
        uint256[][] balances;
        SubAlloc[] locked;
    }

    struct State {
        bytes32 channelID;
        uint64 version;
        Allocation outcome;
        bytes appData;
        bool isFinal;
    }

    struct SignedState {
        Params params;
        State state;
        bytes[] sigs;
    }

    struct WithdrawalAuth {
        bytes32 channelID;
        Participant participant;
        address receiver;
        uint256 amount;
    }

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

    struct CreditWithdrawal {
        address account;
        address holder;
        address receiver;
        uint256 amount;
        uint256 nonce;
        uint256 deadline;
    }

    enum Source {
        Sender,
        Eip3009,
        Permit2,
        Eip2612,
        SenderCredit,
        IntentCredit
    }

    struct Deposit {
        address holder;
        address participant;
        uint256 amount;
        Source source;
        bytes data;
    }

    struct Binding {
        address participant;
        address payee;
        uint256 deadline;
        bytes sig;
    }

    struct Move {
        address holder;
        address to;
        bytes32 fundingID;
        uint256 amount;
    }

    // Signed only (EIP-712); never in a call.

    struct DepositIntent {
        bytes32 channelID;
        bytes32 fundingID;
        address holder;
        uint256 amount;
        uint8 source;
        address owner;
        uint256 nonce;
        uint256 deadline;
    }

    struct PayeeBinding {
        bytes32 channelID;
        address participant;
        address payee;
        uint256 deadline;
    }

    struct ConsentSpend {
        bytes32 channelID;
        Move[] moves;
        uint256 deadline;
    }

    struct Permit {
        address owner;
        address spender;
        uint256 value;
        uint256 nonce;
        uint256 deadline;
    }

    struct ReceiveWithAuthorization {
        address from;
        address to;
        uint256 value;
        uint256 validAfter;
        uint256 validBefore;
        bytes32 nonce;
    }

    struct TokenPermissions {
        address token;
        uint256 amount;
    }

    struct ChannelDeposit {
        bytes32 channelID;
        bytes32 fundingID;
    }

    struct PermitWitnessTransferFrom {
        TokenPermissions permitted;
        address spender;
        uint256 nonce;
        uint256 deadline;
        ChannelDeposit witness;
    }

    interface Hub {
        event ChannelUpdate(
            bytes32 indexed channelID, uint64 version, uint8 phase, uint64 timeout
        );
        event StateRegistered(bytes32 indexed channelID, bytes signed);
        event StateProgressed(
            bytes32 indexed channelID, uint256 actorIdx, bytes state, bytes sig
        );
        event SwapClaimed(bytes32 indexed channelID, bytes32 preimage);
        event SpentByConsent(bytes32 indexed channelID, bytes32 digest);

        function register(SignedState channel, SignedState[] subChannels);
        function registerSub(SignedState channel, SignedState[] subChannels);
        function progress(
            Params params, State stateOld, State state, uint256 actorIdx, bytes sig
        );
        function conclude(Params params, State state, State[] subStates);
        function concludeAndPay(Params params, State state, State[] subStates);
        function concludeWithPreimage(
            Params params, State state, State[] subStates, bytes32 preimage
        );
        function concludeAndPayWithPreimage(
            Params params, State state, State[] subStates, bytes32 preimage
        );
        function concludeFinal(Params params, State state, bytes[] sigs);
        function closeAndPay(Params params, State state, bytes[] sigs);
        function closeBatch(SignedState[] channels);
        function disputes(bytes32 id) returns (
            uint64 timeout,
            uint64 challengeDuration,
            uint64 version,
            uint8 phase,
            bytes32 stateHash,
            bool hasApp
        );
        function deposit(bytes32 fundingID, uint256 amount) payable;
        function held(address holder, bytes32 fundingID) returns (uint256);
        function open(bytes32 id, Deposit[] deposits, Binding[] payees) payable;
        function bindPayee(bytes32 id, Binding binding);
        function payeeOf(bytes32 fundingID) returns (address);
        function withdraw(WithdrawalAuth authorization, bytes signature);
        function withdrawMany(WithdrawalV2[] authorizations, bytes[] sigs);
        function credit(address account, address holder) returns (uint256);
        function withdrawCredit(address holder, address receiver, uint256 amount);
        function spendByConsent(Params params, Move[] moves, uint256 deadline, bytes[] sigs);
        function resize(
            Params params,
            Move[] moves,
            uint256 deadline,
            bytes[] sigs,
            bytes32 nextId,
            Deposit[] deposits,
            Binding[] payees
        ) payable;
        function createFacade(address token) returns (address facade);
        function facadeOf(address token) returns (address);
        function tokenOf(address facade) returns (address);
        function domainSeparator() returns (bytes32);
        function channelID(Params params) returns (bytes32);
        function hashState(State state) returns (bytes32);
    }

    interface Token {
        function balanceOf(address owner) returns (uint256);
        function allowance(address owner, address spender) returns (uint256);
        function approve(address spender, uint256 amount) returns (bool);
        function nonces(address owner) returns (uint256);
        function DOMAIN_SEPARATOR() returns (bytes32);
        function authorizationState(address owner, bytes32 nonce) returns (bool);
    }

    /// Every rule of the hub has an error.
    interface HubErrors {
        error ParticipantCount();
        error DuplicateParticipant();
        error ZeroParticipant();
        error ChallengeDuration();
        error AssetCount();
        error DuplicateAsset();
        error BalanceShape();
        error LockedCount();
        error DuplicateLocked();
        error LockedShape();
        error DataLength();
        error ForeignBytes();
        error Amount();
        error Version();
        error Index();
        error FinalWithLocked();
        error Data();
        error NotCanonical();
        error ChannelId();
        error SignatureCount();
        error BadSignature();
        error NotLedger();
        error ChildIsLedger();
        error VirtualChannel();
        error WrongChild();
        error Assets();
        error Sum();
        error ChildParticipants();
        error TreeDepth();
        error TooManyChildren();
        error WrongPhase();
        error RefutationOver();
        error NotRegistered();
        error WrongState();
        error AlreadyConcluded();
        error WindowOpen();
        error WindowOver();
        error NoApp();
        error Final();
        error NotFinal();
        error Locked();
        error SwapPending();
        error NoSwap();
        error WrongPreimage();
        error CoinAmount();
        error TokenDelta();
        error UnknownHolder();
        error WrongSource();
        error NotConcluded();
        error Insufficient();
        error NotFullHolding();
        error AlreadyUsed();
        error DeadlineOver();
        error Fee();
        error PaymentFailed();
        error GasForPayment();
        error PayeeBound();
        error ZeroAddress();
        error MoveTarget();
        error ListLength();
        error NoFunction();
    }
}
