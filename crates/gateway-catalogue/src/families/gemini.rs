//! The rules of Gemini.

use super::{FamilyLine, FamilyRule, LOW_TO_HIGH, ModelVendor, UNKNOWN};
use gateway_core::{
    Effort, EffortSet, ForcedTools, ModelRules, ReasoningControl, SamplingSupport, StrictSchemas,
};

const SIGNATURES: &str = "https://ai.google.dev/gemini-api/docs/thought-signatures";
const FLAGS: &str = "litellm 1.110.2, model_prices_and_context_window_backup.json, flags";
const WHATS_NEW: &str = "https://ai.google.dev/gemini-api/docs/whats-new-gemini-3.6";
const ARGON: &str =
    "https://docs.cloud.google.com/gemini-enterprise-agent-platform/models/guides/gemini-4-argon";
const LAOZHANG: &str = "reported: https://docs.laozhang.ai";

const GEMINI_1: ModelRules = ModelRules {
    sampling: SamplingSupport::Free,
    reasoning: ReasoningControl::Never,
    forced_tools: ForcedTools::Always,
    // A schema always holds there: there is no word for it.
    strict_schemas: StrictSchemas::Never,
    ..UNKNOWN
};

const FLASH_2_5: ModelRules =
    ModelRules { reasoning: ReasoningControl::Budget { effort: false, off: true }, ..GEMINI_1 };

const PRO_2_5: ModelRules =
    ModelRules { reasoning: ReasoningControl::Budget { effort: false, off: false }, ..GEMINI_1 };

const PRO_3: ModelRules = ModelRules {
    reasoning: ReasoningControl::Effort,
    efforts: LOW_TO_HIGH,
    default_effort: Some(Effort::High),
    needs_signatures: true,
    ..GEMINI_1
};

const FROM_MINIMAL: EffortSet = EffortSet::range(Effort::Minimal, Effort::High);

const FLASH_3: ModelRules = ModelRules { efforts: FROM_MINIMAL, ..PRO_3 };

const FLASH_3_6: ModelRules = ModelRules {
    sampling: SamplingSupport::Refused,
    default_effort: Some(Effort::Medium),
    refuses_penalties: true,
    refuses_prefill: true,
    ..FLASH_3
};

const LITE_3_5: ModelRules = ModelRules { default_effort: Some(Effort::Minimal), ..FLASH_3_6 };

const FLASH_3_7: ModelRules = ModelRules { efforts: LOW_TO_HIGH, ..FLASH_3_6 };

const GEMINI_4: ModelRules = ModelRules { refuses_choices: true, ..FLASH_3_7 };

const NEON: ModelRules = ModelRules {
    efforts: EffortSet::range(Effort::Low, Effort::XHigh),
    default_effort: Some(Effort::High),
    ..GEMINI_4
};

const GEMINI: FamilyLine = FamilyLine { vendor: ModelVendor::Google, lines: &["gemini"] };

/// From the oldest to the newest.
pub(super) const RULES: &[FamilyRule] = &[
    GEMINI.rule(&[], (0, 0), GEMINI_1, FLAGS),
    GEMINI.rule(&[], (2, 5), FLASH_2_5, FLAGS),
    GEMINI.rule(&["pro"], (2, 5), PRO_2_5, FLAGS),
    GEMINI.rule(&[], (3, 0), FLASH_3, SIGNATURES),
    GEMINI.rule(&["pro"], (3, 0), PRO_3, SIGNATURES),
    GEMINI.rule(&["flash-lite"], (3, 5), LITE_3_5, WHATS_NEW),
    GEMINI.rule(&[], (3, 6), FLASH_3_6, WHATS_NEW),
    GEMINI.rule(&[], (3, 7), FLASH_3_7, WHATS_NEW),
    GEMINI.rule(&[], (4, 0), GEMINI_4, ARGON),
    GEMINI.rule(&["neon", "hydrogen"], (4, 0), NEON, LAOZHANG),
];
