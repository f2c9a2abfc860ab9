-- What is worked out of a key when it is loaded, for the keys that are there.
UPDATE mentalspace.jwt_key_store SET jwk = jwk;
-- auth.uid() and its siblings, as this version writes them.
DO $$ BEGIN PERFORM mentalspace.apply_claims_source(); END $$;
