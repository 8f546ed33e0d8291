//! The members that the decoder of this dialect reads of a request.

use crate::request_shape::{
    ShapeMembers,
    ValueShape::{self, Any, List, Object, Tagged, Usual},
};

static BLOCK: ValueShape = Tagged(
    "",
    &[
        ("text", &[("type", Any), ("text", Any), ("cache_control", CACHE_CONTROL)]),
        ("image", &[("type", Any), ("source", SOURCE), ("cache_control", CACHE_CONTROL)]),
        (
            "document",
            &[("type", Any), ("source", SOURCE), ("title", Any), ("cache_control", CACHE_CONTROL)],
        ),
        ("thinking", &[("type", Any), ("thinking", Any), ("signature", Any)]),
        ("redacted_thinking", &[("type", Any), ("data", Any)]),
        (
            "tool_use",
            &[
                ("type", Any),
                ("id", Any),
                ("name", Any),
                ("input", Any),
                ("caller", Usual(&[r#"{"type":"direct"}"#])),
                ("cache_control", CACHE_CONTROL),
            ],
        ),
        (
            "tool_result",
            &[
                ("type", Any),
                ("tool_use_id", Any),
                ("content", List(&BLOCK)),
                ("is_error", Any),
                ("cache_control", CACHE_CONTROL),
            ],
        ),
    ],
);

const CACHE_CONTROL: ValueShape = Object(&[("type", Any), ("ttl", Any)]);

const SOURCE: ValueShape = Object(&[
    ("type", Any),
    ("media_type", Any),
    ("data", Any),
    ("url", Any),
    ("file_id", Any),
    ("content", Any),
]);

static TOOL: ValueShape = Tagged(
    "custom",
    &[(
        "custom",
        &[
            ("type", Any),
            ("name", Any),
            ("description", Any),
            ("input_schema", Any),
            ("strict", Any),
            ("allowed_callers", Usual(&[r#"["direct"]"#])),
            ("cache_control", CACHE_CONTROL),
        ],
    )],
);

static MESSAGE: ValueShape = Object(&[("role", Any), ("content", List(&BLOCK))]);

/// The members of a request that are read in part.
pub(super) const MEMBERS: ShapeMembers = &[
    ("system", List(&BLOCK)),
    ("messages", List(&MESSAGE)),
    ("tools", List(&TOOL)),
    ("tool_choice", Object(&[("type", Any), ("name", Any), ("disable_parallel_tool_use", Any)])),
    ("thinking", Object(&[("type", Any), ("budget_tokens", Any), ("display", Any)])),
    ("metadata", Object(&[("user_id", Any)])),
    ("output_format", Object(&[("type", Any), ("schema", Any)])),
];
