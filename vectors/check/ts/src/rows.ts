// Runs a check over every row of every list of a file. A file is wrong if a check objects to one of
// its rows, if a list or a field is one that no check knows, or if a list is missing or empty.

import { readFileSync } from "node:fs";
import { join } from "node:path";

export type Row = Record<string, any>;
/** A file's lists by their names. */
export type Lists = Record<string, Row[]>;

/** Says what is wrong with one thing of a row. */
export type Objection = (what: string) => void;

export interface Check {
  /** Fields that every row has, and some that it may have. */
  fields: string[];
  optional?: string[];
  row: (row: Row, wrong: Objection) => void | Promise<void>;
}

export interface Result {
  rows: number;
  wrong: string[];
}

/** Objects if two values differ. */
export function same(what: string, made: unknown, row: unknown, wrong: Objection): void {
  const [left, right] = [JSON.stringify(made), JSON.stringify(row)];
  if (left !== right) wrong(`${what} is ${left}, not ${right}`);
}

/** The row of a list with this name. */
export function named(rows: Row[] | undefined, name: string): Row {
  const found = rows?.find((row) => row["name"] === name);
  if (!found) throw new Error(`there is no row ${name}`);
  return found;
}

export function read(folder: string, file: string): Lists {
  return JSON.parse(readFileSync(join(folder, file), "utf8"));
}

function checkFields(row: Row, check: Check, wrong: Objection): void {
  const known = new Set([...check.fields, ...(check.optional ?? [])]);
  const strange = Object.keys(row).filter((field) => !known.has(field));
  const missing = check.fields.filter((field) => !(field in row));
  for (const field of strange) wrong(`no check knows the field ${field}`);
  for (const field of missing) wrong(`the field ${field} is missing`);
}

export async function checkFile(
  file: string,
  lists: Lists,
  checks: Record<string, Check>,
): Promise<Result> {
  const result: Result = { rows: 0, wrong: [] };
  for (const [list, rows] of Object.entries(lists)) {
    if (list === "about") continue;
    const check = checks[list];
    if (!check || !Array.isArray(rows)) {
      result.wrong.push(`${file}: no check knows the list ${list}`);
      continue;
    }
    for (const [index, row] of rows.entries()) {
      const wrong = (what: string) => {
        result.wrong.push(`${file}: ${list}[${index}] ${row["name"] ?? ""}: ${what}`);
      };
      checkFields(row, check, wrong);
      try {
        await check.row(row, wrong);
      } catch (error) {
        wrong(String(error).split("\n")[0] ?? "");
      }
      result.rows += 1;
    }
  }
  for (const list of Object.keys(checks)) {
    if (!lists[list]?.length) result.wrong.push(`${file}: the list ${list} is missing or empty`);
  }
  return result;
}
