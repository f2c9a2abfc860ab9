-- What both flavours say of the verified identity.
COMMENT ON FUNCTION mentalspace.check_jwks(jsonb) IS 'number of keys in a JWKS that can verify tokens; an error where anything in it is wrong';
COMMENT ON FUNCTION mentalspace.jwk_algorithm(jsonb) IS 'the one algorithm that a JWK verifies, NULL where it can verify none';
COMMENT ON FUNCTION mentalspace.jws_verify(text, jsonb) IS 'payload of a signed token (RFC 7515) after its signature, and nothing else, was verified with the key';
COMMENT ON FUNCTION mentalspace.verify_jwt(text) IS 'claims of a token after all checks of login(); the identity stays as it is';
COMMENT ON FUNCTION mentalspace.login(text) IS 'verifies a token and takes on its claims and role until the end of the transaction; returns sub';
COMMENT ON FUNCTION mentalspace.login(text, text) IS 'login() for the transaction or, with scope session, until logout(), DISCARD ALL or disconnection';
COMMENT ON FUNCTION mentalspace.logout() IS 'ends what login() began';
COMMENT ON FUNCTION mentalspace.whoami() IS 'who this session is, where its claims come from, and in words why auth.uid() is NULL and how its reads are audited';
GRANT EXECUTE ON FUNCTION mentalspace.jws_verify(text, jsonb), mentalspace.verify_jwt(text), mentalspace.login(text),
    mentalspace.login(text, text), mentalspace.logout(), mentalspace.whoami() TO PUBLIC;
