//! The rules of DeepSeek, Mistral and xAI.

use super::{FamilyRule, LOW_TO_HIGH, ModelVendor, NONE, UNKNOWN};
use gateway_core::{
    Effort, EffortSet, ModelRules, ReasoningControl, SamplingSupport, StrictSchemas,
};

const DEEPSEEK: &str = "https://api-docs.deepseek.com/guides/thinking_mode";
const FLAGS: &str = "litellm 1.110.2, model_prices_and_context_window_backup.json, flags";
const XAI: &str = "https://docs.x.ai; litellm 1.110.2, llms/xai/chat/transformation.py";
const MISTRAL_TOOLS: &str = "litellm 1.110.2, llms/mistral/chat/transformation.py";

const DEEPSEEK_4: ModelRules = ModelRules {
    sampling: SamplingSupport::UnlessReasoning,
    reasoning: ReasoningControl::Effort,
    efforts: EffortSet::of(&[Effort::None, Effort::Low, Effort::High, Effort::Max]),
    default_effort: Some(Effort::High),
    ..UNKNOWN
};

/// Models that reason at one effort, or not at all.
const MISTRAL: ModelRules = ModelRules {
    reasoning: ReasoningControl::Effort,
    efforts: EffortSet::of(&[Effort::None, Effort::High]),
    ..MISTRAL_PLAIN
};

/// Models without a control of reasoning.
const MISTRAL_PLAIN: ModelRules = ModelRules {
    reasoning: ReasoningControl::Never,
    strict_schemas: StrictSchemas::Never,
    ..UNKNOWN
};

/// The name chooses whether it reasons.
const GROK: ModelRules = ModelRules {
    reasoning: ReasoningControl::Never,
    refuses_penalties: true,
    refuses_stop: true,
    strict_schemas: StrictSchemas::Never,
    ..UNKNOWN
};

const GROK_4_3: ModelRules =
    ModelRules { reasoning: ReasoningControl::Effort, efforts: LOW_TO_HIGH.with(NONE), ..GROK };

const GROK_4_5: ModelRules = ModelRules { efforts: LOW_TO_HIGH, ..GROK_4_3 };

/// From which version on a line has rules.
#[derive(Clone, Copy)]
struct RuleScope(ModelVendor, &'static [&'static str], &'static [&'static str], (u16, u16));

const fn row(scope: RuleScope, rules: ModelRules, source: &'static str) -> FamilyRule {
    let RuleScope(vendor, lines, variants, from) = scope;
    FamilyRule { vendor, lines, variants, from, rules, source }
}

/// From the oldest to the newest of each vendor.
pub(super) const RULES: &[FamilyRule] = &[
    row(RuleScope(ModelVendor::DeepSeek, &[], &[], (4, 0)), DEEPSEEK_4, DEEPSEEK),
    row(RuleScope(ModelVendor::Mistral, &[], &[], (0, 0)), MISTRAL_PLAIN, MISTRAL_TOOLS),
    row(RuleScope(ModelVendor::Mistral, &["mistral"], &["medium"], (3, 5)), MISTRAL, FLAGS),
    row(RuleScope(ModelVendor::Mistral, &["mistral"], &["small"], (4, 0)), MISTRAL, FLAGS),
    row(RuleScope(ModelVendor::Mistral, &["mistral"], &["large"], (4, 0)), MISTRAL, FLAGS),
    row(RuleScope(ModelVendor::Mistral, &["devstral"], &[], (2, 0)), MISTRAL, FLAGS),
    row(RuleScope(ModelVendor::Xai, &[], &[], (4, 0)), GROK, XAI),
    row(RuleScope(ModelVendor::Xai, &[], &[], (4, 3)), GROK_4_3, XAI),
    row(RuleScope(ModelVendor::Xai, &[], &[], (4, 5)), GROK_4_5, XAI),
];
