//! The conversation as this dialect wants it: standing instructions apart, then turns that
//! alternate.

use super::encode_request_blocks::{BlockBody, BlockEncoder, PlainTextBlocks, RequestBlock};
use gateway_core::{Content, Dialect, GatewayError, Message, Part, Result, Role};
use serde::Serialize;
use std::borrow::Cow;

/// A conversation split into system instructions and turns.
#[derive(Debug, Default)]
pub(super) struct MessageTurns<'a> {
    /// The blocks of the system instructions.
    pub(super) system: Vec<RequestBlock<'a>>,
    /// The turns; no two neighbours are of one speaker.
    pub(super) turns: Vec<MessageTurn<'a>>,
}

/// Consecutive blocks of one role.
#[derive(Debug)]
pub(super) struct MessageTurn<'a> {
    pub(super) speaker: TurnRole,
    pub(super) blocks: Vec<RequestBlock<'a>>,
}

/// The role of a turn.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum TurnRole {
    User,
    Assistant,
    System,
}

impl<'a> MessageTurns<'a> {
    /// Brings `messages` into turns.
    ///
    /// Instructions that come first stand apart. Later ones are turns of the system, if the model
    /// takes them (`knows_system`); else they join the first, which is reported.
    ///
    /// # Errors
    ///
    /// If there is nothing to respond to, or something that cannot be said.
    pub(super) fn new(
        messages: &'a [Message],
        knows_system: bool,
        mut blocks: BlockEncoder<'_>,
    ) -> Result<Self> {
        let mut it = Self::default();
        for message in messages {
            blocks.dropped.insert_if(message.name.is_some(), "name");
            let said = message.parts.iter().filter_map(|part| blocks.of(part).transpose());
            let said: Vec<_> = said.collect::<Result<_>>()?;
            if let Some(speaker) = speaker(message, knows_system, it.turns.is_empty()) {
                it.say(speaker, said);
            } else {
                blocks.dropped.insert_if(!it.turns.is_empty(), "system_turns");
                it.system.extend(said);
            }
        }
        it.trim_prefill();
        it.turns.iter_mut().for_each(MessageTurn::sort);
        if it.turns.is_empty() {
            let system = std::mem::take(&mut it.system);
            it.say(TurnRole::User, system);
        }
        if it.turns.is_empty() {
            return Err(GatewayError::invalid("messages", "the conversation is empty"));
        }
        Ok(it)
    }

    /// The conversation ends with words put into the model's mouth, and not with a turn of its own
    /// that it is to go on with.
    pub(super) fn has_prefill(&self) -> bool {
        let Some(MessageTurn { speaker: TurnRole::Assistant, blocks }) = self.turns.last() else {
            return false;
        };
        let is_text = blocks.last().is_some_and(|it| matches!(it.body, BlockBody::Text(_)));
        is_text && !blocks.first().is_some_and(|it| it.body.is_thinking())
    }

    /// The model's last turn calls tools and comes without the thinking that led to it.
    pub(super) fn lacks_thinking(&self) -> bool {
        let last = self.turns.iter().rev().find(|turn| turn.speaker == TurnRole::Assistant);
        let Some(MessageTurn { blocks, .. }) = last else { return false };
        let calls = blocks.iter().any(|block| matches!(block.body, BlockBody::ToolUse { .. }));
        calls && !blocks.first().is_some_and(|block| block.body.is_thinking())
    }

    fn say(&mut self, speaker: TurnRole, mut blocks: Vec<RequestBlock<'a>>) {
        if blocks.is_empty() {
            return;
        }
        match self.turns.last_mut() {
            Some(turn) if turn.speaker == speaker => turn.blocks.append(&mut blocks),
            _ => self.turns.push(MessageTurn { speaker, blocks }),
        }
    }

    /// Trims trailing whitespace of a prefilled assistant turn, which the API rejects.
    fn trim_prefill(&mut self) {
        let Some(turn) = self.turns.last_mut() else { return };
        if turn.speaker != TurnRole::Assistant {
            return;
        }
        if let Some(RequestBlock { body: BlockBody::Text(text), .. }) = turn.blocks.last_mut() {
            let kept = text.trim_end().len();
            match text {
                Cow::Borrowed(text) => *text = text.get(..kept).unwrap_or_default(),
                Cow::Owned(text) => text.truncate(kept),
            }
        }
    }
}

/// The role for `message`; `None` if it belongs to the system instructions.
fn speaker(message: &Message, knows_system: bool, is_first: bool) -> Option<TurnRole> {
    match message.role {
        Role::User | Role::Tool => Some(TurnRole::User),
        Role::Assistant => Some(TurnRole::Assistant),
        Role::System | Role::Developer => {
            let is_turn = message.parts.iter().any(is_ours) || (knows_system && !is_first);
            is_turn.then_some(TurnRole::System)
        }
    }
}

fn is_ours(part: &Part) -> bool {
    matches!(&part.content, Content::Opaque(it) if it.dialect == Dialect::Messages)
}

impl MessageTurn<'_> {
    /// Puts first what must stand first: the results of tools, and thinking unless the model itself
    /// began with it and went on between its other words.
    fn sort(&mut self) {
        match self.speaker {
            TurnRole::User => {
                self.blocks.sort_by_key(|it| !matches!(it.body, BlockBody::ToolResult { .. }));
            }
            TurnRole::Assistant => {
                if !self.blocks.first().is_some_and(|it| it.body.is_thinking()) {
                    self.blocks.sort_by_key(|it| !it.body.is_thinking());
                }
            }
            TurnRole::System => {}
        }
    }
}

impl Serialize for MessageTurn<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Wire<'b, 'a> {
            role: TurnRole,
            content: PlainTextBlocks<'b, 'a>,
        }
        Wire { role: self.speaker, content: PlainTextBlocks(&self.blocks) }.serialize(serializer)
    }
}
