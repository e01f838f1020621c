-- What a member lets others see, and sees of others in return.
alter table user_settings add column share_read_receipts integer not null default 1;
alter table user_settings add column share_typing integer not null default 1;
alter table user_settings add column share_presence integer not null default 1;

-- Kinds of events: 8 the other one has seen the thread, up to this sequence number.
