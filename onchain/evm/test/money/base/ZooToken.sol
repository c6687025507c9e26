// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @notice How a transfer ends. Those that do not answer `true` or nothing move nothing, except
/// `FalseButMoves`; `Lie` says `true` and moves nothing.
enum Way {
    True,
    Nothing,
    False,
    Reverts,
    LongAnswer,
    RevertBomb,
    BurnsGas,
    Two,
    OneByte,
    Lie,
    FalseButMoves
}

/// @notice What `balanceOf` says.
enum Sight {
    Honest,
    Nothing,
    Double,
    Reverts
}

/// @title One token for the whole zoo: its behaviour can be changed at any time, as by an upgrade.
contract ZooToken {
    error Refused();
    error Paused();
    error Banned(address account);
    error Poor();
    error ApproveFromNonZero();

    uint8 public decimals = 18;
    mapping(address => mapping(address => uint256)) public allowance;
    mapping(address => bool) public banned;
    Way public wayIn;
    Way public wayOut;
    Sight public sight;
    uint256 public fee;
    bool public senderPaysFee;
    bool public paused;
    bool public approvesFromZeroOnly;
    mapping(address => uint256) private _shares;
    uint256 private _up = 1;
    uint256 private _down = 1;

    // A call back, made before money moves, and what came of it.
    address public target;
    bytes public data;
    uint256 public calls;
    bool public succeeded;
    bytes4 public answer;

    function mint(address to, uint256 amount) external {
        _shares[to] += amount * _down / _up;
    }

    function setDecimals(uint8 value) external {
        decimals = value;
    }

    function setWays(Way in_, Way out) external {
        (wayIn, wayOut) = (in_, out);
    }

    function setSight(Sight value) external {
        sight = value;
    }

    function setFee(uint256 value, bool fromSender) external {
        (fee, senderPaysFee) = (value, fromSender);
    }

    function setPaused(bool value) external {
        paused = value;
    }

    function setBanned(address account, bool value) external {
        banned[account] = value;
    }

    function setApprovesFromZeroOnly(bool value) external {
        approvesFromZeroOnly = value;
    }

    function rebase(uint256 up, uint256 down) external {
        (_up, _down) = (up, down);
    }

    function setCall(address to, bytes calldata what) external {
        (target, data, calls, succeeded, answer) = (to, what, 0, false, 0);
    }

    function honest(address account) public view returns (uint256) {
        return _shares[account] * _up / _down;
    }

    function balanceOf(address account) external view returns (uint256) {
        if (sight == Sight.Reverts) revert Refused();
        if (sight == Sight.Nothing) return 0;
        return sight == Sight.Double ? 2 * honest(account) : honest(account);
    }

    function approve(address spender, uint256 amount) external {
        if (approvesFromZeroOnly && amount != 0 && allowance[msg.sender][spender] != 0) {
            revert ApproveFromNonZero();
        }
        allowance[msg.sender][spender] = amount;
        _answer(approvesFromZeroOnly ? Way.Nothing : Way.True);
    }

    function transfer(address to, uint256 amount) external {
        _move(msg.sender, to, amount, wayOut);
    }

    function transferFrom(address from, address to, uint256 amount) external {
        uint256 allowed = allowance[from][msg.sender];
        if (allowed < amount) revert Poor();
        if (allowed != type(uint256).max) allowance[from][msg.sender] = allowed - amount;
        _move(from, to, amount, wayIn);
    }

    function _move(address from, address to, uint256 amount, Way way) private {
        if (paused) revert Paused();
        if (banned[from]) revert Banned(from);
        if (banned[to]) revert Banned(to);
        _callBack();
        if (
            way == Way.True || way == Way.Nothing || way == Way.LongAnswer
                || way == Way.FalseButMoves
        ) _shift(from, to, amount);
        _answer(way);
    }

    function _callBack() private {
        if (target == address(0)) return;
        bytes memory back;
        (succeeded, back) = target.call(data);
        answer = bytes4(back);
        ++calls;
    }

    function _shift(address from, address to, uint256 amount) private {
        uint256 leaves = amount + (senderPaysFee ? fee : 0);
        if (honest(from) < leaves) revert Poor();
        _shares[from] -= leaves * _down / _up;
        _shares[to] += (senderPaysFee ? amount : amount - fee) * _down / _up;
    }

    function _answer(Way way) private pure {
        if (way == Way.Reverts) revert Refused();
        uint256 word = way == Way.Two ? 2 : 1;
        if (way == Way.False || way == Way.FalseButMoves) word = 0;
        uint256 size = 32;
        if (way == Way.Nothing) size = 0;
        if (way == Way.OneByte) size = 1;
        if (way == Way.LongAnswer) size = 50_000;
        if (way == Way.OneByte) word <<= 248;
        assembly {
            if eq(way, 5) { revert(0, 200000) }
            if eq(way, 6) { for {} 1 {} {} }
            mstore(0, word)
            return(0, size)
        }
    }
}

/// @title Two addresses for one balance: the second entry of a `ZooLedger`.
contract EntryToken {
    ZooLedger private immutable LEDGER;

    constructor(ZooLedger ledger) {
        LEDGER = ledger;
    }

    function balanceOf(address account) external view returns (uint256) {
        return LEDGER.balances(account);
    }

    function transfer(address to, uint256 amount) external returns (bool) {
        LEDGER.move(msg.sender, to, amount);
        return true;
    }

    /// Needs no allowance: not what is tested here.
    function transferFrom(address from, address to, uint256 amount) external returns (bool) {
        LEDGER.move(from, to, amount);
        return true;
    }
}

/// @title The one balance of a token with two addresses.
contract ZooLedger {
    mapping(address => uint256) public balances;

    function mint(address to, uint256 amount) external {
        balances[to] += amount;
    }

    function move(address from, address to, uint256 amount) external {
        balances[from] -= amount;
        balances[to] += amount;
    }
}
