// The difference of two texts, word by word. Source: Myers, "An O(ND) Difference Algorithm", 1986.

import { h } from "./dom.js";
import { t, whole } from "./text.js";

const MOST_WORDS = 20_000;
const MOST_CHANGES = 2_000;
const LEAST_COMMON = 0.25;

export function differenceOf(before, after) {
  if (before === after) return h("p", {}, t("The answers are equal."));
  const runs = compare(words(before), words(after));
  const count = (kind) => runs.filter((run) => run.kind === kind).reduce((sum, run) => sum + run.words.length, 0);
  if (!runs || count("same") < LEAST_COMMON * (count("same") + Math.max(count("del"), count("ins"))))
    return h("p", {}, t("The answers have little in common: read them beside each other."));
  return [
    h("p", { class: "quiet" }, t("{added} words added, {removed} removed", { added: whole(count("ins")), removed: whole(count("del")) })),
    h("div", { class: "difference panel prose" }, runs.map((run) => {
      const text = run.words.join("");
      return run.kind === "same" ? shortened(text) : h(run.kind, {}, text);
    })),
  ];
}

// A space belongs to the word before it: spaces alone are not something in common.
const words = (text) => text.match(/[\p{L}\p{N}_]+\s*|[^\p{L}\p{N}_]\s*/gu) ?? [];

const shortened = (text) => (text.length > 2_000 ? `${text.slice(0, 900)} […] ${text.slice(-900)}` : text);

function compare(before, after) {
  let start = 0, end = 0;
  while (start < Math.min(before.length, after.length) && before[start] === after[start]) start++;
  while (end < Math.min(before.length, after.length) - start && before.at(-1 - end) === after.at(-1 - end)) end++;
  const old = before.slice(start, before.length - end), fresh = after.slice(start, after.length - end);
  if (old.length + fresh.length > MOST_WORDS) return null;
  const edits = edit(old, fresh);
  return edits && joined([...before.slice(0, start).map((word) => ["same", word]), ...edits, ...before.slice(before.length - end).map((word) => ["same", word])]);
}

function edit(old, fresh) {
  const reach = new Map([[1, 0]]), history = [];
  for (let depth = 0; depth <= Math.min(old.length + fresh.length, MOST_CHANGES); depth++) {
    const step = new Map();
    for (let line = -depth; line <= depth; line += 2) {
      let x = isDown(reach, line, depth) ? reach.get(line + 1) : reach.get(line - 1) + 1;
      while (x < old.length && x - line < fresh.length && old[x] === fresh[x - line]) x++;
      step.set(line, x);
      if (x >= old.length && x - line >= fresh.length) return path(old, fresh, [...history, step], depth);
    }
    history.push(step);
    for (const [line, x] of step) reach.set(line, x);
  }
  return null;
}

const isDown = (reach, line, depth) => line === -depth || (line !== depth && reach.get(line - 1) < reach.get(line + 1));

function path(old, fresh, history, depth) {
  const edits = [];
  let x = old.length, y = fresh.length;
  for (; depth > 0; depth--) {
    const before = history[depth - 1], line = x - y;
    const down = isDown(before, line, depth);
    const begin = down ? before.get(line + 1) : before.get(line - 1) + 1;
    for (; x > begin; y--) edits.push(["same", old[--x]]);
    if (down) edits.push(["ins", fresh[--y]]);
    else edits.push(["del", old[--x]]);
  }
  while (x > 0) edits.push(["same", old[--x]]);
  return edits.reverse();
}

// Runs of words of one kind. One equal word between changes is part of them: a text of single words cannot be read.
function joined(edits) {
  const kinds = edits.map(([kind]) => kind);
  const runs = [];
  let deleted = [], inserted = [];
  const flush = () => {
    if (deleted.length) runs.push({ kind: "del", words: deleted });
    if (inserted.length) runs.push({ kind: "ins", words: inserted });
    deleted = [], inserted = [];
  };
  edits.forEach(([kind, word], index) => {
    const isAlone = kind === "same" && index > 0 && index < kinds.length - 1 && kinds[index - 1] !== "same" && kinds[index + 1] !== "same";
    if (kind !== "ins" && (kind === "del" || isAlone)) deleted.push(word);
    if (kind !== "del" && (kind === "ins" || isAlone)) inserted.push(word);
    if (kind !== "same" || isAlone) return;
    flush();
    if (runs.at(-1)?.kind === "same") runs.at(-1).words.push(word);
    else runs.push({ kind: "same", words: [word] });
  });
  flush();
  return runs;
}
