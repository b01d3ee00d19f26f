// OpenAI's npm client asks the service in every way; prints what it was told as JSON.
import { createRequire } from "node:module";
import path from "node:path";

const [modules, url] = process.argv.slice(2);
const { default: OpenAI } = createRequire(path.join(modules, "x.js"))("openai");
const api = new OpenAI({ baseURL: `${url}/v1`, apiKey: "none", maxRetries: 0 });
const model = "waggle/bees";
const question = "What does the waggle run point to?";
const messages = [{ role: "user", content: question }];
const told = {};

told.models = [];
for await (const one of api.models.list()) told.models.push(one.id);
told.model = (await api.models.retrieve(model)).id;

const completion = await api.chat.completions.create({ model, messages });
told.chat = completion.choices[0].message;

told.chatStream = "";
const chunks = await api.chat.completions.create({ model, messages, stream: true });
for await (const chunk of chunks) told.chatStream += chunk.choices[0]?.delta?.content ?? "";
told.runner = await api.chat.completions.stream({ model, messages }).finalContent();

const response = await api.responses.create({ model, input: question });
told.response = response.output_text;
told.annotation = response.output[0].content[0].annotations[0];
const follow = { model, input: question, previous_response_id: response.id };
told.events = [];
for await (const event of await api.responses.create({ ...follow, stream: true }))
  told.events.push(event.type);
told.final = (await api.responses.stream({ model, input: question }).finalResponse()).output_text;
told.retrieved = (await api.responses.retrieve(response.id)).output_text;

const embedding = await api.embeddings.create({ model, input: "The waggle dance" });
told.dimension = embedding.data[0].embedding.length;
told.refused = await api.chat.completions
  .create({ model: "waggle/wasps", messages })
  .catch((error) => error.status);
console.log(JSON.stringify(told));
