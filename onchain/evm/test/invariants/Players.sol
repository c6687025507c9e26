// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {IApp} from "../../src/interfaces/IApp.sol";
import {Params, State} from "../../src/interfaces/Types.sol";

/// @title A token that behaves as it is told to.
contract ChaosToken is ERC20 {
    enum Mode {
        Plain,
        Fee,
        Reverts,
        SaysFalse,
        SaysNothing,
        Reenters,
        BurnsGas,
        MovesAndLies,
        Shrinks
    }

    Mode public mode;
    address private _target;
    bytes private _call;
    /// Whether the hub let anything in while it was at work.
    bool public gotIn;

    constructor() ERC20("Chaos", "CHA") {}

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    function set(Mode value, address target, bytes calldata data) external {
        (mode, _target, _call) = (value, target, data);
    }

    function transfer(address to, uint256 amount) public override returns (bool) {
        return _moved(msg.sender, to, amount);
    }

    function transferFrom(address from, address to, uint256 amount)
        public
        override
        returns (bool)
    {
        return _moved(from, to, amount);
    }

    function _moved(address from, address to, uint256 amount) private returns (bool) {
        Mode m = mode;
        if (m == Mode.Reverts) revert("no");
        if (m == Mode.SaysFalse) return false;
        if (m == Mode.Reenters) {
            (bool ok,) = _target.call(_call);
            if (ok) gotIn = true;
        }
        while (m == Mode.BurnsGas) {}
        _transfer(from, to, amount);
        if (m == Mode.Fee && amount != 0) _burn(to, 1);
        if (m == Mode.Shrinks && balanceOf(_target) > 1) _burn(_target, 1);
        if (m == Mode.MovesAndLies) return false;
        if (m == Mode.SaysNothing) {
            assembly {
                return(0, 0)
            }
        }
        return true;
    }
}

/// @title A payee that takes nothing, or calls back, as it is told to.
contract Payee {
    bool public refuses;
    address private _target;
    bytes private _call;
    bool public gotIn;

    function set(bool value, address target, bytes calldata data) external {
        (refuses, _target, _call) = (value, target, data);
    }

    receive() external payable {
        require(!refuses, "no");
        if (_target == address(0)) return;
        (bool ok,) = _target.call(_call);
        if (ok) gotIn = true;
    }
}

/// @title An app in which the one whose turn it is gives: nobody else can lose.
contract GiveApp is IApp {
    error Refused();

    function validTransition(
        Params calldata params,
        State calldata from,
        State calldata to,
        uint256 actorIdx
    ) external pure {
        uint256 turn = uint8(from.appData[0]);
        if (to.appData.length != 1 || uint8(to.appData[0]) != turn + 1) revert Refused();
        if (actorIdx != turn % params.participants.length) revert Refused();
        for (uint256 row = 0; row < from.outcome.balances.length; ++row) {
            for (uint256 i = 0; i < params.participants.length; ++i) {
                uint256 now_ = to.outcome.balances[row][i];
                if (i != actorIdx && now_ < from.outcome.balances[row][i]) revert Refused();
            }
        }
    }
}
