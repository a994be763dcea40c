// @lunos/client. Prints one JSON object: what it understood, by the name of the case.
import { LunosClient } from "@lunos/client";

const [baseUrl, apiKey, model] = process.argv.slice(2);
const client = new LunosClient({ baseUrl, apiKey, retries: 0, appId: "tests" });
const messages = (content) => [{ role: "user", content }];

async function failure(promise) {
  try {
    await promise;
    return null;
  } catch ({ name, status, code, message }) {
    return { name, status, code, message };
  }
}

const cases = {
  async plain() {
    const reply = await client.chat.createCompletion({ model, messages: messages("Write a tagline.") });
    return { content: reply.choices[0].message.content, total: reply.usage.total_tokens };
  },
  async stream() {
    const request = { model, messages: messages("Write a tagline.") };
    return { content: await client.chat.createCompletionWithStreamToString(request) };
  },
  async models() {
    const { models } = client;
    const one = await models.getModelById(model);
    return {
      one: [one.provider, one.status, one.capabilities],
      chat: (await models.getChatModels()).some(({ id }) => id === model),
      embeddings: (await models.getEmbeddingModels()).some(({ id }) => id === "openai/text-embedding-3-small"),
      owned: (await models.getModelsByOwner("openai")).length > 1,
      context: await models.getModelContextLength(model),
      price: await models.getModelPricing(model),
      chats: await models.supportsCapability(model, "text-generation"),
      searched: (await models.searchModels("GPT-4.1")).some(({ id }) => id === model),
    };
  },
  async account() {
    const usage = await client.getUsage();
    return { id: (await client.getAccount()).id, used: usage.total_tokens > 0 };
  },
  async embedding() {
    const { data, usage } = await client.embedding.createEmbedding({ input: "A boat", model: "demo/embed" });
    return { length: data[0].embedding.length, tokens: usage.prompt_tokens };
  },
  async generation() {
    const { id } = await client.chat.createCompletion({ model, messages: messages("Write a tagline.") });
    const found = await client.chat.getGeneration(id);
    return { same: found.id === id, model: found.model, tokens: found.tokens_completion };
  },
  async fallback() {
    const asked = { model: "nobody/nothing", fallback_model: model, messages: messages("Write a tagline.") };
    return { model: (await client.chat.createCompletion(asked)).model };
  },
  async errors() {
    const ask = (content) => client.chat.createCompletion({ model, messages: messages(content) });
    return {
      busy: await failure(ask("always busy")),
      key: await failure(client.withApiKey("sk-nobody-here").getUsage()),
      image: await failure(client.image.generate({ prompt: "A boat", model: "openai/dall-e-3" })),
      embedding: await failure(client.embedding.createEmbedding({ input: ["A boat", ""], model: "openai/x" })),
    };
  },
};

const understood = {};
for (const [name, run] of Object.entries(cases)) {
  try {
    understood[name] = await run();
  } catch (error) {
    understood[name] = { thrown: String(error) };
  }
}
console.log(JSON.stringify(understood));
