-- The same key is answered the same, with the warnings of then: [{code, text}]. Answers from before have none.
ALTER TABLE answers ADD COLUMN warnings jsonb NOT NULL DEFAULT '[]';

-- A refused plan that was acknowledged is gone from its client: acknowledging it again is answered from here.
ALTER TABLE matter_hands ADD COLUMN acknowledged jsonb;
