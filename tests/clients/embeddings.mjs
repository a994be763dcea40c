// Vectors, as openai-node and the AI SDK ask for them. Prints one JSON object: what it understood, by the case.
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { embed, embedMany } from "ai";
import OpenAI from "openai";

const [baseURL, apiKey, model] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0 });
const input = ["The tide opens the gate.", "Fish swim."];
const { data, usage } = await client.embeddings.create({ model, input });
const plain = await client.embeddings.create({ model, input, encoding_format: "float" });
const provider = createOpenAICompatible({ name: "tidegate", baseURL, apiKey });
const one = await embed({ model: provider.embeddingModel(model), value: input[0] });
const many = await embedMany({ model: provider.embeddingModel(model), values: input });
console.log(
  JSON.stringify({
    base64: data.map(({ embedding }) => Array.from(embedding)),
    float: plain.data.map(({ embedding }) => embedding),
    tokens: usage.prompt_tokens,
    one: one.embedding,
    many: many.embeddings,
    completion: (await client.completions.create({ model: "demo/echo", prompt: "Hello, tide." })).choices[0].text,
    flagged: (await client.moderations.create({ model: "demo/moderation", input: "no harm" })).results[0].flagged,
  }),
);
