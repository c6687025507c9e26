// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {WithdrawalAuth} from "./Types.sol";

/// @title Perun's asset holder interface: for the coin the hub itself, for a token its facade.
/// @notice A deposit is named `fundingID = keccak256(abi.encode(channelID, participant))`.
interface IAssetHolder {
    /// @notice `amount` was deposited. By the hub for coins on every path, by a facade for deposits
    /// made through it.
    event Deposited(bytes32 indexed fundingID, uint256 amount);

    /// @notice `amount` left `fundingID` for `receiver`. By the hub for coins on every path, by a
    /// facade for withdrawals made through it.
    event Withdrawn(bytes32 indexed fundingID, uint256 amount, address receiver);

    /// @notice Deposits for anybody, any number of times. After the channel's conclusion the
    /// participant can withdraw it.
    function deposit(bytes32 fundingID, uint256 amount) external payable;

    /// @notice Pays a concluded channel's whole holding of one participant to the receiver it
    /// signed for. One authorisation serves once per holder. Amount 0 of an empty holding succeeds.
    function withdraw(WithdrawalAuth calldata authorization, bytes calldata signature) external;

    /// @notice What is held for a deposit's name.
    function holdings(bytes32 fundingID) external view returns (uint256);

    /// @notice Whether the channel is concluded, so that its holdings can be withdrawn.
    function settled(bytes32 channelID) external view returns (bool);

    /// @notice The hub.
    function adjudicator() external view returns (address);
}

/// @title The asset holder of one token: what stands in `Asset.ethHolder`.
/// @notice It keeps no money; tokens rest in the hub. `deposit` uses the allowance given to it.
interface IAssetFacade is IAssetHolder {
    /// @notice Coins were sent to a token's deposit.
    error CoinsSent();
    /// @notice Only the hub may call.
    error NotHub();

    /// @notice The token.
    function token() external view returns (address);

    /// @notice Moves tokens from `payer` to the hub; for the hub alone, while it takes a deposit
    /// that `payer` made here.
    function pull(address payer, uint256 amount) external;
}
