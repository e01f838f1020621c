-- An export asks under which key each message was imported.
create index imported_messages_by_message on imported_messages (message_id, ext_id);
