// The key of this tab, and what it may see. It is in the tab's session storage alone, never in an address or a cookie.

const KEY = "tidegate.key";

export const session = { key: sessionStorage.getItem(KEY), me: null };

export function keepKey(key) {
  session.key = key;
  sessionStorage.setItem(KEY, key);
}

export function forgetKey() {
  session.key = session.me = null;
  sessionStorage.removeItem(KEY);
}

export const isAdmin = () => session.me?.kind === "admin";
export const mayWrite = () => isAdmin() && session.me.scopes.includes("write");

export function workspaceOf(query) {
  const ids = session.me.workspaces.map((workspace) => workspace.id);
  return query.get("workspace") || ids[0] || "";
}
