// Requests, answers and events of Anthropic's Messages API and of OpenAI's Responses API, as those of chat completions.
// Sources: platform.claude.com/docs/en/api/messages and platform.openai.com/docs/api-reference/responses (2026-11).

const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);
const listOf = (value) => (Array.isArray(value) ? value : []);
const texts = (parts) => listOf(parts).map((part) => part?.text ?? "").join("\n\n");

// The messages of a request of any of the three, and its other fields.
export function conversationOf(request) {
  if (request.messages === undefined && request.input !== undefined) {
    const { instructions, input, ...others } = request;
    const items = typeof input === "string" ? [{ role: "user", content: input }] : listOf(input).map(messageOfItem);
    return { messages: [...(instructions ? [{ role: "system", content: instructions }] : []), ...items], others };
  }
  const { messages, system, ...others } = request;
  if (!Array.isArray(messages)) return { messages, others: system === undefined ? others : { ...others, system } };
  return { messages: [...(system ? [{ role: "system", content: typeof system === "string" ? system : texts(system) }] : []), ...messages.flatMap(messagesOfTurn)], others };
}

// The messages of an answer of any of the three; null if it has another form.
export function answersOf(answer) {
  if (Array.isArray(answer?.choices)) return answer.choices.map((choice) => choice?.message ?? choice);
  if (answer?.type === "message") return messagesOfTurn(answer).map(({ role, content, tool_calls, reasoning_content }) => ({ role, content, tool_calls, reasoning_content }));
  return Array.isArray(answer?.output) ? answer.output.map(messageOfItem) : null;
}

// A request of any of the three, with what the playground knows.
export function chatOf(request) {
  const { messages, others } = conversationOf(request);
  if (request.input === undefined && request.system === undefined) return request;
  const { model, temperature, top_p, max_tokens = others.max_output_tokens } = others;
  return Object.fromEntries(Object.entries({ model, temperature, top_p, max_tokens, messages }).filter(([, value]) => value !== undefined));
}

// A turn of Anthropic's: results of tools are messages of their own. Others are as they were.
function messagesOfTurn(turn) {
  if (!isObject(turn) || !listOf(turn.content).some((block) => BLOCKS.has(block?.type))) return [turn];
  const results = turn.content.filter((block) => block?.type === "tool_result");
  const thoughts = turn.content.filter((block) => block?.type === "thinking").map((block) => block.thinking);
  const calls = turn.content.filter((block) => block?.type === "tool_use").map(({ id, name, input }) => ({ id, function: { name, arguments: input } }));
  const rest = turn.content.filter((block) => !["tool_result", "thinking", "tool_use"].includes(block?.type)).map((block) => (block?.type === "image" ? imageOf(block) : block));
  const own = { ...turn, content: rest, ...(thoughts.length ? { reasoning_content: thoughts.join("\n\n") } : {}), ...(calls.length ? { tool_calls: calls } : {}) };
  return [
    ...results.map(({ tool_use_id: id, content, is_error }) => ({ role: "tool", tool_call_id: id, content: typeof content === "string" ? content : listOf(content).map((block) => (block?.type === "image" ? imageOf(block) : block)), ...(is_error ? { is_error } : {}) })),
    ...(rest.length || thoughts.length || calls.length || !results.length ? [own] : []),
  ];
}

const BLOCKS = new Set(["text", "image", "tool_use", "tool_result", "thinking", "redacted_thinking"]);
const imageOf = ({ source }) => ({ image_url: source?.type === "base64" ? `data:${source.media_type};base64,${source.data}` : source?.url ?? "" });

function messageOfItem(item) {
  if (!isObject(item)) return item;
  const { type, call_id: id, name, output } = item;
  if (type === "function_call" || type === "custom_tool_call") return { role: "assistant", tool_calls: [{ id, function: { name, arguments: item.arguments ?? item.input } }] };
  if (type === "function_call_output" || type === "custom_tool_call_output") return { role: "tool", tool_call_id: id, content: output };
  if (type === "reasoning") return { role: "assistant", reasoning_content: texts(item.summary) || texts(item.content) || "–" };
  return item.role ? { role: item.role, content: item.content } : item;
}

// An event or a whole reply of any of the three, as `usage`, `error`, and the part of the message; and if it is the last.
export function chatEvent(event) {
  const { type } = event;
  if (typeof type !== "string" && !Array.isArray(event.output)) return event;
  if (type === "content_block_start" && event.content_block?.type === "tool_use") return part({ tool_calls: [{ index: event.index, id: event.content_block.id, function: { name: event.content_block.name } }] });
  if (type === "content_block_delta") {
    const { text, thinking, partial_json: json } = event.delta ?? {};
    return part({ content: text, reasoning: thinking, ...(json ? { tool_calls: [{ index: event.index, function: { arguments: json } }] } : {}) });
  }
  if (type === "response.output_text.delta") return part({ content: event.delta });
  if (type === "response.refusal.delta") return part({ refusal: event.delta });
  if (/^response\.reasoning(_summary)?_text\.delta$/.test(type)) return part({ reasoning: event.delta });
  if (type === "response.output_item.added" && event.item?.type === "function_call") return part({ tool_calls: [{ index: event.output_index, id: event.item.call_id, function: { name: event.item.name } }] });
  if (type === "response.function_call_arguments.delta") return part({ tool_calls: [{ index: event.output_index, function: { arguments: event.delta } }] });
  if (type === "error") return { error: event.error ?? event };
  const whole = event.response ?? event.message ?? event;
  const isWhole = type === "message" || (Array.isArray(event.output) && !event.response);
  const messages = isWhole ? answersOf(event) ?? [] : [];
  return { ...part(joined(messages)), usage: usageOf(whole.usage), ...(whole.error ? { error: whole.error } : {}) };
}

export const isLast = ({ type }) => ["message_stop", "response.completed", "response.incomplete", "response.failed"].includes(type);

const part = (values) => ({ choices: [{ delta: values, message: values }] });

function joined(messages) {
  const content = messages.map(({ content: each }) => (typeof each === "string" ? each : texts(each))).filter(Boolean).join("\n\n");
  const calls = messages.flatMap((each) => each.tool_calls ?? []).map((call) => ({ ...call, function: { ...call.function, arguments: typeof call.function.arguments === "string" ? call.function.arguments : JSON.stringify(call.function.arguments) } }));
  return { content, reasoning: messages.map((each) => each.reasoning_content).filter(Boolean).join("\n\n"), ...(calls.length ? { tool_calls: calls } : {}) };
}

// Anthropic's first event counts the prompt, and a later one the answer.
function usageOf(usage) {
  if (!usage) return undefined;
  const { input_tokens: input, output_tokens: output, cache_read_input_tokens: read = 0, cache_creation_input_tokens: written = 0, cost } = usage;
  const counts = { prompt_tokens: input === undefined ? undefined : input + (read ?? 0) + (written ?? 0), completion_tokens: output, cost };
  return Object.fromEntries(Object.entries(counts).filter(([, value]) => value !== undefined));
}
