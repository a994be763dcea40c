// Node's own `fetch`, as the documents of the neuroflash interface show it.
const [base, token, workspaceId, model, text] = process.argv.slice(2);
const response = await fetch(`${base}/chat/completions`, {
  method: "POST",
  headers: { Authorization: `Bearer ${token}`, "x-workspace-id": workspaceId, "Content-Type": "application/json" },
  body: JSON.stringify({ messages: [{ role: "user", content: text }], model, temperature: 0.7 }),
});
console.log(JSON.stringify(await response.json()));
