// Sign-in with the operator's OIDC issuer: the authorization code flow with PKCE, as a client without a secret.
// Sources: RFC 6749 (4.1, 6), RFC 7009, RFC 7636; OpenID Connect Core 1.0 (3.1.3.7) and Discovery 1.0 (4).

import { flow, session } from "./session.js";
import { t } from "./text.js";

const RENEW_EARLY_SECONDS = 60;

// The issuer, as the operator has configured it; null if nobody can sign in with it.
export async function findIssuer() {
  const reply = await fetch("issuer.json", { credentials: "omit" });
  return reply.ok ? reply.json() : null;
}

export async function beginSignIn() {
  if (!crypto.subtle) throw new Error(t("Signing in with the issuer needs https, or a gateway on this machine."));
  const issuer = await findIssuer();
  const { authorization_endpoint: endpoint } = await discover(issuer);
  const begun = { state: random(), nonce: random(), verifier: random(), place: location.hash };
  flow.keep(begun);
  const address = new URL(endpoint);
  for (const [name, value] of Object.entries({
    response_type: "code", client_id: issuer.client_id, redirect_uri: redirectAddress(), scope: issuer.scopes, audience: issuer.audience,
    state: begun.state, nonce: begun.nonce, code_challenge: base64(await digest(begun.verifier)), code_challenge_method: "S256",
  })) address.searchParams.set(name, value);
  location.assign(address);
}

// True if the issuer has sent the browser back to this page.
export const isReturn = () => /[?&]state=/.test(location.search);

// Exchanges the code in the address for tokens. The address becomes that of the page that was open before.
export async function finishSignIn() {
  const answer = new URLSearchParams(location.search);
  const begun = flow.take();
  history.replaceState(null, "", location.pathname + (begun?.place ?? ""));
  if (!begun || answer.get("state") !== begun.state) throw new Error(t("This sign-in was not begun in this tab, or it has been used already. Sign in again."));
  const issuer = await findIssuer();
  // RFC 9207: an issuer that names itself must be the one that was asked.
  if (answer.has("iss") && answer.get("iss") !== issuer.url) throw new Error(t("Another issuer has answered. Sign in again."));
  if (answer.has("error")) throw new Error(t("The issuer refused: {reason}", { reason: answer.get("error_description") ?? answer.get("error") }));
  const tokens = await ask(issuer, { grant_type: "authorization_code", code: answer.get("code") ?? "", redirect_uri: redirectAddress(), code_verifier: begun.verifier });
  const identity = claims(tokens.id_token);
  // The token came from the issuer itself over TLS, so that its signature says nothing more.
  const isForUs = identity.iss === issuer.url && [identity.aud].flat().includes(issuer.client_id) && identity.nonce === begun.nonce;
  if (issuer.scopes.split(" ").includes("openid") && !isForUs) throw new Error(t("The issuer's answer belongs to another sign-in. Sign in again."));
  keep(tokens, identity.sub ?? claims(tokens.access_token).sub);
}

let renewal = null;

// Renews a token that has expired, or soon will, if the issuer has allowed it; several requests at once wait for one renewal.
export async function renewIfStale(force = false) {
  const { grant } = session;
  if (!grant?.refreshToken || (!force && Date.now() / 1000 < grant.expiresAt - RENEW_EARLY_SECONDS)) return false;
  renewal ??= renew(grant).finally(() => { renewal = null; });
  return renewal;
}

async function renew(grant) {
  try {
    const tokens = await ask(await findIssuer(), { grant_type: "refresh_token", refresh_token: grant.refreshToken });
    if (session.grant === grant) keep({ refresh_token: grant.refreshToken, ...tokens }, grant.subject);
    return true;
  } catch (error) {
    // The gateway decides whether the token is still good. A refusal is final; an issuer that is down may come back.
    if (error.isRefusal) grant.refreshToken = null;
    return false;
  }
}

// Tells the issuer that the refresh token is not needed any more.
export async function revoke() {
  const token = session.grant?.refreshToken;
  if (!token) return;
  try {
    const issuer = await findIssuer();
    const { revocation_endpoint: endpoint } = await discover(issuer);
    if (endpoint) await post(endpoint, { token, client_id: issuer.client_id });
  } catch {
    // The token is forgotten here, and expires there.
  }
}

function keep(tokens, subject) {
  const { access_token: token, refresh_token: refreshToken = null, expires_in: seconds } = tokens;
  if (typeof token !== "string" || !/^[\w-]+\.[\w-]+\.[\w-]+$/.test(token)) {
    throw new Error(t("The issuer gave out a token that is not a JWT. The operator has to register the gateway's audience there."));
  }
  session.keep(token, { refreshToken, expiresAt: Date.now() / 1000 + (Number(seconds) || 300), subject: String(subject ?? "") });
}

async function discover(issuer) {
  const known = await fetched(`${issuer.url.replace(/\/$/, "")}/.well-known/openid-configuration`, {});
  if (known.issuer !== issuer.url) throw new Error(t("Another issuer has answered. Sign in again."));
  for (const name of ["authorization_endpoint", "token_endpoint", "revocation_endpoint"]) {
    if (name === "revocation_endpoint" && known[name] === undefined) continue;
    const { origin, protocol } = new URL(known[name]);
    const isSafe = protocol === "https:" || (protocol === "http:" && origin === new URL(issuer.url).origin);
    if (!isSafe) throw new Error(t("The issuer names an address that is not safe."));
  }
  // The pages' policy allows requests to the issuer's own host alone.
  if (new URL(known.token_endpoint).origin !== new URL(issuer.url).origin) throw new Error(t("The issuer gives out tokens at another host, which these pages may not ask."));
  return known;
}

async function ask(issuer, form) {
  const { token_endpoint: endpoint } = await discover(issuer);
  return post(endpoint, { client_id: issuer.client_id, ...form });
}

const post = (address, form) => fetched(address, { method: "POST", body: new URLSearchParams(form) });

async function fetched(address, options) {
  let reply, content;
  try {
    reply = await fetch(address, { credentials: "omit", cache: "no-store", redirect: "error", ...options });
    content = await reply.text();
  } catch {
    throw new Error(t("The issuer cannot be reached. Try again in a moment, or sign in with a key."));
  }
  const answer = parsed(content);
  if (reply.ok) return answer;
  const error = new Error(t("The issuer refused: {reason}", { reason: answer.error_description ?? answer.error ?? reply.status }));
  error.isRefusal = reply.status >= 400 && reply.status < 500;
  throw error;
}

function parsed(text) {
  try {
    return JSON.parse(text) ?? {};
  } catch {
    return {};
  }
}

// What a token says, unverified: the gateway verifies it.
function claims(token) {
  try {
    const text = atob(String(token).split(".")[1].replaceAll("-", "+").replaceAll("_", "/"));
    return parsed(new TextDecoder().decode(Uint8Array.from(text, (character) => character.charCodeAt(0))));
  } catch {
    return {};
  }
}

const redirectAddress = () => new URL("index.html", location.href).href.split(/[?#]/)[0];
const digest = async (text) => new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
const random = () => base64(crypto.getRandomValues(new Uint8Array(32)));
const base64 = (bytes) => btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
