// The language of the page, and how it writes numbers and times. English is the language of the source.

const STORED = "tidegate.language";
const LANGUAGES = ["en", "de"];
const KEY_CHARACTERS = 16;

function choose() {
  const stored = localStorage.getItem(STORED);
  if (LANGUAGES.includes(stored)) return stored;
  return navigator.language?.toLowerCase().startsWith("de") ? "de" : "en";
}

export let language = choose();
let german = {};

// The German texts are an eighth of the pages: who reads English does not load them.
async function load() {
  if (language === "de") german = (await import("./german.js")).GERMAN;
}
await load();

export async function setLanguage(chosen) {
  language = chosen;
  localStorage.setItem(STORED, chosen);
  await load();
}

export function t(english, values) {
  const text = language === "de" ? (german[english] ?? german[english.slice(0, KEY_CHARACTERS)] ?? english) : english;
  return values ? text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole)) : text;
}

// To make a format takes longer than to use it, and a list of calls uses one in each cell.
const formats = new Map();

function kept(Format, options) {
  const name = Format.name + language + JSON.stringify(options ?? {});
  if (!formats.has(name)) formats.set(name, new Format(language, options));
  return formats.get(name);
}

const format = (options) => kept(Intl.NumberFormat, options);
const times = (options) => kept(Intl.DateTimeFormat, options);

export const whole = (value) => (value === null || value === undefined ? "–" : format().format(value));

export const compact = (value) =>
  Math.abs(value) < 10_000 ? whole(value) : format({ notation: "compact", maximumFractionDigits: 1 }).format(value);

export const percent = (share) => format({ style: "percent", maximumFractionDigits: 1 }).format(share);

export function money(amount) {
  if (amount === null || amount === undefined) return "–";
  const value = Number(amount);
  const digits = value !== 0 && Math.abs(value) < 1 ? { maximumSignificantDigits: 3 } : { maximumFractionDigits: 2 };
  return format({ style: "currency", currency: "USD", currencyDisplay: "narrowSymbol", ...digits }).format(value);
}

export function seconds(value) {
  if (value === null || value === undefined) return "–";
  if (value < 1) return `${format({ maximumFractionDigits: 0 }).format(value * 1000)} ms`;
  return `${format({ maximumFractionDigits: value < 10 ? 2 : 1 }).format(value)} s`;
}

export const dateTime = (iso) =>
  times({ dateStyle: "medium", timeStyle: "medium" }).format(new Date(iso));

export const date = (iso) => times({ dateStyle: "medium" }).format(new Date(iso));

export const dateMinute = (iso) => times({ dateStyle: "medium", timeStyle: "short" }).format(new Date(iso));

export const clock = (iso) =>
  times({ month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit" }).format(new Date(iso));

// The begin of a day or of an hour, with its day if it stands alone.
export function moment(iso, step, isAlone = false) {
  const options = step === "day" ? { month: "short", day: "numeric" } : { ...(isAlone ? { month: "short", day: "numeric" } : {}), hour: "2-digit", minute: "2-digit" };
  return times(step === "day" ? { ...options, timeZone: "UTC" } : options).format(new Date(iso));
}

// The value of a field for a local date and time.
export function localTime(iso) {
  if (!iso) return "";
  const time = new Date(iso);
  return new Date(time.getTime() - time.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}
