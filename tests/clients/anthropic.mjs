// @anthropic-ai/sdk against the gateway: plain, streamed, tools with thinking over two turns, an image, errors, models.
import Anthropic from '@anthropic-ai/sdk';

const [, , baseURL, apiKey, model] = process.argv;
const client = new Anthropic({ baseURL, apiKey, maxRetries: 0 });
const tools = [{ name: 'get_weather', description: 'The weather', input_schema: { type: 'object', properties: { city: { type: 'string' } } } }];
const thinking = { type: 'enabled', budget_tokens: 1024 };
const ask = (content) => [{ role: 'user', content }];
const image = { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'iVBORw0KGgo=' } };

const plain = await client.messages.create({ model, max_tokens: 50, messages: ask('plain') }).withResponse();
const stream = client.messages.stream({ model, max_tokens: 4000, thinking, tools, messages: ask([{ type: 'text', text: 'weather' }, image]) });
const events = [];
stream.on('streamEvent', (event) => events.push(event.type));
const first = await stream.finalMessage();
const results = first.content
  .filter((block) => block.type === 'tool_use')
  .map((block) => ({ type: 'tool_result', tool_use_id: block.id, content: [{ type: 'text', text: '21' }, image] }));
const second = await client.messages.create({
  model, max_tokens: 4000, thinking, tools,
  messages: [...ask('weather'), { role: 'assistant', content: first.content }, { role: 'user', content: results }],
});
const count = await client.messages.countTokens({ model, messages: ask('How many?') });
const models = [];
for await (const entry of client.models.list({ limit: 500 })) models.push(entry.id);
const failed = await client.messages.create({ model: 'nobody/nothing', max_tokens: 5, messages: ask('x') }).catch((error) => error);

console.log(JSON.stringify({
  plain: { text: plain.data.content[0].text, model: plain.data.model, request: plain.request_id !== null, usage: plain.data.usage.output_tokens },
  stream: { types: first.content.map((block) => block.type), input: first.content.at(-1).input, stop: first.stop_reason, starts: events[0], ends: events.at(-1) },
  second: second.content.map((block) => block.text ?? block.type),
  count: count.input_tokens,
  models: models.includes(model),
  failed: { name: failed.constructor.name, status: failed.status, type: failed.error?.error?.type },
}));
