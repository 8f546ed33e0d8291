//! A provider without a model: deterministic, scripted by the model's name, in need of no key.
//!
//! For first steps, for tests of applications, and for measuring the gateway itself.
//!
//! | model | answer |
//! |---|---|
//! | `echo`, and every other name | the text of the last user message |
//! | `chunks-N`, `chunks-N-Tms` | `N` pieces `c0 c1 ...`, each after `T` milliseconds |
//! | `slow-Tms` | an echo that begins after `T` milliseconds |
//! | `tool-NAME` | a call of the tool `NAME`, then a sentence with its result |
//! | `reasoning` | some thinking, then an echo |
//! | `refusal` | a refusal |
//! | `length`, `filter` | an echo that ends for that reason |
//! | `json` | a JSON object that holds the echo |
//! | `error-STATUS` | that status |
//! | `cut-N` | `N` pieces, then the connection breaks |
//! | `truncate-N` | `N` pieces, then an end without a finish |
//! | `stall-N` | `N` pieces, then silence |
//!
//! Asked for vectors, it makes the same one of the same text, of 8 numbers or as many as are wanted;
//! `slow-Tms` and `error-STATUS` mean what they mean above.

mod script;
mod vector;

use self::script::{ScriptStep, script};
use crate::{Credential, Descriptor};
use async_trait::async_trait;
use futures_util::stream;
use gateway_core::{
    Chunk, ChunkStream, EmbeddingCall, EmbeddingResult, Provider, ProviderRequest,
    ProviderResponse, ResponseMeta, Result, StreamEvent, Target, metered,
};
use std::{future, sync::Arc, vec};
use tokio::time;

pub(crate) const DESCRIPTOR: Descriptor = Descriptor {
    id: Fake::ID,
    aliases: &[],
    prefixes: &[],
    families: &[],
    base_url: "",
    credential: Credential::Optional,
    thinking: None,
    build: |settings| Ok(Arc::new(Fake { id: settings.id })),
};

/// Answers from a script.
#[derive(Clone, Debug)]
pub struct Fake {
    id: String,
}

impl Fake {
    /// The id under which it is known.
    pub const ID: &'static str = "fake";
}

#[async_trait]
impl Provider for Fake {
    fn id(&self) -> &str {
        &self.id
    }

    async fn generate(&self, call: ProviderRequest) -> Result<ProviderResponse> {
        let meta = self.meta(&call.target);
        let asked = async {
            let steps = script(&call.target.model, call.request()?)?;
            let meter = call.context.meter_call(&meta.provider, &call.target, &[]);
            meter.sent();
            let chunks = metered(chunks(steps), meter);
            if call.stream { Ok(chunks) } else { whole(chunks).await }
        };
        match asked.await {
            Ok(chunks) => Ok(ProviderResponse { meta, chunks }),
            Err(error) => Err(error.with_meta(meta)),
        }
    }

    async fn embed(&self, call: EmbeddingCall) -> Result<EmbeddingResult> {
        let model = &call.target.model;
        time::sleep(script::pause(model)?).await;
        let response = vector::vectors(model, &call.request)?;
        Ok(EmbeddingResult { meta: self.meta(&call.target), response })
    }
}

impl Fake {
    fn meta(&self, target: &Target) -> ResponseMeta {
        ResponseMeta {
            provider: self.id.as_str().into(),
            model: Arc::clone(&target.model),
            card: target.card.clone(),
            attempts: 1,
            ..ResponseMeta::default()
        }
    }
}

/// Returns the steps as a stream of chunks, one a step.
fn chunks(steps: Vec<ScriptStep>) -> ChunkStream {
    Box::pin(stream::try_unfold(steps.into_iter(), |mut steps| async move {
        let events = next(&mut steps).await?;
        Ok(events.map(|events| (Chunk::from_events(events), steps)))
    }))
}

async fn next(steps: &mut vec::IntoIter<ScriptStep>) -> Result<Option<Vec<StreamEvent>>> {
    for step in steps {
        match step {
            ScriptStep::Say(events) => return Ok(Some(events)),
            ScriptStep::Wait(delay) => time::sleep(delay).await,
            ScriptStep::Fail(error) => return Err(error),
            ScriptStep::Hang => future::pending().await,
        }
    }
    Ok(None)
}

/// All chunks in one.
async fn whole(chunks: ChunkStream) -> Result<ChunkStream> {
    let answer = ProviderResponse { meta: ResponseMeta::default(), chunks }.collect().await?;
    let chunk = Chunk::from_events(answer.into_events());
    Ok(Box::pin(stream::iter([Ok(chunk)])))
}
