-- What changing requests were answered that are no command to a client (those have table answers): of sites, and of
-- matters in somebody's hands. Written in the transaction that does what is asked for: the same key is one request.

CREATE TABLE request_answers (
  caller      text NOT NULL,                       -- whose key it is
  client_id   text NOT NULL,                       -- of the client in its address; empty: there is none
  key         text NOT NULL,                       -- the Idempotency-Key
  fingerprint text NOT NULL,                       -- of the route and the body: another request is refused
  answer      jsonb,                               -- the body of the answer
  refusal     jsonb,                               -- the facts of a refusal; null: it was done
  at          timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (caller, client_id, key));
