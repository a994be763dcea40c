// OpenAI's Agents SDK as applications use it. Prints one JSON object: what it understood, by the name of the case.
import { Agent, OpenAIResponsesModel, run, setTracingDisabled, tool } from "@openai/agents";
import OpenAI from "openai";
import { z } from "zod";

const [baseURL, apiKey, model] = process.argv.slice(2);
setTracingDisabled(true);
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0, timeout: 30000 });
const weather = tool({
  name: "get_weather",
  description: "The weather of a city",
  parameters: z.object({ city: z.string() }),
  execute: async ({ city }) => `21 degrees in ${city}`,
});
const agent = new Agent({
  name: "Pilot",
  instructions: "Be brief.",
  model: new OpenAIResponsesModel(client, model),
  tools: [weather],
  modelSettings: {
    store: false,
    reasoning: { effort: "low", summary: "auto" },
    providerData: { include: ["reasoning.encrypted_content"] },
  },
});

const first = await run(agent, "The weather?");
const second = await run(agent, [...first.history, { role: "user", content: "Again." }]);
const streamed = await run(agent, "The weather?", { stream: true });
let deltas = "";
for await (const event of streamed) {
  if (event.type === "raw_model_stream_event" && event.data.type === "output_text_delta") deltas += event.data.delta;
}
await streamed.completed;
const typed = await run(agent.clone({ outputType: z.object({ degrees: z.number() }) }), "The weather?");
console.log(
  JSON.stringify({
    first: first.finalOutput,
    second: second.finalOutput,
    streamed: [streamed.finalOutput, deltas],
    typed: typed.finalOutput,
  }),
);
