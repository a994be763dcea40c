// The AI SDK with its OpenAI-compatible provider. Prints one JSON object: what it understood, by the name of the case.
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, Output, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";

const [baseURL, apiKey, id, reasoner] = process.argv.slice(2);
const tidegate = createOpenAICompatible({
  name: "tidegate",
  baseURL,
  apiKey,
  headers: { "x-workspace-id": "ws_demo" },
  includeUsage: true,
  supportsStructuredOutputs: true,
});
const model = tidegate(id);
const maxRetries = 0;
const tools = {
  get_weather: tool({
    description: "The weather of a city",
    inputSchema: z.object({ city: z.string(), unit: z.string().optional() }),
    execute: async ({ city }) => `${city}: 21`,
  }),
};
const Event = z.object({ name: z.string(), participants: z.array(z.string()) });

async function streamed(options) {
  const parts = [];
  const result = streamText({ maxRetries, onError: () => {}, ...options });
  for await (const part of result.fullStream) parts.push(part);
  return { parts, result };
}

const cases = {
  async plain() {
    const { text, finishReason, usage } = await generateText({ model, maxRetries, prompt: "Write a tagline." });
    return { text, finishReason, tokens: [usage.inputTokens, usage.outputTokens, usage.totalTokens] };
  },
  async stream() {
    const { result } = await streamed({ model, prompt: "Write a tagline." });
    const usage = await result.usage;
    return { text: await result.text, finishReason: await result.finishReason, total: usage.totalTokens };
  },
  async tools() {
    const prompt = "What is the weather in Paris and Tokyo?";
    const result = await generateText({ model, maxRetries, prompt, tools, stopWhen: stepCountIs(3) });
    const calls = result.steps[0].toolCalls.map((call) => [call.toolCallId, call.toolName, call.input.city]);
    return { calls, text: result.text, steps: result.steps.length };
  },
  async streamedTools() {
    const prompt = "What is the weather in Paris and Tokyo?";
    const { parts, result } = await streamed({ model, prompt, tools, stopWhen: stepCountIs(3) });
    const calls = parts.filter((part) => part.type === "tool-call").map((part) => [part.toolCallId, part.input.city]);
    return { calls, text: await result.text, steps: (await result.steps).length };
  },
  async structured() {
    const prompt = "Alice and Bob go to a science fair.";
    const { output } = await generateText({ model, maxRetries, prompt, output: Output.object({ schema: Event }) });
    const { result } = await streamed({ model, prompt, output: Output.object({ schema: Event }) });
    return { plain: output, streamed: await result.output };
  },
  async reasoning() {
    const { text, reasoningText } = await generateText({ model: tidegate(reasoner), maxRetries, prompt: "Think first." });
    const { result } = await streamed({ model: tidegate(reasoner), prompt: "Think first." });
    return { text, plain: reasoningText, streamed: await result.reasoningText };
  },
  async length() {
    return { finishReason: (await generateText({ model, maxRetries, prompt: "Tell everything" })).finishReason };
  },
  async errors() {
    const seen = {};
    for (const prompt of ["always busy", "a request that is wrong"]) {
      try {
        await generateText({ model, maxRetries, prompt });
      } catch (error) {
        const { statusCode, isRetryable, data, responseHeaders } = error;
        seen[prompt] = { statusCode, isRetryable, code: data?.error?.code, retry: responseHeaders["retry-after"] ?? null };
      }
    }
    return seen;
  },
  async cut() {
    const { parts } = await streamed({ model, prompt: "break off" });
    const kinds = parts.map((part) => part.type);
    const finish = parts.find((part) => part.type === "finish");
    return { error: kinds.includes("error"), finishReason: finish?.finishReason ?? null };
  },
};

const understood = {};
for (const [name, run] of Object.entries(cases)) understood[name] = await run();
console.log(JSON.stringify(understood));
