//! The members that the decoder of this dialect reads of a request.

use crate::request_shape::{
    ShapeMembers,
    ValueShape::{self, Any, List, Object, Tagged},
};

const CACHE_CONTROL: ValueShape = Object(&[("type", Any), ("ttl", Any)]);

const TEXT: ShapeMembers = &[("type", Any), ("text", Any), ("cache_control", CACHE_CONTROL)];

static PART: ValueShape = Tagged(
    "",
    &[
        ("text", TEXT),
        ("input_text", TEXT),
        ("output_text", TEXT),
        ("refusal", &[("type", Any), ("refusal", Any), ("cache_control", CACHE_CONTROL)]),
        (
            "image_url",
            &[
                ("type", Any),
                ("image_url", Object(&[("url", Any), ("detail", Any)])),
                ("cache_control", CACHE_CONTROL),
            ],
        ),
        (
            "input_audio",
            &[
                ("type", Any),
                ("input_audio", Object(&[("data", Any), ("format", Any)])),
                ("cache_control", CACHE_CONTROL),
            ],
        ),
        (
            "file",
            &[
                ("type", Any),
                ("file", Object(&[("file_data", Any), ("file_id", Any), ("filename", Any)])),
                ("cache_control", CACHE_CONTROL),
            ],
        ),
        ("thinking", &[("type", Any), ("thinking", Any)]),
    ],
);

const CALLED: ValueShape = Object(&[("name", Any), ("arguments", Any)]);

static CALL: ValueShape = Object(&[
    ("id", Any),
    ("type", Any),
    ("index", Any),
    ("function", CALLED),
    ("custom", Object(&[("name", Any), ("input", Any)])),
    ("extra_content", Any),
]);

static MESSAGE: ValueShape = Object(&[
    ("role", Any),
    ("content", List(&PART)),
    ("name", Any),
    ("refusal", Any),
    ("tool_calls", List(&CALL)),
    ("function_call", CALLED),
    ("tool_call_id", Any),
    ("reasoning_content", Any),
    ("reasoning", Any),
    ("reasoning_details", Any),
    ("thinking_blocks", Any),
    ("extra_content", Any),
    ("cache_control", CACHE_CONTROL),
    // A note on what the model said, and no part of it.
    ("annotations", Any),
]);

const FUNCTION: ShapeMembers =
    &[("name", Any), ("description", Any), ("parameters", Any), ("strict", Any)];

static TOOL: ValueShape = Tagged(
    "function",
    &[
        (
            "function",
            &[
                ("type", Any),
                ("function", Object(FUNCTION)),
                ("name", Any),
                ("description", Any),
                ("parameters", Any),
                ("strict", Any),
                ("cache_control", CACHE_CONTROL),
            ],
        ),
        (
            "custom",
            &[
                ("type", Any),
                ("custom", Object(&[("name", Any), ("description", Any), ("format", Any)])),
                ("name", Any),
                ("description", Any),
                ("format", Any),
                ("cache_control", CACHE_CONTROL),
            ],
        ),
    ],
);

static LEGACY_FUNCTION: ValueShape = Object(FUNCTION);

const NAMED: ValueShape = Object(&[("name", Any)]);

/// The members of a request that are read in part.
pub(super) const MEMBERS: ShapeMembers = &[
    ("messages", List(&MESSAGE)),
    ("tools", List(&TOOL)),
    ("functions", List(&LEGACY_FUNCTION)),
    ("function_call", NAMED),
    (
        "tool_choice",
        Object(&[
            ("type", Any),
            ("name", Any),
            ("function", NAMED),
            ("custom", NAMED),
            ("allowed_tools", Object(&[("mode", Any), ("tools", Any)])),
            ("mode", Any),
            ("tools", Any),
        ]),
    ),
    ("stream_options", Object(&[("include_usage", Any)])),
    (
        "response_format",
        Object(&[
            ("type", Any),
            (
                "json_schema",
                Object(&[("name", Any), ("description", Any), ("schema", Any), ("strict", Any)]),
            ),
        ]),
    ),
];
