// The AI SDK with @ai-sdk/openai, whose default is the Responses API. Prints one JSON object: what it understood.
import { createOpenAI } from "@ai-sdk/openai";
import { generateText, Output, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";

const [baseURL, apiKey, model] = process.argv.slice(2);
globalThis.AI_SDK_LOG_WARNINGS = false;
const weather = tool({
  description: "The weather of a city",
  inputSchema: z.object({ city: z.string() }),
  execute: async ({ city }) => `21 degrees in ${city}`,
});
const options = {
  model: createOpenAI({ baseURL, apiKey })(model),
  tools: { get_weather: weather },
  stopWhen: stepCountIs(3),
  maxRetries: 0,
  providerOptions: { openai: { store: false, include: ["reasoning.encrypted_content"] } },
};

const whole = await generateText({ ...options, prompt: "The weather?" });
const seen = { whole: [whole.text, whole.steps.length, whole.usage.totalTokens] };
const streamed = streamText({ ...options, prompt: "The weather?" });
let text = "";
for await (const part of streamed.textStream) text += part;
seen.streamed = [text, await streamed.finishReason];
const output = Output.object({ schema: z.object({ degrees: z.number() }) });
seen.typed = (await generateText({ ...options, prompt: "The weather?", output })).output;
const errors = [];
const cut = streamText({ ...options, prompt: "Go", onError: ({ error }) => errors.push(error.message ?? error) });
for await (const part of cut.fullStream) void part;
seen.cut = errors.length > 0;
console.log(JSON.stringify(seen));
