// @openrouter/sdk, and the AI SDK with its OpenRouter provider. Prints one JSON object: what they understood, by case.
import { createOpenRouter } from "@openrouter/ai-sdk-provider";
import { OpenRouter } from "@openrouter/sdk";
import { generateText, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";

const [serverURL, apiKey, model, reasoner] = process.argv.slice(2);
const retryConfig = { strategy: "none" };
const client = new OpenRouter({ apiKey, serverURL, retryConfig });
const user = (content) => [{ role: "user", content }];
const send = (content, more) => client.chat.send({ chatRequest: { model, messages: user(content), ...more } });
const openrouter = createOpenRouter({ apiKey, baseURL: serverURL, compatibility: "strict" });
const maxRetries = 0;
const tools = {
  get_weather: tool({
    description: "The weather of a city",
    inputSchema: z.object({ city: z.string(), unit: z.string().optional() }),
    execute: async ({ city }) => `${city}: 21`,
  }),
};

async function failure(promise) {
  try {
    await promise;
    return null;
  } catch ({ name, error, statusCode }) {
    return { name, statusCode, code: error?.code ?? null, type: error?.metadata?.error_type ?? null };
  }
}

const cases = {
  async plain() {
    const { choices, usage, model } = await send("Write a tagline.");
    return { content: choices[0].message.content, usage: [usage.totalTokens, usage.cost > 0], model };
  },
  async stream() {
    const streamed = { content: "", ids: new Set() };
    for await (const chunk of await send("Write a tagline.", { stream: true, streamOptions: { includeUsage: true } })) {
      streamed.content += chunk.choices[0]?.delta?.content ?? "";
      streamed.total = chunk.usage?.totalTokens;
      streamed.ids.add(chunk.id);
    }
    return { ...streamed, ids: streamed.ids.size };
  },
  async tools() {
    const parameters = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
    const messages = user("What is the weather in Paris and Tokyo?");
    const tools = [{ type: "function", function: { name: "get_weather", parameters } }];
    const ask = (messages) => client.chat.send({ chatRequest: { model, messages, tools } });
    const { message } = (await ask(messages)).choices[0];
    const results = message.toolCalls.map(({ id }) => ({ role: "tool", toolCallId: id, content: "21" }));
    const answer = await ask([...messages, message, ...results]);
    return {
      calls: message.toolCalls.map((call) => [call.id, call.function.name, JSON.parse(call.function.arguments).city]),
      content: answer.choices[0].message.content,
    };
  },
  async reasoning() {
    const { choices } = await client.chat.send({ chatRequest: { model: reasoner, messages: user("Think first.") } });
    return { content: choices[0].message.content, reasoning: choices[0].message.reasoning };
  },
  async models() {
    const { data, totalCount, links } = (await client.models.list({})).result;
    const count = (await client.models.count({})).data.count;
    const [author, ...slug] = model.split("/");
    const one = (await client.models.get({ author, slug: slug.join("/") })).data;
    const all = data.length === totalCount && count === totalCount;
    return { found: data.some(({ id }) => id === model), all, next: links.next, one: one.canonicalSlug };
  },
  async account() {
    const credits = (await client.credits.getCredits()).data;
    const key = (await client.apiKeys.getCurrentKeyMetadata()).data;
    return { left: credits.totalCredits > credits.totalUsage, label: key.label, limit: key.limit };
  },
  async generation() {
    const { id, usage } = await send("Write a tagline.");
    const { data } = await client.generations.getGeneration({ id });
    const { providerName, tokensCompletion } = data;
    return { same: data.id === id, cost: data.totalCost === usage.cost, providerName, tokensCompletion };
  },
  async errors() {
    const cut = {};
    try {
      for await (const chunk of await send("break off", { stream: true })) {
        if (chunk.error) Object.assign(cut, { code: chunk.error.code, finish: chunk.choices[0].finishReason });
      }
    } catch (error) {
      cut.thrown = String(error);
    }
    const stranger = new OpenRouter({ apiKey: "sk-nobody", serverURL, retryConfig });
    return {
      busy: await failure(send("always busy")),
      key: await failure(stranger.models.listForUser({}, { bearer: "sk-nobody" })),
      lost: await failure(send("Hello", { model: "nobody/nothing" })),
      hot: await failure(send("Hello", { stop: [], temperature: 3 })),
      generation: await failure(client.generations.getGeneration({ id: "gen-1-unknown" })),
      cut,
    };
  },
  async ai() {
    const chat = openrouter(model, { usage: { include: true } });
    const result = await generateText({ model: chat, maxRetries, prompt: "Write a tagline." });
    const { provider, usage } = result.providerMetadata.openrouter;
    const streamed = streamText({ model: chat, maxRetries, prompt: "Write a tagline." });
    const text = await streamed.text;
    const last = (await streamed.providerMetadata).openrouter;
    return {
      text: [result.text, text],
      provider: [provider, last.provider],
      cost: [usage.cost > 0, usage.cost === last.usage.cost],
      total: [result.usage.totalTokens, (await streamed.usage).totalTokens],
    };
  },
  async aiTools() {
    const prompt = "What is the weather in Paris and Tokyo?";
    const options = { model: openrouter(model), maxRetries, prompt, tools, stopWhen: stepCountIs(3) };
    const result = streamText(options);
    return { plain: (await generateText(options)).text, streamed: await result.text, steps: (await result.steps).length };
  },
  async aiReasoning() {
    const { text, reasoningText } = await generateText({ model: openrouter(reasoner), maxRetries, prompt: "Think first." });
    return { text, reasoning: reasoningText };
  },
  async aiErrors() {
    try {
      await generateText({ model: openrouter(model), maxRetries, prompt: "always busy" });
    } catch ({ statusCode, isRetryable, data }) {
      return { statusCode, isRetryable, code: data?.error?.code };
    }
  },
};

const understood = {};
for (const [name, run] of Object.entries(cases)) {
  try {
    understood[name] = await run();
  } catch (error) {
    understood[name] = { thrown: `${error} ${error.pretty?.() ?? ""}` };
  }
}
console.log(JSON.stringify(understood));
