// The key of this tab, and what it may see. It is in the tab's session storage alone, never in an address or a cookie.

const KEY = "tidegate.key";
const GRANT = "tidegate.grant";
const FLOW = "tidegate.flow";

// `key` is a key or an access token. `grant` is of an access token: when it expires, what renews it, and whose it is.
export const session = {
  key: sessionStorage.getItem(KEY),
  grant: JSON.parse(sessionStorage.getItem(GRANT)),
  me: null,
  keep(key, grant = null) {
    Object.assign(session, { key, grant });
    sessionStorage.setItem(KEY, key);
    if (grant) sessionStorage.setItem(GRANT, JSON.stringify(grant));
    else sessionStorage.removeItem(GRANT);
  },
  forget() {
    session.key = session.grant = session.me = null;
    [KEY, GRANT].forEach((name) => sessionStorage.removeItem(name));
  },
};

// A sign-in with the issuer that has begun in this tab: it can be finished once.
export const flow = {
  keep: (begun) => sessionStorage.setItem(FLOW, JSON.stringify(begun)),
  take() {
    const begun = JSON.parse(sessionStorage.getItem(FLOW));
    sessionStorage.removeItem(FLOW);
    return begun;
  },
};

export const isAdmin = () => session.me?.kind === "admin";
export const mayWrite = () => isAdmin() && session.me.scopes.includes("write");

export function workspaceOf(query) {
  const ids = session.me.workspaces.map((workspace) => workspace.id);
  return query.get("workspace") || ids[0] || "";
}
