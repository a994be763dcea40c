// openai-node's files, uploads and batches. Prints one JSON object: what it understood, by the name of the case.
import fs from "node:fs";
import OpenAI, { toFile } from "openai";

const [baseURL, apiKey, path] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0, timeout: 30000 });
const data = fs.readFileSync(path);
const same = async (id) => Buffer.from(await (await client.files.content(id)).arrayBuffer()).equals(data);
const ids = async (id) => (await (await client.files.content(id)).text()).trim().split("\n").map((line) => JSON.parse(line).custom_id);

const cases = {
  async file() {
    const file = await client.files.create({
      file: fs.createReadStream(path),
      purpose: "batch",
      expires_after: { anchor: "created_at", seconds: 3600 },
    });
    const others = [];
    for (let i = 0; i < 3; i++) others.push((await client.files.create({ file: await toFile(data, `${i}`), purpose: "vision" })).id);
    const listed = [];
    for await (const each of client.files.list({ limit: 1, purpose: "vision" })) listed.push(each.id);
    const result = {
      name: file.filename,
      same: (await same(file.id)) && file.expires_at === file.created_at + 3600,
      paged: JSON.stringify(listed.filter((id) => others.includes(id))) === JSON.stringify(others.reverse()),
      deleted: (await client.files.delete(file.id)).deleted,
      gone: null,
    };
    for (const each of others) await client.files.delete(each);
    try {
      await client.files.retrieve(file.id);
    } catch (error) {
      result.gone = [error.status, error.param];
    }
    return result;
  },
  async upload() {
    const upload = await client.uploads.create({
      bytes: data.length,
      filename: "in.jsonl",
      mime_type: "application/jsonl",
      purpose: "batch",
    });
    const parts = [];
    for (let first = 0; first < data.length; first += 500) {
      const part = await toFile(data.subarray(first, first + 500), "part");
      parts.push((await client.uploads.parts.create(upload.id, { data: part })).id);
    }
    const completed = await client.uploads.complete(upload.id, { part_ids: parts });
    return { status: completed.status, same: await same(completed.file.id) };
  },
  async batch() {
    const file = await client.files.create({ file: fs.createReadStream(path), purpose: "batch" });
    const created = await client.batches.create({
      input_file_id: file.id,
      endpoint: "/v1/chat/completions",
      completion_window: "24h",
    });
    let batch = created;
    for (let i = 0; i < 300 && !["completed", "failed"].includes(batch.status); i++) {
      await new Promise((resolve) => setTimeout(resolve, 200));
      batch = await client.batches.retrieve(created.id);
    }
    const listed = [];
    for await (const each of client.batches.list({ limit: 1 })) listed.push(each.id);
    return {
      status: batch.status,
      counts: batch.request_counts,
      output: await ids(batch.output_file_id),
      errors: await ids(batch.error_file_id),
      listed: listed.includes(batch.id),
    };
  },
};

const understood = {};
for (const [name, run] of Object.entries(cases)) understood[name] = await run();
console.log(JSON.stringify(understood));
