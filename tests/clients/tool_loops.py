"""The loops that applications write around models with tools, with OpenAI's and Anthropic's own SDKs.

    tool_loops.py BASE_URL KEY MODEL

The upstream behind MODEL calls the tools that a directive in the user's message names, and then says
what it was told. Prints a line a check, and ends with 1 if one fails.
"""

import json
import sys

import anthropic
import openai

BASE, KEY, MODEL = sys.argv[1:4]
OPENAI = openai.OpenAI(base_url=f"{BASE}/v1", api_key=KEY, max_retries=0)
ANTHROPIC = anthropic.Anthropic(base_url=BASE, api_key=KEY, max_retries=0)
WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}

# What is asked for, which of the gateway's tools are offered, and the calls that the application is
# to run.
CASES = [
    ("client", "[s:tool name=get_weather] Hi", None, ["get_weather"]),
    ("gateway", "[s:tool name=calculator] Hi", "calculator", []),
    ("mixed", "[s:tools2 name=get_weather] Hi", "calculator", ["get_weather", "calculator"]),
]


def run(name):
    """The application's own tools; in a mixed turn, the gateway's too.

    A result has two members: of an object with one, the scripted upstream says only what is in it.
    """
    return json.dumps({"ran": name, "by": "application"})


def headers(offered):
    return {"x-gateway-tools": offered} if offered else {}


def chat(prompt, offered, stream):
    """Chat Completions: the names of the calls that came, and the last word."""
    tools = [{"type": "function", "function": {"name": "get_weather", "parameters": WEATHER}}]
    messages, seen = [{"role": "user", "content": prompt}], []
    for _ in range(3):
        ask = {"model": MODEL, "messages": messages, "tools": tools, "extra_headers": headers(offered)}
        if stream:
            with OPENAI.chat.completions.stream(**ask) as events:
                for _ in events:
                    pass
                message = events.get_final_completion().choices[0].message
        else:
            message = OPENAI.chat.completions.create(**ask).choices[0].message
        if not message.tool_calls:
            return seen, message.content
        calls = [
            {"id": it.id, "type": "function", "function": {"name": it.function.name, "arguments": it.function.arguments}}
            for it in message.tool_calls
        ]
        messages.append({"role": "assistant", "content": message.content, "tool_calls": calls})
        for call in calls:
            seen.append(call["function"]["name"])
            json.loads(call["function"]["arguments"])
            messages.append({"role": "tool", "tool_call_id": call["id"], "content": run(seen[-1])})
    return seen, None


def responses(prompt, offered, stream):
    """Responses, each step continued by its name."""
    tools = [{"type": "function", "name": "get_weather", "parameters": WEATHER, "strict": False}]
    asked, previous, seen = prompt, None, []
    for _ in range(3):
        ask = {"model": MODEL, "input": asked, "tools": tools, "extra_headers": headers(offered)}
        if previous:
            ask["previous_response_id"] = previous
        if stream:
            with OPENAI.responses.stream(**ask) as events:
                for _ in events:
                    pass
                response = events.get_final_response()
        else:
            response = OPENAI.responses.create(**ask)
        calls = [item for item in response.output if item.type == "function_call"]
        if not calls:
            return seen, response.output_text
        previous, asked = response.id, []
        for call in calls:
            seen.append(call.name)
            json.loads(call.arguments)
            asked.append({"type": "function_call_output", "call_id": call.call_id, "output": run(call.name)})
    return seen, None


def messages(prompt, offered, stream):
    """Anthropic's Messages."""
    tools = [{"name": "get_weather", "input_schema": WEATHER}]
    history, seen = [{"role": "user", "content": prompt}], []
    for _ in range(3):
        ask = {"model": MODEL, "max_tokens": 500, "messages": history, "tools": tools}
        ask["extra_headers"] = headers(offered)
        if stream:
            with ANTHROPIC.messages.stream(**ask) as events:
                message = events.get_final_message()
        else:
            message = ANTHROPIC.messages.create(**ask)
        if message.stop_reason != "tool_use":
            return seen, "".join(it.text for it in message.content if it.type == "text")
        history.append({"role": "assistant", "content": message.content})
        results = []
        for block in message.content:
            if block.type == "tool_use":
                seen.append(block.name)
                results.append({"type": "tool_result", "tool_use_id": block.id, "content": run(block.name)})
        history.append({"role": "user", "content": results})
    return seen, None


def check(loop, stream, case):
    name, prompt, offered, expected = case
    label = f"{loop.__name__}.{'stream' if stream else 'whole'}.{name}"
    try:
        seen, said = loop(prompt, offered, stream)
        assert seen == expected, f"called {seen}"
        assert said and said.startswith("Tool results: "), f"said {said!r}"
        for tool in expected:
            assert said.count(f'"{tool}"') == 1, f"said {said!r}"
        if name == "gateway":
            assert said.count('"operation"') == 1, f"said {said!r}"
    except Exception as error:
        print(f"FAIL {label}: {type(error).__name__}: {error}")
        return False
    print(f"PASS {label}")
    return True


if __name__ == "__main__":
    loops = [chat, responses, messages]
    passed = [check(loop, stream, case) for loop in loops for stream in (False, True) for case in CASES]
    print(f"{sum(passed)} passed, {len(passed) - sum(passed)} failed, 0 skipped")
    sys.exit(0 if all(passed) else 1)
