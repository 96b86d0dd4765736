-- What every command was answered, for as long as the client's history: the same key is one command, however late it
-- comes again. Written with the lines of the history, and by the API for what is refused before a workflow records it.

CREATE TABLE answers (
  client_id   text NOT NULL,                       -- also of a client that was refused: no reference
  command_id  text NOT NULL,                       -- the Idempotency-Key
  fingerprint text NOT NULL,                       -- of all that the command says: another command is refused
  kind        text NOT NULL,
  changed     boolean NOT NULL,
  message     text NOT NULL,
  refusal     jsonb,                               -- the facts of a refusal; null: it was obeyed
  at          timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (client_id, command_id));
CREATE INDEX answers_of_creations ON answers (command_id) WHERE kind = 'create';
