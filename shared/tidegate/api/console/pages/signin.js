// The page for who has not signed in: a field for the key, and how to make a first call.

import { h, replace } from "./dom.js";
import { callAt, read } from "./api.js";
import { beginSignIn, findIssuer } from "./oidc.js";
import { button, code, errorPanel, field } from "./parts.js";
import { session } from "./session.js";
import { t } from "./text.js";

export function showSignIn(root, message, done, preferences) {
  document.title = "Tidegate";
  const notice = h("div", {}, message && h("p", { class: "panel error", role: "alert" }, message));
  const input = h("input", { type: "password", name: "key", required: true, autocomplete: "off", spellcheck: "false", placeholder: "sk-tidegate-…" });
  const submit = async (event) => {
    event.preventDefault();
    const key = input.value.trim();
    if (!/^[!-~]+$/.test(key)) return replace(notice, errorPanel(new Error(t("A key has no spaces and no other special characters."))));
    session.keep(key);
    try {
      session.me = await read("console", "/me");
      callAt(session.me);
      done();
    } catch (error) {
      session.forget();
      replace(notice, errorPanel(error));
      input.focus();
    }
  };
  const withIssuer = h("span", {});
  offerIssuer(withIssuer, notice);
  replace(root,
    h("header", {}, h("strong", { class: "brand" }, "Tidegate"), h("div", { class: "tools" }, preferences)),
    h("main", { class: "narrow" },
      h("h1", {}, t("A gateway to providers of large models")),
      h("form", { class: "panel", submit }, notice,
        field(t("Key"), input, t("A virtual key or an admin key. It stays in this tab, and is forgotten when you close it.")),
        h("div", { class: "row" }, h("button", { type: "submit", class: "primary" }, t("Sign in")), withIssuer)),
      h("h2", {}, t("A first call")),
      h("p", {}, t("`make run` prints a demo key and an admin key when it starts. This call needs no provider's key:")),
      code(firstCall()),
      h("h2", {}, t("A file of requests")),
      h("p", {}, t("A batch answers each line of a file, in OpenAI's form, while you do something else.")),
      code("tidegate batch submit requests.jsonl --wait"),
      h("h2", {}, t("Read on")),
      h("ul", {},
        h("li", {}, h("a", { href: "../docs" }, t("The API for callers")), " ", t("(on your own machine: each request can be tried there)")),
        h("li", {}, h("a", { href: "../admin/v1/docs" }, t("The API for operators")), " ", t("(on your own machine; it needs an admin key)")),
        h("li", {}, h("a", { href: "../public/models" }, t("The models that can be called, as JSON"))),
        h("li", {}, h("a", { href: "../health" }, t("Whether the gateway is healthy, as JSON"))))));
  input.focus();
}

// A button, if the operator has registered the dashboard at the issuer of access tokens.
async function offerIssuer(place, notice) {
  const begin = async () => {
    replace(notice);
    try {
      await beginSignIn();
    } catch (error) {
      replace(notice, errorPanel(error));
    }
  };
  const issuer = await findIssuer().catch(() => null);
  if (issuer) replace(place, button(t("Sign in with {host}", { host: new URL(issuer.url).host }), begin));
}

// The address of the callers' API. No key is in it: the shell reads it from the variable.
export function baseUrl() {
  return session.me?.api_url ? `${session.me.api_url}/v1` : new URL("../v1", location.href.split("#")[0]).href;
}

export function firstCall(model = "demo/echo") {
  return ["export KEY=sk-tidegate-…",
    `curl -N ${baseUrl()}/chat/completions -H "Authorization: Bearer $KEY" -H 'Content-Type: application/json' \\`,
    `  -d '{"model": "${model}", "stream": true, "messages": [{"role": "user", "content": "Hello, tide."}]}'`].join("\n");
}
