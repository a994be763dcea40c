// The state of each provider: what calls found, what cools down, which settings are missing; and a test with one call.

import { h, replace } from "./dom.js";
import { read } from "./api.js";
import { loading } from "./admin.js";
import { address, button, code, dialog, errorPanel, field, hint } from "./parts.js";
import { isAdmin, workspaceOf } from "./session.js";
import { clock, compact, percent, seconds, t, whole } from "./text.js";

const SMALL = /echo|nano|mini|lite|flash|haiku|small|instant|-8b/i;
const TEST_TOKENS = 16;
let testKey = ""; // the key with which an admin tests, until the page is closed: never stored

export async function showProviders(main, { query, every, signal }) {
  const body = h("div", {}, loading());
  replace(main, h("h1", {}, t("Providers")), body);
  const workspace = isAdmin() ? query.get("workspace") : workspaceOf(query);
  const kept = workspace ? { workspace } : {};
  let shown = "";

  const load = async () => {
    const found = await read("console", "/providers", { query: kept, signal });
    const text = JSON.stringify(found);
    if (text === shown) return;
    shown = text;
    const isUsed = (each) => each.day.calls > 0 || each.cooling?.length > 0 || each.missing_settings === null || each.missing_settings.length === 0 || each.workspaces_with_key.length > 0;
    const used = found.data.filter(isUsed).sort((one, other) => rank(other) - rank(one)), others = found.data.filter((each) => !isUsed(each));
    replace(body,
      h("p", { class: "quiet" }, t("Calls since {hour} and since {day}, of the workspaces that you may see.", { hour: clock(found.hour_since), day: clock(found.day_since) }),
        found.data.some((each) => each.missing_settings === null) && ` ${t("On AWS this page does not know the settings: a test tells whether a provider answers.")}`),
      used.length === 0 && hint(t("No provider was called in the last day."), h("p", {}, t("Set the key of one, and start the gateway again:")), code("export OPENAI_API_KEY=…\nmake run")),
      h("div", { class: "columns wide" }, used.map((each) => card(each, kept))),
      others.length > 0 && h("details", {}, h("summary", {}, t("{count} providers without settings", { count: others.length })),
        h("p", {}, t("Set these names in the environment, on AWS in the secret of the stack:")),
        h("dl", { class: "facts" }, others.map((each) => h("div", {}, h("dt", {}, each.name), h("dd", {}, h("code", {}, each.missing_settings.join(", "))))))));
  };
  await load();
  every(10, load);
}

function card(provider, kept) {
  const { hour, day, cooling, missing_settings: missing } = provider;
  const [word, text] = verdict(provider);
  const rows = [
    [t("Calls"), (figures) => compact(figures.calls)], [t("Failed"), (figures) => (figures.calls ? percent(figures.failed / figures.calls) : "–")],
    [t("First token, 95 %"), (figures) => seconds(figures.ttft_p95)], [t("Tokens"), (figures) => compact(figures.input_tokens + figures.output_tokens)],
  ];
  return h("article", { class: "panel" },
    h("div", { class: "row" }, h("h2", {}, provider.name), h("span", { class: word ? `status ${word}` : "quiet" }, text)),
    day.calls > 0 && h("table", { class: "figures" },
      h("thead", {}, h("tr", {}, h("td", {}), [t("last hour"), t("last day")].map((heading) => h("th", { scope: "col" }, heading)))),
      h("tbody", {}, rows.map(([name, value]) => h("tr", {}, h("th", { scope: "row" }, name), [hour, day].map((figures) => h("td", {}, value(figures))))))),
    errorList(t("Errors of the last hour"), provider.errors.map((error) => ({ ...error, calls: error.hour_calls })), kept),
    errorList(t("Errors of the day"), provider.errors, kept),
    cooling?.map((target) => h("p", { class: "fault" }, t("{name} ({model}) is asked last until {time}: it failed too often.", { name: target.name, model: target.model, time: clock(target.until) }))),
    h("p", { class: "quiet" }, missing === null ? t("The settings are not known here.") : missing.length > 0 ? t("Missing: {names}", { names: missing.join(", ") }) : provider.setting ? t("Key: {setting}", { setting: provider.setting }) : t("It needs no key."),
      provider.workspaces_with_key.length > 0 && ` ${t("Workspaces with a key of their own: {names}", { names: provider.workspaces_with_key.join(", ") })}`),
    button(t("Test"), () => test(provider, kept), { "aria-label": t("Test {name}", { name: provider.name }) }));
}

function errorList(title, errors, kept) {
  const found = errors.filter((error) => error.calls > 0);
  return found.length > 0 && h("p", {}, `${title}: `, found.map((error) => [h("a", { class: "chip", href: address("calls", { ...kept, range: "24h", error: error.code }) }, `${error.code} · ${whole(error.calls)}`), " "]));
}

// What fails comes first, then what is called most.
const rank = (provider) => ({ failed: 2e12, some: 1e12 }[verdict(provider)[0]] ?? 0) + provider.day.calls;

function verdict({ hour, cooling, missing_settings: missing, workspaces_with_key: own }) {
  if (missing?.length > 0 && own.length === 0) return ["failed", t("not configured")];
  if (cooling?.length > 0) return ["failed", t("cools down")];
  if (hour.calls > 0 && hour.failed / hour.calls >= 0.5) return ["failed", t("fails")];
  if (hour.failed > 0) return ["some", t("{share} failed in the last hour", { share: percent(hour.failed / hour.calls) })];
  if (hour.calls > 0) return ["ok", t("answers")];
  return ["", t("no calls in the last hour")];
}

function test(provider, kept) {
  const model = h("input", { name: "model", required: true, list: "test-models", autocomplete: "off" });
  const models = h("datalist", { id: "test-models" });
  const key = isAdmin() && h("input", { name: "key", type: "password", required: true, autocomplete: "off", spellcheck: "false", placeholder: "sk-tidegate-…", value: testKey, change: () => suggest() });
  const result = h("div", { role: "status" });
  const headers = kept.workspace && !isAdmin() ? { "x-workspace-id": kept.workspace } : {};
  const credential = () => (key ? { key: key.value.trim() } : {});

  async function suggest() {
    if (key && !key.value.trim()) return;
    try {
      const { data } = await read("calls", "/models", { headers, ...credential() });
      const names = data.map((each) => each.id).filter((id) => id.startsWith(`${provider.name}/`));
      replace(models, names.map((value) => h("option", { value })));
      model.value ||= names.find((name) => SMALL.test(name)) ?? names[0] ?? `${provider.name}/`;
    } catch (error) {
      replace(result, errorPanel(error));
    }
  }

  dialog(t("Test {name}", { name: provider.name }), [
    h("p", {}, t("One real call with at most {tokens} tokens of answer, over your key, its limits and its budget. It costs a fraction of a cent.", { tokens: TEST_TOKENS })),
    key && field(t("Virtual key for the test"), key, t("An admin key makes no calls. The virtual key stays in the memory of this tab.")),
    field(t("Model"), model), models, result,
  ], t("Test"), async (data) => {
    if (key) testKey = key.value.trim();
    replace(result, loading());
    const begin = performance.now();
    const body = { model: String(data.get("model")).trim(), max_tokens: TEST_TOKENS, caching: false, messages: [{ role: "user", content: "Say OK." }] };
    try {
      const reply = await read("calls", "/chat/completions", { method: "POST", headers, body, ...credential() });
      const message = reply.choices?.[0]?.message ?? {};
      replace(result, h("div", { class: "panel" }, h("p", { class: "status ok" }, t("It answers, after {time}.", { time: seconds((performance.now() - begin) / 1000) })),
        h("p", {}, h("code", {}, reply.model)), h("p", { class: "prose" }, message.content || message.reasoning || t("(no text: the tokens went into reasoning)"))));
    } catch (error) {
      replace(result, errorPanel(error), h("p", {}, advice(error.code, provider)));
    }
    return false;
  });
  if (!key || testKey) suggest();
}

function advice(errorCode, { setting }) {
  const name = setting ?? t("the provider's setting");
  return {
    provider_not_configured: t("Set {setting}, and start the gateway again.", { setting: name }),
    provider_auth_error: t("The provider refuses its key: renew {setting}.", { setting: name }),
    provider_rate_limited: t("The provider has had too many calls, or its account no credit. Wait, or raise its limits there."),
    provider_unreachable: t("The provider's address cannot be reached: check its base URL and the network."),
    provider_timeout: t("The provider was too slow. Try again, and look at its status page."),
    model_not_found: t("Choose another model."),
    model_not_allowed: t("Choose another model."),
    insufficient_quota: t("The budget is used up: see Limits."),
  }[errorCode] ?? t("Look at the call in the list of calls: its timeline says where it failed.");
}
