-- Every secret of a webhook signs for a day after it was replaced: whoever lost the answer with the new one, and rotates
-- again, has a receiver that knows only the first.

ALTER TABLE webhooks ADD COLUMN replaced_at timestamptz[] NOT NULL DEFAULT '{}';

UPDATE webhooks SET replaced_at = ARRAY[rotated_at] WHERE rotated_at IS NOT NULL;

COMMENT ON COLUMN webhooks.replaced_at IS 'When the secrets before this one were replaced, the newest first: of a day';
COMMENT ON COLUMN webhooks.rotated_at IS 'When the secret was replaced last';
