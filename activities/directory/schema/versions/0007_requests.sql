-- Commands that were sent to a client and that no publication has answered yet. Nothing may take effect that is not
-- recorded: a row is written before its command is sent, and goes with the answer, or with the word that it is withdrawn.

CREATE TABLE requests (
  client_id  text NOT NULL,
  command_id text NOT NULL,
  message    jsonb NOT NULL,                       -- the command as the client's workflow is sent it
  at         timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (client_id, command_id));
CREATE INDEX requests_by_age ON requests (at);
