// Requests to the gateway that served this page, with the key of this tab.

import { chatEvent, isLast } from "./dialects.js";
import { renewIfStale } from "./oidc.js";
import { session } from "./session.js";
import { t } from "./text.js";

// Relative addresses: a stage of API Gateway is a prefix of all paths.
const ROOTS = { console: "v1", admin: "../admin/v1", calls: "../v1", gateway: ".." };

// Makes calls at another address than the dashboard's, if `me` names one.
export function callAt({ api_url: address }) {
  if (address) Object.assign(ROOTS, { calls: `${address}/v1`, gateway: address });
}

export class ApiError extends Error {
  constructor(status, code, message, param = null) {
    super(message);
    Object.assign(this, { status, code, param });
  }
}

export async function request(plane, path, options = {}) {
  await renewIfStale();
  let reply = await send(plane, path, options);
  if (reply.status === 401 && (await renewIfStale(true))) reply = await send(plane, path, options);
  if (!reply.ok) throw await failure(reply);
  return reply;
}

async function send(plane, path, { method = "GET", query, body, headers, signal, key = session.key }) {
  const search = new URLSearchParams(query ?? {}).toString();
  try {
    return await fetch(`${ROOTS[plane]}${path}${search ? `?${search}` : ""}`, {
      method,
      signal,
      cache: "no-store",
      credentials: "omit",
      headers: {
        authorization: `Bearer ${key}`,
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...headers,
      },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(0, "offline", t("The gateway cannot be reached. Check the network, and that it is running."));
  }
}

export async function read(plane, path, options) {
  const reply = await request(plane, path, options);
  return reply.status === 204 ? null : reply.json();
}

async function failure(reply) {
  let error;
  try {
    error = (await reply.json()).error;
  } catch {
    error = null;
  }
  const message = error?.message ?? t("The gateway answered with status {status}.", { status: reply.status });
  return Object.assign(new ApiError(reply.status, error?.code ?? "", String(message), error?.param), { callId: reply.headers.get("x-request-id") });
}

// Yields each event of a stream as one of chat completions. A stream that ends without its last event is broken.
export async function* events(reply) {
  const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read().catch(() => ({ done: true }));
    if (done) throw new ApiError(0, "broken", t("The connection broke before the answer was complete."));
    const lines = (rest + value).split(/\r?\n/);
    rest = lines.pop();
    for (const line of lines) {
      if (!line.startsWith("data:")) continue;
      const data = line.slice(5).trim();
      if (data === "[DONE]") return;
      if (!data) continue;
      const event = JSON.parse(data);
      yield chatEvent(event);
      if (isLast(event)) return;
    }
  }
}
