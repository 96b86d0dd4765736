-- What a person should see to, of any kind (PRODUCT.md section 1). Who finds a matter writes its row, and removes it
-- when it is mended. What follows from a client's own row (attention, skipped) is read from there.

CREATE TABLE matters (
  client_id     text NOT NULL,                     -- no reference: a workflow that nobody registered is a matter, too
  matter        text NOT NULL,                     -- which of the client's: 'workflow'
  kind          text NOT NULL,
  system        text NOT NULL DEFAULT '',
  since         timestamptz NOT NULL,
  text          text NOT NULL,                     -- what is so, in a sentence
  remedies      jsonb NOT NULL DEFAULT '[]',       -- what can be done: objects of text and command
  assigned_to   text NOT NULL DEFAULT '',
  snoozed_until timestamptz,
  PRIMARY KEY (client_id, matter));
