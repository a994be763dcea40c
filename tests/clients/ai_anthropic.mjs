// The AI SDK with @ai-sdk/anthropic, on the Messages API. Prints one JSON object: what it understood.
import { createAnthropic } from "@ai-sdk/anthropic";
import { generateText, Output, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";

const [baseURL, apiKey, model, image] = process.argv.slice(2);
globalThis.AI_SDK_LOG_WARNINGS = false;
const weather = tool({
  description: "The weather of a city",
  inputSchema: z.object({ city: z.string() }),
  execute: async ({ city }) => `21 degrees in ${city}`,
});
const options = {
  model: createAnthropic({ baseURL, apiKey })(model),
  tools: { get_weather: weather },
  stopWhen: stepCountIs(5),
  maxOutputTokens: 4000,
  maxRetries: 0,
  providerOptions: { anthropic: { thinking: { type: "enabled", budgetTokens: 1024 } } },
};
const content = [
  { type: "text", text: "The weather here?" },
  { type: "image", image, mediaType: "image/png" },
];

const whole = await generateText({ ...options, messages: [{ role: "user", content }] });
const seen = { whole: [whole.text, whole.steps.length, whole.steps[0].reasoningText, whole.totalUsage.totalTokens] };
const streamed = streamText({ ...options, prompt: "The weather?" });
const parts = [];
for await (const part of streamed.fullStream) parts.push(part);
const texts = (type) => parts.filter((part) => part.type === type).map((part) => part.text).join("");
seen.streamed = [texts("text-delta"), texts("reasoning-delta"), (await streamed.steps).length, await streamed.finishReason];
const output = Output.object({ schema: z.object({ degrees: z.number() }) });
seen.typed = (await generateText({ ...options, prompt: "The weather?", output })).output;
const errors = [];
const cut = streamText({ ...options, prompt: "Go", onError: ({ error }) => errors.push(error.message ?? error) });
for await (const part of cut.fullStream) void part;
seen.cut = errors.length > 0;
const failed = await generateText({ ...options, model: createAnthropic({ baseURL, apiKey })("nobody/x"), prompt: "Go" }).catch((error) => error);
seen.failed = [failed.statusCode, failed.data?.error?.type];
console.log(JSON.stringify(seen));
