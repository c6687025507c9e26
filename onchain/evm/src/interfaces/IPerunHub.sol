// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IAdjudicator} from "./IAdjudicator.sol";
import {IAssetHolder} from "./IAssetHolder.sol";
import {IHubErrors} from "./IHubErrors.sol";
import {
    Binding,
    CreditWithdrawal,
    Deposit,
    Move,
    Params,
    SignedState,
    State,
    WithdrawalAuth,
    WithdrawalV2
} from "./Types.sol";

/// @title The hub: Perun's adjudicator, the holder of all assets, and the coin's asset holder.
/// @notice `holder` names an asset: the hub itself is the chain's coin, a facade is its token.
///
/// EIP-712 domain: name "Perun Hub", version "1", chain id, the hub. Types:
///   WithdrawalV2(bytes32 channelID,address holder,address participant,address receiver,
///     uint256 amount,uint256 fee,uint256 nonce,uint256 deadline)
///   CreditWithdrawal(address account,address holder,address receiver,uint256 amount,
///     uint256 nonce,uint256 deadline)
///   DepositIntent(bytes32 channelID,bytes32 fundingID,address holder,uint256 amount,uint8 source,
///     address owner,uint256 nonce,uint256 deadline)
///   PayeeBinding(bytes32 channelID,address participant,address payee,uint256 deadline)
///   ConsentSpend(bytes32 channelID,Move[] moves,uint256 deadline)
///   Move(address holder,address to,bytes32 fundingID,uint256 amount)
/// ConsentSpend is signed by the keys that sign states. The others may also be signed by a contract
/// account (EIP-1271); where an account has code and a key, its key's signature is good too.
interface IPerunHub is IAdjudicator, IAssetHolder, IHubErrors {
    /// @notice A fully signed state was registered. Also for a final state that was concluded at
    /// once, if it has assets of other ledgers: they can be settled from this.
    /// @param signed the state and, behind it, everybody's signatures of 65 bytes. Of the state all
    /// but the offsets and lengths that follow from the rest, big-endian: version u48, isFinal u8,
    /// how many assets u8, participants u8 and locked entries u8, length of the app's data u16; of
    /// each asset chainID u256, ethHolder of 20 bytes, ccHolder with its length u8, where 255 alone
    /// says 32 zeros; backends u256; balances u128; the locked entries as in the ABI encoding, after
    /// their count; the app's data
    event StateRegistered(bytes32 indexed channelID, bytes signed);

    /// @notice A step was forced; `state` as above, the actor's signature over it.
    event StateProgressed(bytes32 indexed channelID, uint256 actorIdx, bytes state, bytes sig);

    /// @notice A swap was claimed with this preimage.
    event SwapClaimed(bytes32 indexed channelID, bytes32 preimage);

    /// @notice A token's deposit, on every path.
    event TokenDeposited(address indexed holder, bytes32 indexed fundingID, uint256 amount);

    /// @notice Tokens left a deposit, on every path. See `Credited` for a push that failed.
    event TokenWithdrawn(
        address indexed holder, bytes32 indexed fundingID, uint256 amount, address receiver
    );

    /// @notice A payment could not be pushed and waits for `withdrawCredit`.
    event Credited(address indexed account, address indexed holder, uint256 amount);

    /// @notice A credit was paid out, or used for a deposit (then `receiver` is the hub).
    event CreditWithdrawn(
        address indexed account, address indexed holder, uint256 amount, address receiver
    );

    /// @notice What the channel pays to `participant` goes to `payee`.
    event PayeeSet(bytes32 indexed channelID, address indexed participant, address payee);

    /// @notice A channel was ended by all its participants' consent.
    event SpentByConsent(bytes32 indexed channelID, bytes32 digest);

    /// @notice A token got its facade.
    event FacadeCreated(address indexed token, address facade);

    // Disputes beyond Perun's interface.

    /// @notice Registers a channel that is not a ledger channel, with what is locked in it, so that
    /// a large tree can be registered from below in several transactions.
    function registerSub(SignedState calldata channel, SignedState[] calldata subChannels)
        external;

    /// @notice Concludes a registered sub-channel whose windows and those of all channels below are
    /// over, and keeps its outcome: later it stands for its whole subtree, so that a large tree can
    /// be concluded from below in several transactions.
    function concludeSub(State calldata state, State[] calldata subStates) external;

    /// @notice `conclude` of a state with a swap that moves the legs on this chain.
    function concludeWithPreimage(
        Params calldata params,
        State calldata state,
        State[] calldata subStates,
        bytes32 preimage
    ) external;

    // Settle and pay. Each participant is paid to its payee: what it bound, else its address. A
    // payment that fails becomes a credit of the payee.

    /// @notice `concludeFinal`, and pays everybody.
    function closeAndPay(Params calldata params, State calldata state, bytes[] calldata sigs)
        external;

    /// @notice `closeAndPay` for many channels. Those that are concluded already are skipped, since
    /// a stranger could have done it; any other fault reverts the whole.
    function closeBatch(SignedState[] calldata channels) external;

    /// @notice `conclude`, and pays everybody.
    function concludeAndPay(
        Params calldata params,
        State calldata state,
        State[] calldata subStates
    ) external;

    /// @notice `concludeWithPreimage`, and pays everybody.
    function concludeAndPayWithPreimage(
        Params calldata params,
        State calldata state,
        State[] calldata subStates,
        bytes32 preimage
    ) external;

    /// @notice Withdraws from a concluded channel.
    function withdrawV2(WithdrawalV2 calldata authorization, bytes calldata sig) external;

    /// @notice `withdrawV2` for many. Used ones are skipped; any other fault reverts the whole.
    function withdrawMany(WithdrawalV2[] calldata authorizations, bytes[] calldata sigs) external;

    // Credits.

    /// @notice What waits for `account`.
    function credit(address account, address holder) external view returns (uint256);

    /// @notice Pays the caller's credit to `receiver`.
    function withdrawCredit(address holder, address receiver, uint256 amount) external;

    /// @notice Pays an account's credit to the receiver that it signed for.
    function withdrawCreditFor(CreditWithdrawal calldata authorization, bytes calldata sig)
        external;

    // Open and change.

    /// @notice Takes deposits for one channel from any number of payers, and notes payees.
    ///
    /// EIP-3009: `receiveWithAuthorization` to the hub with the nonce
    ///   `keccak256(abi.encode(channelID, fundingID, holder, amount))`, its last 8 bytes zero: some
    ///   tokens count there.
    /// Permit2: spender is the hub, the witness is `ChannelDeposit(bytes32 channelID,bytes32
    ///   fundingID)`, the type string's rest "ChannelDeposit witness)ChannelDeposit(bytes32
    ///   channelID,bytes32 fundingID)TokenPermissions(address token,uint256 amount)".
    function open(bytes32 id, Deposit[] calldata deposits, Binding[] calldata payees)
        external
        payable;

    /// @notice Binds a participant's payee, once and for all; the same payee again does nothing.
    function bindPayee(bytes32 id, Binding calldata binding) external;

    /// @notice The payee that a participant bound; zero for none.
    function payeeOf(bytes32 fundingID) external view returns (address);

    /// @notice Ends a live channel by the consent of all participants. For each holder that moves
    /// name (its moves stand together) they take what is held; too little reverts; what they leave
    /// goes back to the depositors in proportion. What no move names can be withdrawn as deposited.
    function spendByConsent(
        Params calldata params,
        Move[] calldata moves,
        uint256 deadline,
        bytes[] calldata sigs
    ) external;

    /// @notice `spendByConsent` and `open` of the successor `nextId` in one transaction.
    function resize(
        Params calldata params,
        Move[] calldata moves,
        uint256 deadline,
        bytes[] calldata sigs,
        bytes32 nextId,
        Deposit[] calldata deposits,
        Binding[] calldata payees
    ) external payable;

    /// @notice Whether a digest was used: an EIP-712 one as it is, one of Perun's authorisations as
    /// `keccak256(abi.encode(holder, digest))`.
    function used(bytes32 digest) external view returns (bool);

    /// @notice The EIP-712 domain separator.
    function domainSeparator() external view returns (bytes32);

    // Assets.

    /// @notice What is held of an asset for a deposit's name.
    function held(address holder, bytes32 fundingID) external view returns (uint256);

    /// @notice The facade of a token, made if there is none.
    function createFacade(address token) external returns (address facade);

    /// @notice The facade of a token, whether or not it was made.
    function facadeOf(address token) external view returns (address);

    /// @notice The token of a facade that was made; zero for every other address.
    function tokenOf(address facade) external view returns (address);

    /// @notice For facades: a deposit that `payer` made there.
    function depositVia(address payer, bytes32 fundingID, uint256 amount) external;

    /// @notice For facades: a withdrawal that was asked for there.
    function withdrawVia(WithdrawalAuth calldata authorization, bytes calldata sig) external;
}
