// The frame of the dashboard: sign-in, navigation, and the page that the address names.

import { h, replace } from "./dom.js";
import { address, button, changed, errorPanel } from "./parts.js";
import { callAt, read } from "./api.js";
import { isAdmin, session, workspaceOf } from "./session.js";
import { language, setLanguage, t } from "./text.js";
import { finishSignIn, isReturn, revoke } from "./oidc.js";
import { showSignIn } from "./signin.js";
import { showOverview } from "./overview.js";
import { showCalls } from "./calls.js";
import { showCall } from "./call.js";
import { showBatches } from "./batches.js";
import { showPlayground } from "./playground.js";
import { showSessions } from "./sessions.js";
import { showReprice } from "./reprice.js";
import { showProviders } from "./providers.js";
import { showWorkspaces } from "./workspaces.js";
import { showKeys } from "./keys.js";
import { showLimits } from "./limits.js";
import { showPlans } from "./plans.js";
import { showRoutes } from "./routes.js";
import { showGuardrails } from "./guardrails.js";
import { showAccess } from "./access.js";
import { showAudit } from "./audit.js";

const THEME = "tidegate.theme";
const LONGEST_PAUSE_SECONDS = 60;
const root = document.getElementById("app");
const always = () => true;

// Each page: its name in the address, its title, who may open it, and what shows it.
const PAGES = [
  ["overview", () => t("Overview"), always, showOverview],
  ["calls", () => t("Calls"), always, showCalls],
  ["sessions", () => t("Sessions"), always, showSessions],
  ["batches", () => t("Batches"), always, showBatches],
  ["playground", () => t("Playground"), always, showPlayground],
  ["reprice", () => t("Other models"), always, showReprice],
  ["providers", () => t("Providers"), always, showProviders],
  ["workspaces", () => t("Workspaces"), isAdmin, showWorkspaces],
  ["keys", () => t("Keys"), isAdmin, showKeys],
  ["limits", () => t("Limits"), isAdmin, showLimits],
  ["plans", () => t("Plans"), isAdmin, showPlans],
  ["routes", () => t("Routes"), isAdmin, showRoutes],
  ["guardrails", () => t("Guardrails"), isAdmin, showGuardrails],
  ["access", () => t("Access"), isAdmin, showAccess],
  ["audit", () => t("Audit log"), isAdmin, showAudit],
];

let leave = new AbortController();

// An address that somebody has cut off can end within an escape.
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function place() {
  const [path, search] = location.hash.replace(/^#\/?/, "").split("?");
  const [page, ...rest] = path.split("/");
  return { page: page || "overview", id: decoded(rest.join("/")), query: new URLSearchParams(search) };
}

async function start(message) {
  leave.abort();
  document.documentElement.lang = language;
  document.documentElement.dataset.theme = localStorage.getItem(THEME) ?? "";
  if (isReturn()) {
    try {
      await finishSignIn();
    } catch (error) {
      message = error.message;
    }
  }
  if (!session.key) return showSignIn(root, message, start, preferences());
  try {
    session.me ??= await read("console", "/me");
    callAt(session.me);
  } catch (error) {
    if (error.status === 401) return signOut(error.message);
    return replace(root, h("main", {}, errorPanel(error, () => start()),
      session.grant && h("p", {}, t("Your subject at the issuer is {subject}: the operator needs it to grant you a workspace.", { subject: session.grant.subject })),
      button(t("Sign out"), () => signOut())));
  }
  show();
}

function signOut(message) {
  if (!message) revoke();
  session.forget();
  start(message);
}

async function show() {
  if (!session.me) return;
  leave.abort();
  leave = new AbortController();
  const { page, id, query } = place();
  const entry = PAGES.find(([name, , allows]) => name === page && allows()) ?? PAGES[0];
  const main = h("main", { tabindex: "-1", id: "main" });
  replace(root, h("a", { class: "skip", href: "#main", click: (event) => { event.preventDefault(); main.focus(); } }, t("Skip to the content")),
    header(entry[0], query), main);
  document.title = `${entry[1]()} · Tidegate`;
  const context = { id, query, signal: leave.signal, go, every };
  const display = page === "calls" && id ? showCall : entry[3];
  const attempt = async () => {
    replace(main);
    try {
      await display(main, context);
    } catch (error) {
      if (!context.signal.aborted) fail(main, entry[1](), error, attempt);
    }
  };
  await attempt();
}

function fail(main, title, error, retry) {
  if (error.status === 401) signOut(t("This key is not valid any more. Sign in again."));
  else replace(main, h("h1", {}, title), errorPanel(error, retry));
}

function go(page, query) {
  location.hash = address(page, query).slice(1);
}

// Repeats a task until the page is left, while the tab can be seen. After each failure it pauses for twice as long.
function every(seconds, task) {
  const { signal } = leave;
  let failures = 0;
  const run = async () => {
    if (signal.aborted) return;
    try {
      if (!document.hidden) {
        await task();
        failures = 0;
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error.status === 401) return signOut(t("This key is not valid any more. Sign in again."));
      failures += 1;
    }
    setTimeout(run, Math.max(seconds, Math.min(LONGEST_PAUSE_SECONDS, seconds * 2 ** failures)) * 1000);
  };
  setTimeout(run, seconds * 1000);
}

function header(current, query) {
  const workspace = query.get("workspace");
  const kept = workspace ? { workspace } : {};
  return h("header", { class: isAdmin() ? "two" : null },
    h("strong", { class: "brand" }, "Tidegate"),
    navigation(current, kept),
    h("div", { class: "tools" }, workspaceChoice(current, query), preferences(),
      h("span", { class: "quiet who" }, session.me.name), button(t("Sign out"), () => signOut())));
}

// On a narrow screen, the pages are behind a button. Those for admins are a group of their own.
function navigation(current, kept) {
  const links = (isForAdmins) => PAGES.filter(([, , allows]) => allows() && (allows === isAdmin) === isForAdmins)
    .map(([name, title]) => h("a", { href: address(name, kept), "aria-current": name === current ? "page" : null }, title()));
  const list = h("div", { class: "pages", id: "pages" }, links(false),
    isAdmin() && h("div", { class: "group", role: "group", "aria-label": t("Administration") }, links(true)));
  const menu = button([t("Menu"), h("span", { "aria-hidden": "true" }, " ☰")], () => menu.setAttribute("aria-expanded", String(list.classList.toggle("open"))),
    { class: "menu", "aria-expanded": "false", "aria-controls": "pages" });
  const close = (event) => {
    if (event.key !== "Escape" || !list.classList.contains("open")) return;
    menu.click();
    menu.focus();
  };
  return h("nav", { "aria-label": t("Pages"), keydown: close }, menu, list);
}

function workspaceChoice(current, query) {
  const { workspaces } = session.me;
  if (workspaces.length < 2) return null;
  const hasAll = current === "overview" || (isAdmin() && current === "providers") || (current === "audit" && session.me.whole_gateway);
  const all = hasAll && h("option", { value: "" }, t("All workspaces"));
  const select = h("select", { "aria-label": t("Workspace"), change: () => go(current, changed(query, { workspace: select.value })) },
    all, workspaces.map(({ id, name }) => h("option", { value: id }, name && name !== id ? `${name} (${id})` : id)));
  select.value = hasAll ? (query.get("workspace") ?? "") : workspaceOf(query);
  return select;
}

function preferences() {
  const theme = h("select", { "aria-label": t("Colours"), change: () => {
    localStorage.setItem(THEME, theme.value);
    document.documentElement.dataset.theme = theme.value;
  } }, [["", t("Auto")], ["light", t("Light")], ["dark", t("Dark")]].map(([value, label]) => h("option", { value }, label)));
  theme.value = localStorage.getItem(THEME) ?? "";
  const choice = h("select", { "aria-label": "Language / Sprache", change: () => setLanguage(choice.value).then(() => start()) },
    h("option", { value: "en", lang: "en" }, "English"), h("option", { value: "de", lang: "de" }, "Deutsch"));
  choice.value = language;
  return [theme, choice];
}

addEventListener("hashchange", show);
start();
