// AzureOpenAI of openai-node. Prints one JSON object: what it understood, by the name of the case.
import { AzureOpenAI } from "openai";

const [endpoint, apiKey, model] = process.argv.slice(2);
const options = { endpoint, apiVersion: "2024-10-21", maxRetries: 0 };
const messages = [{ role: "user", content: "Write a tagline." }];
const text = (reply) => reply.choices[0].message.content;

const byModel = new AzureOpenAI({ ...options, apiKey });
const byDeployment = new AzureOpenAI({ ...options, apiKey, deployment: model });
const byToken = new AzureOpenAI({ ...options, azureADTokenProvider: async () => apiKey });
let streamed = "";
for await (const { choices } of await byModel.chat.completions.create({ model, messages, stream: true })) {
  streamed += choices[0]?.delta?.content ?? "";
}
console.log(
  JSON.stringify({
    byModel: text(await byModel.chat.completions.create({ model, messages })),
    byDeployment: text(await byDeployment.chat.completions.create({ messages })),
    byToken: text(await byToken.chat.completions.create({ model, messages })),
    streamed,
  }),
);
