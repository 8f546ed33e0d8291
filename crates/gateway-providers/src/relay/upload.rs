//! The body of a relayed request that is sent while it arrives.

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use gateway_core::{BodyRest, BodyStream, BoxError, ModelPlace, RelayRequest, Result};
use gateway_net::client::UploadBody;
use gateway_wire::relay::FormRewriter;
use std::{collections::VecDeque, sync::Arc};

/// The progress of an upload.
struct Upload {
    request: Arc<RelayRequest>,
    /// Writes the model's name into a form.
    rewriter: Option<FormRewriter>,
    /// The pieces that are still to come; absent before the first piece was asked for.
    rest: Option<BodyStream>,
    ready: VecDeque<Bytes>,
    has_ended: bool,
}

/// The body of `request`, which names the model `model`. Nothing of its rest is taken before it is
/// written to a connection.
pub(super) fn upload(request: Arc<RelayRequest>, model: &str) -> UploadBody {
    let rewriter = match &request.body.model {
        ModelPlace::Form(boundary) => Some(FormRewriter::new(boundary, model)),
        ModelPlace::Absent | ModelPlace::Json(_) | ModelPlace::JsonMember => None,
    };
    let (rest, ready, has_ended) = (None, VecDeque::new(), false);
    UploadBody::new(pieces(Upload { request, rewriter, rest, ready, has_ended }))
}

fn pieces(upload: Upload) -> impl Stream<Item = Result<Bytes, BoxError>> + Send {
    stream::try_unfold(upload, |mut upload| async move {
        loop {
            if let Some(piece) = upload.ready.pop_front() {
                return Ok(Some((piece, upload)));
            }
            if upload.has_ended {
                return Ok(None);
            }
            if let Err(error) = upload.read().await {
                if let Some(rest) = &upload.request.body.rest {
                    rest.fail(error);
                }
                return Err("the body of the request did not come to its end".into());
            }
        }
    })
}

impl Upload {
    /// Reads the next piece of the body.
    async fn read(&mut self) -> Result<()> {
        let piece = if let Some(rest) = &mut self.rest {
            rest.next().await.transpose()?
        } else {
            self.rest = self.request.body.rest.as_ref().and_then(BodyRest::take);
            self.has_ended = self.rest.is_none();
            Some(self.request.body.bytes.clone())
        };
        match (piece, &mut self.rewriter) {
            (Some(piece), Some(rewriter)) => self.ready.extend(rewriter.push(&piece)?),
            (Some(piece), None) => self.ready.push_back(piece),
            (None, rewriter) => {
                self.has_ended = true;
                if let Some(rewriter) = rewriter {
                    rewriter.finish()?;
                }
            }
        }
        Ok(())
    }
}
