-- Nobody but the owner.
REVOKE ALL ON vault.keys FROM PUBLIC;
REVOKE ALL ON FUNCTION vault.add_key(text) FROM PUBLIC;
REVOKE ALL ON FUNCTION vault._hmac(bytea, bytea), vault._encrypt(bytea, bytea, bytea), vault._decrypt(bytea, bytea, bytea),
    vault._random(integer) FROM PUBLIC;
