#!/usr/bin/env python3
"""Whether a check of the vectors notices what is wrong.

    spoil.py [--all] [--except LIST.FIELD]... COMMAND...

Copies the vectors, spoils one value of one row, and runs COMMAND with the folder of the copy behind
it; then the next. COMMAND must fail and name the row as LIST[INDEX]. Of values that stand at the
same place in a list's rows only the first is spoiled, or, with --all, each of them. Fields that
COMMAND does not read are left out with --except, as swap.json:states.ledgers.
"""

import copy
import json
import subprocess
import sys
import tempfile
from pathlib import Path

VECTORS = Path(__file__).resolve().parent.parent
FILES = ["ethereum.json", "swap.json"]
WORDS = {"about", "note", "source", "name"}


def spoilt(value):
    """Another value of the same kind."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if value is None:
        return "1"
    if value.startswith("0x"):
        return "0x01" if value == "0x" else value[:-1] + ("0" if value[-1] != "0" else "1")
    if value.isdigit():
        return str(int(value) - 1 if int(value) else 1)
    others = {"two-party": "bobaface", "key-01": "key-02", "start": "finish", "before": "finished"}
    return others.get(value, "two-party" if value == "bobaface" else value + "-spoilt")


def leaves(value, path=()):
    """The paths of all values that are no lists and no objects."""
    if isinstance(value, dict):
        for key, one in value.items():
            if key not in WORDS:
                yield from leaves(one, (*path, key))
    elif isinstance(value, list):
        for index, one in enumerate(value):
            yield from leaves(one, (*path, index))
    else:
        yield path


def place(path):
    return ".".join(key for key in path if isinstance(key, str))


def spoil_at(lists, path):
    lists = copy.deepcopy(lists)
    holder = lists
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = spoilt(holder[path[-1]])
    return lists


def cases(lists, every):
    """What to spoil: a place, the row that must be named, and the spoilt lists."""
    seen = set()
    for path in leaves(lists):
        if every or place(path) not in seen:
            seen.add(place(path))
            yield place(path), f"{path[0]}[{path[1]}]", spoil_at(lists, path)
    for name, rows in lists.items():
        if name not in WORDS:
            strange = [*rows[:-1], {**rows[-1], "strange": 1}]
            yield f"{name}.strange", name, {**lists, name: strange}
            yield f"{name}.none", name, {**lists, name: []}
            yield f"{name}.gone", name, {key: lists[key] for key in lists if key != name}
    yield "strangers", "strangers", {**lists, "strangers": [{"name": "strange"}]}


def notices(command, folder, named):
    ran = subprocess.run([*command, folder], capture_output=True, text=True, check=False)
    return ran.returncode != 0 and named in ran.stdout + ran.stderr


def main(arguments):
    every, left_out = False, []
    while arguments and arguments[0].startswith("--"):
        option = arguments.pop(0)
        if option == "--all":
            every = True
        elif option == "--except" and arguments:
            left_out.append(arguments.pop(0))
        else:
            sys.exit(__doc__)
    files = {name: json.loads((VECTORS / name).read_text()) for name in FILES}
    with tempfile.TemporaryDirectory() as folder:
        for name, lists in files.items():
            Path(folder, name).write_text(json.dumps(lists))
        if subprocess.run([*arguments, folder], capture_output=True, check=False).returncode:
            sys.exit("the check objects to what is not spoilt")
        count, unnoticed = 0, []
        for name, lists in files.items():
            for where, row, spoilt_lists in cases(lists, every):
                where = f"{name}:{where}"
                if any(where.startswith(prefix) for prefix in left_out):
                    continue
                Path(folder, name).write_text(json.dumps(spoilt_lists))
                count += 1
                if not notices(arguments, folder, row):
                    unnoticed.append(f"{where} in {row}")
            Path(folder, name).write_text(json.dumps(lists))
    for one in unnoticed:
        print(f"not noticed: {one}")
    print(f"{count} spoilt values, {count - len(unnoticed)} noticed and named")
    sys.exit(1 if unnoticed or not count else 0)


main(sys.argv[1:])
