//! The members that the decoder of this dialect reads of a request.

use crate::request_shape::{
    ShapeMembers,
    ValueShape::{self, Any, List, Object, Tagged},
};

const TEXT: ShapeMembers = &[("type", Any), ("text", Any), ("annotations", Any), ("logprobs", Any)];

static PIECE: ValueShape = Tagged(
    "",
    &[
        ("input_text", TEXT),
        ("output_text", TEXT),
        ("text", TEXT),
        ("refusal", &[("type", Any), ("refusal", Any)]),
        ("input_image", &[("type", Any), ("image_url", Any), ("file_id", Any), ("detail", Any)]),
        (
            "input_file",
            &[
                ("type", Any),
                ("file_data", Any),
                ("file_id", Any),
                ("file_url", Any),
                ("filename", Any),
            ],
        ),
    ],
);

const OUTPUT: ShapeMembers =
    &[("type", Any), ("id", Any), ("status", Any), ("call_id", Any), ("output", List(&PIECE))];

const CALL: ShapeMembers = &[
    ("type", Any),
    ("id", Any),
    ("status", Any),
    ("call_id", Any),
    ("name", Any),
    ("arguments", Any),
    ("input", Any),
    // Calls within a namespace are carried whole.
    ("namespace", Any),
];

static ITEM: ValueShape = Tagged(
    "message",
    &[
        (
            "message",
            &[
                ("type", Any),
                ("id", Any),
                ("status", Any),
                ("role", Any),
                ("content", List(&PIECE)),
            ],
        ),
        (
            "reasoning",
            &[
                ("type", Any),
                ("id", Any),
                ("status", Any),
                ("summary", Any),
                ("content", Any),
                ("encrypted_content", Any),
            ],
        ),
        ("function_call", CALL),
        ("custom_tool_call", CALL),
        ("function_call_output", OUTPUT),
        ("custom_tool_call_output", OUTPUT),
    ],
);

static TOOL: ValueShape = Tagged(
    "function",
    &[
        (
            "function",
            &[
                ("type", Any),
                ("name", Any),
                ("description", Any),
                ("parameters", Any),
                ("strict", Any),
            ],
        ),
        ("custom", &[("type", Any), ("name", Any), ("description", Any), ("format", Any)]),
    ],
);

/// The members of a request that are read in part.
pub(super) const MEMBERS: ShapeMembers = &[
    ("input", List(&ITEM)),
    ("tools", List(&TOOL)),
    (
        "text",
        Object(&[
            (
                "format",
                Object(&[
                    ("type", Any),
                    ("name", Any),
                    ("description", Any),
                    ("schema", Any),
                    ("strict", Any),
                ]),
            ),
            ("verbosity", Any),
        ]),
    ),
    ("reasoning", Object(&[("effort", Any), ("summary", Any), ("generate_summary", Any)])),
];
