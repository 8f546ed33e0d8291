//! The rules of Claude.

use super::{FamilyRule, LOW_TO_HIGH, LOW_TO_MAX, ModelVendor, UNKNOWN, adaptive};
use gateway_core::{
    Effort, EffortSet, ForcedTools, ModelRules, ReasoningControl, ReasoningOff, SamplingSupport,
    StrictSchemas,
};

const FLAGS: &str = "litellm 1.110.2, model_prices_and_context_window_backup.json, flags";
const SDK: &str = "@anthropic-ai/sdk 1.14.0, resources/messages";
const FORCED: &str = "langchain-ai/langchain-aws#1141, diegosouzapw/OmniRoute#4389";
const OPUS_5_5: &str = "https://platform.claude.com/docs/en/models/opus-5-5/migration-guide";
const SONNET_5_5: &str = "https://platform.claude.com/docs/en/models/sonnet-5-5/migration-guide";
const HAIKU_5_5: &str = "https://platform.claude.com/docs/en/models/haiku-5-5/migration-guide";

const CLAUDE_3: ModelRules = ModelRules {
    sampling: SamplingSupport::Free,
    reasoning: ReasoningControl::Never,
    forced_tools: ForcedTools::Always,
    strict_schemas: StrictSchemas::Never,
    ..UNKNOWN
};

/// Models that are given a number of tokens to think for.
const TIMED: ModelRules = ModelRules {
    reasoning: ReasoningControl::Budget { effort: false, off: true },
    forced_tools: ForcedTools::UnlessReasoning,
    ..CLAUDE_3
};

/// From Opus 4.1 and 4.5 on: <https://platform.claude.com/docs/en/build-with-claude/structured-outputs>.
const OPUS_4_1: ModelRules = ModelRules { strict_schemas: StrictSchemas::Closed, ..TIMED };

const CLAUDE_4_5: ModelRules = ModelRules { sampling: SamplingSupport::OneOf, ..OPUS_4_1 };

const OPUS_4_5: ModelRules = ModelRules {
    reasoning: ReasoningControl::Budget { effort: true, off: true },
    efforts: LOW_TO_HIGH,
    ..CLAUDE_4_5
};

const CLAUDE_4_6: ModelRules = ModelRules {
    sampling: SamplingSupport::Free,
    reasoning: adaptive(ReasoningOff::Default, true),
    efforts: LOW_TO_HIGH.with(EffortSet::of(&[Effort::Max])),
    refuses_prefill: true,
    ..OPUS_4_1
};

const CLAUDE_4_7: ModelRules = ModelRules {
    sampling: SamplingSupport::Neutral,
    reasoning: adaptive(ReasoningOff::Default, false),
    efforts: LOW_TO_MAX,
    ..CLAUDE_4_6
};

const CLAUDE_4_8: ModelRules =
    ModelRules { forced_tools: ForcedTools::Always, takes_system_turns: true, ..CLAUDE_4_7 };

/// Models that think unless asked not to.
const CLAUDE_5: ModelRules = ModelRules {
    reasoning: adaptive(ReasoningOff::Yes, false),
    default_effort: Some(Effort::High),
    ..CLAUDE_4_8
};

const OPUS_5: ModelRules =
    ModelRules { reasoning: adaptive(ReasoningOff::UpToHigh, false), ..CLAUDE_5 };

/// Models that always think.
const ALWAYS: ModelRules =
    ModelRules { reasoning: adaptive(ReasoningOff::Never, false), ..CLAUDE_5 };

const UNFORCED: ModelRules = ModelRules { forced_tools: ForcedTools::Never, ..ALWAYS };

const fn row(
    lines: &'static [&'static str],
    from: (u16, u16),
    rules: ModelRules,
    source: &'static str,
) -> FamilyRule {
    FamilyRule { vendor: ModelVendor::Anthropic, lines, variants: &[], from, rules, source }
}

/// From the oldest to the newest.
pub(super) const RULES: &[FamilyRule] = &[
    row(&[], (0, 0), CLAUDE_3, FLAGS),
    row(&[], (3, 7), TIMED, FLAGS),
    row(&["opus"], (4, 1), OPUS_4_1, SDK),
    row(&[], (4, 5), CLAUDE_4_5, FLAGS),
    row(&["opus"], (4, 5), OPUS_4_5, FLAGS),
    row(&[], (4, 6), CLAUDE_4_6, FORCED),
    row(&[], (4, 7), CLAUDE_4_7, FORCED),
    row(&[], (4, 8), CLAUDE_4_8, FORCED),
    row(&[], (5, 0), CLAUDE_5, SDK),
    row(&["opus"], (5, 0), OPUS_5, SDK),
    row(&["fable", "mythos"], (5, 0), ALWAYS, SDK),
    row(&["fable", "mythos"], (5, 1), UNFORCED, OPUS_5_5),
    row(
        &["opus"],
        (5, 5),
        ModelRules { default_effort: Some(Effort::Medium), ..UNFORCED },
        OPUS_5_5,
    ),
    row(&["sonnet"], (5, 5), UNFORCED, SONNET_5_5),
    row(
        &["haiku"],
        (5, 5),
        ModelRules { sampling: SamplingSupport::NeutralOneOf, ..CLAUDE_5 },
        HAIKU_5_5,
    ),
];
