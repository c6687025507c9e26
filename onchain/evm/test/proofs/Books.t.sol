// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {PerunHub} from "../../src/PerunHub.sol";
import {IPerunHub} from "../../src/interfaces/IPerunHub.sol";
import {Participant, WithdrawalAuth} from "../../src/interfaces/Types.sol";
import {Record, Records} from "../../src/lib/Records.sol";

interface Deal {
    function deal(address who, uint256 amount) external;
    function prank(address sender) external;
}

/// The hub with its books open to be written.
contract OpenBooks is PerunHub {
    function setHeld(address holder, bytes32 fundingID, uint256 amount) external {
        _held[holder][fundingID] = amount;
    }

    function setCredit(address account, address holder, uint256 amount) external {
        _credit[account][holder] = amount;
    }

    function setConcluded(bytes32 id, bool value) external {
        _records[id] = Record.wrap(value ? Records.CONCLUDED : 0);
    }
}

/// Proved for all amounts: what is booked is what moves.
contract BooksProofs {
    Deal private constant vm = Deal(address(uint160(uint256(keccak256("hevm cheat code")))));
    address private constant OWNER = address(0xA11CE);
    address private constant RECEIVER = address(0xB0B);

    OpenBooks private books;
    IPerunHub private hub;

    function setUp() public {
        books = new OpenBooks();
        hub = IPerunHub(address(books));
    }

    /// A deposit adds to its own name, and leaves every other alone.
    function check_deposit(bytes32 id, bytes32 other, uint128 there, uint128 amount) public {
        if (id == other) return;
        books.setHeld(address(hub), id, there);
        books.setHeld(address(hub), other, 77);
        vm.deal(address(this), amount);
        vm.deal(address(hub), there);
        (bool ok,) = address(hub).call{value: amount}(abi.encodeCall(hub.deposit, (id, amount)));
        bool fits = uint256(there) + amount < 2 ** 128;
        assert(ok == fits);
        if (!ok) return;
        assert(hub.holdings(id) == uint256(there) + amount && hub.holdings(other) == 77);
        assert(address(hub).balance == uint256(there) + amount);
    }

    /// Coins sent are coins booked.
    function check_depositNeedsItsCoins(bytes32 id, uint128 amount, uint128 sent) public {
        vm.deal(address(this), sent);
        (bool ok,) = address(hub).call{value: sent}(abi.encodeCall(hub.deposit, (id, amount)));
        assert(!ok || sent == amount);
    }

    /// A credit pays what is asked for, once it is there, and only its owner.
    function check_credit(uint128 there, uint256 amount, address caller) public {
        if (caller == address(hub)) return;
        books.setCredit(OWNER, address(hub), there);
        vm.deal(address(hub), there);
        vm.deal(RECEIVER, 0);
        vm.prank(caller);
        (bool ok,) = address(hub)
            .call(abi.encodeCall(hub.withdrawCredit, (address(hub), RECEIVER, amount)));
        if (!ok || amount == 0) return;
        assert(caller == OWNER && amount <= there);
        assert(hub.credit(OWNER, address(hub)) == there - amount);
        assert(RECEIVER.balance == amount && address(hub).balance == there - amount);
    }

    /// Perun's authorisation pays all that is held, of a concluded channel only, and empties it.
    function check_withdraw(
        bytes32 id,
        uint128 there,
        uint256 amount,
        bool concluded,
        bytes32 r,
        bytes32 s,
        uint8 v
    ) public {
        bytes32 fundingID = keccak256(abi.encode(id, OWNER));
        books.setHeld(address(hub), fundingID, there);
        books.setConcluded(id, concluded);
        vm.deal(address(hub), there);
        vm.deal(RECEIVER, 0);
        WithdrawalAuth memory a = WithdrawalAuth(id, Participant(OWNER, ""), RECEIVER, amount);
        bytes memory sig = abi.encodePacked(r, s, v);
        (bool ok,) = address(hub).call(abi.encodeCall(hub.withdraw, (a, sig)));
        if (!ok) return;
        bytes32 digest = keccak256(
            abi.encodePacked("\x19Ethereum Signed Message:\n32", keccak256(abi.encode(a)))
        );
        assert(concluded && amount == there);
        assert(ecrecover(digest, v, r, s) == OWNER);
        assert(hub.holdings(fundingID) == 0);
        assert(RECEIVER.balance == there && address(hub).balance == 0);
    }
}
