-- A received message is a notification, which is read on its own or with its thread. Opening a thread reads its notifications; reading a
-- notification reads the earlier ones of its thread and opens nothing: notified_seq is never below read_seq.

-- The notifications of everything up to here have been read.
alter table members add column notified_seq bigint not null default 0;
-- Shown messages of others after notified_seq.
alter table members add column unseen_count bigint not null default 0;
update members set notified_seq = read_seq, unseen_count = unread_count;

-- The sum of unseen_count.
alter table mailboxes add column unseen_notifications bigint not null default 0;
update mailboxes set unseen_notifications = unread_messages;

-- Kinds of events: 1 message received, 2 message deleted, 3 message hidden, 4 thread seen, 5 thread cleared, 6 message sent by the member,
-- 7 notifications read (of this thread up to this sequence number, and maybe of others).
update events set kind = 6 where kind = 1 and (
    exists (select 1 from messages m where m.thread_id = events.thread_id and m.seq = events.seq and m.sender_id = events.user_id)
    or exists (select 1 from deleted_messages d
        where d.thread_id = events.thread_id and d.seq = events.seq and d.sender_id = events.user_id)
);
-- Notifications, newest first, without a look at anything else that happened.
create index events_received on events (user_id, position) where kind = 1;
