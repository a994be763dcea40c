// A call as a command for a shell. No key is in it: the shell reads it from the variable KEY.

import { baseUrl } from "./signin.js";
import { session } from "./session.js";

const LONGEST_ARGUMENT = 100_000; // bytes; Linux allows 128 KB
const DEFAULT_PATH = "/v1/chat/completions";

// A record names the pattern of a path that has parameters: such a call goes to the usual path, with the model in the body.
export const endpointOf = (record) => (/^\/[\w./-]+$/.test(record.endpoint ?? "") ? record.endpoint : DEFAULT_PATH);

export function curl(record, request) {
  const body = request ?? { model: record.model, ...(record.stream ? { stream: true } : {}), observability: true, messages: [{ role: "user", content: "…" }] };
  const text = escaped(JSON.stringify({ ...body, model: body.model ?? record.model }));
  const path = endpointOf(record);
  const needsWorkspace = session.me.workspaces.length > 1 || path.includes("/ds-prototypes/");
  const isLong = new Blob([text]).size > LONGEST_ARGUMENT;
  const parts = [
    `curl ${body.stream ? "-N " : ""}${quoted(baseUrl().replace(/\/v1$/, "") + path)} -H "Authorization: Bearer $KEY"`,
    `-H 'Content-Type: application/json'`,
    needsWorkspace && `-H ${quoted(`x-workspace-id: ${record.workspace_id}`)}`,
    isLong ? `--data-binary @- <<'END_OF_REQUEST'\n${text}\nEND_OF_REQUEST` : `--data-raw ${quoted(text)}`,
  ];
  return parts.filter(Boolean).join(" \\\n  ");
}

const quoted = (text) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

// Characters that a terminal obeys, or does not show, as JSON writes them. JSON.stringify has left these alone.
const escaped = (json) => json.replace(/[\x7f-\x9f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g,
  (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);
