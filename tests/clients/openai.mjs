// openai-node as applications use it. Prints one JSON object: what it understood, by the name of the case.
import OpenAI from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";

const [baseURL, apiKey, model] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0, timeout: 30000 });
const user = (content) => [{ role: "user", content }];
const tools = [
  {
    type: "function",
    function: {
      name: "get_weather",
      parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
    },
  },
];
const Event = z.object({ name: z.string(), participants: z.array(z.string()) });

async function failure(promise) {
  try {
    await promise;
    return null;
  } catch (error) {
    const { status, code, param, type, requestID } = error;
    const hasUsage = error.error?.usage?.completion_tokens > 0;
    return { class: error.constructor.name, status, code, param, type, hasRequestID: Boolean(requestID), hasUsage };
  }
}

const cases = {
  async plain() {
    const { data, response, request_id } = await client.chat.completions
      .create({ model, messages: user("Write a tagline."), max_completion_tokens: 64 })
      .withResponse();
    return {
      content: data.choices[0].message.content,
      usage: [data.usage.total_tokens, data.usage.words_used],
      provider: response.headers.get("x-tidegate-provider"),
      named: request_id === response.headers.get("x-request-id"),
    };
  },
  async stream() {
    const messages = user("Write a tagline.");
    const stream = await client.chat.completions.create({
      model,
      messages,
      stream: true,
      stream_options: { include_usage: true },
    });
    let content = "";
    let last = null;
    for await (const chunk of stream) {
      content += chunk.choices[0]?.delta?.content ?? "";
      last = chunk;
    }
    return { content, choices: last.choices, total: last.usage.total_tokens };
  },
  async helper() {
    const stream = client.chat.completions.stream({ model, messages: user("Write a tagline.") });
    const deltas = [];
    stream.on("content", (delta) => deltas.push(delta));
    const final = await stream.finalChatCompletion();
    const { role, content } = final.choices[0].message;
    return { role, content, same: deltas.join("") === content, finish: final.choices[0].finish_reason };
  },
  async tools() {
    const messages = user("What is the weather in Paris and Tokyo?");
    const stream = client.chat.completions.stream({ model, messages, tools });
    const message = (await stream.finalChatCompletion()).choices[0].message;
    const results = message.tool_calls.map((call) => ({ role: "tool", tool_call_id: call.id, content: "21" }));
    const answer = await client.chat.completions.create({ model, messages: [...messages, message, ...results], tools });
    return {
      calls: message.tool_calls.map(({ id, function: { name, arguments: text } }) => [id, name, JSON.parse(text).city]),
      content: answer.choices[0].message.content,
    };
  },
  async runner() {
    const run = async ({ city }) => `${city}: 21`;
    const parameters = tools[0].function.parameters;
    const runner = client.chat.completions.runTools({
      model,
      stream: true,
      messages: user("What is the weather in Paris and Tokyo?"),
      tools: [{ type: "function", function: { name: "get_weather", function: run, parse: JSON.parse, parameters } }],
    });
    return { content: await runner.finalContent(), results: runner.messages.filter((one) => one.role === "tool").length };
  },
  async parsed() {
    const response_format = zodResponseFormat(Event, "event");
    const messages = user("Alice and Bob go to a science fair.");
    const plain = await client.chat.completions.parse({ model, messages, response_format });
    const stream = client.chat.completions.stream({ model, messages, response_format });
    const streamed = (await stream.finalChatCompletion()).choices[0].message.parsed;
    return { plain: plain.choices[0].message.parsed, streamed };
  },
  async models() {
    const found = [];
    for await (const one of client.models.list()) found.push(one.id);
    return { listed: found.includes(model), one: (await client.models.retrieve(model)).id };
  },
  async errors() {
    const ask = (content, more) => client.chat.completions.create({ model, messages: user(content), ...more });
    const stranger = new OpenAI({ baseURL, apiKey: "sk-nobody", maxRetries: 0 });
    const cut = async () => {
      for await (const chunk of await ask("break off", { stream: true })) void chunk;
    };
    return {
      busy: await failure(ask("always busy")),
      key: await failure(stranger.models.list()),
      lost: await failure(ask("Hello", { model: "nobody/nothing" })),
      hot: await failure(ask("Hello", { temperature: 3 })),
      cut: await failure(cut()),
    };
  },
  async retried() {
    const patient = new OpenAI({ baseURL, apiKey, maxRetries: 2 });
    const reply = await patient.chat.completions.create({ model, messages: user("busy at first") });
    return { content: reply.choices[0].message.content };
  },
  async aborted() {
    const stream = await client.chat.completions.create({ model, messages: user("hang up"), stream: true });
    let chunks = 0;
    for await (const chunk of stream) {
      chunks += chunk.choices.length;
      if (chunks === 2) break;
    }
    return { chunks };
  },
};

const understood = {};
for (const [name, run] of Object.entries(cases)) understood[name] = await run();
console.log(JSON.stringify(understood));
