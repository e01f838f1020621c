//! Threads and messages as every kind of client is shown them.

use crate::app::App;
use parlour_core::live::LiveThread;
use parlour_core::messages::OneMessage;
use parlour_types::view::{LinkMaker, Message, MessageContext, Snippet};

/// What the viewer sees of a message.
pub(crate) fn message<'a>(app: &'a App, one: &'a OneMessage, link: LinkMaker<'a>) -> Message<'a> {
    let context = MessageContext {
        sender: &one.sender.json,
        receiver: &one.receiver.json,
        last_message_at: one.last_message_at,
        thread_status: one.thread_status,
        hidden_text: &app.core.rules.hidden_text,
        link,
    };
    Message::for_participant(&one.message, context)
}

/// What the viewer sees of a thread in their inbox.
pub(crate) fn thread<'a>(app: &'a App, thread: &'a LiveThread) -> Snippet<'a> {
    Snippet::for_member(&thread.entry.as_ref(), &thread.creator.json, &thread.other.json, &app.core.rules.hidden_text)
}
