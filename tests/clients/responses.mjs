// openai-node's responses as applications use them. Prints one JSON object: what it understood, by the name of the case.
import OpenAI from "openai";
import { zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";

const [baseURL, apiKey, model] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0, timeout: 30000 });
const tools = [
  {
    type: "function",
    name: "get_weather",
    strict: false,
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
];
const Event = z.object({ name: z.string(), participants: z.array(z.string()) });
const reasoning = { model, tools, store: false, reasoning: { effort: "low" }, include: ["reasoning.encrypted_content"] };

const cases = {
  async plain() {
    const response = await client.responses.create({ ...reasoning, input: "Write a tagline." });
    return { text: response.output_text, total: response.usage.total_tokens, status: response.status };
  },
  async tools() {
    const input = [{ role: "user", content: "The weather?" }];
    const first = await client.responses.create({ ...reasoning, input });
    const calls = first.output.filter((item) => item.type === "function_call");
    const results = calls.map(({ call_id }) => ({ type: "function_call_output", call_id, output: "21 degrees" }));
    const second = await client.responses.create({ ...reasoning, input: [...input, ...first.output, ...results] });
    return { calls: calls.map(({ name, arguments: text }) => [name, JSON.parse(text).city]), text: second.output_text };
  },
  async helper() {
    const stream = client.responses.stream({ ...reasoning, input: "Write a tagline." });
    let text = "";
    stream.on("response.output_text.delta", (event) => (text += event.delta));
    const final = await stream.finalResponse();
    return { text, same: final.output_text === text, kinds: final.output.map((item) => item.type) };
  },
  async parsed() {
    const format = zodTextFormat(Event, "event");
    const response = await client.responses.parse({ ...reasoning, input: "An event?", text: { format } });
    return response.output_parsed;
  },
  async cut() {
    try {
      for await (const event of await client.responses.create({ ...reasoning, input: "Go", stream: true })) void event;
      return null;
    } catch (error) {
      return error.constructor.name;
    }
  },
};

const seen = {};
for (const [name, run] of Object.entries(cases)) {
  seen[name] = await run().catch((error) => `${error.constructor.name}: ${error.message}`);
}
console.log(JSON.stringify(seen));
