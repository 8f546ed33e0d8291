// Server-sent events out of a reply's body, so that a request may carry a key and a body.

/** Yields `{ event, data }` for each event, until the body ends. */
export async function* events(reply) {
  const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      const blocks = (rest + value.replaceAll("\r\n", "\n")).split("\n\n");
      rest = blocks.pop();
      for (const block of blocks) {
        const event = parse(block);
        if (event) yield event;
      }
    }
    const last = parse(rest);
    if (last) yield last;
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** One event; nothing if there are only comments. */
export function parse(block) {
  let event = "";
  const data = [];
  for (const line of block.split("\n")) {
    const at = line.indexOf(":");
    const [name, text] = at < 0 ? [line, ""] : [line.slice(0, at), line.slice(at + 1).replace(/^ /, "")];
    if (name === "event") event = text;
    if (name === "data") data.push(text);
  }
  return data.length > 0 ? { event, data: data.join("\n") } : undefined;
}
