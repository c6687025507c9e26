// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Clones} from "@openzeppelin/contracts/proxy/Clones.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {IAssetFacade, IAssetHolder} from "./interfaces/IAssetHolder.sol";
import {IPerunHub} from "./interfaces/IPerunHub.sol";
import {WithdrawalAuth} from "./interfaces/Types.sol";

/// @title The name of a token in channels, with Perun's asset holder interface.
/// @notice A clone per token; hub and token are part of its code. The hub keeps the money.
contract AssetFacade is IAssetFacade {
    function deposit(bytes32 fundingID, uint256 amount) external payable {
        if (msg.value != 0) revert CoinsSent();
        _hub().depositVia(msg.sender, fundingID, amount);
        emit Deposited(fundingID, amount);
    }

    function withdraw(WithdrawalAuth calldata authorization, bytes calldata signature) external {
        _hub().withdrawVia(authorization, signature);
        bytes32 fundingID =
            keccak256(abi.encode(authorization.channelID, authorization.participant.ethAddress));
        emit Withdrawn(fundingID, authorization.amount, authorization.receiver);
    }

    function pull(address payer, uint256 amount) external {
        (address hub, address asset) = _names();
        if (msg.sender != hub) revert NotHub();
        SafeERC20.safeTransferFrom(IERC20(asset), payer, hub, amount);
    }

    function holdings(bytes32 fundingID) external view returns (uint256) {
        return _hub().held(address(this), fundingID);
    }

    function settled(bytes32 channelID) external view returns (bool) {
        return _hub().settled(channelID);
    }

    function adjudicator() external view returns (address) {
        return address(_hub());
    }

    function token() external view returns (address asset) {
        (, asset) = _names();
    }

    function _hub() private view returns (IPerunHub) {
        (address hub,) = _names();
        return IPerunHub(hub);
    }

    function _names() private view returns (address hub, address asset) {
        return abi.decode(Clones.fetchCloneArgs(address(this)), (address, address));
    }
}
