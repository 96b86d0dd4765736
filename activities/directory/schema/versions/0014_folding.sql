-- Billing references are unique whatever their case: by a key that our code folds (workflows/domain/text.py, folded).
-- A worker of 0.1.0, which knows no key, gives one here while the new ones take its place.

ALTER TABLE billing_refs ADD key text;

CREATE FUNCTION key_of_reference() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.key := lower(NEW.billing_ref);
  RETURN NEW;
END $$;
CREATE TRIGGER billing_refs_keyed BEFORE INSERT ON billing_refs
  FOR EACH ROW WHEN (NEW.key IS NULL) EXECUTE FUNCTION key_of_reference();
