// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {HubBase} from "./HubBase.sol";
import {IAssetFacade} from "./interfaces/IAssetHolder.sol";
import {IHubErrors} from "./interfaces/IHubErrors.sol";
import {IPerunHub} from "./interfaces/IPerunHub.sol";
import {IERC3009, IPermit2} from "./interfaces/ITokenExtensions.sol";
import {Binding, Deposit, Source} from "./interfaces/Types.sol";
import {Record, Records} from "./lib/Records.sol";
import {Sig} from "./lib/Sig.sol";
import {Typed} from "./lib/Typed.sol";

/// @title Every way money comes in, besides the plain deposit of coins.
/// @notice Whatever somebody signed names the deposit it is for: nobody can steer it elsewhere. And
/// a token's deposit is what the hub's balance grew by, or there is none.
abstract contract Deposits is HubBase {
    using Records for Record;

    IPermit2 private constant PERMIT2 = IPermit2(0x000000000022D473030F116dDEE9F6B43aC78BA3);
    bytes32 private constant WITNESS =
        keccak256("ChannelDeposit(bytes32 channelID,bytes32 fundingID)");
    string private constant WITNESS_REST = "ChannelDeposit witness)"
        "ChannelDeposit(bytes32 channelID,bytes32 fundingID)"
        "TokenPermissions(address token,uint256 amount)";

    function _open(bytes32 id, Deposit[] calldata deposits, Binding[] calldata payees) internal {
        if (_concluded(id)) revert IHubErrors.AlreadyConcluded();
        for (uint256 i = 0; i < payees.length; ++i) {
            _bind(id, payees[i]);
        }
        uint256 coins;
        for (uint256 i = 0; i < deposits.length; ++i) {
            coins += _take(id, deposits[i]);
        }
        if (coins != msg.value) revert IHubErrors.CoinAmount();
    }

    function _bind(bytes32 id, Binding calldata b) internal {
        if (b.payee == address(0)) revert IHubErrors.ZeroAddress();
        bytes32 fundingID = _fundingID(id, b.participant);
        if (_payees[fundingID] != address(0)) revert IHubErrors.PayeeBound();
        if (msg.sender != b.participant) {
            _inTime(b.deadline);
            bytes32 digest = Typed.binding(id, b.participant, b.payee, b.deadline);
            Sig.checkAccount(digest, b.sig, b.participant);
        }
        _payees[fundingID] = b.payee;
        _records[id] = _records[id].withPayees();
        emit IPerunHub.PayeeSet(id, b.participant, b.payee);
    }

    /// A deposit that `payer` made at the facade that calls.
    function _takeVia(address payer, bytes32 fundingID, uint256 amount) internal {
        address token = _tokens[msg.sender];
        if (token == address(0)) revert IHubErrors.UnknownHolder();
        uint256 before = IERC20(token).balanceOf(address(this));
        IAssetFacade(msg.sender).pull(payer, amount);
        _grown(token, before, amount);
        _deposited(msg.sender, fundingID, amount);
    }

    /// Returns the coins that must have come with the call.
    function _take(bytes32 id, Deposit calldata d) private returns (uint256 coins) {
        bytes32 fundingID = _fundingID(id, d.participant);
        if (d.source == Source.SenderCredit) {
            _takeCredit(msg.sender, d);
        } else if (d.source == Source.IntentCredit) {
            (address owner, uint256 nonce, uint256 deadline, bytes calldata sig) = _owner(d.data);
            _checkIntent(id, fundingID, d, owner, nonce, deadline, sig);
            _takeCredit(owner, d);
        } else if (d.holder == address(this)) {
            if (d.source != Source.Sender) revert IHubErrors.WrongSource();
            coins = d.amount;
        } else {
            address token = _tokens[d.holder];
            if (token == address(0)) revert IHubErrors.UnknownHolder();
            uint256 before = IERC20(token).balanceOf(address(this));
            _pull(id, fundingID, d, token);
            _grown(token, before, d.amount);
        }
        _deposited(d.holder, fundingID, d.amount);
    }

    function _grown(address token, uint256 before, uint256 amount) private view {
        uint256 now_ = IERC20(token).balanceOf(address(this));
        if (now_ < before || now_ - before != amount) revert IHubErrors.TokenDelta();
    }

    function _takeCredit(address owner, Deposit calldata d) private {
        uint256 waiting = _credit[owner][d.holder];
        if (waiting < d.amount) revert IHubErrors.Insufficient();
        _credit[owner][d.holder] = waiting - d.amount;
        emit IPerunHub.CreditWithdrawn(owner, d.holder, d.amount, address(this));
    }

    function _pull(bytes32 id, bytes32 fundingID, Deposit calldata d, address token) private {
        if (d.source == Source.Sender) {
            SafeERC20.safeTransferFrom(IERC20(token), msg.sender, address(this), d.amount);
        } else if (d.source == Source.Eip3009) {
            bytes32 nonce = keccak256(abi.encode(id, fundingID, d.holder, d.amount));
            _pull3009(nonce >> 64 << 64, d, token);
        } else if (d.source == Source.Permit2) {
            _pullPermit2(keccak256(abi.encode(WITNESS, id, fundingID)), d, token);
        } else {
            _pull2612(id, fundingID, d, token);
        }
    }

    function _pull3009(bytes32 nonce, Deposit calldata d, address token) private {
        (address from, uint256 validAfter, uint256 validBefore, bytes calldata sig) =
            _owner(d.data);
        if (sig.length == 65) {
            IERC3009(token)
                .receiveWithAuthorization(
                    from,
                    address(this),
                    d.amount,
                    validAfter,
                    validBefore,
                    nonce,
                    uint8(sig[64]),
                    bytes32(sig[0:32]),
                    bytes32(sig[32:64])
                );
        } else {
            IERC3009(token)
                .receiveWithAuthorization(
                    from, address(this), d.amount, validAfter, validBefore, nonce, sig
                );
        }
    }

    function _pullPermit2(bytes32 witness, Deposit calldata d, address token) private {
        (address owner, uint256 nonce, uint256 deadline, bytes calldata sig) = _owner(d.data);
        PERMIT2.permitWitnessTransferFrom(
            IPermit2.PermitTransferFrom(
                IPermit2.TokenPermissions(token, d.amount), nonce, deadline
            ),
            IPermit2.SignatureTransferDetails(address(this), d.amount),
            owner,
            witness,
            WITNESS_REST,
            sig
        );
    }

    /// A permit alone says nothing of a channel; the intent does. Somebody may have sent the permit
    /// already: what counts is that the tokens can be taken.
    function _pull2612(bytes32 id, bytes32 fundingID, Deposit calldata d, address token) private {
        (address owner, uint256 nonce, uint256 deadline, bytes calldata sig) = _owner(d.data);
        _checkIntent(id, fundingID, d, owner, nonce, deadline, sig);
        (uint256 until, bytes calldata permit) = _permit(d.data);
        if (permit.length == 65) {
            try IERC20Permit(token)
                .permit(
                    owner,
                    address(this),
                    d.amount,
                    until,
                    uint8(permit[64]),
                    bytes32(permit[0:32]),
                    bytes32(permit[32:64])
                ) {}
                catch {}
        } else if (permit.length != 0) {
            revert IHubErrors.BadSignature();
        }
        SafeERC20.safeTransferFrom(IERC20(token), owner, address(this), d.amount);
    }

    function _checkIntent(
        bytes32 id,
        bytes32 fundingID,
        Deposit calldata d,
        address owner,
        uint256 nonce,
        uint256 deadline,
        bytes calldata sig
    ) private {
        _inTime(deadline);
        bytes32 digest = Typed.intent(id, fundingID, d, owner, nonce, deadline);
        Sig.checkAccount(digest, sig, owner);
        _use(digest);
    }

    function _inTime(uint256 deadline) internal view {
        if (block.timestamp > deadline) revert IHubErrors.DeadlineOver();
    }

    /// The four values that the data of every source but the plain ones begins with.
    function _owner(bytes calldata data)
        private
        pure
        returns (address owner, uint256 one, uint256 two, bytes calldata sig)
    {
        (owner, one, two) = abi.decode(data, (address, uint256, uint256));
        sig = _bytesAt(data, 96);
    }

    function _permit(bytes calldata data)
        private
        pure
        returns (uint256 until, bytes calldata sig)
    {
        until = uint256(bytes32(data[128:160]));
        sig = _bytesAt(data, 160);
    }

    /// The bytes whose offset stands at `head` of an ABI encoding.
    function _bytesAt(bytes calldata data, uint256 head) private pure returns (bytes calldata) {
        uint256 offset = uint256(bytes32(data[head:head + 32]));
        uint256 size = uint256(bytes32(data[offset:offset + 32]));
        return data[offset + 32:offset + 32 + size];
    }
}
