// The three APIs of models: what to send, and what of an event is text.

export const DIALECTS = {
  chat: {
    title: "Chat Completions",
    path: "v1/chat/completions",
    body: ({ model, system, message, stream }) => ({
      model,
      messages: [...(system ? [{ role: "system", content: system }] : []), { role: "user", content: message }],
      ...(stream ? { stream, stream_options: { include_usage: true } } : {}),
    }),
    whole: (body) => ({ text: body.choices?.[0]?.message?.content, thinking: body.choices?.[0]?.message?.reasoning_content }),
    piece: (event) => ({
      text: event.choices?.[0]?.delta?.content,
      thinking: event.choices?.[0]?.delta?.reasoning_content,
      gist: event.choices?.[0]?.finish_reason ?? event.choices?.[0]?.delta?.content ?? (event.usage ? "usage" : ""),
    }),
    usage: (event) => event.usage && [event.usage.prompt_tokens, event.usage.completion_tokens],
  },
  responses: {
    title: "Responses",
    path: "v1/responses",
    body: ({ model, system, message, stream }) => ({
      model, input: message, store: false, ...(system ? { instructions: system } : {}), ...(stream ? { stream } : {}),
    }),
    whole: (body) => ({ text: body.output?.flatMap((item) => item.content ?? []).map((part) => part.text ?? "").join("") }),
    piece: (event) => ({
      text: event.type === "response.output_text.delta" ? event.delta : undefined,
      thinking: event.type?.startsWith("response.reasoning") ? event.delta : undefined,
      gist: event.delta ?? event.response?.status ?? "",
    }),
    usage: (event) => {
      const usage = event.usage ?? event.response?.usage;
      return usage && [usage.input_tokens, usage.output_tokens];
    },
  },
  messages: {
    title: "Messages",
    path: "v1/messages",
    body: ({ model, system, message, stream }) => ({
      model, max_tokens: 1024, ...(system ? { system } : {}), messages: [{ role: "user", content: message }], ...(stream ? { stream } : {}),
    }),
    whole: (body) => ({ text: body.content?.map((block) => block.text ?? "").join("") }),
    piece: (event) => ({
      text: event.delta?.text,
      thinking: event.delta?.thinking,
      gist: event.delta?.text ?? event.delta?.stop_reason ?? event.content_block?.type ?? "",
    }),
    usage: (event) => {
      const usage = event.usage ?? event.message?.usage;
      return usage && [usage.input_tokens, usage.output_tokens];
    },
  },
};

/** The names of models that can be asked for. */
export const modelNames = (list) => [...new Set((list?.data ?? []).map((model) => model.id))].sort();

/** A field for the name of a model, with those that are known. */
export const USUAL_MODEL = "fake/echo";
