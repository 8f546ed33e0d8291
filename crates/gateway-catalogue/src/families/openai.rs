//! The rules of OpenAI's models.

use super::{FamilyLine, FamilyRule, LOW_TO_HIGH, LOW_TO_MAX, ModelVendor, NONE, UNKNOWN};
use gateway_core::{
    Effort, EffortSet, ForcedTools, ModelRules, ReasoningControl, ResponsesOnly, SamplingSupport,
    StrictSchemas,
};

const LITELLM: &str = "litellm 1.110.2, llms/openai/chat/gpt_reasoning_transformation.py";
const LATEST: &str = "https://developers.openai.com/api/docs/guides/latest-model";
const BRIDGE: &str = "litellm 1.110.2, responses/bridge_check.py";
const MODES: &str = "litellm 1.110.2, model_prices_and_context_window_backup.json, mode";

/// Models that answer at once.
const CLASSIC: ModelRules = ModelRules {
    sampling: SamplingSupport::Free,
    reasoning: ReasoningControl::Never,
    forced_tools: ForcedTools::Always,
    // https://developers.openai.com/api/docs/guides/structured-outputs
    strict_schemas: StrictSchemas::AllRequired,
    ..UNKNOWN
};

/// Models that think before they answer.
const O_SERIES: ModelRules = ModelRules {
    sampling: SamplingSupport::Refused,
    reasoning: ReasoningControl::Effort,
    efforts: LOW_TO_HIGH,
    default_effort: Some(Effort::Medium),
    forced_tools: ForcedTools::Always,
    refuses_penalties: true,
    bounds_completion: true,
    strict_schemas: StrictSchemas::AllRequired,
    ..UNKNOWN
};

const GPT_5: ModelRules = ModelRules {
    efforts: EffortSet::range(Effort::Minimal, Effort::High),
    refuses_stop: true,
    ..O_SERIES
};

const GPT_5_1: ModelRules = ModelRules {
    sampling: SamplingSupport::UnlessReasoning,
    efforts: LOW_TO_HIGH.with(NONE),
    default_effort: Some(Effort::None),
    ..GPT_5
};

const GPT_5_2: ModelRules =
    ModelRules { efforts: EffortSet::range(Effort::Low, Effort::XHigh).with(NONE), ..GPT_5_1 };

const GPT_5_4: ModelRules = ModelRules { responses_only: ResponsesOnly::Tools, ..GPT_5_2 };

const GPT_5_5: ModelRules = ModelRules {
    sampling: SamplingSupport::WithoutReasoning,
    default_effort: Some(Effort::Medium),
    ..GPT_5_4
};

const GPT_5_6: ModelRules = ModelRules { efforts: LOW_TO_MAX.with(NONE), ..GPT_5_5 };

/// Models that always reason.
const GPT_6: ModelRules =
    ModelRules { sampling: SamplingSupport::Refused, efforts: LOW_TO_MAX, ..GPT_5_6 };

const MAX: EffortSet = EffortSet::of(&[Effort::Max]);

const GPT_6_1: ModelRules = ModelRules {
    efforts: EffortSet::range(Effort::Low, Effort::XHigh),
    efforts_of_responses: MAX,
    ..GPT_6
};

const GPT_6_1_TERRA: ModelRules = ModelRules {
    efforts: EffortSet::range(Effort::Low, Effort::XHigh).with(NONE),
    efforts_of_responses: MAX,
    ..GPT_5_6
};

const GPT_6_2: ModelRules = ModelRules { sampling: SamplingSupport::Neutral, ..GPT_6_1 };

const PRO: ModelRules = ModelRules {
    responses_only: ResponsesOnly::Always,
    sampling: SamplingSupport::Refused,
    efforts: EffortSet::range(Effort::Medium, Effort::XHigh),
    default_effort: Some(Effort::Medium),
    ..GPT_5
};

const CODEX: ModelRules = ModelRules {
    responses_only: ResponsesOnly::Always,
    sampling: SamplingSupport::Refused,
    efforts: LOW_TO_HIGH,
    ..GPT_5
};

const GPT: FamilyLine = FamilyLine { vendor: ModelVendor::OpenAi, lines: &["gpt"] };

const O: FamilyLine = FamilyLine { vendor: ModelVendor::OpenAi, lines: &["o"] };

/// From the oldest to the newest.
pub(super) const RULES: &[FamilyRule] = &[
    GPT.rule(&[], (0, 0), CLASSIC, LITELLM),
    O.rule(&[], (1, 0), O_SERIES, LITELLM),
    O.rule(&[], (3, 0), ModelRules { refuses_stop: true, ..O_SERIES }, LITELLM),
    O.rule(
        &["pro", "deep-research"],
        (1, 0),
        ModelRules { responses_only: ResponsesOnly::Always, ..O_SERIES },
        MODES,
    ),
    GPT.rule(&[], (5, 0), GPT_5, LITELLM),
    GPT.rule(&["chat"], (5, 0), CLASSIC, LITELLM),
    GPT.rule(
        &["chat"],
        (5, 1),
        ModelRules { efforts: EffortSet::of(&[Effort::Medium]), ..GPT_5 },
        LITELLM,
    ),
    GPT.rule(
        &["pro"],
        (5, 0),
        ModelRules { efforts: EffortSet::of(&[Effort::High]), ..PRO },
        MODES,
    ),
    GPT.rule(&["pro"], (5, 2), PRO, MODES),
    GPT.rule(&["codex"], (5, 0), CODEX, MODES),
    GPT.rule(
        &["codex"],
        (5, 2),
        ModelRules { efforts: EffortSet::range(Effort::Low, Effort::XHigh), ..CODEX },
        MODES,
    ),
    GPT.rule(
        &["codex-max"],
        (5, 1),
        ModelRules { efforts: EffortSet::range(Effort::Low, Effort::XHigh), ..CODEX },
        MODES,
    ),
    GPT.rule(&[], (5, 1), GPT_5_1, LITELLM),
    GPT.rule(&[], (5, 2), GPT_5_2, LITELLM),
    GPT.rule(&[], (5, 4), GPT_5_4, BRIDGE),
    GPT.rule(&[], (5, 5), GPT_5_5, LITELLM),
    GPT.rule(&[], (5, 6), GPT_5_6, LITELLM),
    GPT.rule(&[], (6, 0), GPT_6, LITELLM),
    GPT.rule(&["sol", "luna"], (6, 0), GPT_5_6, LITELLM),
    GPT.rule(&["sol"], (6, 1), GPT_6_1, LATEST),
    GPT.rule(&["terra"], (6, 1), GPT_6_1_TERRA, LATEST),
    GPT.rule(&[], (6, 1), GPT_6_1, LATEST),
    GPT.rule(&["sol", "astra"], (6, 2), GPT_6_2, LATEST),
    GPT.rule(&[], (6, 2), GPT_6_2, LATEST),
];
