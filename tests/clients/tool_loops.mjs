// The loop of the AI SDK around a model with tools: its own, the gateway's, and both at once.
//
//     tool_loops.mjs BASE_URL KEY MODEL
//
// The modules are found from the folder that NODE_MODULES names. Prints a line a check, and ends
// with 1 if one fails.

import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [base, apiKey, model] = process.argv.slice(2);
const require = createRequire(`${process.env.NODE_MODULES}/`);
const load = async (name) => import(pathToFileURL(require.resolve(name)));
const { generateText, stepCountIs, streamText, tool } = await load("ai");
const { z } = await load("zod");
const { createOpenAI } = await load("@ai-sdk/openai");
const { createAnthropic } = await load("@ai-sdk/anthropic");

const openai = createOpenAI({ baseURL: `${base}/v1`, apiKey });
const anthropic = createAnthropic({ baseURL: `${base}/v1`, apiKey });
const models = {
  chat: openai.chat(model),
  responses: openai.responses(model),
  messages: anthropic(model),
};

// What is asked for, which of the gateway's tools are offered, and the calls that the SDK is to run.
const cases = {
  client: ["[s:tool name=get_weather] Hi", undefined, ["get_weather"]],
  gateway: ["[s:tool name=calculator] Hi", "calculator", []],
  mixed: ["[s:tools2 name=get_weather] Hi", "calculator", ["get_weather", "calculator"]],
};

function ask(model, prompt, offered, ran) {
  const own = (name, inputSchema) =>
    tool({
      description: name,
      inputSchema,
      execute: async () => {
        ran.push(name);
        // Two members: of an object with one, the scripted upstream says only what is in it.
        return { ran: name, by: "application" };
      },
    });
  const tools = { get_weather: own("get_weather", z.object({ city: z.string() })) };
  if (prompt.includes("tools2")) {
    // The SDK answers every call of a turn: it has to know the gateway's tool too.
    tools.calculator = own("calculator", z.object({ a: z.number(), b: z.number() }));
  }
  const headers = offered ? { "x-gateway-tools": offered } : {};
  return { model, prompt, tools, headers, maxRetries: 0, stopWhen: stepCountIs(3) };
}

async function check(label, model, stream, [prompt, offered, expected]) {
  try {
    const ran = [];
    const asked = ask(model, prompt, offered, ran);
    const text = stream ? await streamText(asked).text : (await generateText(asked)).text;
    if (ran.join() !== expected.join()) throw new Error(`ran ${ran}`);
    if (!text.startsWith("Tool results: ")) throw new Error(`said ${text}`);
    for (const name of expected) {
      if (text.split(`"${name}"`).length !== 2) throw new Error(`said ${text}`);
    }
    if (label.endsWith("gateway") && text.split('"operation"').length !== 2) {
      throw new Error(`said ${text}`);
    }
    console.log(`PASS ai-sdk.${label}`);
    return true;
  } catch (error) {
    console.log(`FAIL ai-sdk.${label}: ${error}`);
    return false;
  }
}

let [passed, failed] = [0, 0];
for (const [dialect, model] of Object.entries(models)) {
  for (const stream of [false, true]) {
    for (const [name, it] of Object.entries(cases)) {
      const label = `${dialect}.${stream ? "stream" : "whole"}.${name}`;
      if (await check(label, model, stream, it)) passed += 1;
      else failed += 1;
    }
  }
}
console.log(`${passed} passed, ${failed} failed, 0 skipped`);
process.exit(failed ? 1 : 0);
